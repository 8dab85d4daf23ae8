import { hash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { systemClock, systemRandom, uuidV4 } from '@auditrax/base';
import {
  evictionFeedRoutes,
  problems,
  reinstatePrincipal,
  revokePrincipal,
  tokenMintRoutes,
} from '../app/domains/identity/index.ts';
import * as identity from '../app/domains/identity/service.ts';
import { type Enrolled, type SeededIssuer, startSeededIssuer } from '../app/domains/tenants/testing/seeded-issuer.ts';
import { followEvictions, type EvictionFollower } from '../app/platform/edge/follow-evictions.ts';
import { createTokenCache, type TokenCache, type TokenQuestion } from '../app/platform/edge/token-cache.ts';
import { createAttemptCounter } from '../app/platform/http/attempt-counter.ts';
import { createInternalClient } from '../app/platform/http/client.ts';
import { silentLog } from '../app/platform/http/request-log.ts';
import { startService } from '../app/platform/http/service.ts';
import { openTestHouse, type TestHouse } from '../app/platform/http/testing/workloads.ts';

const GATEWAYS = 2;
const REVOCATIONS = 300;
const CHECKS = 50_000;
const MINTS = 500;
/** The compiler and the caches of statements need some. */
const WARM_UP = 30;

function p99(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.ceil(values.length * 0.99) - 1] ?? Number.NaN;
}

/** The issuer on a real database behind mutual TLS. */
async function startIssuer(issuer: SeededIssuer, house: TestHouse) {
  const service = await startService({
    name: 'issuer',
    clock: systemClock,
    log: silentLog,
    tagKeys: house.keys,
    problems: [problems],
    policy: { has: () => true, allows: () => true },
    readiness: async () => [],
    onAttempt: async () => undefined,
    counter: createAttemptCounter(),
    stepUp: async () => Promise.reject(new Error('nothing is confirmed here')),
    identity: await house.identity('issuer'),
    tokenVerifier: house.verifier('issuer'),
    rooms: [tokenMintRoutes(issuer.deps), evictionFeedRoutes(issuer.deps)],
  });
  house.ports.set('issuer', service.port);
  return service;
}

interface Gateway {
  readonly cache: TokenCache;
  readonly follower: EvictionFollower;
}

async function openGateway(house: TestHouse): Promise<Gateway> {
  const client = createInternalClient({ pools: house.pools(await house.identity('gateway')) });
  const cache: TokenCache = createTokenCache({ client, clock: systemClock, isHeard: () => follower.isHeard() });
  const follower: EvictionFollower = followEvictions({ client, log: silentLog, cache });
  while (!follower.isHeard()) await turn();
  return { cache, follower };
}

/** What the edge does with a cookie before anything else. */
const questionOf = (cookie: string): TokenQuestion => ({
  cookie,
  cookieHash: hash('sha256', cookie, 'base64url'),
  door: 'edge',
  destination: 'workspace',
  routeClass: 'read',
  operation: 'engagements.list',
  requestId: uuidV4(systemRandom),
});

async function signIn({ deps }: SeededIssuer, person: Enrolled): Promise<string> {
  const arrival = { door: 'edge', requestId: uuidV4(systemRandom) } as const;
  const { challengeId, options } = await identity.beginSignIn(deps, arrival);
  const response = person.device.authenticate(options);
  return (await identity.signInWithPasskey(deps, arrival, { challengeId, response })).opened.token;
}

/** Milliseconds of a check of a session that the gateway knows, and of one that it asks the issuer about. */
async function measureChecks({ cache }: Gateway, cookie: string) {
  const cached: number[] = [];
  const asked: number[] = [];
  for (let check = -WARM_UP; check < MINTS; check += 1) {
    cache.clear();
    const started = performance.now();
    if ((await cache.get(questionOf(cookie))) === undefined) throw new Error('the session is not live');
    if (check >= 0) asked.push(performance.now() - started);
  }
  for (let check = 0; check < CHECKS; check += 1) {
    // The feed is read and tokens are renewed meanwhile, as they are at a gateway.
    if (check % 100 === 0) await turn();
    const started = performance.now();
    const found = cache.get(questionOf(cookie));
    if ((found instanceof Promise ? await found : found) === undefined) throw new Error('the session is not live');
    cached.push(performance.now() - started);
  }
  return { cached, asked };
}

/** From the order to revoke until every gateway refuses the cookie whose token it has cached. */
async function revokeOnce(issuer: SeededIssuer, gateways: readonly Gateway[], person: Enrolled): Promise<number> {
  const cookie = await signIn(issuer, person);
  for (const { cache } of gateways)
    if ((await cache.get(questionOf(cookie))) === undefined) throw new Error('the session is not live');
  const { tenant } = await issuer.callerOf(cookie);
  const by = { actor: { service: 'issuer' } } as const;
  const leaver = { memberId: person.personId, cause: 'scim', by } as const;
  const started = performance.now();
  const revoked = revokePrincipal(issuer.deps, tenant, leaver);
  for (const { cache } of gateways) while ((await cache.get(questionOf(cookie))) !== undefined) await turn();
  const took_ms = performance.now() - started;
  await revoked;
  await reinstatePrincipal(issuer.deps, tenant, leaver);
  return took_ms;
}

/**
 * Sessions at gateways with an issuer of their own on a real database, over mutual TLS, all in one process: a check of a
 * session that is cached (`session_check`) and one that the issuer is asked about (`session_mint`), and how long after
 * the order to revoke every gateway refuses (`revocation`).
 */
export async function measureRevocation(progress: (line: string) => void) {
  const issuer = await startSeededIssuer(systemClock);
  const house = await openTestHouse();
  const service = await startIssuer(issuer, house);
  const gateways: Gateway[] = [];
  try {
    while (gateways.length < GATEWAYS) gateways.push(await openGateway(house));
    const person = await issuer.enrol('harbour', 'auditor');
    progress(`${CHECKS} checks of a session, ${MINTS} that ask the issuer`);
    const { cached, asked } = await measureChecks(gateways[0]!, person.cookie);
    progress(`${REVOCATIONS} people leave, at ${GATEWAYS} gateways`);
    const revocations: number[] = [];
    for (let round = -WARM_UP; round < REVOCATIONS; round += 1) {
      const took_ms = await revokeOnce(issuer, gateways, person);
      if (round >= 0) revocations.push(took_ms);
    }
    return {
      figures: {
        session_check_p99_ms: Number(p99(cached).toFixed(4)),
        session_mint_p99_ms: Number(p99(asked).toFixed(2)),
        revocation_p99_ms: Number(p99(revocations).toFixed(2)),
        revocation_worst_ms: Number(Math.max(...revocations).toFixed(2)),
      },
      conditions: { gateways: GATEWAYS, revocations: REVOCATIONS, session_checks: CHECKS },
    };
  } finally {
    for (const { follower } of gateways) follower.close();
    issuer.deps.evictions.close();
    await service.drain();
    await house.close();
    await issuer.stop();
  }
}
