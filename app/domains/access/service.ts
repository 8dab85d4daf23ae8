import { AppError, uuidV7, type Json, type Uuid } from '@auditrax/base';
import { hideSecrets, type Place } from '@auditrax/base/secret';
import type { ScopedTransaction } from '@auditrax/tenancy';
import { auditFromCall, changesOf, type AuditInput, type ErasureRegister } from '../../platform/audit/index.ts';
import type { Caller, Role, StepUp } from '../../platform/http/handler.ts';
import type { RoutePolicy } from '../../platform/http/policy-gate.ts';
import {
  assertionOptions,
  ENROL_LINK_SECONDS_MAX,
  type IdentityDeps,
  issueChallenge,
  issueLink,
  lockManagers,
  mayStepUp,
  type MemberRow,
  memberForUpdate,
  passkeysOfMember,
  reinstatePrincipal,
  revokePrincipal,
  type RevokedBy,
  rotateSession,
} from '../identity/index.ts';
import type { InvitationRow } from './queries.ts';
import * as queries from './queries.ts';
import { refuse } from './refusals.ts';
import { requirePasskeysFor, requireSecondPasskey } from './second-passkey.ts';
import { stepUpAction, withSubject } from './step-up-action.ts';
import { actionHash, NONCE_BYTES, stepUpDigest } from './step-up-digest.ts';
import { requireAsApproved, type StepUpSubjects, type SubjectFacts } from './step-up-subject.ts';

/** One organisation's auditors and contacts; the list is read at once. */
export const MEMBERS_MAX = 500;
const INVITATIONS_SHOWN_MAX = 200;

/** What directories say of members. */
export interface DirectoryWord {
  /** Whether one that still speaks says that they have left. */
  saysLeft(tx: ScopedTransaction, memberId: Uuid): Promise<boolean>;
  /** Forgets who had put them out: whoever is suspended again later was so by somebody else. */
  forget(tx: ScopedTransaction, memberId: Uuid, by: RevokedBy): Promise<void>;
}

export interface AccessDeps extends IdentityDeps {
  readonly directories: DirectoryWord;
  readonly policy: Pick<RoutePolicy, 'allows'>;
  /** Days that backups are kept; said to whoever erases a person. */
  readonly backupRetention_days?: number;
  /** Outside the database, so that an erasure outlives a restore. */
  readonly erasures: Pick<ErasureRegister, 'add'>;
  /** What is read from the database and shown before something is confirmed, by operation: this room's and others'. */
  readonly subjects: StepUpSubjects;
  /** Where the input of an operation, of any room, holds what must not be shown. */
  readonly secretsOf: (operation: string) => readonly Place[];
}

/** Who asks, and the confirmation that this service has verified. */
export interface Asker {
  readonly caller: Caller;
  readonly requestId: string;
  readonly stepUp: StepUp;
  /** What the person saw of the row, which must stand there still under its lock. */
  readonly approved?: SubjectFacts | undefined;
}

export interface Person {
  readonly id: Uuid;
  readonly label: string;
  readonly role: Role;
  readonly state: MemberRow['state'];
}

/** Which roles exist in a kind of tenant: an operator is never made inside a customer's tenant, nor the reverse. */
export function roleExistsIn(kind: Caller['tenantKind'], role: Role): boolean {
  return kind === 'operator' ? role === 'operator' : role !== 'operator';
}

async function toPeople(deps: AccessDeps, caller: Caller, rows: readonly MemberRow[]): Promise<Person[]> {
  const values = rows.map((row) => ({
    field: 'identity.member.label' as const,
    rowId: row.id,
    sealed: row.label,
  }));
  const labels = await deps.sealer.openNames({ context: caller.tenant, values });
  return rows.map(({ id, role, state }, index) => ({ id, label: labels[index]!, role, state }));
}

export async function toPerson(deps: AccessDeps, caller: Caller, row: MemberRow): Promise<Person> {
  const [person] = await toPeople(deps, caller, [row]);
  return person!;
}

/** Everybody in the caller's tenant, in the order they came. */
export async function listMembers(deps: AccessDeps, caller: Caller): Promise<Person[]> {
  const rows = await deps.tenant.scoped(caller.tenant, queries.listMembers(caller.tenant.tenantId, MEMBERS_MAX));
  return toPeople(deps, caller, rows);
}

