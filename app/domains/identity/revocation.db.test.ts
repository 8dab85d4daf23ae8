import { AppError, manualClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eraseAgain } from '../access/erasing.ts';
import { suspendMember } from '../access/service.ts';
import { carryOut } from '../access-reviews/removing.ts';
import { by as approved } from '../connections/testing/asking.ts';
import { type Enrolled, type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import { followEvictions, type EvictionFollower } from '../../platform/edge/follow-evictions.ts';
import { createTokenCache, type TokenCache } from '../../platform/edge/token-cache.ts';
import type { Caller } from '../../platform/http/handler.ts';
import type { InternalClient } from '../../platform/http/client.ts';
import { silentLog } from '../../platform/http/request-log.ts';
import { issueChallenge } from './challenges.ts';
import { reinstatePrincipal } from './index.ts';
import { issueLink } from './links.ts';
import * as revocation from './revocation.ts';
import type { RevocationHolder } from './revocation.ts';
import * as service from './service.ts';
import { closeSession, findSession } from './sessions.ts';
import { mintToken } from './token-mint.ts';

/** What is promised of every gateway. */
const EVERYWHERE_MS_MAX = 1000;

const clock = manualClock(Date.now());
let house: SeededIssuer;
let person: Enrolled;
let context: TenantContext;
const by = { actor: { service: 'issuer' } } as const;
const gateways: EvictionFollower[] = [];

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  person = await house.enrol('harbour', 'auditor');
  context = (await house.callerOf(person.cookie)).tenant;
});
afterEach(() => gateways.splice(0).forEach((gateway) => gateway.close()));
afterAll(async () => {
  house?.deps.evictions.close();
  await house?.stop();
});
beforeEach(async () => {
  clock.advance(1000);
  await reinstatePrincipal(house.deps, context, { memberId: person.personId, cause: 'scim', by });
});

const withCode = (code: string) => expect.objectContaining({ code });
const arrival = () => ({ door: 'edge', requestId: uuidV4(systemRandom) }) as const;
const revoke = (more: Partial<revocation.Revocation> = {}, deps: revocation.RevocationDeps = house.deps) =>
  revocation.revokePrincipal(deps, context, { memberId: person.personId, cause: 'scim', by, ...more });
const counted = (effects: readonly revocation.RevocationEffect[]) =>
  Object.fromEntries(effects.map(({ holder, ended }) => [holder, ended]));
const entries = async (type: string) =>
  (await house.audited(type)).filter(({ resource_id }) => resource_id === person.personId);

async function signIn(who = person): Promise<string> {
  const { challengeId, options } = await service.beginSignIn(house.deps, arrival());
  const response = who.device.authenticate(options);
  return (await service.signInWithPasskey(house.deps, arrival(), { challengeId, response })).opened.token;
}

/** A gateway with a cache of its own, on the issuer's real feed and mint. */
async function openGateway() {
  const call = async (contract: { operation: string }, asked: { query: object; body: never; requestId: string }) => {
    if (contract.operation === 'identity.follow-evictions')
      return { status: 200, headers: {}, body: house.deps.evictions.follow(asked.query) };
    return { status: 200, headers: {}, body: await mintToken(house.deps, asked.body, asked.requestId) };
  };
  const client = { call } as unknown as InternalClient;
  const cache: TokenCache = createTokenCache({ client, clock, isHeard: () => follower.isHeard() });
  const follower: EvictionFollower = followEvictions({ client, log: silentLog, cache });
  gateways.push(follower);
  await expect.poll(() => follower.isHeard()).toBe(true);
  return async (cookie: string) => {
    const question = {
      cookie,
      cookieHash: cookie,
      door: 'edge',
      destination: 'workspace',
      routeClass: 'read',
    } as const;
    return (await cache.get({ ...question, operation: 'engagements.list', requestId: uuidV4(systemRandom) }))?.token;
  };
}

/** Milliseconds until a gateway refuses a cookie. */
async function refusedAfter(asks: readonly ((cookie: string) => Promise<string | undefined>)[], cookie: string) {
  const began = performance.now();
  for (const ask of asks) await expect.poll(() => ask(cookie), { timeout: 5000, interval: 5 }).toBeUndefined();
  return performance.now() - began;
}

async function hold(): Promise<{ cookies: string[] }> {
  const cookies = [await signIn(), await signIn()];
  await house.deps.tenant.transaction(context, (tx) =>
    issueLink(house.deps, tx, { kind: 'enrol', memberId: person.personId, actor: by.actor }),
  );
  const session = await findSession(house.deps, cookies[0], arrival());
  await issueChallenge(house.deps, {
    purpose: 'step-up',
    door: 'edge',
    tenant_id: context.tenantId,
    member_id: person.personId,
    session_id: session!.sessionId,
    operation: 'access.invite',
  });
  return { cookies };
}

