import { createHash } from 'node:crypto';
import { isAppError, parseUuid } from '@auditrax/base';
import type { ServiceName, Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { recordAudit } from '../../platform/audit/index.ts';
import type { SealedColumn } from '../../platform/db/sealed-fields.ts';
import { keysError } from './errors.ts';
import { selectActive } from './queries.ts';
import { countVersions, listProgress, lockSealed, noteProgress, selectSealed, swapSealed } from './rotation-queries.ts';
import type { Resealed } from './reseal-values.ts';
import type { Sealer } from './sealer.ts';
import type { KeyDeps } from './service.ts';

/** Rows of one transaction: a few milliseconds of locks, and little lost when it is cut off. */
const BATCH_ROWS_MAX = 200;
/** Sealed bytes of one transaction; a single longer value is a batch of its own. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** Between two batches, so that people's requests go first. */
const PAUSE_MS = 2;
/** A walk meets what the one before lost to other writers; what still stands after these waits for the next round. */
const WALKS_MAX = 3;
const LOWEST = parseUuid('00000000-0000-0000-0000-000000000000')!;

export interface ResealDeps extends Pick<KeyDeps, 'service' | 'tenantDoor' | 'clock'> {
  /** Of every room; each service works on its own. */
  readonly columns: readonly SealedColumn[];
  readonly sealer: Pick<Sealer, 'resealMany'>;
}

export interface ResealOutcome {
  readonly moved: number;
  /** Values that did not open: left as they are, and their key with them. */
  readonly unreadable: number;
}

/**
 * Encrypts every value of this service's columns that names an older key anew, under the key that seals now: in batches,
 * each one transaction of compare-and-swaps, its entry `key.resealed` and the place reached. Killed at any instant, each
 * value is the old one or the new one, and both open. Values that others write meanwhile win. Runs until nothing is left
 * to move, or `until` says stop.
 */
export async function resealTenant(
  deps: ResealDeps,
  context: TenantContext,
  until: () => boolean = () => false,
): Promise<ResealOutcome> {
  const sum = { moved: 0, unreadable: 0 };
  for (const column of deps.columns.filter((one) => one.service === deps.service)) {
    for (let walk = 0; walk < WALKS_MAX && !until(); walk += 1) {
      const walked = await walkColumn(deps, { context, column, until });
      sum.moved += walked.moved;
      if (walked.moved === 0 || walked.left === 0) {
        sum.unreadable += walked.unreadable;
        break;
      }
    }
  }
  return sum;
}

interface Walk {
  readonly context: TenantContext;
  readonly column: SealedColumn;
  readonly until: () => boolean;
}

/** Once through a column, from where the last walk was cut off. `left` counts what it saw and did not move. */
async function walkColumn(deps: ResealDeps, walk: Walk): Promise<ResealOutcome & { readonly left: number }> {
  const { context, column } = walk;
  const [active] = await deps.tenantDoor.scoped(
    context,
    selectActive({ tenantId: context.tenantId, purpose: column.purpose }),
  );
  if (active === undefined)
    throw keysError('dek_missing', `tenant ${context.tenantId} has no active key for ${column.purpose}`);
  const counts = await deps.tenantDoor.scoped(context, countVersions(context.tenantId, column));
  const old = counts.map((row) => Number(row.version)).filter((version) => version < active.version);
  const sum = { moved: 0, unreadable: 0, left: 0 };
  let after = await placeReached(deps, walk, active.version);
  for (const version of old) {
    for (;;) {
      if (walk.until()) return { ...sum, left: sum.left + 1 };
      const step = await moveBatch(deps, walk, { version, after, unreadableBefore: sum.unreadable });
      if (step === undefined) break;
      sum.moved += step.moved;
      sum.unreadable += step.unreadable;
      sum.left += step.read - step.moved;
      after = step.last;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    after = LOWEST;
  }
  if (old.length > 0) {
    // The next walk begins at the beginning.
    const end = { version: active.version, walked: null, moved: 0, unreadable: sum.unreadable };
    await deps.tenantDoor.scoped(
      context,
      noteProgress(context.tenantId, column, { ...end, at: new Date(deps.clock.nowMs()) }),
    );
  }
  return sum;
}

async function placeReached(deps: ResealDeps, { context, column }: Walk, version: number): Promise<Uuid> {
  const rows = await deps.tenantDoor.scoped(context, listProgress(context.tenantId));
  const own = rows.find((row) => `${row.relation}.${row.column_name}` === column.column);
  return own?.version === version && own.walked !== null ? own.walked : LOWEST;
}

interface Batch {
  readonly version: number;
  readonly after: Uuid;
  readonly unreadableBefore: number;
}

async function moveBatch(
  deps: ResealDeps,
  { context, column }: Walk,
  batch: Batch,
): Promise<{ read: number; moved: number; unreadable: number; last: Uuid } | undefined> {
  const { tenantId } = context;
  const limits = { rowsMax: BATCH_ROWS_MAX, bytesMax: BATCH_BYTES_MAX };
  const rows = await deps.tenantDoor.scoped(context, selectSealed(tenantId, column, { ...batch, ...limits }));
  const last = rows.at(-1)?.key;
  if (last === undefined) return undefined;
  const fresh = await deps.sealer.resealMany({ context, column, rows });
  const moved = await deps.tenantDoor.transaction(context, async (tx) => {
    const swapped = fresh.moved.length === 0 ? [] : await swapBatch(tx, { tenantId, column, moved: fresh.moved });
    if (swapped.length > 0) {
      const stored = new Set(swapped.map((row) => row.sealed.toString('hex')));
      const kept = fresh.moved.filter((one) => stored.has(one.to.toString('hex')));
      await recordAudit(tx, batchEntry(deps.service, { context, column, from: batch.version, fresh, kept }));
    }
    const unreadable = batch.unreadableBefore + fresh.unreadable;
    const step = { version: fresh.version, walked: last, moved: swapped.length, unreadable };
    await tx.query(noteProgress(tenantId, column, { ...step, at: new Date(deps.clock.nowMs()) }));
    return swapped.length;
  });
  return { read: rows.length, moved, unreadable: fresh.unreadable, last };
}

/** What of the batch was swapped: the rest has been changed by others meanwhile. */
async function swapBatch(
  tx: ScopedTransaction,
  { tenantId, column, moved }: { tenantId: Uuid; column: SealedColumn; moved: Resealed['moved'] },
): Promise<{ sealed: Buffer }[]> {
  const keys = moved.map((one) => one.key);
  await tx.query(lockSealed(tenantId, column, keys));
  return tx.query(
    swapSealed(tenantId, column, { keys, from: moved.map((one) => one.from), to: moved.map((one) => one.to) }),
  );
}

/** One entry for a batch. Its digest fixes which bytes became which: with a backup at hand, each exchange can be checked. */
function batchEntry(
  service: ServiceName,
  batch: {
    readonly context: TenantContext;
    readonly column: SealedColumn;
    readonly from: number;
    readonly fresh: Resealed;
    readonly kept: Resealed['moved'];
  },
) {
  const digest = createHash('sha256');
  for (const one of batch.kept) {
    digest.update(one.key, 'ascii');
    digest.update(createHash('sha256').update(one.from).digest());
    digest.update(createHash('sha256').update(one.to).digest());
  }
  return {
    type: 'key.resealed',
    actor: { service },
    resource: ['dek', batch.fresh.dekId] as const,
    outcome: 'allowed' as const,
    requestId: batch.context.requestId,
    public: {
      purpose: batch.column.purpose,
      column: batch.column.column,
      from: batch.from,
      to: batch.fresh.version,
      values: batch.kept.length,
      digest: digest.digest('hex'),
    },
  };
}

/** True for the database's answer that values still need a key; they appeared after they had been counted. */
export function isStillNeeded(error: unknown): boolean {
  return isAppError(error) && (error as { sqlState?: string }).sqlState === 'AX106';
}
