import { Readable } from 'node:stream';
import { AppError, manualClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { afterEach, describe, expect, it } from 'vitest';
import type { InternalClient } from '../http/client.ts';
import { silentLog } from '../http/request-log.ts';
import { FEED_BEAT_MS } from './evictions-contract.ts';
import { FEED_SILENT_MS_MAX, followEvictions, type EvictionFollower } from './follow-evictions.ts';
import { createTokenCache, type TokenCache } from './token-cache.ts';

const id = () => uuidV4(systemRandom);
const [FEED, ONE, TWO, PERSON] = [id(), id(), id(), id()];
const clock = manualClock(Date.now());

/** An issuer in memory: who is asked for tokens, and what the feed says. */
function openHouse() {
  const asked: { feed?: string; after?: number }[] = [];
  const state = { elapsed: 0, mints: 0, body: undefined as Readable | undefined, down: false };
  const call = async (
    contract: { operation: string },
    { query, body }: { query?: object; body?: { cookie: string } },
  ) => {
    if (state.down) throw new AppError('service_unavailable', 'away');
    if (contract.operation === 'identity.follow-evictions') {
      asked.push(query as object);
      state.body = new Readable({ read: () => undefined });
      return { status: 200, headers: {}, body: state.body };
    }
    state.mints += 1;
    const sessionId = body!.cookie.startsWith('one') ? ONE : TWO;
    const token = { token: `t${state.mints}`, expiresAt: clock.nowMs() + 30_000, tenantPart: 1 };
    return { status: 200, headers: {}, body: { ...token, tenantId: id(), personId: PERSON, sessionId } };
  };
  const client = { call } as unknown as InternalClient;
  const cache: TokenCache = createTokenCache({ client, clock, isHeard: () => follower.isHeard() });
  const follower: EvictionFollower = followEvictions({
    client,
    log: silentLog,
    cache,
    elapsed_ms: () => state.elapsed,
  });
  const say = async (line: object) => {
    state.body!.push(`${JSON.stringify(line)}\n`);
    await settled();
  };
  const token = async (name: 'one' | 'two') => {
    const cookie = `${name}-cookie-cookie`;
    const question = { cookie, cookieHash: name, door: 'edge', destination: 'workspace', routeClass: 'read' } as const;
    return (await cache.get({ ...question, operation: 'work.list', requestId: id() as Uuid }))?.token;
  };
  return { asked, state, follower, say, token };
}
const settled = () => new Promise((resolve) => setTimeout(resolve, 15));
const opened: EvictionFollower[] = [];
async function begin() {
  const house = openHouse();
  opened.push(house.follower);
  await settled();
  await house.say({ feed: FEED, sequence: 7, goesOn: false });
  return house;
}
afterEach(() => {
  for (const follower of opened.splice(0)) follower.close();
});

describe('a gateway that follows evictions', () => {
  it('believes its cache only once it has heard the issuer', async () => {
    const house = openHouse();
    opened.push(house.follower);
    await settled();
    expect(await house.token('one')).not.toBe(await house.token('one'));
    await house.say({ feed: FEED, sequence: 0, goesOn: false });
    expect(await house.token('one')).toBe(await house.token('one'));
  });

  it('drops the tokens of the session that is named, and of no other', async () => {
    const house = await begin();
    const [one, two] = [await house.token('one'), await house.token('two')];
    await house.say({ sequence: 8, sessionId: ONE });
    expect(await house.token('two')).toBe(two);
    expect(await house.token('one')).not.toBe(one);
  });

  it('drops all tokens of a person', async () => {
    const house = await begin();
    const before = [await house.token('one'), await house.token('two')];
    await house.say({ sequence: 8, personId: PERSON });
    expect([await house.token('one'), await house.token('two')]).not.toEqual(
      expect.arrayContaining([expect.stringMatching(new RegExp(`^(${before.join('|')})$`))]),
    );
  });

  it('drops everything when a number is missing, in an eviction or in a beat', async () => {
    const house = await begin();
    const one = await house.token('one');
    await house.say({ sequence: 9, sessionId: TWO });
    const next = await house.token('one');
    expect(next).not.toBe(one);
    await house.say({ beat: true, sequence: 9 });
    expect(await house.token('one')).toBe(next);
    await house.say({ beat: true, sequence: 10 });
    expect(await house.token('one')).not.toBe(next);
  });

  it('asks about each request after the named silence, and trusts its cache again when it hears a beat', async () => {
    const house = await begin();
    const one = await house.token('one');
    house.state.elapsed += FEED_SILENT_MS_MAX;
    expect(await house.token('one')).toBe(one);
    house.state.elapsed += 1;
    const [first, second] = [await house.token('one'), await house.token('one')];
    expect(new Set([one, first, second]).size).toBe(3);
    await house.say({ beat: true, sequence: 7 });
    expect(await house.token('one')).toBe(await house.token('one'));
  });

  it('drops everything when the feed breaks off, and goes on from the number that it knows', async () => {
    const house = await begin();
    await house.say({ sequence: 8, sessionId: TWO });
    const one = await house.token('one');
    house.state.body!.push(null);
    await expect.poll(() => house.asked.length).toBe(2);
    expect(house.asked).toEqual([{}, { feed: FEED, after: 8 }]);
    expect(await house.token('one')).not.toBe(one);
  });

  it('lives through an issuer that is away, and through lines that are no lines of the feed', async () => {
    const house = await begin();
    const one = await house.token('one');
    await house.say({ sequence: 'eight' });
    await expect.poll(() => house.asked.length).toBe(2);
    expect(await house.token('one')).not.toBe(one);
    house.state.down = true;
    house.state.body!.destroy();
    await settled();
    house.state.down = false;
    await expect.poll(() => house.asked.length).toBe(3);
  });

  it('notices silence well within the second that is promised, though beats are late', () => {
    expect(FEED_SILENT_MS_MAX).toBeLessThan(1000);
    expect(FEED_BEAT_MS * 3).toBeLessThan(FEED_SILENT_MS_MAX);
  });
});
