import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manualClock, systemRandom } from '@auditrax/base';
import type { Uuid } from '@auditrax/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { initKeyRing, restoreKeyRing } from './ring.ts';
import type { KeyRing } from './ring.ts';
import { openSealedDocument } from './sealed-document.ts';

const OWNER = '00000000-0000-4000-8000-0000000000aa' as Uuid;
const clock = manualClock(1_790_000_000_000);
const withCode = (code: string) => expect.objectContaining({ code });

let folder: string;
let path: string;
let ring: KeyRing;
let recoveryKey: string;

async function freshRing(name: string): Promise<{ ring: KeyRing; recoveryKey: string }> {
  const place = { path: join(folder, name), rootKey: systemRandom.bytes(32), clock, random: systemRandom };
  return initKeyRing({ ...place, wrappedKeysInStore: 0 });
}
const open = (change: { ring?: KeyRing; name?: string; owner?: Uuid } = {}) =>
  openSealedDocument({ path, ring, owner: OWNER, name: 'book', random: systemRandom, ...change });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealed-document-'));
  path = join(folder, 'book');
  ({ ring, recoveryKey } = await freshRing('ring'));
  return () => rm(folder, { recursive: true, force: true });
});
afterEach(() => ring.close());

describe('a document beside the key ring', () => {
  it('S16: is private, comes back as saved, shows nothing, and keeps one generation', async () => {
    const document = await open();
    expect([document.generation, document.content, ring.keyCount]).toEqual([0, undefined, 0]);
    await document.save({ secret: 'one' });
    await document.save({ secret: 'two' });
    const again = await open();
    expect([again.generation, again.content]).toEqual([2, { secret: 'two' }]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const [now, before] = [await readFile(path, 'utf8'), await readFile(`${path}.previous`, 'utf8')];
    expect(`${now}${before}`).not.toMatch(/secret|one|two/);
    await writeFile(path, before);
    expect((await open()).content).toEqual({ secret: 'one' });
  });

  it('S16: any change to its file is noticed, header included', async () => {
    await (await open()).save({ secret: 'one' });
    const good = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    const sealed = good['sealed'] as string;
    const swapped = `${sealed.slice(0, 40)}${sealed[40] === 'A' ? 'B' : 'A'}${sealed.slice(41)}`;
    const faults: readonly [object | string, string][] = [
      [{ ...good, generation: 7 }, 'ring_tampered'],
      [{ ...good, name: 'other' }, 'ring_tampered'],
      [{ ...good, sealed: swapped }, 'ring_tampered'],
      [{ ...good, sealed: sealed.slice(0, 40) }, 'ring_tampered'],
      [{ ...good, suite: 2 }, 'suite_unknown'],
      [{ ...good, format: 'AXR1' }, 'ring_corrupt'],
      [{ ...good, generation: '1' }, 'ring_corrupt'],
      [{ ...good, ringId: OWNER }, 'kek_unknown'],
      ['{', 'ring_corrupt'],
    ];
    for (const [content, code] of faults) {
      await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
      await expect(open(), JSON.stringify(content)).rejects.toThrow(withCode(code));
    }
  });

  it('S16: opens under no other ring, name or owner', async () => {
    await (await open()).save({ secret: 'one' });
    const other = await freshRing('other-ring');
    await expect(open({ ring: other.ring })).rejects.toThrow(withCode('kek_unknown'));
    await expect(open({ name: 'other' })).rejects.toThrow(withCode('ring_tampered'));
    await expect(open({ owner: '00000000-0000-4000-8000-0000000000bb' as Uuid })).rejects.toThrow(
      withCode('ring_tampered'),
    );
  });

  it('S16: opens after a restore of the ring under another root key', async () => {
    await (await open()).save({ secret: 'one' });
    const backup = await readFile(join(folder, 'ring'));
    const restored = await restoreKeyRing({
      path: join(folder, 'restored'),
      rootKey: systemRandom.bytes(32),
      clock,
      random: systemRandom,
      backup,
      recoveryKey,
    });
    expect((await open({ ring: restored })).content).toEqual({ secret: 'one' });
  });

  it('S16: two writers do not overwrite each other', async () => {
    const [one, two] = [await open(), await open()];
    await one.save({ writer: 1 });
    await expect(two.save({ writer: 2 })).rejects.toThrow(withCode('ring_changed'));
    expect((await open()).content).toEqual({ writer: 1 });
  });
});