describe('whoever leaves', () => {
  it('is refused at every gateway within a second of the commit, also with a token that is cached there', async () => {
    const asks = [await openGateway(), await openGateway()];
    const [mine, other] = [await signIn(), await signIn(await house.enrol('harbour', 'client'))];
    for (const ask of asks) expect(await ask(mine)).toBe(await ask(mine));
    const kept = await Promise.all(asks.map((ask) => ask(other)));
    const effects = await revoke();
    expect(await refusedAfter(asks, mine)).toBeLessThan(EVERYWHERE_MS_MAX);
    expect(counted(effects)).toMatchObject({ gateways: 2 });
    // Nobody else's tokens went with theirs.
    expect(await Promise.all(asks.map((ask) => ask(other)))).toEqual(kept);
  });

  it('loses every session, unused link and pending approval, is suspended, and one entry says what ended when', async () => {
    await revoke();
    await reinstatePrincipal(house.deps, context, { memberId: person.personId, cause: 'scim', by });
    clock.advance(1000);
    const { cookies } = await hold();
    const before = (await entries('member.revoked')).length;
    const causedAt = new Date(clock.nowMs() - 700);
    const effects = await revoke({ causedAt });
    expect(counted(effects)).toMatchObject({ sessions: 2, links: 1, approvals: 1 });
    for (const cookie of cookies) expect(await findSession(house.deps, cookie, arrival())).toBeUndefined();
    await expect(signIn()).rejects.toEqual(withCode('sign_in_refused'));
    const about = [person.personId];
    expect(await house.rows('select 1 from identity.one_time_link where member_id = $1', about)).toEqual([]);
    expect(await house.rows('select 1 from identity.challenge where member_id = $1', about)).toEqual([]);
    const written = (await entries('member.revoked')).slice(before);
    expect(written).toHaveLength(1);
    const facts = written[0]!.leaf['public'] as Record<string, string>;
    expect(facts).toMatchObject({ cause: 'scim', since: causedAt.toISOString() });
    expect(facts['effects']).toContain(`sessions 2 at ${new Date(clock.nowMs()).toISOString()}`);
    const rows = await house.rows<{ cause: string; caused_at: Date; effects: unknown[]; completed_at: Date | null }>(
      'select cause, caused_at, effects, completed_at from identity.revocation where member_id = $1 order by id desc',
      about,
    );
    expect(rows[0]).toMatchObject({ cause: 'scim', caused_at: causedAt, effects: JSON.parse(JSON.stringify(effects)) });
    expect(rows[0]!.completed_at).not.toBeNull();
  });

  it('has nothing left to lose the second time, and no entry is written about that', async () => {
    await hold();
    await revoke();
    const before = [(await entries('member.revoked')).length, (await entries('member.suspended')).length];
    expect(Object.values(counted(await revoke())).every((ended) => ended === 0)).toBe(true);
    expect([(await entries('member.revoked')).length, (await entries('member.suspended')).length]).toEqual(before);
  });

  it('keeps a session that somebody else has', async () => {
    const colleague = await house.enrol('harbour', 'lead');
    await revoke();
    expect(await findSession(house.deps, colleague.cookie, arrival())).toBeDefined();
  });

  it('comes back by being reinstated, by signing in anew only', async () => {
    const cookie = await signIn();
    await revoke();
    const again = () => reinstatePrincipal(house.deps, context, { memberId: person.personId, cause: 'scim', by });
    expect(await again()).toBe(true);
    expect(await again()).toBe(false);
    expect(await findSession(house.deps, cookie, arrival())).toBeUndefined();
    expect(await findSession(house.deps, await signIn(), arrival())).toBeDefined();
    expect((await entries('member.reinstated')).at(-1)!.leaf).toMatchObject({ public: { cause: 'scim' } });
  });

  it('is not suspended for having signed out at the provider, or for silence', async () => {
    for (const cause of ['back-channel', 'lapsed'] as const) {
      const cookie = await signIn();
      expect(counted(await revoke({ cause })).sessions).toBeGreaterThan(0);
      expect(await findSession(house.deps, cookie, arrival())).toBeUndefined();
      expect(await findSession(house.deps, await signIn(), arrival())).toBeDefined();
    }
  });

  it('cannot be somebody of another organisation', async () => {
    const elsewhere = await house.enrol('lakeside', 'auditor');
    await expect(revoke({ memberId: elsewhere.personId })).rejects.toEqual(withCode('not_found'));
    expect(await findSession(house.deps, elsewhere.cookie, arrival())).toBeDefined();
  });

  it('who was erased by law is not let in again', async () => {
    const gone = await house.enrol('lakeside', 'client');
    const { tenant } = await house.callerOf(gone.cookie);
    await eraseAgain(house.deps, tenant, gone.personId);
    const back = { memberId: gone.personId, cause: 'scim', by } as const;
    await expect(reinstatePrincipal(house.deps, tenant, back)).rejects.toEqual(withCode('member_erased'));
    expect(await findSession(house.deps, gone.cookie, arrival())).toBeUndefined();
  });
});

