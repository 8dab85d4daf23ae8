import { manualClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ATTEMPT_REFUSED, WALL_ATTEMPTS_PER_SESSION_MAX } from '../../platform/audit/index.ts';
import type { EdgeDoor, Role } from '../../platform/http/handler.ts';
import { type Enrolled, type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import { issueCanaryEnrolment, openCanarySession } from './canary.ts';
import { CEREMONY_SECONDS_MAX } from './passkey.ts';
import * as service from './service.ts';
import { SESSION_IDLE_SECONDS_MAX, SESSION_SECONDS_MAX, SESSIONS_PER_MEMBER_MAX } from './session-rules.ts';
import { closeSession, findSession } from './sessions.ts';
import { createSoftwareAuthenticator } from '../../probes/software-authenticator.ts';
import { mintToken } from './token-mint.ts';

const clock = manualClock(Date.now());
let house: SeededIssuer;
let lead: Enrolled;

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  lead = await house.enrol('harbour', 'lead');
});
afterAll(() => house?.stop());
beforeEach(async () => {
  clock.advance(1000);
});

const withCode = (code: string) => expect.objectContaining({ code });
const at = (door: EdgeDoor = 'edge') => ({ door, requestId: uuidV4(systemRandom) });
const mint = (cookie: string, door: EdgeDoor = 'edge') =>
  mintToken(
    house.deps,
    { cookie, door, destination: 'workspace', routeClass: 'read', operation: 'engagements.list' },
    'request-1',
  );

async function assertionFor(person: Enrolled, door: EdgeDoor = 'edge') {
  const { challengeId, options } = await service.beginSignIn(house.deps, at(door));
  return { challengeId, response: person.device.authenticate(options) };
}

async function signIn(person: Enrolled, door: EdgeDoor = 'edge') {
  return service.signInWithPasskey(house.deps, at(door), await assertionFor(person, door));
}

async function linkOf(slug: string, role: Role, kind: 'enrolmentPath' | 'signInPath'): Promise<string> {
  const { people } = await house.reseed();
  return people.find((person) => person.tenantSlug === slug && person.role === role)![kind]!.split('#')[1]!;
}