export interface Invitation extends Pick<InvitationRow, 'id' | 'member_id' | 'role' | 'created_at' | 'expires_at'> {
  readonly label: string;
  readonly name: string | null;
  readonly state: 'open' | 'accepted' | 'expired';
}

async function toInvitations(deps: AccessDeps, caller: Caller, rows: readonly InvitationRow[]): Promise<Invitation[]> {
  const values = rows.flatMap(({ id, label, name }) => [
    { field: 'identity.invitation.label' as const, rowId: id, sealed: label },
    ...(name === null ? [] : [{ field: 'identity.invitation.name' as const, rowId: id, sealed: name }]),
  ]);
  const words = (await deps.sealer.openNames({ context: caller.tenant, values })).values();
  return rows.map((row) => {
    const expired = row.expires_at.getTime() <= deps.clock.nowMs();
    const state = row.accepted_at !== null ? 'accepted' : expired ? 'expired' : 'open';
    const label = words.next().value!;
    return { ...row, label, name: row.name === null ? null : words.next().value!, state };
  });
}

/** Invitations of the caller's tenant, newest first. */
export async function listInvitations(deps: AccessDeps, caller: Caller): Promise<Invitation[]> {
  const rows = await deps.tenant.scoped(
    caller.tenant,
    queries.listInvitations(caller.tenant.tenantId, INVITATIONS_SHOWN_MAX),
  );
  return toInvitations(deps, caller, rows);
}

/** Who changes something, as entries say it. */
export type ChangeFacts = Pick<AuditInput, 'actor' | 'tokenHash' | 'stepUpHash' | 'requestId' | 'decision'>;

export function auditOf(who: Asker) {
  return { ...auditFromCall(who), stepUpHash: who.stepUp.assertionHash, outcome: 'allowed' } as const;
}

/**
 * Invites a person: member, invitation and one-time enrolment link in one transaction. Throws `role_not_assignable`,
 * `member_limit_reached`.
 */
export async function invite(
  deps: AccessDeps,
  who: Asker,
  input: { readonly label: string; readonly role: Role; readonly name?: string | undefined },
): Promise<{ readonly invitation: Invitation; readonly enrolmentPath: string }> {
  const { caller } = who;
  if (!roleExistsIn(caller.tenantKind, input.role)) throw refuse('role_not_assignable', input.role);
  const { tenant: context } = caller;
  const memberId = uuidV7(deps.clock, deps.random);
  const id = uuidV7(deps.clock, deps.random);
  const now = deps.clock.nowMs();
  const seal = (
    field: 'identity.member.label' | 'identity.invitation.label' | 'identity.invitation.name',
    rowId: Uuid,
    value: string,
  ) => deps.sealer.seal({ context, field, rowId, value });
  const row = {
    id,
    member_id: memberId,
    role: input.role,
    label: await seal('identity.invitation.label', id, input.label),
    name: input.name === undefined ? null : await seal('identity.invitation.name', id, input.name),
    invited_by: caller.personId,
    created_at: new Date(now),
    expires_at: new Date(now + ENROL_LINK_SECONDS_MAX * 1000),
    accepted_at: null,
  };
  const memberLabel = await seal('identity.member.label', memberId, input.label);
  const path = await deps.tenant.transaction(context, async (tx) => {
    await requireManager(tx, caller);
    const [count] = await tx.query(queries.countMembers(context.tenantId));
    if (Number(count?.members ?? 0) >= MEMBERS_MAX) throw refuse('member_limit_reached', `${MEMBERS_MAX} members`);
    const member = {
      id: memberId,
      role: input.role,
      state: 'invited',
      label: memberLabel,
      created_at: row.created_at,
    } as const;
    await tx.query(queries.insertMember(context.tenantId, member));
    await tx.query(queries.insertInvitation(context.tenantId, row));
    const facts = { ...auditOf(who), public: { role: input.role } };
    const values = { 'new.label': input.label, ...(input.name === undefined ? {} : { 'new.name': input.name }) };
    const personal = { subject: memberId, values };
    await deps.recordAudit(tx, { ...facts, type: 'member.invited', resource: ['member', memberId], personal });
    // No value of its own; but the approval names the person, and goes when they are erased.
    const about = { subject: memberId, values: {} };
    await deps.recordAudit(tx, {
      ...facts,
      type: 'invitation.created',
      resource: ['invitation', id],
      personal: about,
    });
    return (await issueLink(deps, tx, { kind: 'enrol', memberId, actor: facts.actor, decision: facts.decision })).path;
  });
  const [invitation] = await toInvitations(deps, caller, [row]);
  return { invitation: invitation!, enrolmentPath: path };
}

