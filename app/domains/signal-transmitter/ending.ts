import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import type { AuditInput } from '../../platform/audit/index.ts';
import type { TransmitterDeps } from './deps.ts';
import { keyEntry } from './keys.ts';
import { lockQueue } from './outbox.ts';
import * as queries from './queries.ts';
import type { SignalSender } from './sender.ts';
import { chooseStatus, eraseStream } from './streams.ts';

/** Longer than a receiver that is there needs, and short enough that one that hangs does not hold a deletion up. */
const FAREWELL_MS_MAX = 30_000;
const BY_ISSUER = { actor: { service: 'issuer' } } as const;
const REASON = 'tenant-deleted';

type FarewellDeps = Pick<TransmitterDeps, 'tenant' | 'clock' | 'random' | 'recordAudit'> & {
  readonly sender: Pick<SignalSender, 'wake' | 'settled'>;
};

const entry = (
  context: TenantContext,
  id: queries.StreamRow['id'],
  of: Pick<AuditInput, 'type' | 'public'>,
): AuditInput => ({
  ...BY_ISSUER,
  ...of,
  resource: ['signal-stream', id],
  outcome: 'allowed',
  requestId: context.requestId,
});

/**
 * Tells the receivers of a tenant that is about to be deleted: each stream is switched off, which its receiver hears by
 * `stream-updated` after whatever waited before it (SSF 1.0). While the tenant's keys still open. One try each: a receiver
 * that is away, or that polls and has not asked by the time the streams end, finds its token refused. Resolves also when
 * nobody could be told; a deletion waits for no receiver.
 */
export async function announceEndOfTenant(deps: FarewellDeps, context: TenantContext): Promise<void> {
  await deps.tenant.transaction(context, async (tx) => {
    for (const row of await tx.query(queries.streamsOf(context))) {
      const queue = row.status === 'disabled' ? undefined : await lockQueue(deps, tx, row.id);
      if (queue === undefined) continue;
      await chooseStatus(deps, tx, { queue, to: 'disabled' });
      const told = { from: row.status, to: 'disabled', reason: REASON } as const;
      await deps.recordAudit(tx, entry(context, row.id, { type: 'signal-stream.turned', public: told }));
    }
  });
  await deps.sender.settled(context.tenantId, FAREWELL_MS_MAX);
}

/**
 * Ends whatever a tenant tells its receivers, in the transaction that ends its people's access: nothing is sent or handed out
 * from its commit on, and settings, signing keys, names and all that waited are erased.
 */
export async function endStreamsOfTenant(
  deps: Pick<TransmitterDeps, 'recordAudit'>,
  tx: ScopedTransaction,
): Promise<void> {
  const { context } = tx;
  for (const { id } of await tx.query(queries.streamsOf(context))) {
    const count = await eraseStream(tx, id);
    const told = { count, reason: REASON };
    await deps.recordAudit(tx, entry(context, id, { type: 'signal-stream.removed', public: told }));
  }
  for (const { id } of await tx.query(queries.keysOf(context))) {
    await tx.query(queries.eraseKey(context, id));
    await deps.recordAudit(tx, keyEntry(context, id, { ...BY_ISSUER, type: 'signal-key.forgotten' }));
  }
  await tx.query(queries.forgetAllNames(context));
}