describe('sign-in with a passkey', () => {
  it('opens a session under a new cookie each time, and stores only its hash', async () => {
    const one = await signIn(lead);
    const two = await signIn(lead);
    expect(one.opened.token).not.toBe(two.opened.token);
    expect(one.session).toMatchObject({ personId: lead.personId, role: 'lead', method: 'passkey', door: 'edge' });
    const dump = JSON.stringify(
      await house.rows('select encode(token_hash, $1) as h from identity.session_index', ['hex']),
    );
    expect(dump).not.toContain(Buffer.from(one.opened.token, 'base64url').toString('hex'));
    expect(
      (await house.audited('session.opened')).some(({ resource_id }) => resource_id === two.opened.sessionId),
    ).toBe(true);
  });

  it('refuses the same answer twice', async () => {
    const answer = await assertionFor(lead);
    await service.signInWithPasskey(house.deps, at(), answer);
    await expect(service.signInWithPasskey(house.deps, at(), answer)).rejects.toEqual(withCode('challenge_unusable'));
  });

  it('of two answers at once one wins', async () => {
    const answer = await assertionFor(lead);
    const results = await Promise.allSettled([1, 2, 3].map(() => service.signInWithPasskey(house.deps, at(), answer)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('refuses an answer that comes too late', async () => {
    const answer = await assertionFor(lead);
    clock.advance(CEREMONY_SECONDS_MAX * 1000);
    await expect(service.signInWithPasskey(house.deps, at(), answer)).rejects.toEqual(withCode('challenge_unusable'));
  });

  it('refuses a challenge of the other door', async () => {
    const answer = await assertionFor(lead, 'tryout');
    await expect(service.signInWithPasskey(house.deps, at('edge'), answer)).rejects.toEqual(
      withCode('challenge_unusable'),
    );
  });

  it('refuses without user verification, and logs it under the person', async () => {
    const before = (await house.audited('sign-in.refused')).length;
    lead.device.behaviour.userVerified = false;
    const answer = await assertionFor(lead);
    lead.device.behaviour.userVerified = true;
    await expect(service.signInWithPasskey(house.deps, at(), answer)).rejects.toEqual(withCode('sign_in_refused'));
    const entries = await house.audited('sign-in.refused');
    expect(entries).toHaveLength(before + 1);
    expect(entries.at(-1)!).toMatchObject({ outcome: 'denied', leaf: { public: { reason: 'user-verification' } } });
  });

  it('refuses a cloned passkey and says so in the log', async () => {
    const person = await house.enrol('lakeside', 'auditor');
    const clone = { ...person, device: person.device.clone() };
    await signIn(person);
    await expect(signIn(clone)).rejects.toEqual(withCode('sign_in_refused'));
    expect((await house.audited('passkey.clone-suspected')).at(-1)!.leaf).toMatchObject({
      public: { reason: 'counter' },
    });
  });

  it('refuses a passkey that nobody registered, and one that claims to be of somebody else', async () => {
    const stranger = createSoftwareAuthenticator({ origin: 'https://localhost:8443' });
    stranger.register({ ...(await registrationShape()) });
    await expect(signIn({ ...lead, device: stranger })).rejects.toEqual(withCode('sign_in_refused'));
    const answer = await assertionFor(lead);
    answer.response.response.userHandle = Buffer.alloc(16, 1).toString('base64url');
    await expect(service.signInWithPasskey(house.deps, at(), answer)).rejects.toEqual(withCode('sign_in_refused'));
  });

  async function registrationShape() {
    const token = await linkOf('lakeside', 'client', 'enrolmentPath');
    return (await service.beginEnrolment(house.deps, at(), token)).options;
  }
});

describe('sessions', () => {
  it('are unknown at the other door', async () => {
    const { opened } = await signIn(lead);
    expect(await findSession(house.deps, opened.token, at('edge'))).toBeDefined();
    expect(await findSession(house.deps, opened.token, at('tryout'))).toBeUndefined();
    await expect(mint(opened.token, 'tryout')).rejects.toEqual(withCode('session_required'));
  });

  it('end when idle, and at the absolute limit however busy', async () => {
    const idle = (await signIn(lead)).opened.token;
    clock.advance(SESSION_IDLE_SECONDS_MAX * 1000);
    expect(await findSession(house.deps, idle, at())).toBeUndefined();
    const busy = (await signIn(lead)).opened.token;
    const until = clock.nowMs() + SESSION_SECONDS_MAX.passkey * 1000;
    while (clock.nowMs() + 1_500_000 < until) {
      clock.advance(1_500_000);
      expect(await findSession(house.deps, busy, at())).toBeDefined();
    }
    clock.advance(until - clock.nowMs());
    expect(await findSession(house.deps, busy, at())).toBeUndefined();
  });

  it('end at sign-out, once, with an entry', async () => {
    const { opened, session } = await signIn(lead);
    await closeSession(house.deps, session, 'sign-out');
    await closeSession(house.deps, session, 'sign-out');
    await expect(mint(opened.token)).rejects.toEqual(withCode('session_required'));
    expect(
      (await house.audited('session.closed')).filter(({ resource_id }) => resource_id === opened.sessionId),
    ).toHaveLength(1);
  });

  it('end everywhere', async () => {
    const tokens = [(await signIn(lead)).opened.token, (await signIn(lead)).opened.token];
    await service.signOutEverywhere(house.deps, await house.callerOf(tokens[0]!));
    for (const token of tokens) await expect(mint(token)).rejects.toEqual(withCode('session_required'));
  });

  it.each(['', 'x', 'A'.repeat(43), '../../etc/passwd'])(
    'no cookie but a real one is a session: %s',
    async (cookie) => {
      expect(await findSession(house.deps, cookie, at())).toBeUndefined();
    },
  );

  it('end when they have used up their attempts on other tenants, and whoever holds the cookie is told', async () => {
    const { opened } = await signIn(lead);
    const { session: other } = await signIn(lead);
    const { tenant, sessionId, personId } = (await findSession(house.deps, opened.token, at()))!;
    const attempt = () =>
      house.deps.attempts.record(tenant.context, {
        type: ATTEMPT_REFUSED,
        actor: { personId, sessionId },
        resource: ['tenant', tenant.context.tenantId],
        outcome: 'denied',
        requestId: 'r',
        public: { code: 'gateway.id-foreign' },
      });
    for (let made = 1; made < WALL_ATTEMPTS_PER_SESSION_MAX; made += 1) await attempt();
    await expect(mint(opened.token)).resolves.toBeDefined();
    expect(await attempt()).toMatchObject({ sessionOver: true });
    await expect(mint(opened.token)).rejects.toEqual(withCode('session_ended'));
    // The cookie opens nothing any more, and says why for as long as it would have lived.
    expect(await findSession(house.deps, opened.token, at())).toBeUndefined();
    await expect(mint(opened.token)).rejects.toEqual(withCode('session_ended'));
    await expect(mint(`${opened.token.slice(0, -2)}AA`)).rejects.toEqual(withCode('session_required'));
    const [closed] = await house.rows<{ closed_reason: string }>(
      `select closed_reason from identity.session where id = '${sessionId}'`,
    );
    expect(closed!.closed_reason).toBe('attempts');
    const told = await house.rows(
      `select 1 from audit.entry where type = 'session.closed' and resource_id = '${sessionId}'
       and convert_from(leaf, 'UTF8')::jsonb -> 'public' ->> 'reason' = 'attempts'`,
    );
    expect(told).toHaveLength(1);
    // The person's other session goes on.
    expect(other.sessionId).not.toBe(sessionId);
    const open = `select 1 from identity.session where id = '${other.sessionId}' and closed_at is null`;
    expect(await house.rows(open)).toHaveLength(1);
  });

  it('changing the row without an entry is impossible, even for the issuer', async () => {
    const { session, opened } = await signIn(lead);
    const { context } = session.tenant;
    const sneak = house.deps.tenant.transaction(context, (tx) =>
      tx.query({
        sql: 'update identity.session set closed_at = now() where tenant_id = $1 and id = $2',
        parameters: [context.tenantId, opened.sessionId],
      }),
    );
    await expect(sneak).rejects.toMatchObject({ sqlState: 'AX101' });
  });
});

describe('one-time links', () => {
  it('enrol once', async () => {
    const token = await linkOf('harbour', 'auditor', 'enrolmentPath');
    const device = createSoftwareAuthenticator({ origin: 'https://localhost:8443' });
    const first = await service.beginEnrolment(house.deps, at(), token);
    const second = await service.beginEnrolment(house.deps, at(), token);
    await service.enrol(house.deps, at(), {
      token,
      challengeId: first.challengeId,
      response: device.register(first.options),
    });
    const again = service.enrol(house.deps, at(), {
      token,
      challengeId: second.challengeId,
      response: device.register(second.options),
    });
    await expect(again).rejects.toEqual(withCode('link_unusable'));
  });

  it('refuse options that were fetched with somebody else’s link', async () => {
    const mine = await linkOf('harbour', 'client', 'enrolmentPath');
    const { people } = await house.reseed();
    const theirs = people
      .find(({ tenantSlug, role }) => tenantSlug === 'lakeside' && role === 'lead')!
      .enrolmentPath!.split('#')[1]!;
    const own = people
      .find(({ tenantSlug, role }) => tenantSlug === 'harbour' && role === 'client')!
      .enrolmentPath!.split('#')[1]!;
    expect(own).not.toBe(mine);
    const device = createSoftwareAuthenticator({ origin: 'https://localhost:8443' });
    const { challengeId, options } = await service.beginEnrolment(house.deps, at(), own);
    const crossed = service.enrol(house.deps, at(), { token: theirs, challengeId, response: device.register(options) });
    await expect(crossed).rejects.toEqual(withCode('challenge_unusable'));
  });

  it('sign in once, as a link session', async () => {
    const token = await linkOf('lakeside', 'client', 'signInPath');
    const { session } = await service.signInWithLink(house.deps, at('tryout'), token);
    expect(session).toMatchObject({ method: 'link', door: 'tryout', role: 'client' });
    await expect(service.signInWithLink(house.deps, at('tryout'), token)).rejects.toEqual(withCode('link_unusable'));
  });

  it('open one session, however many try at once', async () => {
    const token = await linkOf('lakeside', 'client', 'signInPath');
    const results = await Promise.allSettled(
      [1, 2, 3].map(() => service.signInWithLink(house.deps, at('tryout'), token)),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('of one kind do not work as the other, nor after their time', async () => {
    await expect(
      service.signInWithLink(house.deps, at(), await linkOf('lakeside', 'client', 'enrolmentPath')),
    ).rejects.toEqual(withCode('link_unusable'));
    await expect(
      service.beginEnrolment(house.deps, at(), await linkOf('lakeside', 'client', 'signInPath')),
    ).rejects.toEqual(withCode('link_unusable'));
    const late = await linkOf('lakeside', 'client', 'signInPath');
    clock.advance(86_400_000);
    await expect(service.signInWithLink(house.deps, at(), late)).rejects.toEqual(withCode('link_unusable'));
  });

  it('never add a passkey, so a link session cannot grow into one that satisfies step-up', async () => {
    const { opened } = await service.signInWithLink(
      house.deps,
      at('tryout'),
      await linkOf('lakeside', 'lead', 'signInPath'),
    );
    const caller = await house.callerOf(opened.token, 'tryout');
    await expect(service.beginAddPasskey(house.deps, caller)).rejects.toEqual(withCode('passkey_sign_in_required'));
  });
});

describe('further passkeys', () => {
  it('need a fresh passkey sign-in and the same session', async () => {
    const { opened } = await signIn(lead);
    const caller = await house.callerOf(opened.token);
    const { challengeId, options } = await service.beginAddPasskey(house.deps, caller);
    const response = createSoftwareAuthenticator({ origin: 'https://localhost:8443' }).register(options);
    const other = await house.callerOf((await signIn(lead)).opened.token);
    await expect(service.addPasskey(house.deps, other, { challengeId, response })).rejects.toEqual(
      withCode('challenge_unusable'),
    );
    const again = await service.beginAddPasskey(house.deps, caller);
    const device = createSoftwareAuthenticator({ origin: 'https://localhost:8443' });
    expect(
      await service.addPasskey(house.deps, caller, {
        challengeId: again.challengeId,
        response: device.register(again.options),
      }),
    ).toBe(3);
    expect((await signIn({ ...lead, device })).session.personId).toBe(lead.personId);
    clock.advance(service.FRESH_SIGN_IN_SECONDS_MAX * 1000 + 1000);
    await expect(service.beginAddPasskey(house.deps, caller)).rejects.toEqual(withCode('fresh_sign_in_required'));
  });
});

describe('tokens', () => {
  it('carry what the session is, for one destination, and are recorded', async () => {
    const { opened, session } = await signIn(lead);
    const { token, personId } = await mint(opened.token);
    expect(personId).toBe(lead.personId);
    const claims = await house.claimsOf(token);
    expect(claims).toMatchObject({ aud: 'workspace', azp: 'gateway', scope: 'read', sub: lead.personId });
    expect(claims.tctx).toEqual({
      tenant: session.tenant.context.tenantId,
      part: session.tenant.context.tenantPart,
      kind: 'sample',
      role: 'lead',
    });
    expect(claims.rctx).toEqual({ sid: opened.sessionId, amr: 'passkey', door: 'edge' });
    const recorded = await house.rows<{ session_id: Uuid }>('select session_id from audit.mint');
    expect(recorded.some(({ session_id }) => session_id === opened.sessionId)).toBe(true);
  });

  it('do not leave when the mint cannot be recorded', async () => {
    const { opened } = await signIn(lead);
    const deps = { ...house.deps, recordMint: async () => Promise.reject(new Error('log down')) };
    const request = {
      cookie: opened.token,
      door: 'edge',
      destination: 'workspace',
      routeClass: 'read',
      operation: 'x.y',
    } as const;
    await expect(mintToken(deps, request, 'r')).rejects.toThrow('log down');
  });
});

describe('canaries', () => {
  it('and sign-ins of the same person do not get into each other’s way, however many sessions there are', async () => {
    const wanted = { tenant: 'canary-b', role: 'auditor' } as const;
    const { token } = await issueCanaryEnrolment(house.deps, at(), wanted);
    const device = createSoftwareAuthenticator({ origin: 'https://localhost:8443' });
    const { challengeId, options } = await service.beginEnrolment(house.deps, at(), token);
    await service.enrol(house.deps, at(), { token, challengeId, response: device.register(options) });
    for (let n = 0; n < SESSIONS_PER_MEMBER_MAX; n += 1) await openCanarySession(house.deps, at(), wanted);
    for (let round = 0; round < 8; round += 1) {
      // The oldest are closed: with a clock that stands still those of this round might be among them.
      clock.advance(1);
      const begun = await service.beginSignIn(house.deps, at());
      const answer = { challengeId: begun.challengeId, response: device.authenticate(begun.options) };
      const outcomes = await Promise.allSettled([
        openCanarySession(house.deps, at(), wanted),
        service.signInWithPasskey(house.deps, at(), answer),
        openCanarySession(house.deps, at(), wanted),
      ]);
      expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
    }
  });

  it('get sessions without proof, at the edge only', async () => {
    const { opened } = await openCanarySession(house.deps, at(), { tenant: 'canary-a', role: 'lead' });
    expect(await house.callerOf(opened.token)).toMatchObject({ method: 'canary', tenantKind: 'canary' });
    await expect(openCanarySession(house.deps, at('tryout'), { tenant: 'canary-a', role: 'lead' })).rejects.toEqual(
      withCode('canary_tenant_required'),
    );
  });

  it.each(['harbour', 'operator', 'nowhere'])('are nobody in %s', async (tenant) => {
    await expect(openCanarySession(house.deps, at(), { tenant, role: 'lead' })).rejects.toEqual(
      withCode('canary_tenant_required'),
    );
    await expect(issueCanaryEnrolment(house.deps, at(), { tenant, role: 'lead' })).rejects.toEqual(
      withCode('canary_tenant_required'),
    );
  });

  it('go through the real ceremonies with an enrolment link, and leave one passkey', async () => {
    for (let round = 0; round < 2; round += 1) {
      const { token, personId } = await issueCanaryEnrolment(house.deps, at(), { tenant: 'canary-b', role: 'lead' });
      const device = createSoftwareAuthenticator({ origin: 'https://localhost:8443' });
      const { challengeId, options } = await service.beginEnrolment(house.deps, at(), token);
      const { session } = await service.enrol(house.deps, at(), {
        token,
        challengeId,
        response: device.register(options),
      });
      expect(session).toMatchObject({ personId, method: 'passkey' });
      const rows = await house.rows('select credential_id from identity.credential_index where member_id = $1', [
        personId,
      ]);
      expect(rows).toHaveLength(1);
    }
  });
});

describe('housekeeping', () => {
  it('deletes what has run out and nothing else', async () => {
    const { opened } = await signIn(lead);
    await service.beginSignIn(house.deps, at());
    clock.advance(CEREMONY_SECONDS_MAX * 1000 + 1);
    await service.sweepIdentity(house.deps);
    expect(await house.rows('select id from identity.challenge')).toHaveLength(0);
    expect(await findSession(house.deps, opened.token, at())).toBeDefined();
  });
});
