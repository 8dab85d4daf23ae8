import { manualClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Enrolled, type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import { whyEnded } from './ended-session.ts';
import { PROOF_MS_MAX } from './employment.ts';
import * as proofs from './employment-queries.ts';
import { countStandIns, proveEmployment, sweepEmployment } from './index.ts';
import * as service from './service.ts';
import { findSession, openSession } from './sessions.ts';
import { knownAtConnection } from './testing/known-at.ts';
import { mintToken } from './token-mint.ts';

/** The clause: nothing works any more four hours after the last word, the sweep's minute included. */
const PROMISED_MS = 4 * 3_600_000;
const SWEEP_MS = 60_000;

const clock = manualClock(Date.now());
let house: SeededIssuer;
let person: Enrolled;
let context: TenantContext;
let connectionId: Uuid;

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  person = await house.enrol('harbour', 'auditor');
  context = (await house.callerOf(person.cookie)).tenant;
  connectionId = await knownAtConnection(house, context, person.personId);
});
afterAll(() => house?.stop());
beforeEach(() => clock.advance(1000));

const withCode = (code: string) => expect.objectContaining({ code });
const arrival = () => ({ door: 'edge', requestId: uuidV4(systemRandom) }) as const;
const prove = (source: 'sign-in' | 'scim' | 'signal' = 'scim') =>
  proveEmployment(house.deps, context, { memberId: person.personId, source });
const sweep = () => sweepEmployment(house.deps, 'sweep');
const live = (cookie: string) => findSession(house.deps, cookie, arrival());
const mint = (cookie: string) =>
  mintToken(
    house.deps,
    { cookie, door: 'edge', destination: 'workspace', routeClass: 'read', operation: 'engagements.list' },
    'request-1',
  );

async function signIn(who = person): Promise<string> {
  const { challengeId, options } = await service.beginSignIn(house.deps, arrival());
  const response = who.device.authenticate(options);
  return (await service.signInWithPasskey(house.deps, arrival(), { challengeId, response })).opened.token;
}

/** Uses a session every few minutes, so that it does not end for being idle. */
async function passes(ms: number, cookies: readonly string[] = []): Promise<void> {
  const until = clock.nowMs() + ms;
  while (clock.nowMs() < until) {
    clock.advance(Math.min(600_000, until - clock.nowMs()));
    for (const cookie of cookies) await live(cookie);
  }
}

describe('proof of employment', () => {
  it('leaves no session working four hours after the last word, with the sweep and without', async () => {
    expect(PROOF_MS_MAX + SWEEP_MS).toBeLessThan(PROMISED_MS);
    await prove();
    const cookie = await signIn();
    await passes(PROOF_MS_MAX - 1000, [cookie]);
    expect(await live(cookie)).toBeDefined();
    clock.advance(1000);
    expect(await live(cookie)).toBeUndefined();
    await expect(mint(cookie)).rejects.toEqual(withCode('company_sign_in_required'));
    expect(await whyEnded(house.deps, cookie, 'request-1')).toBe('company');
    expect(await sweep()).toBe(1);
    const [row] = await house.rows<{ closed_reason: string }>(
      'select closed_reason from identity.session where member_id = $1 order by auth_time desc limit 1',
      [person.personId],
    );
    expect(row).toEqual({ closed_reason: 'lapsed' });
    // Whoever comes back with that cookie is still told what to do.
    await expect(mint(cookie)).rejects.toEqual(withCode('company_sign_in_required'));
    expect(await sweep()).toBe(0);
  });

  it('is asked of passkeys too, until somebody vouches again; the person was never suspended', async () => {
    await prove();
    clock.advance(PROOF_MS_MAX);
    await expect(signIn()).rejects.toEqual(withCode('company_sign_in_required'));
    await prove('signal');
    expect(await live(await signIn())).toBeDefined();
  });

  it('times the effects from the moment at which the proof ran out', async () => {
    await prove();
    const provedAt = clock.nowMs();
    const cookie = await signIn();
    await passes(PROOF_MS_MAX, [cookie]);
    clock.advance(40_000);
    await sweep();
    const { leaf } = (await house.audited('member.revoked')).at(-1)!;
    expect(leaf).toMatchObject({
      public: { cause: 'lapsed', since: new Date(provedAt + PROOF_MS_MAX).toISOString() },
    });
  });

  it('that comes between the sweep’s look and its lock keeps the session', async () => {
    await prove();
    await signIn();
    clock.advance(PROOF_MS_MAX);
    let fresh: string | undefined;
    const late = {
      ...house.deps,
      tenant: {
        ...house.deps.tenant,
        transaction: async (...input: Parameters<typeof house.deps.tenant.transaction>) => {
          if (fresh === undefined) {
            await prove('sign-in');
            fresh = await signIn();
          }
          return house.deps.tenant.transaction(...input);
        },
      },
    } as typeof house.deps;
    expect(await sweepEmployment(late, 'sweep')).toBe(0);
    expect(await live(fresh!)).toBeDefined();
    // And the sweep comes back to it when that proof is too old in its turn.
    clock.advance(PROOF_MS_MAX);
    expect(await sweep()).toBe(1);
  });

  it('never goes back', async () => {
    await prove();
    const [before] = await house.deps.tenant.scoped(context, proofs.proofOf(context, person.personId));
    const older = { memberId: person.personId, at: new Date(clock.nowMs() - 60_000), source: 'scim' } as const;
    await house.deps.tenant.scoped(context, proofs.recordProof(context, older));
    expect(await house.deps.tenant.scoped(context, proofs.proofOf(context, person.personId))).toEqual([before]);
  });

  it('is asked of nobody whom no provider has ever known', async () => {
    const other = await house.enrol('harbour', 'client');
    await passes(PROOF_MS_MAX + 600_000, [other.cookie]);
    expect(await live(other.cookie)).toBeDefined();
    expect(await live(await signIn(other))).toBeDefined();
  });

  it('locks nobody out whose connection is not in use any more: their passkey opens', async () => {
    await prove();
    const cookie = await signIn();
    await passes(PROOF_MS_MAX, [cookie]);
    const set = async (state: string) => {
      await house.rows('alter table identity.connection disable trigger user');
      await house.rows('update identity.connection set state = $2 where id = $1', [connectionId, state]);
      await house.rows('alter table identity.connection enable trigger user');
    };
    await set('disabled');
    expect(await sweep()).toBe(0);
    expect(await live(cookie)).toBeDefined();
    await set('active');
    expect(await live(cookie)).toBeUndefined();
  });

  it('of a session by a provider begins with its sign-in, also where none was kept', async () => {
    const other = await house.enrol('lakeside', 'auditor');
    const { tenant } = await house.callerOf(other.cookie);
    const opened = await house.deps.tenant.transaction(tenant, (tx) =>
      openSession(house.deps, tx, {
        memberId: other.personId,
        door: 'edge',
        method: 'sso',
        provider: {
          connectionId: uuidV4(systemRandom),
          accountId: uuidV4(systemRandom),
          session: null,
          subject: null,
          endsAtMs: undefined,
        },
      }),
    );
    await passes(PROOF_MS_MAX - 1000, [opened.token]);
    expect(await live(opened.token)).toBeDefined();
    clock.advance(1000);
    expect(await live(opened.token)).toBeUndefined();
  });
});

