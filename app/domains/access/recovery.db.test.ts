import { manualClock, systemRandom, uuidV4 } from '@auditrax/base';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createSoftwareAuthenticator } from '../../probes/software-authenticator.ts';
import * as identity from '../identity/service.ts';
import { doors, type Enrolled, type SeededIssuer, startSeededIssuer } from '../tenants/testing/seeded-issuer.ts';
import * as recovery from './recovery.ts';
import * as access from './service.ts';

const clock = manualClock(Date.now());
const withCode = (code: string) => expect.objectContaining({ code });
const at = () => ({ door: 'edge' as const, requestId: uuidV4(systemRandom) });
let house: SeededIssuer;
let lead: Enrolled;
let lost: Enrolled;
let who: access.Asker;

beforeAll(async () => {
  house = await startSeededIssuer(clock);
  lead = await house.enrol('harbour', 'lead');
  lost = await house.enrol('harbour', 'auditor');
});
afterAll(() => house?.stop());
beforeEach(async () => {
  const stepUp = { assertionHash: 'verified-before', credentialId: 'c' };
  who = { caller: await house.callerOf((await signIn(lead)).opened.token), requestId: 'r', stepUp };
});

async function signIn(person: Pick<Enrolled, 'device'>) {
  const { challengeId, options } = await identity.beginSignIn(house.deps, at());
  const response = person.device.authenticate(options);
  return identity.signInWithPasskey(house.deps, at(), { challengeId, response });
}

const open = () => recovery.openRecovery(house.deps, who, lost.personId);
const last = async (type: string) => (await house.audited(type)).at(-1)?.leaf;