describe('what other rooms hold', () => {
  const keys = new Map<Uuid, number>();
  let isDown = false;
  const holder = (name: string): RevocationHolder => ({
    name,
    async end(_context, memberId) {
      if (isDown) throw new AppError('service_unavailable', 'away');
      const held = keys.get(memberId) ?? 0;
      keys.delete(memberId);
      return held;
    },
  });
  const deps = () => ({
    ...house.deps,
    revocations: [holder('api-keys'), { ...holder('grants'), end: async () => 0 }],
  });
  beforeEach(() => void (isDown = false));

  it('ends by whoever registered, and stands in the same entry', async () => {
    keys.set(person.personId, 3);
    expect(counted(await revoke({}, deps()))).toMatchObject({ 'api-keys': 3, grants: 0 });
    const { leaf } = (await entries('member.revoked')).at(-1)!;
    expect((leaf['public'] as { effects: string }).effects).toMatch(/api-keys 3 at .*grants 0 at /);
  });

  it('does not keep the rest alive when one fails; the next call ends what is left and completes the same record', async () => {
    keys.set(person.personId, 3);
    isDown = true;
    const cookie = await signIn();
    const before = (await entries('member.revoked')).length;
    await expect(revoke({}, deps())).rejects.toEqual(withCode('revocation_incomplete'));
    expect(await findSession(house.deps, cookie, arrival())).toBeUndefined();
    const open = 'select id from identity.revocation where member_id = $1 and completed_at is null';
    const [begun] = await house.rows<{ id: Uuid }>(open, [person.personId]);
    expect(begun).toBeDefined();
    expect((await entries('member.revoked')).length).toBe(before);
    isDown = false;
    expect(counted(await revoke({}, deps()))).toEqual({
      sessions: 0,
      links: 0,
      approvals: 0,
      gateways: 0,
      'api-keys': 3,
      grants: 0,
    });
    expect(await house.rows(open, [person.personId])).toEqual([]);
    expect((await entries('member.revoked')).length).toBe(before + 1);
  });
});

describe('a session that ends for any reason', () => {
  it('is told to the gateways: sign-out, replaced, for its attempts, everywhere', async () => {
    const asks = [await openGateway(), await openGateway()];
    for (const reason of ['sign-out', 'replaced', 'attempts'] as const) {
      const cookie = await signIn();
      for (const ask of asks) expect(await ask(cookie)).toBeDefined();
      await closeSession(house.deps, (await findSession(house.deps, cookie, arrival()))!, reason);
      if (reason !== 'attempts') expect(await refusedAfter(asks, cookie)).toBeLessThan(EVERYWHERE_MS_MAX);
      else
        for (const ask of asks)
          await expect
            .poll(() => ask(cookie).catch((error: { code: string }) => error.code), { timeout: EVERYWHERE_MS_MAX })
            .toBe('session_ended');
    }
    const cookie = await signIn();
    for (const ask of asks) expect(await ask(cookie)).toBeDefined();
    await service.signOutEverywhere(house.deps, await house.callerOf(cookie));
    expect(await refusedAfter(asks, cookie)).toBeLessThan(EVERYWHERE_MS_MAX);
  });

  it('is not told when its transaction is rolled back', async () => {
    const ask = await openGateway();
    const cookie = await signIn();
    const token = await ask(cookie);
    const session = (await findSession(house.deps, cookie, arrival()))!;
    const failing = { ...house.deps, recordAudit: () => Promise.reject(new Error('no entry')) };
    await expect(closeSession(failing, session, 'sign-out')).rejects.toThrow('no entry');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await ask(cookie)).toBe(token);
  });
});

