// A gateway that holds an operator's token, on the issuer's real feed and mint.
import { systemClock, systemRandom, uuidV4 } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTokenCache } from '../../platform/edge/token-cache.ts';
import { followEvictions, type EvictionFollower } from '../../platform/edge/follow-evictions.ts';
import { callerFromClaims } from '../../platform/http/caller.ts';
import type { InternalClient } from '../../platform/http/client.ts';
import { requirePolicy } from '../../platform/http/policy-gate.ts';
import { silentLog } from '../../platform/http/request-log.ts';
import { mintToken } from '../identity/token-mint.ts';
import { routes as tenants } from '../tenants/contract.ts';
import { type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import { askAccess, endAccess } from './service.ts';

/** As promised for sessions. */
const EVERYWHERE_MS_MAX = 1_000;
let house: SeededIssuer;
let follower: EvictionFollower;

beforeAll(async () => {
  house = await startSeededIssuer(systemClock);
});
afterAll(async () => {
  follower?.close();
  await house?.stop();
});

async function openGateway() {
  const call = async (contract: { operation: string }, asked: { query: object; body: never; requestId: string }) => {
    if (contract.operation === 'identity.follow-evictions')
      return { status: 200, headers: {}, body: house.deps.evictions.follow(asked.query) };
    return { status: 200, headers: {}, body: await mintToken(house.deps, asked.body, asked.requestId) };
  };
  const client = { call } as unknown as InternalClient;
  const cache = createTokenCache({ client, clock: systemClock, isHeard: () => follower.isHeard() });
  follower = followEvictions({ client, log: silentLog, cache });
  await expect.poll(() => follower.isHeard()).toBe(true);
  return async (cookie: string) => {
    const question = {
      cookie,
      cookieHash: cookie,
      door: 'edge',
      destination: 'workspace',
      routeClass: 'read',
    } as const;
    return (await cache.get({ ...question, operation: 'tenants.list', requestId: uuidV4(systemRandom) }))!.token;
  };
}

describe('an ended grant', () => {
  it('P7 is refused at a gateway that holds a cached token within a second of its end', async () => {
    const { cookie } = await house.enrol('operator', 'operator');
    const tokenAt = await openGateway();
    const callerNow = async () => callerFromClaims(await house.claimsOf(await tokenAt(cookie)), 'hash', 'request')!;
    const verdict = async () => {
      const asked = { caller: await callerNow(), now_ms: Date.now() };
      return requirePolicy({ has: () => true, allows: () => true }, tenants.list, asked);
    };
    expect(await verdict()).toBe('production-access');
    const caller = await callerNow();
    const row = await askAccess(
      house.deps,
      {
        caller,
        requestId: 'ask',
        stepUp: { assertionHash: 'assertion', credentialId: 'credential' },
        approved: { 'vouched for by': 'nobody else: there is no other operator here who could' },
      },
      { kind: 'grant', reason: 'To see', ticket: null, scopes: ['tenants'], minutes: 60 },
    );
    await expect.poll(verdict, { timeout: EVERYWHERE_MS_MAX, interval: 5 }).toBe('allowed');
    expect(await tokenAt(cookie), 'it is cached').toBe(await tokenAt(cookie));
    await endAccess(house.deps, { caller, requestId: 'end' }, row.id);
    const began = performance.now();
    await expect.poll(verdict, { timeout: 5_000, interval: 5 }).toBe('production-access');
    expect(performance.now() - began).toBeLessThan(EVERYWHERE_MS_MAX);
  });
});