describe('recovery of somebody who lost every passkey', () => {
  it('is opened by somebody else only, once, for a person who is active, and changes nothing at first', async () => {
    await expect(recovery.openRecovery(house.deps, who, lead.personId)).rejects.toEqual(withCode('own_membership'));
    const other = { ...who, caller: await house.callerOf((await signIn(lost)).opened.token) };
    await expect(recovery.openRecovery(house.deps, other, lead.personId)).rejects.toEqual(
      withCode('operation_refused'),
    );
    const made = await open();
    expect(made).toMatchObject({ state: 'waiting', member_id: lost.personId, opened_by: lead.personId });
    expect(made.due_at.getTime() - made.opened_at.getTime()).toBe(recovery.RECOVERY_DELAY_MS);
    expect(await last('recovery.opened')).toMatchObject({
      stepUp: 'verified-before',
      public: { member: lost.personId },
    });
    await expect(open()).rejects.toEqual(withCode('recovery_open'));
    await expect(recovery.finishRecovery(house.deps, who, made.id)).rejects.toEqual(withCode('recovery_not_due'));
    // Both are told: the person wherever they are signed in, those who manage on their list.
    expect(await recovery.listRecoveries(house.deps, other.caller)).toMatchObject([{ id: made.id }]);
    expect(await recovery.listRecoveries(house.deps, who.caller)).toMatchObject([{ id: made.id }]);
    await recovery.cancelRecovery(house.deps, who, made.id);
    await expect(recovery.cancelRecovery(house.deps, who, made.id)).rejects.toEqual(withCode('recovery_refused'));
    await expect(recovery.finishRecovery(house.deps, who, made.id)).rejects.toEqual(withCode('recovery_refused'));
    expect(await last('recovery.cancelled')).toMatchObject({ public: { reason: 'cancelled' } });
    await house.rows(`alter table identity.member disable trigger user`);
    await house.rows(`update identity.member set state = 'suspended' where id = $1`, [lost.personId]);
    await expect(open()).rejects.toEqual(withCode('recovery_refused'));
    await house.rows(`update identity.member set state = 'active' where id = $1`, [lost.personId]);
    await house.rows(`alter table identity.member enable trigger user`);
  });

  it('ends when the person signs in: they have a passkey after all', async () => {
    const made = await open();
    await signIn(lost);
    expect(await last('recovery.cancelled')).toMatchObject({
      actor: ['person', lost.personId],
      public: { reason: 'signed-in' },
    });
    clock.advance(recovery.RECOVERY_DELAY_MS);
    who = { ...who, caller: await house.callerOf((await signIn(lead)).opened.token) };
    await expect(recovery.finishRecovery(house.deps, who, made.id)).rejects.toEqual(withCode('recovery_refused'));
  });

  it('takes effect after the delay: old passkeys and sessions end, one link works once', async () => {
    const cookie = (await signIn(lost)).opened.token;
    const made = await open();
    clock.advance(recovery.RECOVERY_DELAY_MS - 60_000);
    await expect(recovery.finishRecovery(house.deps, who, made.id)).rejects.toEqual(withCode('recovery_not_due'));
    clock.advance(60_000);
    const { enrolmentPath } = await recovery.finishRecovery(house.deps, who, made.id);
    expect(await last('recovery.completed')).toMatchObject({ public: { member: lost.personId } });
    await expect(house.callerOf(cookie)).rejects.toEqual(withCode('session_required'));
    await expect(signIn(lost)).rejects.toEqual(withCode('sign_in_refused'));
    const device = createSoftwareAuthenticator({ origin: doors.edge.origins[0]! });
    const token = enrolmentPath.split('#')[1]!;
    const { challengeId, options } = await identity.beginEnrolment(house.deps, at(), token);
    const response = device.register(options);
    await identity.enrol(house.deps, at(), { token, challengeId, response });
    await expect(identity.beginEnrolment(house.deps, at(), token)).rejects.toEqual(withCode('link_unusable'));
    lost = { ...lost, device };
    expect((await signIn(lost)).session.personId).toBe(lost.personId);
  });

  it('that nobody finished in a week is opened anew, not finished late', async () => {
    const forgotten = await open();
    clock.advance(recovery.RECOVERY_OPEN_MS_MAX + 1000);
    who = { ...who, caller: await house.callerOf((await signIn(lead)).opened.token) };
    await expect(recovery.finishRecovery(house.deps, who, forgotten.id)).rejects.toEqual(withCode('recovery_refused'));
    const anew = await open();
    expect(anew.state).toBe('waiting');
    await recovery.cancelRecovery(house.deps, who, anew.id);
  });

  it('is shown and confirmed as the database has it', async () => {
    const made = await open();
    const facts = recovery.recoverySubjects(house.deps)['access.finish-recovery']!;
    const question = { ...who, ids: { recoveryId: made.id }, input: {} };
    expect(await facts(question)).toMatchObject({ state: 'waiting', due: made.due_at.toISOString() });
    clock.advance(recovery.RECOVERY_DELAY_MS);
    expect(await facts(question)).toMatchObject({ state: 'due' });
    await expect(facts({ ...question, ids: {} })).rejects.toEqual(withCode('not_found'));
  });

  it('the database itself refuses a shorter delay, oneself, and an effect before its time', async () => {
    const insert = (openedBy: string, hours: number) =>
      house.rows(
        `insert into identity.recovery (tenant_id, id, member_id, opened_by, opened_at, due_at)
         select tenant_id, gen_random_uuid(), id, $2, now(), now() + make_interval(hours => $3) from identity.member where id = $1`,
        [lost.personId, openedBy, hours],
      );
    await house
      .rows(
        `update identity.recovery set ended_at = due_at, ended_by = opened_by, outcome = 'cancelled' where ended_at is null`,
      )
      .catch(() => []);
    await expect(insert(lead.personId, 23)).rejects.toMatchObject({ code: '23514' });
    await expect(insert(lost.personId, 24)).rejects.toMatchObject({ code: '23514' });
    await expect(
      house.rows(
        `update identity.recovery set ended_at = due_at - interval '1 second', ended_by = opened_by, outcome = 'completed'`,
      ),
    ).rejects.toMatchObject({ code: '23514' });
  });
});
