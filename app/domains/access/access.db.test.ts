import { createHash } from 'node:crypto';
import { verifyAuthenticationResponse } from '@simplewebauthn/server';
import { manualClock, systemRandom, uuidV4, type Json, type Uuid } from '@auditrax/base';
import { approvalIn, checkApproval, nodePrimitives, parseApproval, publicKeyHashOf } from '@auditrax/tlog';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createRecorder } from '../../platform/audit/index.ts';
import { approvalOf } from '../../platform/http/approvals.ts';
import type { Caller, Role } from '../../platform/http/handler.ts';
import { CEREMONY_SECONDS_MAX } from '../identity/index.ts';
import * as identity from '../identity/service.ts';
import { mintToken } from '../identity/token-mint.ts';
import { doors, type Enrolled, type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import { eraseMember, previewErasure } from './erasing.ts';
import { requireSecondPasskey } from './second-passkey.ts';
import * as access from './service.ts';
import { stepUpAction } from './step-up-action.ts';
import { createStepUpVerifier } from './step-up-verifier.ts';

const clock = manualClock(Date.now());
let house: SeededIssuer;
let lead: Enrolled;
let client: Enrolled;
let stranger: Enrolled;

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  lead = await house.enrol('harbour', 'lead');
  client = await house.enrol('harbour', 'client');
  stranger = await house.enrol('lakeside', 'lead');
});
afterAll(() => house?.stop());
beforeEach(async () => {
  clock.advance(1000);
});

const withCode = (code: string) => expect.objectContaining({ code });
const at = () => ({ door: 'edge' as const, requestId: uuidV4(systemRandom) });
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

interface Signed {
  readonly caller: Caller;
  readonly cookie: string;
  readonly person: Enrolled;
}

async function signIn(person: Enrolled): Promise<Signed> {
  const { challengeId, options } = await identity.beginSignIn(house.deps, at());
  const { opened } = await identity.signInWithPasskey(house.deps, at(), {
    challengeId,
    response: person.device.authenticate(options),
  });
  return { caller: await house.callerOf(opened.token), cookie: opened.token, person };
}

/** What is read from the database first is a matter of the routes (routes.db.test.ts). */
const mechanism = () => ({ ...house.deps, subjects: {} });

/** Asks for a confirmation and answers it; gives the header and the new cookie. */
async function confirm(signed: Signed, operation: string, input: Readonly<Record<string, Json>>) {
  const begun = await access.beginStepUp(mechanism(), signed.caller, { operation, input });
  const assertion = signed.person.device.authenticate(begun.options);
  return { header: encode({ challengeId: begun.challengeId, assertion }), cookie: begun.opened!.token, begun };
}

/** The approval of an entry as an auditor gets it, opened with the tenant's ring. */
async function keptApproval(caller: Caller, entryId: Uuid) {
  const rows = await house.rows<{ sealed: Buffer }>('select sealed from audit.disclosure where entry_id = $1', [
    entryId,
  ]);
  const place = { context: caller.tenant, field: 'audit.disclosure.sealed', rowId: entryId } as const;
  const lines = await Promise.all(rows.map(({ sealed }) => house.deps.sealer.openText({ ...place, sealed })));
  return parseApproval(lines.flatMap((line) => approvalIn(line) ?? [])[0]!)!;
}

const mintWith = (cookie: string, stepUp: string, operation: string) =>
  mintToken(
    house.deps,
    { cookie, door: 'edge', destination: 'workspace', routeClass: 'privileged', operation, stepUp },
    'request-1',
  );

/** The whole way: confirm, mint, verify in the service. */
async function verified(signed: Signed, operation: string, input: Readonly<Record<string, Json>>) {
  const { header, cookie } = await confirm(signed, operation, input);
  const { token } = await mintWith(cookie, header, operation);
  const verify = createStepUpVerifier({ doors, clock });
  const stepUp = await verify(await house.claimsOf(token), {
    header,
    action: stepUpAction(signed.caller, operation, input),
  });
  return { caller: signed.caller, requestId: 'request-1', stepUp };
}

