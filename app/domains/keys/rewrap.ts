import { checkCommitment } from '@auditrax/seal';
import type { WrappedDek } from '@auditrax/seal';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { recordAudit } from '../../platform/audit/index.ts';
import { keysError } from './errors.ts';
import { selectWrapped, swapWrapped } from './queries.ts';
import type { DekRow } from './queries.ts';
import type { KeyDeps } from './service.ts';

/** Each round finds what the one before could not: a key made meanwhile, a swap lost to another switch. */
const ROUNDS_MAX = 5;
/** A fact of an audit entry has at most 400 characters; key ids of every provider are shorter. */
const KEK_REF_SHOWN_CHARS = 400;

/** Why keys are wrapped anew; stands in the audit entries. */
export type RewrapReason = 'source-switched' | 'source-resumed' | 'installation-switched';

export interface RewrapOutcome {
  /** Keys whose wrap was exchanged. */
  readonly rewrapped: number;
  /** Keys that the active source had wrapped already. */
  readonly current: number;
}

interface Move {
  readonly row: DekRow;
  readonly to: WrappedDek;
}

/**
 * Wraps every key of a tenant that may still open something under the tenant's active key source. A key's old wrap stays
 * in its row until the new one has been unwrapped again and fits the key's commitment; all rows of a round change in one
 * transaction with an entry `key.rewrapped` each. Killed at any instant, each row holds a wrap that opens, and calling
 * again finishes. The old source must stay usable until this has returned.
 *
 * Throws what the keys process throws (nothing was changed then), `commitment_mismatch` when the new source answers with
 * another key, `keys_unavailable` when others keep changing the same keys.
 */
export async function rewrapKeys(
  deps: Pick<KeyDeps, 'service' | 'tenantDoor' | 'keysClient'>,
  context: TenantContext,
  order: { readonly reason: RewrapReason },
): Promise<RewrapOutcome> {
  let rewrapped = 0;
  // Keys of the active source as it names them: what carries one of these names needs no further question.
  const active = new Set<string>();
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const rows = await deps.tenantDoor.scoped(context, selectWrapped(context.tenantId));
    const moves: Move[] = [];
    // One after the other: a customer's key store is not to be met with a burst.
    for (const row of rows) {
      if (active.has(row.kek_ref)) continue;
      const to = await movedWrap(deps, context, row);
      active.add(to.kekRef);
      if (to.kekRef !== row.kek_ref) moves.push({ row, to });
    }
    if (moves.length === 0) return { rewrapped, current: rows.length - rewrapped };
    rewrapped += await swapAll(deps, context, { moves, reason: order.reason });
  }
  throw keysError('keys_unavailable', `keys of tenant ${context.tenantId} kept changing while they were rewrapped`);
}

/** The key's wrap under the active source, proven to open to the same key. */
async function movedWrap(deps: Pick<KeyDeps, 'keysClient'>, context: TenantContext, row: DekRow): Promise<WrappedDek> {
  const name = { purpose: row.purpose, dekId: row.id, version: row.version };
  const to = await deps.keysClient.rewrap(context, name, { kekRef: row.kek_ref, wrapped: row.wrapped });
  const dek = await deps.keysClient.unwrap(context, name, to);
  try {
    // A tenant's own key store could have wrapped another key: then the old wrap stays.
    checkCommitment(dek, { tenantId: context.tenantId, ...name }, row.commitment);
  } finally {
    dek.fill(0);
  }
  return to;
}

/** How many of the rows were still as they had been read. */
function swapAll(
  deps: Pick<KeyDeps, 'service' | 'tenantDoor'>,
  context: TenantContext,
  change: { readonly moves: readonly Move[]; readonly reason: RewrapReason },
): Promise<number> {
  const { tenantId } = context;
  return deps.tenantDoor.transaction(context, async (tx) => {
    let swapped = 0;
    for (const { row, to } of change.moves) {
      const [changed] = await tx.query(
        swapWrapped({ tenantId, id: row.id, from: row, to: { kek_ref: to.kekRef, wrapped: to.wrapped } }),
      );
      if (changed === undefined) continue;
      swapped += 1;
      await auditRewrap(deps, tx, { row, to, reason: change.reason });
    }
    return swapped;
  });
}

async function auditRewrap(
  deps: Pick<KeyDeps, 'service'>,
  tx: ScopedTransaction,
  move: Move & { readonly reason: RewrapReason },
): Promise<void> {
  await recordAudit(tx, {
    type: 'key.rewrapped',
    actor: { service: deps.service },
    resource: ['dek', move.row.id],
    outcome: 'allowed',
    requestId: tx.context.requestId,
    public: {
      purpose: move.row.purpose,
      version: move.row.version,
      commitment: move.row.commitment.toString('hex'),
      from: move.row.kek_ref.slice(0, KEK_REF_SHOWN_CHARS),
      to: move.to.kekRef.slice(0, KEK_REF_SHOWN_CHARS),
      reason: move.reason,
    },
  });
}
