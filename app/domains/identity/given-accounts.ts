import { AppError, uuidV7, type Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import type { AuditInput } from '../../platform/audit/index.ts';
import { insertAccount, type AccountOrigin } from './account-queries.ts';
import { providerHash, type AccountCode } from './accounts.ts';
import type { IdentityDeps } from './deps.ts';

/** An account that an administrator approves for a member, at a provider that they have not come by yet. */
export interface GivenAccount {
  readonly memberId: Uuid;
  readonly connectionId: Uuid;
  /** The provider's immutable name for the person, as the administrator read it there. */
  readonly subject: string;
  readonly origin: AccountOrigin;
  readonly changeoverId: Uuid;
  readonly by: Pick<AuditInput, 'actor' | 'decision' | 'tokenHash' | 'stepUpHash'>;
}

/**
 * Gives a member an account on an administrator's word, in the caller's transaction. Throws `account_taken` where this
 * subject is somebody here already, whoever that is.
 */
export async function giveAccount(
  deps: Pick<IdentityDeps, 'recordAudit' | 'clock' | 'random'>,
  tx: ScopedTransaction,
  { memberId, connectionId, subject, origin, changeoverId, by }: GivenAccount,
): Promise<void> {
  const { context } = tx;
  const subjectHash = providerHash('subject', subject);
  const id = uuidV7(deps.clock, deps.random);
  const row = { id, connection_id: connectionId, member_id: memberId, origin, subjectHash };
  const createdAt = new Date(deps.clock.nowMs());
  const made = await tx.query(insertAccount(context, { ...row, createdAt, changeoverId }));
  // The unique key decides, so that somebody who comes in by themselves at this moment is found as well.
  if (made.length === 0) throw new AppError<AccountCode>('account_taken', 'the subject has an account here');
  await deps.recordAudit(tx, {
    ...by,
    type: 'account.added',
    resource: ['account', id],
    outcome: 'allowed',
    requestId: context.requestId,
    decision: by.decision,
    public: { origin, connection: connectionId, member: memberId, changeover: changeoverId },
  });
}