/**
 * The caller must still be a manager by the database's word: a token lives 30 seconds longer than the membership it was
 * minted for, long enough for a suspended manager to let themselves back in. Holds all managers' rows, in one order, so
 * that two of them changing each other wait instead of both going through. Throws `operation_refused`.
 */
export async function requireManager(tx: ScopedTransaction, caller: Caller): Promise<void> {
  const managers = await tx.query(lockManagers(caller.tenant.tenantId));
  if (managers.some(({ id }) => id === caller.personId)) return;
  throw new AppError<'operation_refused'>('operation_refused', 'the caller manages this tenant no more');
}

/**
 * The member that a change is about, locked. Nobody changes their own membership, and whoever changes another's is a
 * manager who stays: so a tenant never loses its last one.
 */
export async function memberToChange(
  tx: ScopedTransaction,
  { caller, approved }: Pick<Asker, 'caller' | 'approved'>,
  memberId: Uuid,
): Promise<MemberRow> {
  await requireManager(tx, caller);
  const row = (await tx.query(memberForUpdate(caller.tenant.tenantId, memberId)))[0];
  // The same answer as for a foreign or forged id: nothing tells whether such a person exists elsewhere.
  if (row === undefined) throw new AppError<'not_found'>('not_found', 'no such member');
  if (row.id === caller.personId) throw refuse('own_membership', 'nobody changes their own membership');
  requireAsApproved(row, approved);
  return row;
}

/**
 * Gives a member another role; it holds from the next token on (every gateway is told to drop the cached ones). Throws
 * `not_found`, `own_membership`, `role_not_assignable`, `member_suspended`,
 * `operation_refused`, `role_needs_second_passkey`.
 */
export async function changeRole(
  deps: AccessDeps,
  who: Asker,
  input: { readonly memberId: Uuid; readonly role: Role },
): Promise<Person> {
  const { caller } = who;
  if (!roleExistsIn(caller.tenantKind, input.role)) throw refuse('role_not_assignable', input.role);
  const changed = await deps.tenant.transaction(caller.tenant, async (tx) => {
    const row = await memberToChange(tx, who, input.memberId);
    return setRoleIn(deps, tx, { row, role: input.role, by: auditOf(who) });
  });
  return toPerson(deps, caller, changed);
}

/**
 * Gives a member, whose row the transaction holds, another role. Throws `member_suspended`, `role_needs_second_passkey`.
 */
export async function setRoleIn(
  deps: Pick<AccessDeps, 'evictions' | 'recordAudit'>,
  tx: ScopedTransaction,
  { row, role, by }: { readonly row: MemberRow; readonly role: Role; readonly by: ChangeFacts },
): Promise<MemberRow> {
  const { tenantId } = tx.context;
  if (row.state === 'suspended') throw refuse('member_suspended', 'a suspended member has no role to change');
  const { passkeys } = (await tx.query(queries.countPasskeys(tenantId, row.id)))[0]!;
  requirePasskeysFor(role, Number(passkeys));
  await tx.query(queries.setMemberRole(tenantId, row.id, role));
  deps.evictions.endPerson(tx, row.id);
  await deps.recordAudit(tx, {
    ...by,
    type: 'member.role-changed',
    resource: ['member', row.id],
    outcome: 'allowed',
    decision: by.decision,
    public: { from: row.role, to: role },
    disclosures: changesOf({ role: row.role }, { role }),
  });
  return { ...row, role };
}

/**
 * Suspends a member: no session, token, link or step-up of theirs works any more once this returns, and every gateway has
 * been told to drop their tokens. May be repeated, for what a first time could not end. Throws as `changeRole` does, and
 * `revocation_incomplete`.
 */
