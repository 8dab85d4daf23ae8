// Statements of the process that dials: it reads public-safe leaves and cursors of every tenant, and nothing else.
import type { Uuid } from '@auditrax/base';
import { sql, type Statement } from '@auditrax/tenancy';

/** A stream that is due, as the process that dials sees it. */
export interface DueRow {
  readonly tenant_id: Uuid;
  readonly id: Uuid;
  readonly version: number;
  readonly generation: number;
  readonly next_idx: string;
  readonly tried_idx: string | null;
  readonly attempts: number;
  readonly failing_since: Date | null;
  readonly told_at: Date | null;
}

/** Not of tenants that are being moved: their place in the log moves with them. */
export function dueStreams(now: Date, limit: number): Statement<DueRow> {
  return sql<DueRow>`
    select c.tenant_id, c.id, c.version, c.generation, c.next_idx, c.tried_idx, c.attempts, c.failing_since, c.told_at
    from audit.stream_cursor c
    where c.enabled and (c.retry_at is null or c.retry_at <= ${now})
      and not exists (select from platform.hold h where h.tenant_id = c.tenant_id)
    order by c.last_sent_at nulls first, c.id limit ${limit}`;
}

export interface LeafRow {
  readonly generation: number;
  readonly idx: string;
  readonly leaf: Buffer;
  readonly leaf_hash: Buffer;
  readonly origin: string;
}

/** Entries from the cursor on that a signed checkpoint covers, in the order of the log. */
export function leavesFrom(
  at: Pick<DueRow, 'tenant_id' | 'generation' | 'next_idx'>,
  limit: number,
): Statement<LeafRow> {
  return sql<LeafRow>`
    select i.generation, i.idx, e.leaf, i.leaf_hash, l.origin
    from audit.log_index i
    join audit.entry e on e.tenant_id = i.tenant_id and e.id = i.entry_id
    join audit.log l on l.tenant_id = i.tenant_id and l.generation = i.generation
    where i.tenant_id = ${at.tenant_id} and (i.generation, i.idx) >= (${at.generation}::int4, ${at.next_idx}::int8)
      and exists (select from audit.checkpoint k
        where k.tenant_id = i.tenant_id and k.generation = i.generation and k.size > i.idx)
    order by i.generation, i.idx limit ${limit}`;
}

/** Before the first byte leaves: from here on the batch may be repeated. No row when the stream has moved or changed. */
export function markTried(due: DueRow, triedIdx: number): Statement<{ id: Uuid }> {
  return sql<{ id: Uuid }>`
    update audit.stream_cursor c set tried_idx = ${triedIdx}
    where c.tenant_id = ${due.tenant_id} and c.id = ${due.id} and c.enabled and c.version = ${due.version}
      and c.generation = ${due.generation} and c.next_idx = ${due.next_idx} returning c.id`;
}

/** The batch was taken: the cursor stands behind it. */
export function moveOn(
  due: DueRow,
  to: { generation: number; index: number; sent: number; repeated: number; now: Date },
): Statement<{ id: Uuid }> {
  return sql<{ id: Uuid }>`
    update audit.stream_cursor c
    set generation = ${to.generation}, next_idx = ${to.index}, tried_idx = null, sent = c.sent + ${to.sent},
      repeated = c.repeated + ${to.repeated}, attempts = 0, error = null, failing_since = null, told_at = null,
      retry_at = null, last_sent_at = ${to.now}
    where c.tenant_id = ${due.tenant_id} and c.id = ${due.id}
      and c.generation = ${due.generation} and c.next_idx = ${due.next_idx} returning c.id`;
}

export function noteFailure(due: DueRow, failure: { error: string; retryAt: Date; now: Date }): Statement {
  return sql`
    update audit.stream_cursor c
    set attempts = c.attempts + 1, error = ${failure.error}, retry_at = ${failure.retryAt},
      failing_since = coalesce(c.failing_since, ${failure.now}::timestamptz)
    where c.tenant_id = ${due.tenant_id} and c.id = ${due.id} and c.version = ${due.version}`;
}

export function noteTold(due: DueRow, now: Date): Statement {
  return sql`
    update audit.stream_cursor c set told_at = ${now} where c.tenant_id = ${due.tenant_id} and c.id = ${due.id}`;
}