describe('a provider that is away for good', () => {
  it('leaves those in who manage the organisation by passkeys and are not its alone; of others it is told how many', async () => {
    const lead = await house.enrol('lakeside', 'lead');
    const lakeside = (await house.callerOf(lead.cookie)).tenant;
    const known = await knownAtConnection(house, lakeside, lead.personId);
    const standIns = () => countStandIns(house.deps, lakeside, known);
    // No company has vouched for this lead yet, so none can take that back.
    expect(await standIns()).toBe(1);
    await proveEmployment(house.deps, lakeside, { memberId: lead.personId, source: 'sign-in' });
    expect(await standIns()).toBe(0);
    // And so it comes: the passkeys of the only lead open nothing any more.
    clock.advance(PROMISED_MS);
    await expect(signIn(lead)).rejects.toEqual(withCode('company_sign_in_required'));
    // Another connection in use, by which they come in and switch the first one off.
    const other = await knownAtConnection(house, lakeside, lead.personId);
    expect([await standIns(), await countStandIns(house.deps, lakeside, other)]).toEqual([1, 1]);
    await house.rows(`alter table identity.connection disable trigger user`);
    const turn = (id: Uuid, state: string) =>
      house.rows('update identity.connection set state = $2 where id = $1', [id, state]);
    await turn(other, 'disabled');
    expect(await standIns()).toBe(0);
    // Once nothing is in use the passkey opens again.
    await turn(known, 'disabled');
    expect(await standIns()).toBe(1);
    await signIn(lead);
    await turn(known, 'active');
    expect(await standIns()).toBe(0);
    await house.rows(`alter table identity.connection enable trigger user`);
  });

  it('nobody stands in who could approve nothing: one passkey, another role, suspended', async () => {
    const context = (await house.callerOf((await house.enrol('harbour', 'lead')).cookie)).tenant;
    const known = connectionId;
    const lead = `member_id in (select id from identity.member where role = 'lead' and tenant_id = $1)`;
    const standIns = () => countStandIns(house.deps, context, known);
    expect(await standIns()).toBe(1);
    await house.rows('alter table identity.credential disable trigger user');
    await house.rows('alter table identity.member disable trigger user');
    const one = `id = (select min(id::text)::uuid from identity.credential where ${lead})`;
    await house.rows(`update identity.credential set removed_at = now() where tenant_id = $1 and ${one}`, [
      context.tenantId,
    ]);
    expect(await standIns()).toBe(0);
    await house.rows(`update identity.credential set removed_at = null where tenant_id = $1`, [context.tenantId]);
    expect(await standIns()).toBe(1);
    for (const change of [`role = 'auditor'`, `state = 'suspended'`]) {
      await house.rows(`update identity.member set ${change} where tenant_id = $1 and role = 'lead'`, [
        context.tenantId,
      ]);
      expect(await standIns(), change).toBe(0);
      await house.rows(
        `update identity.member set role = 'lead', state = 'active' where tenant_id = $1 and id in (select member_id from identity.credential where tenant_id = $1 group by member_id having count(*) > 1)`,
        [context.tenantId],
      );
    }
    await house.rows('alter table identity.credential enable trigger user');
    await house.rows('alter table identity.member enable trigger user');
  });
});