export async function suspendMember(
  deps: AccessDeps,
  who: Asker,
  memberId: Uuid,
): Promise<{ readonly person: Person; readonly sessionsClosed: number }> {
  const { caller } = who;
  const { outcome: _outcome, requestId: _requestId, ...by } = auditOf(who);
  const effects = await revokePrincipal(deps, caller.tenant, {
    memberId,
    cause: 'administrator',
    by,
    lock: (tx) => memberToChange(tx, who, memberId),
  });
  const [row] = await deps.tenant.scoped(caller.tenant, queries.memberById(caller.tenant.tenantId, memberId));
  const sessionsClosed = effects.find(({ holder }) => holder === 'sessions')?.ended ?? 0;
  return { person: await toPerson(deps, caller, row!), sessionsClosed };
}

/**
 * Lets a suspended member in again, in the role that they had; what was ended stays ended. A directory that still speaks
 * and says that they have left is believed: it would put them out again, or has only not said so yet. Throws as
 * `changeRole` does, `member_active`, `directory_says_left`, `member_erased`.
 */
export async function reinstateMember(deps: AccessDeps, who: Asker, memberId: Uuid): Promise<Person> {
  const { tenant: context } = who.caller;
  const { outcome: _outcome, requestId: _requestId, ...by } = auditOf(who);
  const lock = async (tx: ScopedTransaction): Promise<MemberRow> => {
    const row = await memberToChange(tx, who, memberId);
    if (row.state !== 'suspended') throw refuse('member_active', 'nobody has suspended them');
    if (await deps.directories.saysLeft(tx, memberId))
      throw refuse('directory_says_left', 'a directory says otherwise');
    await deps.directories.forget(tx, memberId, by);
    return row;
  };
  await reinstatePrincipal(deps, context, { memberId, cause: 'administrator', by, lock });
  const [row] = await deps.tenant.scoped(context, queries.memberById(context.tenantId, memberId));
  return toPerson(deps, who.caller, row!);
}

/**
 * Starts the confirmation of one action: options whose challenge is the digest of the action, stored for one use by
 * this session, and a new cookie for the session. `shown` is the action without its secrets: what a person at a screen, or a
 * picture of it, may see; the digest is of exactly what was sent. Throws `step_up_not_offered`, `no_passkey_for_step_up`,
 * `second_passkey_needed`.
 */
export async function beginStepUp<Input extends Readonly<Record<string, Json | undefined>>>(
  deps: AccessDeps,
  caller: Caller,
  input: {
    readonly operation: string;
    readonly input: Input;
    /** Ids in the input, as the gates have read them. */
    readonly ids?: Readonly<Record<string, Uuid | undefined>>;
  },
) {
  // Asking somebody to confirm what they may not do teaches them to confirm anything.
  if (!mayStepUp(caller.method) || !deps.policy.allows(input.operation, caller)) {
    throw refuse('step_up_not_offered', `${input.operation} is not for ${caller.role} by ${caller.method}`);
  }
  const allowed = await passkeysOfMember(deps, caller.tenant.tenantId, caller.personId);
  if (allowed.length === 0) throw refuse('no_passkey_for_step_up', 'the person has no passkey');
  requireSecondPasskey(caller.role, allowed.length);
  const { requestId } = caller.tenant;
  const question = { caller, requestId, ids: input.ids ?? {}, input: input.input };
  const subject = await deps.subjects[input.operation]?.(question);
  const action = withSubject(stepUpAction(caller, input.operation, input.input), subject);
  const nonce = deps.random.bytes(NONCE_BYTES);
  const challenge = stepUpDigest(nonce, action);
  const { id } = await issueChallenge(deps, {
    purpose: 'step-up',
    door: caller.door,
    challenge,
    tenant_id: caller.tenant.tenantId,
    member_id: caller.personId,
    session_id: caller.sessionId,
    nonce,
    action_hash: actionHash(action),
    operation: input.operation,
  });
  const options = await assertionOptions({ door: deps.doors[caller.door], challenge, allowed });
  const { value, hidden } = hideSecrets(input.input, deps.secretsOf(input.operation));
  const shown = { action: { ...action, input: value }, hidden };
  return { challengeId: id, options, action, shown, opened: await rotateSession(deps, caller) };
}
