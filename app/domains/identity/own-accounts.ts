import { AppError, type Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import type { AuditInput } from '../../platform/audit/index.ts';
import { accountBySubject, accountsOfMember, deleteAccount, openSessionsOfAccount } from './account-queries.ts';
import { providerHash } from './accounts.ts';
import type { IdentityDeps } from './deps.ts';
import type { IdentityCode } from './errors.ts';
import * as queries from './queries.ts';
import { closeThese } from './sessions.ts';

function refuse(code: IdentityCode, message: string): AppError<IdentityCode> {
  return new AppError<IdentityCode>(code, message);
}

export interface Removal {
  readonly accountId: Uuid;
  readonly memberId: Uuid;
  /** Connections that people come in by; asked while the member is held. */
  readonly openIn: (tx: ScopedTransaction) => Promise<ReadonlySet<Uuid>>;
  /** Who does it, by which rules and with which confirmation. */
  readonly by: Pick<AuditInput, 'actor' | 'decision' | 'tokenHash' | 'stepUpHash'>;
}

/**
 * Takes one of a member's own accounts away and ends the sessions that came by it, in the caller's transaction. The last
 * way in stays: a passkey, or another account of a connection that is in use. Throws `not_found`, `identity_managed`,
 * `last_way_in`.
 */
export async function removeOwnAccount(
  deps: Pick<IdentityDeps, 'recordAudit' | 'clock' | 'evictions' | 'signals'>,
  tx: ScopedTransaction,
  { accountId, memberId, openIn, by }: Removal,
): Promise<void> {
  const { context } = tx;
  // Held, so that of two removals at once the second sees what the first has left.
  await tx.query(queries.memberForUpdate(context.tenantId, memberId));
  const mine = await tx.query(accountsOfMember(context, memberId));
  const found = mine.find(({ id }) => id === accountId);
  if (found === undefined) throw new AppError<'not_found'>('not_found', 'no such account of this person');
  // The directory finds by it whom it takes out: whoever could remove it would outlast their own dismissal.
  if (found.origin === 'scim') throw refuse('identity_managed', 'a directory has made it');
  const open = await openIn(tx);
  const isElsewhere = mine.some(({ id, connection_id }) => id !== accountId && open.has(connection_id));
  const passkeys = await tx.query(queries.credentialsOf(context.tenantId, memberId));
  if (passkeys.length === 0 && !isElsewhere) throw refuse('last_way_in', 'no passkey and no other account');
  await tx.query(deleteAccount(context, accountId));
  await deps.recordAudit(tx, {
    ...by,
    type: 'account.removed',
    resource: ['account', accountId],
    outcome: 'allowed',
    requestId: context.requestId,
    decision: by.decision,
    public: { connection: found.connection_id, member: memberId },
  });
  const { actor, decision } = by;
  const sessionIds = (await tx.query(openSessionsOfAccount(context, accountId))).map(({ id }) => id);
  await closeThese(deps, tx, { memberId, sessionIds, reason: 'disconnected', actor, decision });
}

/** A new sign-in at a provider, within a session that began there. */
export interface Confirmation {
  readonly sessionId: Uuid;
  readonly connectionId: Uuid;
  readonly subject: string;
  /** When the person signed in at the provider. */
  readonly signedIn_ms: number;
}

/**
 * Notes in a session that its own person has signed in anew at the provider that it came by, in the caller's transaction.
 * False when it was somebody else there, or another connection.
 */
export async function confirmSession(
  deps: Pick<IdentityDeps, 'recordAudit'>,
  tx: ScopedTransaction,
  { sessionId, connectionId, subject, signedIn_ms }: Confirmation,
): Promise<boolean> {
  const { context } = tx;
  const subjectHash = providerHash('subject', subject);
  const [account] = await tx.query(accountBySubject(context, { connectionId, subjectHash }));
  const [session] = await tx.query(queries.sessionWithMember(context.tenantId, sessionId));
  if (account === undefined || session?.account_id !== account.id || session.member_id !== account.member_id)
    return false;
  await tx.query(queries.confirmSession(context.tenantId, sessionId, new Date(signedIn_ms)));
  await deps.recordAudit(tx, {
    type: 'session.confirmed',
    actor: { personId: session.member_id, sessionId },
    resource: ['session', sessionId],
    outcome: 'allowed',
    requestId: context.requestId,
    public: { connection: connectionId },
  });
  return true;
}