describe('the last person who leads an organisation', () => {
  let first: Caller;
  let second: Caller;
  beforeAll(async () => {
    const lead = await house.enrol('lakeside', 'lead');
    first = await house.callerOf(lead.cookie);
    second = { ...first, personId: uuidV4(systemRandom) };
    const { tenantId } = first.tenant;
    const label = { field: 'identity.member.label', rowId: second.personId, value: 'Second lead' } as const;
    const sealed = Buffer.from(await house.deps.sealer.seal({ context: first.tenant, ...label }));
    await house.rows(
      `begin; set local session_replication_role = replica;
       insert into identity.member select '${tenantId}', '${second.personId}', role, state, '\\x${sealed.toString('hex')}', created_at
         from identity.member where id = '${first.personId}';
       commit`,
    );
  });
  const told = async () => (await house.audited('tenant.without-lead')).map(({ leaf }) => leaf['public']);
  let before: number;
  beforeEach(async () => {
    await house.rows(
      `begin; set local session_replication_role = replica;
       update identity.member set state = 'active', role = 'lead'
         where id in ('${first.personId}', '${second.personId}');
       commit`,
    );
    before = (await told()).length;
  });
  const toldNow = async () => (await told()).slice(before);
  const isIn = async ({ personId }: Caller) =>
    (await house.rows("select 1 from identity.member where id = $1 and state = 'active'", [personId])).length === 1;
  const out = ({ tenant, personId }: Caller, deps: revocation.RevocationDeps = house.deps) =>
    revocation.revokePrincipal(deps, tenant, { memberId: personId, cause: 'scim', by });

  it('is put out like anybody else, which is told at once; of one before the last nothing is told', async () => {
    await out(second);
    expect(await toldNow()).toEqual([]);
    await out(first);
    expect(await toldNow()).toEqual([{ cause: 'scim', role: 'lead' }]);
    expect(await Promise.all([first, second].map(isIn))).toEqual([false, false]);
  });

  /** As the issuer, but whoever has put somebody out commits when the other has done so as well, or waits for a lock. */
  function meeting() {
    let arrived = 0;
    const suspending = new WeakSet<ScopedTransaction>();
    const waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    const isMet = async () => arrived > 1 || (await house.rows(waiting)).length > 0;
    const recordAudit: typeof house.deps.recordAudit = (tx, entry) => {
      if (entry.type === 'member.suspended') suspending.add(tx);
      return house.deps.recordAudit(tx, entry);
    };
    const transaction: typeof house.deps.tenant.transaction = (asked, work) =>
      house.deps.tenant.transaction(asked, async (tx) => {
        const done = await work(tx);
        if (!suspending.has(tx)) return done;
        arrived += 1;
        await expect.poll(isMet, { timeout: 5000, interval: 10 }).toBe(true);
        return done;
      });
    return { ...house.deps, recordAudit, tenant: { ...house.deps.tenant, transaction } };
  }

  it('is known as that when two directories’ messages put both out at the same instant', async () => {
    const deps = meeting();
    await Promise.all([out(first, deps), out(second, deps)]);
    expect(await toldNow()).toEqual([{ cause: 'scim', role: 'lead' }]);
  });

  it('stays when two leads put each other out at the same instant', async () => {
    const deps = meeting();
    const settled = await Promise.allSettled([
      suspendMember(deps, approved(first), second.personId),
      suspendMember(deps, approved(second), first.personId),
    ]);
    expect(settled.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(settled.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'operation_refused' },
    });
    expect((await Promise.all([first, second].map(isIn))).sort()).toEqual([false, true]);
    expect(await toldNow()).toEqual([]);
  });

  it('is told when a lead puts out the other at the instant at which a directory puts out that lead', async () => {
    const deps = meeting();
    const [removed] = await Promise.allSettled([
      suspendMember(deps, approved(first), second.personId),
      out(first, deps),
    ]);
    // Whichever was first: the lead was none any more, or the directory put out the last one.
    expect(await isIn(first)).toBe(false);
    expect(await isIn(second)).toBe(removed.status === 'rejected');
    expect(await toldNow()).toEqual(removed.status === 'rejected' ? [] : [{ cause: 'scim', role: 'lead' }]);
  });

  it('stays through a review at the instant at which a directory puts out the other, or is told', async () => {
    const deps = meeting();
    const { tenant: context, tenantKind: kind } = second;
    const item = { id: uuidV4(systemRandom), kind: 'member', target_id: second.personId, decided_by: null };
    const review = carryOut(deps as never, { context, kind } as never, item as never);
    const [reviewed] = await Promise.allSettled([review, out(first, deps)]);
    expect(await isIn(first)).toBe(false);
    expect(await isIn(second)).toBe(reviewed.status === 'rejected');
    if (reviewed.status === 'rejected') expect(reviewed.reason).toEqual(withCode('access_review_last_manager'));
    expect(await toldNow()).toEqual(reviewed.status === 'rejected' ? [] : [{ cause: 'scim', role: 'lead' }]);
  });
});
