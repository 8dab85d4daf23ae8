import type { Uuid } from '@auditrax/base';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';

export interface EntryRow {
  readonly id: Uuid;
  readonly leaf: Buffer;
}

export interface SealedRow extends EntryRow {
  readonly generation: number;
  readonly idx: string;
}

export interface Filter {
  readonly type: string | undefined;
  readonly person: Uuid | undefined;
  readonly outcome: 'allowed' | 'denied' | 'failed' | undefined;
}

/** Absent filters are true; the planner drops them. */
function matching({ type, person, outcome }: Filter): Statement {
  return sql`(${type ?? null}::text is null or starts_with(e.type, ${type ?? ''}))
    and (${person ?? null}::uuid is null or e.actor_person = ${person ?? null}::uuid)
    and (${outcome ?? null}::text is null or e.outcome = ${outcome ?? ''})`;
}

/** Entries with their place in the log, newest first, below a place. */
export function sealedEntries(
  { tenantId }: TenantContext,
  page: { before: { generation: number; index: number }; limit: number; filter: Filter },
): Statement<SealedRow> {
  const { generation, index } = page.before;
  return sql<SealedRow>`
    select e.id, e.leaf, i.generation, i.idx
    from audit.log_index i
    join audit.entry e on e.tenant_id = ${tenantId} and e.id = i.entry_id
    where i.tenant_id = ${tenantId} and (i.generation < ${generation} or (i.generation = ${generation} and i.idx < ${index}))
      and ${matching(page.filter)}
    order by i.generation desc, i.idx desc limit ${page.limit}`;
}

/** Entries that the sequencer has not met yet; their ids are ordered by time, so only the newest are looked at. */
export function unsealedEntries(
  { tenantId }: TenantContext,
  page: { since: Uuid; limit: number; filter: Filter },
): Statement<EntryRow> {
  return sql<EntryRow>`
    select e.id, e.leaf from audit.entry e
    where e.tenant_id = ${tenantId} and e.id > ${page.since}
      and not exists (select 1 from audit.log_index i where i.tenant_id = ${tenantId} and i.entry_id = e.id)
      and ${matching(page.filter)}
    order by e.id desc limit ${page.limit}`;
}

export function entryById({ tenantId }: TenantContext, entryId: Uuid): Statement<EntryRow> {
  return sql<EntryRow>`select e.id, e.leaf from audit.entry e where e.tenant_id = ${tenantId} and e.id = ${entryId}`;
}

export function placeOfEntry({ tenantId }: TenantContext, entryId: Uuid): Statement<{ idx: string }> {
  return sql`select i.idx from audit.log_index i where i.tenant_id = ${tenantId} and i.entry_id = ${entryId}`;
}

export function disclosuresOf(
  { tenantId }: TenantContext,
  entryId: Uuid,
): Statement<{ digest: string; sealed: Buffer }> {
  return sql`select d.digest, d.sealed from audit.disclosure d where d.tenant_id = ${tenantId} and d.entry_id = ${entryId}`;
}

/** The range of the newest generation that holds every entry of a period, and its first and last index. */
export function rangeOfPeriod(
  { tenantId }: TenantContext,
  period: { generation: number; fromMs: number; toMs: number; size: number },
): Statement<{ first: string | null; last: string | null }> {
  return sql`
    select min(i.idx) as first, max(i.idx) as last
    from audit.log_index i
    join audit.entry e on e.tenant_id = ${tenantId} and e.id = i.entry_id
    where i.tenant_id = ${tenantId} and i.generation = ${period.generation} and i.idx < ${period.size}
      and e.occurred_ms >= ${period.fromMs} and e.occurred_ms < ${period.toMs}`;
}

export function leavesOfRange(
  { tenantId }: TenantContext,
  range: { generation: number; from: number; to: number },
): Statement<{ idx: string; leaf: Buffer }> {
  return sql`
    select i.idx, e.leaf
    from audit.log_index i
    join audit.entry e on e.tenant_id = ${tenantId} and e.id = i.entry_id
    where i.tenant_id = ${tenantId} and i.generation = ${range.generation} and i.idx >= ${range.from} and i.idx < ${range.to}
    order by i.idx`;
}
