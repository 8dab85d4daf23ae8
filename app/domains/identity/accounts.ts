import { createHash } from 'node:crypto';
import { AppError, uuidV7, type Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import { changesOf, type AuditActor, type AuditDecision } from '../../platform/audit/index.ts';
import type { Caller, Role } from '../../platform/http/handler.ts';
import type { AccountOrigin, AccountRow } from './account-queries.ts';
import * as accounts from './account-queries.ts';
import type { IdentityDeps } from './deps.ts';
import { MANAGES, tellWithoutManager } from './last-manager.ts';
import type { MemberRow } from './queries.ts';
import * as queries from './queries.ts';

/** As many as an administrator may invite; a directory with the whole company in it must not fill the tenant. */
const MEMBERS_MAX = 500;

/**
 * - `account_unknown`: nobody here is this person, and the connection lets nobody new in.
 * - `account_role_missing`: the provider names groups, and none of them gives a role here.
 * - `account_taken`: this person is somebody else here already.
 * - `account_member_inactive`: the member is suspended, or was never let in.
 * - `account_again`: somebody else made the account at the same moment; asking again finds it.
 */
export type AccountCode =
  | 'account_unknown'
  | 'account_role_missing'
  | 'account_taken'
  | 'account_member_inactive'
  | 'account_members_full'
  | 'account_again';

const refuse = (code: AccountCode, detail: string): AppError<AccountCode> =>
  new AppError<AccountCode>(code, detail, { publicDetail: detail });

/** A person as an identity provider of the tenant names them. */
export interface Newcomer {
  readonly connectionId: Uuid;
  /** Immutable, from the provider; what it is made of is the connection's affair. Only its hash is stored. */
  readonly subject: string;
  /** E-mail or name: shown to people, and never compared with anything. */
  readonly shown: string;
  /** What the provider's groups give: a role, null for none, undefined when it said nothing about groups. */
  readonly role: Role | null | undefined;
  /** Role as which somebody unknown becomes a member; undefined: they do not. */
  readonly newRole: Role | undefined;
  readonly tenantKind: Caller['tenantKind'];
  /** The member whom an invitation or a live session of theirs says that this person is. */
  readonly is?: { readonly memberId: Uuid; readonly origin: 'invitation' | 'connect' };
  /** A directory says that they are here, not they themselves. */
  readonly isByDirectory?: boolean;
}

export interface Arrived {
  readonly memberId: Uuid;
  readonly accountId: Uuid;
  readonly isNew: boolean;
}

/** What an account is found by. `kind` keeps hashes of one thing from being hashes of another. */
export function providerHash(kind: 'subject' | 'session' | 'token' | 'sub', text: string): Buffer {
  return createHash('sha256').update(`auditrax-${kind}-v1\0${text}`).digest();
}

type Deps = Pick<IdentityDeps, 'recordAudit' | 'clock' | 'random' | 'sealer' | 'evictions'>;

interface Step {
  readonly deps: Deps;
  readonly tx: ScopedTransaction;
  readonly newcomer: Newcomer;
  readonly subjectHash: Buffer;
}

/** Roles of a tenant: operators are in the operator's tenant alone, and there is nobody else in it. */
function roleFits(kind: Caller['tenantKind'], role: Role): boolean {
  return kind === 'operator' ? role === 'operator' : role !== 'operator';
}

/** Whether the provider's groups decide about such an account. */
const isManagedOrigin = (origin: AccountOrigin): boolean => origin === 'just-in-time' || origin === 'scim';

/** Whose account a provider's subject is, in the caller's transaction, whatever became of the member; undefined: nobody's. */
export async function accountOf(
  tx: ScopedTransaction,
  of: { readonly connectionId: Uuid; readonly subject: string },
): Promise<{ readonly accountId: Uuid; readonly memberId: Uuid; readonly isManaged: boolean } | undefined> {
  const subjectHash = providerHash('subject', of.subject);
  const [row] = await tx.query(accounts.accountBySubject(tx.context, { connectionId: of.connectionId, subjectHash }));
  if (row === undefined) return undefined;
  return { accountId: row.id, memberId: row.member_id, isManaged: isManagedOrigin(row.origin) };
}

/** The member of a known account, with the role that the groups give now. */
async function returning({ deps, tx, newcomer }: Step, account: AccountRow): Promise<Arrived> {
  const { context } = tx;
  const { is, role, tenantKind } = newcomer;
  if (is !== undefined && is.memberId !== account.member_id)
    throw refuse('account_taken', 'This identity belongs to another member of the organisation.');
  // Whom an administrator let in keeps the role that the administrator gave.
  const isManaged = isManagedOrigin(account.origin);
  // Before the member, as everywhere: this may take away the last one.
  if (isManaged && role != null && !MANAGES.has(role)) await tx.query(queries.lockManagers(context.tenantId));
  const [member] = await tx.query(queries.memberForUpdate(context.tenantId, account.member_id));
  if (member?.state !== 'active')
    throw refuse('account_member_inactive', `The member is ${member?.state ?? 'gone'} here.`);
  if (isManaged && role === null)
    throw refuse('account_role_missing', 'The provider names groups, and none of them gives a role here any more.');
  if (isManaged && role != null && role !== member.role && roleFits(tenantKind, role))
    await changeRole({ deps, tx }, { member, role, connectionId: newcomer.connectionId });
  return { memberId: member.id, accountId: account.id, isNew: false };
}

async function changeRole(
  { deps, tx }: Pick<Step, 'deps' | 'tx'>,
  { member, role, connectionId }: { readonly member: MemberRow; readonly role: Role; readonly connectionId: Uuid },
): Promise<void> {
  await tx.query(accounts.setRole(tx.context, member.id, role));
  deps.evictions.endPerson(tx, member.id);
  await deps.recordAudit(tx, {
    type: 'member.role-mapped',
    actor: { personId: member.id },
    resource: ['member', member.id],
    outcome: 'allowed',
    requestId: tx.context.requestId,
    public: { from: member.role, to: role, connection: connectionId },
    disclosures: changesOf({ role: member.role }, { role }),
  });
  await tellWithoutManager(deps, tx, { role: member.role, cause: 'groups', by: { actor: { personId: member.id } } });
}

/** The member whom an invitation or a session names. */
async function named({ tx }: Step, { memberId, origin }: NonNullable<Newcomer['is']>): Promise<Uuid> {
  const [member] = await tx.query(queries.memberForUpdate(tx.context.tenantId, memberId));
  const isFit = member?.state === 'active' || (member?.state === 'invited' && origin === 'invitation');
  if (member === undefined || !isFit)
    throw refuse('account_member_inactive', `The member is ${member?.state ?? 'gone'} here.`);
  return member.id;
}

/** A member whom nobody invited: the provider vouches, and the connection says as what. */
async function admitted({ deps, tx, newcomer }: Step): Promise<Uuid> {
  const { context } = tx;
  const { role, newRole: asWhat, shown, tenantKind, connectionId } = newcomer;
  if (asWhat === undefined || !roleFits(tenantKind, asWhat))
    throw role === null
      ? refuse('account_role_missing', 'None of the groups that the provider names gives a role here.')
      : refuse('account_unknown', 'Nobody here is this person, and the connection lets nobody new in.');
  const [count] = await tx.query(accounts.membersIn(context));
  if (Number(count?.members ?? 0) >= MEMBERS_MAX) throw refuse('account_members_full', `${MEMBERS_MAX} members`);
  const id = uuidV7(deps.clock, deps.random);
  const label = await deps.sealer.seal({ context, field: 'identity.member.label', rowId: id, value: shown, tx });
  const created_at = new Date(deps.clock.nowMs());
  await tx.query(accounts.insertNewcomer(context, { id, role: asWhat, state: 'active', label, created_at }));
  await deps.recordAudit(tx, {
    type: 'member.arrived',
    actor: { personId: id },
    resource: ['member', id],
    outcome: 'allowed',
    requestId: context.requestId,
    public: { role: asWhat, connection: connectionId },
    personal: { subject: id, values: { 'new.label': shown } },
  });
  return id;
}

/**
 * The one way in which somebody whom a provider names becomes, or is found as, a member: by tenant, connection and
 * immutable subject. Invitation, single sign-on and directory all come through here, so nobody is there twice and
 * nobody is found by an address. In the caller's transaction. Throws `AppError<AccountCode>`; on `account_again` the
 * transaction is to be tried once more.
 */
export async function arrive(deps: Deps, tx: ScopedTransaction, newcomer: Newcomer): Promise<Arrived> {
  const { context } = tx;
  const { connectionId, is } = newcomer;
  const subjectHash = providerHash('subject', newcomer.subject);
  const step: Step = { deps, tx, newcomer, subjectHash };
  const [known] = await tx.query(accounts.accountBySubject(context, { connectionId, subjectHash }));
  if (known !== undefined) return returning(step, known);
  const memberId = is === undefined ? await admitted(step) : await named(step, is);
  const origin: AccountOrigin = is?.origin ?? (newcomer.isByDirectory === true ? 'scim' : 'just-in-time');
  const accountId = uuidV7(deps.clock, deps.random);
  const row = { id: accountId, connection_id: connectionId, member_id: memberId, origin, subjectHash };
  const made = await tx.query(accounts.insertAccount(context, { ...row, createdAt: new Date(deps.clock.nowMs()) }));
  if (made.length === 0) throw refuse('account_again', 'the same person came in twice at once');
  await deps.recordAudit(tx, {
    type: 'account.added',
    actor: { personId: memberId },
    resource: ['account', accountId],
    outcome: 'allowed',
    requestId: context.requestId,
    public: { origin, connection: connectionId, member: memberId },
  });
  return { memberId, accountId, isNew: true };
}

/**
 * Takes away what finds a member by their providers, and what directories have said of them, in the caller's transaction.
 * Returns how many accounts that were.
 */
export async function removeAccountsOf(
  deps: Pick<IdentityDeps, 'recordAudit' | 'signals'>,
  tx: ScopedTransaction,
  of: { readonly memberId: Uuid; readonly actor: AuditActor; readonly decision?: AuditDecision | undefined },
): Promise<number> {
  const rows = await tx.query(accounts.accountsOfMember(tx.context, of.memberId));
  await deps.signals.forget(tx, of.memberId);
  for (const { id, connection_id: connection } of rows) {
    await tx.query(accounts.deleteAccount(tx.context, id));
    await deps.recordAudit(tx, {
      type: 'account.removed',
      actor: of.actor,
      resource: ['account', id],
      outcome: 'allowed',
      requestId: tx.context.requestId,
      decision: of.decision,
      public: { connection, member: of.memberId },
    });
  }
  for (const { id } of await tx.query(accounts.deleteDirectoryRows(tx.context, of.memberId)))
    await deps.recordAudit(tx, {
      type: 'directory.person-erased',
      actor: of.actor,
      resource: ['scim-resource', id],
      outcome: 'allowed',
      requestId: tx.context.requestId,
      decision: of.decision,
      public: { member: of.memberId },
    });
  const signalled = await tx.query(accounts.deleteReceivedEvents(tx.context, of.memberId));
  for (const stream of new Set(signalled.map(({ stream_id }) => stream_id)))
    await deps.recordAudit(tx, {
      type: 'signals.person-erased',
      actor: of.actor,
      resource: ['received-stream', stream],
      outcome: 'allowed',
      requestId: tx.context.requestId,
      decision: of.decision,
      public: { member: of.memberId },
    });
  return rows.length;
}
