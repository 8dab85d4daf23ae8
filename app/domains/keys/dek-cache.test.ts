import { manualClock, systemRandom, uuidV4 } from '@auditrax/base';
import { XaesKey } from '@auditrax/seal';
import { describe, expect, it } from 'vitest';
import { DEK_TTL_MS, DekCache } from './dek-cache.ts';
import type { DekHandle } from './dek-cache.ts';

const handle = (): DekHandle => ({
  version: 1,
  dekId: uuidV4(systemRandom),
  kekRef: 'local:sample',
  key: new XaesKey(systemRandom.bytes(32)),
  createdAtMs: 0,
});
const isWiped = (held: DekHandle): boolean => held.key.isDestroyed;

describe('data keys stay no longer and no more than promised', () => {
  it('a key is gone and wiped when its time is over, also when it is used all the time', () => {
    const clock = manualClock(0);
    const cache = new DekCache(clock);
    const key = handle();
    cache.put('a', key);
    for (let used = 0; used < DEK_TTL_MS; used += 50_000) {
      expect(cache.get('a')).toBe(key);
      clock.advance(50_000);
    }
    expect(cache.get('a')).toBeUndefined();
    expect(isWiped(key)).toBe(true);
  });

  it('the least recently used key leaves first, wiped', () => {
    const cache = new DekCache(manualClock(0), 2);
    const [a, b, c] = [handle(), handle(), handle()];
    cache.put('a', a);
    cache.put('b', b);
    cache.get('a');
    cache.put('c', c);
    expect([cache.get('a'), cache.get('b'), cache.get('c')]).toEqual([a, undefined, c]);
    expect([isWiped(a), isWiped(b), isWiped(c)]).toEqual([false, true, false]);
    expect(cache.size).toBe(2);
  });

  it('concurrent loads happen once, and a failure is not remembered', async () => {
    const cache = new DekCache(manualClock(0));
    let loads = 0;
    const load = async (): Promise<DekHandle> => {
      loads += 1;
      await new Promise((resolve) => setImmediate(resolve));
      if (loads === 1) throw new Error('not now');
      return handle();
    };
    const first = await Promise.allSettled([cache.once('a', load), cache.once('a', load)]);
    expect(first.map((result) => result.status)).toEqual(['rejected', 'rejected']);
    const second = await Promise.all([cache.once('a', load), cache.once('a', load), cache.once('a', load)]);
    expect(new Set(second).size).toBe(1);
    expect(loads).toBe(2);
  });

  it('a purge wipes the named tenant only', () => {
    const cache = new DekCache(manualClock(0));
    const [a, b] = [handle(), handle()];
    cache.put('t1/fields/1', a);
    cache.put('t2/fields/1', b);
    cache.purge('t1/');
    expect([isWiped(a), isWiped(b)]).toEqual([true, false]);
  });
});