describe('step-up', () => {
  const input = { label: 'New colleague', role: 'auditor' };

  it('confirms one action, once: browser, issuer and service agree on what', async () => {
    const who = await verified(await signIn(lead), 'access.invite', input);
    expect(who.stepUp.assertionHash).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  it('refuses the same answer at the mint a second time, with an entry', async () => {
    const signed = await signIn(lead);
    const { header, cookie } = await confirm(signed, 'access.invite', input);
    await mintWith(cookie, header, 'access.invite');
    await expect(mintWith(cookie, header, 'access.invite')).rejects.toEqual(withCode('step_up_refused'));
    expect((await house.audited('step-up.refused')).at(-1)!.leaf).toMatchObject({ public: { reason: 'challenge' } });
  });

  it('refuses the same token and answer in one service a second time', async () => {
    const signed = await signIn(lead);
    const { header, cookie } = await confirm(signed, 'access.invite', input);
    const claims = await house.claimsOf((await mintWith(cookie, header, 'access.invite')).token);
    const verify = createStepUpVerifier({ doors, clock });
    const action = stepUpAction(signed.caller, 'access.invite', input);
    await verify(claims, { header, action });
    await expect(verify(claims, { header, action })).rejects.toEqual(withCode('step_up_refused'));
  });

  it.each([
    ['another input', 'access.invite', { label: 'New colleague', role: 'lead' }],
    ['another operation', 'access.change-role', { label: 'New colleague', role: 'auditor' }],
    ['a field more', 'access.invite', { label: 'New colleague', role: 'auditor', name: 'x' }],
  ])('the service refuses %s than was signed', async (_name, operation, other) => {
    const signed = await signIn(lead);
    const { header, cookie } = await confirm(signed, 'access.invite', input);
    const claims = await house.claimsOf((await mintWith(cookie, header, 'access.invite')).token);
    const verify = createStepUpVerifier({ doors, clock });
    await expect(verify(claims, { header, action: stepUpAction(signed.caller, operation, other) })).rejects.toEqual(
      withCode('step_up_refused'),
    );
  });

  it('the service refuses another tenant or person than signed', async () => {
    const signed = await signIn(lead);
    const { header, cookie } = await confirm(signed, 'access.invite', input);
    const claims = await house.claimsOf((await mintWith(cookie, header, 'access.invite')).token);
    const verify = createStepUpVerifier({ doors, clock });
    const action = stepUpAction(signed.caller, 'access.invite', input);
    for (const swapped of [
      { ...action, tenant: stranger.personId },
      { ...action, person: client.personId },
    ]) {
      await expect(verify(claims, { header, action: swapped })).rejects.toEqual(withCode('step_up_refused'));
    }
  });

  it('is kept with the entry, sealed, so that libraries from elsewhere verify it years later', async () => {
    const signed = await signIn(lead);
    const action = { memberId: client.personId, role: 'client' };
    const who = await verified(signed, 'access.change-role', action);
    await access.changeRole(house.deps, who, { memberId: client.personId, role: 'client' });
    const { leaf } = (await house.audited('member.role-changed')).at(-1)!;
    expect(leaf['stepUp']).toBe(who.stepUp.assertionHash);
    const approval = await keptApproval(signed.caller, leaf['id'] as Uuid);
    expect(JSON.parse(approval.action!)).toEqual(stepUpAction(signed.caller, 'access.change-role', action));
    const entry = { stepUp: leaf['stepUp'] as string, person: lead.personId };
    expect(await checkApproval(nodePrimitives, approval, entry)).toMatchObject({ ok: true });
    const [registered] = await house.rows<{ public_key: Buffer; external_id: Buffer; leaf: Buffer }>(
      `select c.public_key, c.external_id, e.leaf from identity.credential_index c
       join audit.entry e on e.tenant_id = c.tenant_id and e.resource_id = c.credential_id and e.type = 'passkey.registered'
       where c.credential_id = $1`,
      [approval.credential],
    );
    const hash = await publicKeyHashOf(nodePrimitives, approval);
    expect(JSON.parse(registered!.leaf.toString())).toMatchObject({ public: { publicKey: hash } });
    // The oracle knows nothing of this house: the assertion, the challenge by the formula, the key as it was registered.
    const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
    const challenge = sha256(
      Buffer.from('auditrax-stepup-v1\0'),
      Buffer.from(approval.nonce, 'base64url'),
      sha256(Buffer.from(approval.action!)),
    );
    const { assertion } = JSON.parse(Buffer.from(approval.answer, 'base64url').toString()) as { assertion: never };
    const credential = {
      id: registered!.external_id.toString('base64url'),
      publicKey: Uint8Array.from(registered!.public_key),
      counter: 0,
    };
    const oracle = await verifyAuthenticationResponse({
      response: assertion,
      expectedChallenge: challenge.toString('base64url'),
      expectedOrigin: 'https://localhost:8443',
      expectedRPID: 'localhost',
      requireUserVerification: true,
      credential,
    });
    expect(oracle.verified).toBe(true);
  });

  it('is kept by its hash alone where the action holds a secret', async () => {
    const signed = await signIn(lead);
    const { header, cookie } = await confirm(signed, 'access.invite', input);
    const claims = await house.claimsOf((await mintWith(cookie, header, 'access.invite')).token);
    const action = stepUpAction(signed.caller, 'access.invite', input);
    const { assertionHash } = await createStepUpVerifier({ doors, clock })(claims, {
      header,
      action,
      keeping: { hashOnly: true },
    });
    const approval = parseApproval(approvalOf(assertionHash)!.text)!;
    expect(approval.action).toBeNull();
    const entry = { stepUp: assertionHash, person: lead.personId };
    expect(await checkApproval(nodePrimitives, approval, entry)).toEqual({
      ok: true,
      origin: 'https://localhost:8443',
      hasAction: false,
    });
  });

  it('shows no secret of the action and binds it all the same: with another one of the same length it is refused', async () => {
    const signed = await signIn(lead);
    const deps = { ...mechanism(), secretsOf: () => [['push', 'token']] };
    const ofReceiver = (token: string) => ({ name: 'Night watch', push: { url: 'https://receiver.example', token } });
    const begin = async (token: string) => {
      const asked = { operation: 'access.invite', input: ofReceiver(token) };
      const begun = await access.beginStepUp(deps, { ...signed.caller }, asked);
      const assertion = lead.device.authenticate(begun.options);
      return { ...begun, header: encode({ challengeId: begun.challengeId, assertion }) };
    };
    const { shown, header, opened } = await begin('canary-of-harbour');
    expect(JSON.stringify(shown)).not.toContain('canary');
    expect(shown.hidden).toEqual(['push.token']);
    expect(shown.action).toEqual(
      stepUpAction(signed.caller, 'access.invite', { ...ofReceiver('hidden, 17 characters') }),
    );
    const claims = await house.claimsOf((await mintWith(opened!.token, header, 'access.invite')).token);
    const verify = (token: string) =>
      createStepUpVerifier({ doors, clock })(claims, {
        header,
        action: stepUpAction(signed.caller, 'access.invite', ofReceiver(token)),
      });
    await expect(verify('canary-of-harboux')).rejects.toEqual(withCode('step_up_refused'));
    await expect(verify('hidden, 17 characters')).rejects.toEqual(withCode('step_up_refused'));
    expect((await verify('canary-of-harbour')).assertionHash).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  it('an entry that names an approval nobody verified here is refused by the recorder of the services', async () => {
    const strict = createRecorder({ needsApprovals: true });
    const entry = { type: 'thing.done', actor: { service: 'issuer' }, resource: ['thing', lead.personId] } as const;
    const asked = { ...entry, outcome: 'allowed', requestId: 'r', stepUpHash: 'nobody' } as const;
    const { caller } = await signIn(lead);
    await expect(house.deps.tenant.transaction(caller.tenant, (tx) => strict(tx, asked))).rejects.toEqual(
      withCode('audit_approval_missing'),
    );
  });

  it('the mint refuses an answer for another operation than the one asked', async () => {
    const { header, cookie } = await confirm(await signIn(lead), 'access.invite', input);
    await expect(mintWith(cookie, header, 'access.change-role')).rejects.toEqual(withCode('step_up_refused'));
  });

  it('refuses an answer in another session of the same person, and of another person', async () => {
    const first = await signIn(lead);
    const second = await signIn(lead);
    const { header } = await confirm(first, 'access.invite', input);
    await expect(mintWith(second.cookie, header, 'access.invite')).rejects.toEqual(withCode('step_up_refused'));
    const theirs = await confirm(first, 'access.invite', input);
    const other = await signIn(stranger);
    await expect(mintWith(other.cookie, theirs.header, 'access.invite')).rejects.toEqual(withCode('step_up_refused'));
  });

  it('refuses an answer by another person’s passkey', async () => {
    const signed = await signIn(lead);
    const begun = await access.beginStepUp(house.deps, signed.caller, { operation: 'access.invite', input });
    const { allowCredentials: _, ...open } = begun.options;
    const header = encode({ challengeId: begun.challengeId, assertion: client.device.authenticate(open) });
    await expect(mintWith(begun.opened!.token, header, 'access.invite')).rejects.toEqual(withCode('step_up_refused'));
  });

  it('is offered to no lead with fewer than two passkeys, and to everybody else with one', async () => {
    const signed = await signIn(lead);
    const asked = { operation: 'access.invite', input };
    const [gone] = await house.rows<{ credential_hash: Buffer }>(
      `delete from identity.credential_index where credential_hash = (select credential_hash from identity.credential_index
       where member_id = $1 order by last_used_at nulls first limit 1) returning *`,
      [lead.personId],
    );
    await expect(access.beginStepUp(mechanism(), signed.caller, asked)).rejects.toEqual(
      withCode('second_passkey_needed'),
    );
    const row = gone as unknown as Record<string, unknown>;
    const names = Object.keys(row);
    await house.rows(
      `insert into identity.credential_index (${names.join(', ')}) values (${names.map((_, at) => `$${at + 1}`).join(', ')})`,
      Object.values(row),
    );
    await access.beginStepUp(mechanism(), await signIn(lead).then(({ caller }) => caller), asked);
    expect(() => requireSecondPasskey('auditor', 1)).not.toThrow();
    expect(() => requireSecondPasskey('operator', 1)).toThrow(withCode('second_passkey_needed'));
  });

  it('nobody is raised to a privileged role with one passkey', async () => {
    const who = await verified(await signIn(lead), 'access.change-role', { memberId: 'mem_x', role: 'lead' });
    const raise = { memberId: client.personId, role: 'lead' } as const;
    await expect(access.changeRole(house.deps, who, raise)).rejects.toEqual(withCode('role_needs_second_passkey'));
  });

  it('an answer for one purpose is worth nothing for another', async () => {
    const signed = await signIn(lead);
    const begun = await access.beginStepUp(house.deps, signed.caller, { operation: 'access.invite', input });
    const answer = { challengeId: begun.challengeId, response: lead.device.authenticate(begun.options) };
    await expect(identity.signInWithPasskey(house.deps, at(), answer)).rejects.toEqual(withCode('challenge_unusable'));
    const plain = await identity.beginSignIn(house.deps, at());
    const header = encode({ challengeId: plain.challengeId, assertion: lead.device.authenticate(plain.options) });
    await expect(mintWith(begun.opened!.token, header, 'access.invite')).rejects.toEqual(withCode('step_up_refused'));
    expect((await house.audited('step-up.refused')).at(-1)!.leaf).toMatchObject({ public: { reason: 'challenge' } });
  });

  it('refuses without user verification', async () => {
    const signed = await signIn(lead);
    lead.device.behaviour.userVerified = false;
    const { header, cookie } = await confirm(signed, 'access.invite', input).finally(
      () => (lead.device.behaviour.userVerified = true),
    );
    await expect(mintWith(cookie, header, 'access.invite')).rejects.toEqual(withCode('step_up_refused'));
    expect((await house.audited('step-up.refused')).at(-1)!.leaf).toMatchObject({
      public: { reason: 'user-verification' },
    });
  });

  it('refuses an answer that comes too late', async () => {
    const { header, cookie } = await confirm(await signIn(lead), 'access.invite', input);
    clock.advance(CEREMONY_SECONDS_MAX * 1000);
    await expect(mintWith(cookie, header, 'access.invite')).rejects.toEqual(withCode('step_up_refused'));
  });

  it('a service does not take the issuer’s word: no token without the answer, no answer without the token', async () => {
    const signed = await signIn(lead);
    const { header, cookie } = await confirm(signed, 'access.invite', input);
    const claims = await house.claimsOf((await mintWith(cookie, header, 'access.invite')).token);
    const verify = createStepUpVerifier({ doors, clock });
    const action = stepUpAction(signed.caller, 'access.invite', input);
    const bare = await house.claimsOf(
      (
        await mintToken(
          house.deps,
          { cookie, door: 'edge', destination: 'workspace', routeClass: 'privileged', operation: 'access.invite' },
          'r',
        )
      ).token,
    );
    await expect(verify(bare, { header, action })).rejects.toEqual(withCode('step_up_refused'));
    await expect(verify(claims, { header: 'e30', action })).rejects.toEqual(withCode('step_up_refused'));
    await expect(verify({ ...claims, rctx: { ...claims.rctx, amr: 'link' } }, { header, action })).rejects.toEqual(
      withCode('step_up_refused'),
    );
    await expect(verify({ ...claims, rctx: { ...claims.rctx, door: 'tryout' } }, { header, action })).rejects.toEqual(
      withCode('step_up_refused'),
    );
  });

  it('a link session is never offered one, and cannot use anybody’s answer', async () => {
    const people = (await house.reseed()).people;
    const token = people
      .find(({ tenantSlug, role }) => tenantSlug === 'harbour' && role === 'lead')!
      .signInPath!.split('#')[1]!;
    const { opened } = await identity.signInWithLink(house.deps, at(), token);
    const caller = await house.callerOf(opened.token);
    await expect(access.beginStepUp(house.deps, caller, { operation: 'access.invite', input })).rejects.toEqual(
      withCode('step_up_not_offered'),
    );
    const { header } = await confirm(await signIn(lead), 'access.invite', input);
    await expect(mintWith(opened.token, header, 'access.invite')).rejects.toEqual(withCode('step_up_refused'));
    expect((await house.audited('step-up.refused')).at(-1)!.leaf).toMatchObject({ public: { reason: 'method' } });
  });

  it('gives the session a new cookie; the old one reads for seconds and writes nothing', async () => {
    const signed = await signIn(lead);
    const { cookie } = await confirm(signed, 'access.invite', input);
    expect(cookie).not.toBe(signed.cookie);
    const ask = (value: string, routeClass: 'read' | 'write') =>
      mintToken(
        house.deps,
        { cookie: value, door: 'edge', destination: 'workspace', routeClass, operation: 'x.y' },
        'r',
      );
    await ask(signed.cookie, 'read');
    await expect(ask(signed.cookie, 'write')).rejects.toEqual(withCode('session_required'));
    await ask(cookie, 'write');
    clock.advance(5000);
    await expect(ask(signed.cookie, 'read')).rejects.toEqual(withCode('session_required'));
    expect((await house.callerOf(cookie)).sessionId).toBe(signed.caller.sessionId);
  });

  it('is not offered for what the role may not do', async () => {
    const { caller } = await signIn(client);
    await expect(access.beginStepUp(house.deps, caller, { operation: 'access.invite', input })).rejects.toEqual(
      withCode('step_up_not_offered'),
    );
    await expect(access.beginStepUp(house.deps, caller, { operation: 'nothing.known', input })).rejects.toEqual(
      withCode('step_up_not_offered'),
    );
  });
});

describe('members', () => {
  const ask = async (signed: Signed, operation: string, input: Readonly<Record<string, Json>>) =>
    verified(signed, operation, input);

  async function invited(role: Role): Promise<{ person: Enrolled; signed: Signed }> {
    const signed = await signIn(lead);
    const who = await ask(signed, 'access.invite', { label: 'Colleague', role });
    const made = await access.invite(house.deps, who, { label: 'Colleague', role });
    const token = made.enrolmentPath.split('#')[1]!;
    const { createSoftwareAuthenticator } = await import('../../probes/software-authenticator.ts');
    const device = createSoftwareAuthenticator({ origin: doors.edge.origins[0]! });
    const { challengeId, options } = await identity.beginEnrolment(house.deps, at(), token);
    const { opened, session } = await identity.enrol(house.deps, at(), {
      token,
      challengeId,
      response: device.register(options),
    });
    const person = { device, cookie: opened.token, personId: session.personId, sessionId: session.sessionId };
    return { person, signed };
  }

  it('invited people enrol with their link, and everything about it is in the log', async () => {
    const { person } = await invited('auditor');
    expect(await house.callerOf(person.cookie)).toMatchObject({ role: 'auditor', method: 'passkey' });
    for (const type of [
      'member.invited',
      'invitation.created',
      'invitation.accepted',
      'passkey.registered',
      'link.used',
    ]) {
      expect((await house.audited(type)).length, type).toBeGreaterThan(0);
    }
    const invitedEntry = (await house.audited('member.invited')).at(-1)!;
    expect(invitedEntry.leaf['stepUp']).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(JSON.stringify(invitedEntry.leaf)).not.toContain('Colleague');
  });

  it('a role change holds from the next token on', async () => {
    const { person, signed } = await invited('client');
    const who = await ask(signed, 'access.change-role', { memberId: 'mem_x', role: 'auditor' });
    await access.changeRole(house.deps, who, { memberId: person.personId, role: 'auditor' });
    expect((await house.callerOf(person.cookie)).role).toBe('auditor');
    expect((await house.audited('member.role-changed')).at(-1)!.leaf).toMatchObject({
      public: { from: 'client', to: 'auditor' },
    });
  });

  it('nobody becomes operator of a customer’s tenant', async () => {
    const signed = await signIn(lead);
    const who = await ask(signed, 'access.invite', { label: 'x', role: 'operator' });
    await expect(access.invite(house.deps, who, { label: 'x', role: 'operator' })).rejects.toEqual(
      withCode('role_not_assignable'),
    );
    await expect(access.changeRole(house.deps, who, { memberId: client.personId, role: 'operator' })).rejects.toEqual(
      withCode('role_not_assignable'),
    );
  });

  it('nobody raises or removes themselves, and of two managers removing each other one stays', async () => {
    const signed = await signIn(lead);
    const who = await ask(signed, 'access.change-role', { memberId: 'mem_x', role: 'client' });
    await expect(access.changeRole(house.deps, who, { memberId: lead.personId, role: 'client' })).rejects.toEqual(
      withCode('own_membership'),
    );
    await expect(access.suspendMember(house.deps, who, lead.personId)).rejects.toEqual(withCode('own_membership'));
    // A second manager whose token is still warm must not be able to remove the first at the same moment.
    const second = (await invited('lead')).person;
    const other = await house.callerOf(second.cookie);
    const results = await Promise.allSettled([
      access.suspendMember(house.deps, who, second.personId),
      access.suspendMember(house.deps, { ...who, caller: other }, lead.personId),
    ]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const active = await house.rows(
      `select m.id from identity.member m join platform.tenant t on t.id = m.tenant_id where t.slug = 'harbour' and role = 'lead' and state = 'active'`,
    );
    expect(active).toHaveLength(1);
    // Whoever lost is suspended, and their warm token lets them change nothing more.
    const loser = results[0]!.status === 'fulfilled' ? other : signed.caller;
    await expect(access.invite(house.deps, { ...who, caller: loser }, { label: 'x', role: 'lead' })).rejects.toEqual(
      withCode('operation_refused'),
    );
    await expect(
      access.changeRole(house.deps, { ...who, caller: loser }, { memberId: client.personId, role: 'lead' }),
    ).rejects.toEqual(withCode('operation_refused'));
    await house.rows(`alter table identity.member disable trigger user`);
    await house.rows(`update identity.member set state = 'active' where id = any($1)`, [
      [lead.personId, second.personId],
    ]);
    await house.rows(`alter table identity.member enable trigger user`);
  });

  it('erased by law: refused for whoever is still here or misnamed; then nothing of theirs opens, and the log says so', async () => {
    const boss = await signIn(lead);
    const invitee = { label: 'Goes away', role: 'auditor' as const, name: 'Nobody N. Example' };
    const made = await access.invite(house.deps, await verified(boss, 'access.invite', invitee), invitee);
    const memberId = made.invitation.member_id;
    const preview = await previewErasure(house.deps, boss.caller, memberId);
    expect(preview).toMatchObject({ values: 4, invitations: 1, backupRetentionDays: 30, deadlineDays: 30 });
    const eraseAs = async (name: string) => {
      const body = { name, ground: 'request' };
      const who = await verified(boss, 'access.erase-member', { memberId, ...body });
      return eraseMember(house.deps, who, { memberId, ...body });
    };
    await expect(eraseAs(invitee.label)).rejects.toEqual(withCode('member_not_suspended'));
    await access.suspendMember(house.deps, await verified(boss, 'access.suspend-member', { memberId }), memberId);
    await expect(eraseAs('Goes awry')).rejects.toEqual(withCode('erasure_name_differs'));
    expect(await eraseAs(invitee.label)).toMatchObject({ values: 4, entries: 1, person: { label: 'Erased person' } });
    const [entry] = await house.audited('person.erased');
    expect(entry).toMatchObject({ resource_id: memberId, leaf: { public: { ground: 'request', values: 4 } } });
    const digests = await house.rows<{ digest: string }>(
      'select digest from audit.disclosure where subject = $1 order by 1',
      [memberId],
    );
    expect(entry!.leaf['digests']).toEqual(digests.map(({ digest }) => digest));
    expect(await house.rows('select 1 from audit.subject_key where subject = $1', [memberId])).toEqual([]);
    const invitations = await access.listInvitations(house.deps, boss.caller);
    expect(invitations.find(({ member_id }) => member_id === memberId)).toMatchObject({
      label: 'Erased person',
      name: null,
    });
    await expect(eraseAs('Erased person')).rejects.toEqual(withCode('audit_subject_erased'));
  });

  it('a suspended member has no session, token, sign-in or link left', async () => {
    const { person, signed } = await invited('auditor');
    const before = await signIn(person);
    const begun = await identity.beginSignIn(house.deps, at());
    const who = await ask(signed, 'access.suspend-member', { memberId: 'mem_x' });
    const { sessionsClosed } = await access.suspendMember(house.deps, who, person.personId);
    expect(sessionsClosed).toBe(2);
    await expect(house.callerOf(person.cookie)).rejects.toEqual(withCode('session_required'));
    await expect(house.callerOf(before.cookie)).rejects.toEqual(withCode('session_required'));
    const answer = { challengeId: begun.challengeId, response: person.device.authenticate(begun.options) };
    await expect(identity.signInWithPasskey(house.deps, at(), answer)).rejects.toEqual(withCode('sign_in_refused'));
    expect(
      await house.rows('select 1 from identity.session where member_id = $1 and closed_at is null', [person.personId]),
    ).toHaveLength(0);
    expect(
      await house.rows('select 1 from identity.one_time_link where member_id = $1', [person.personId]),
    ).toHaveLength(0);
    await expect(access.changeRole(house.deps, who, { memberId: person.personId, role: 'lead' })).rejects.toEqual(
      withCode('member_suspended'),
    );
  });

  it('a suspended member is let in again by a lead, once, as what they were, and nothing of before works', async () => {
    const { person, signed } = await invited('auditor');
    const memberId = person.personId;
    const who = await ask(signed, 'access.suspend-member', { memberId: 'mem_x' });
    await expect(access.reinstateMember(house.deps, who, memberId)).rejects.toEqual(withCode('member_active'));
    await access.suspendMember(house.deps, who, memberId);
    expect(await access.reinstateMember(house.deps, who, memberId)).toMatchObject({ role: 'auditor', state: 'active' });
    await expect(house.callerOf(person.cookie)).rejects.toEqual(withCode('session_required'));
    expect((await signIn(person)).caller.role).toBe('auditor');
    const [entry] = (await house.audited('member.reinstated')).filter(({ resource_id }) => resource_id === memberId);
    expect(entry).toMatchObject({ outcome: 'allowed', leaf: { public: { cause: 'administrator' } } });
    await expect(access.reinstateMember(house.deps, who, stranger.personId)).rejects.toEqual(withCode('not_found'));
    await expect(access.reinstateMember(house.deps, who, lead.personId)).rejects.toEqual(withCode('own_membership'));
    const own = { ...who, caller: (await signIn(person)).caller };
    await expect(access.reinstateMember(house.deps, own, lead.personId)).rejects.toEqual(withCode('operation_refused'));
  });

  it('a member of another tenant does not exist here', async () => {
    const who = await ask(await signIn(lead), 'access.suspend-member', { memberId: 'mem_x' });
    await expect(access.suspendMember(house.deps, who, stranger.personId)).rejects.toEqual(withCode('not_found'));
    await expect(access.changeRole(house.deps, who, { memberId: stranger.personId, role: 'client' })).rejects.toEqual(
      withCode('not_found'),
    );
    const [row] = await house.rows<{ state: string; role: string }>(
      'select state, role from identity.member where id = $1',
      [stranger.personId],
    );
    expect(row).toEqual({ state: 'active', role: 'lead' });
  });

  it('lists only the own tenant, with labels opened', async () => {
    const mine = await access.listMembers(house.deps, (await signIn(lead)).caller);
    expect(mine.map(({ label }) => label)).toContain('Lead auditor');
    expect(mine.some(({ id }: { id: Uuid }) => id === stranger.personId)).toBe(false);
    const invitations = await access.listInvitations(house.deps, (await signIn(lead)).caller);
    expect(new Set(invitations.map(({ label }) => label))).toEqual(new Set(['Colleague', 'Erased person']));
  });
});
