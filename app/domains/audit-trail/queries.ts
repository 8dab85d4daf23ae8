import { uuidFromBytes, type Uuid } from '@auditrax/base';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';

/**
 * Entries are placed in the log in the order of their commits, within seconds of the time they carry: a transaction ends
 * after 30 s, clocks of one house are compared, and the sequencer takes everything up each second. An entry further away
 * than this is not looked for beside its time.
 */
const PLACE_SLACK_MS = 10 * 60 * 1000;

export interface EntryRow {
  readonly id: Uuid;
  readonly leaf: Buffer;
}

/** Where an entry stands: generation of the log and index in it. */
export interface Place {
  readonly generation: number;
  readonly index: number;
}

export interface SealedRow extends EntryRow {
  readonly generation: number;
  readonly idx: string;
}

export interface PlaceRow {
  readonly generation: number;
  readonly idx: string;
}

/** What to look for; undefined means any. */
export interface Filter {
  readonly type?: string | undefined;
  readonly person?: Uuid | undefined;
  readonly outcome?: 'allowed' | 'denied' | 'failed' | undefined;
  readonly kind?: string | undefined;
  readonly object?: Uuid | undefined;
  readonly session?: Uuid | undefined;
  readonly ai?: 'only' | undefined;
  /** First millisecond, and the first that is no longer meant. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  /** As the person typed it. */
  readonly text?: string | undefined;
}

/** Smallest id of version 7 at an instant. */
export function idAt(milliseconds: number): Uuid {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(Math.max(0, milliseconds), 0, 6);
  return uuidFromBytes(bytes);
}

/** How a text stands in a leaf: canonical JSON escapes it, and `encode(…, 'escape')` turns other bytes into digits. */
function asInLeaf(text: string): Buffer {
  return Buffer.from(JSON.stringify(text).slice(1, -1), 'utf8');
}

/** Absent filters are true; the planner drops them. Types are compared before leaves are read. */
function matching(filter: Filter): Statement {
  const { type, person, outcome, kind, object, session, ai, fromMs, toMs, text } = filter;
  return sql`(${type ?? null}::text is null or starts_with(e.type, ${type ?? ''}))
    and (${ai ?? null}::text is null or starts_with(e.type, 'ai.'))
    and (${person ?? null}::uuid is null or e.actor_person = ${person ?? null}::uuid)
    and (${outcome ?? null}::text is null or e.outcome = ${outcome ?? ''})
    and (${kind ?? null}::text is null or e.resource_kind = ${kind ?? ''})
    and (${object ?? null}::uuid is null or e.resource_id = ${object ?? null}::uuid)
    and (${fromMs ?? null}::int8 is null or e.occurred_ms >= ${fromMs ?? 0}::int8)
    and (${toMs ?? null}::int8 is null or e.occurred_ms < ${toMs ?? 0}::int8)
    and (${session ?? null}::text is null
      or strpos(encode(e.leaf, 'escape'), ${`"session":"${session ?? ''}"`}) > 0)
    and (${text ?? null}::text is null
      or strpos(lower(encode(e.leaf, 'escape')), lower(encode(${asInLeaf(text ?? '')}::bytea, 'escape'))) > 0)`;
}

/** Where a search begins and ends: below `before`, not below `least`. */
export interface Span {
  readonly before: Place;
  readonly least: Place;
}

/**
 * Entries with their place in the log, newest first. At most `scan` places are looked at, so that a rare match costs a
 * named amount of work and not a walk through years.
 */
export function sealedEntries(
  { tenantId }: TenantContext,
  page: Span & { readonly scan: number; readonly limit: number; readonly filter: Filter },
): Statement<SealedRow> {
  const { before, least } = page;
  return sql<SealedRow>`
    select e.id, e.leaf, i.generation, i.idx
    from (
      select x.generation, x.idx, x.entry_id from audit.log_index x
      where x.tenant_id = ${tenantId} and (x.generation, x.idx) < (${before.generation}::int4, ${before.index}::int8)
        and (x.generation, x.idx) >= (${least.generation}::int4, ${least.index}::int8)
      order by x.generation desc, x.idx desc limit ${page.scan}
    ) i
    join audit.entry e on e.tenant_id = ${tenantId} and e.id = i.entry_id
    where ${matching(page.filter)}
    order by i.generation desc, i.idx desc limit ${page.limit}`;
}

/** The same for one thing: the index of the commit guard finds its entries wherever they stand. */
export function sealedEntriesOf(
  { tenantId }: TenantContext,
  page: Span & { readonly limit: number; readonly filter: Filter & { readonly object: Uuid } },
): Statement<SealedRow> {
  const { before, least } = page;
  return sql<SealedRow>`
    select e.id, e.leaf, i.generation, i.idx
    from audit.entry e
    join audit.log_index i on i.tenant_id = ${tenantId} and i.entry_id = e.id
    where e.tenant_id = ${tenantId} and e.resource_id = ${page.filter.object}
      and (i.generation, i.idx) < (${before.generation}::int4, ${before.index}::int8)
      and (i.generation, i.idx) >= (${least.generation}::int4, ${least.index}::int8)
      and ${matching(page.filter)}
    order by i.generation desc, i.idx desc limit ${page.limit}`;
}

/** The last place that a search of `scan` places looks at; no row when it ends before. */
export function scannedTo(
  { tenantId }: TenantContext,
  { before, least, scan }: Span & { readonly scan: number },
): Statement<PlaceRow> {
  return sql<PlaceRow>`
    select x.generation, x.idx from audit.log_index x
    where x.tenant_id = ${tenantId} and (x.generation, x.idx) < (${before.generation}::int4, ${before.index}::int8)
      and (x.generation, x.idx) >= (${least.generation}::int4, ${least.index}::int8)
    order by x.generation desc, x.idx desc limit 1 offset ${scan - 1}`;
}

/** A place above every entry from before `toMs`; no row when there may be none newer. */
export function placeAfter({ tenantId }: TenantContext, toMs: number): Statement<PlaceRow> {
  return sql<PlaceRow>`
    select i.generation, i.idx from audit.entry e
    join audit.log_index i on i.tenant_id = ${tenantId} and i.entry_id = e.id
    where e.tenant_id = ${tenantId} and e.id >= ${idAt(toMs + PLACE_SLACK_MS)}
    order by e.id limit 1`;
}

/** A place below every entry from `fromMs` on; no row when there is none older. */
export function placeBefore({ tenantId }: TenantContext, fromMs: number): Statement<PlaceRow> {
  return sql<PlaceRow>`
    select i.generation, i.idx from audit.entry e
    join audit.log_index i on i.tenant_id = ${tenantId} and i.entry_id = e.id
    where e.tenant_id = ${tenantId} and e.id < ${idAt(fromMs - PLACE_SLACK_MS)}
    order by e.id desc limit 1`;
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

export function placeOfEntry({ tenantId }: TenantContext, entryId: Uuid): Statement<PlaceRow> {
  return sql`select i.generation, i.idx from audit.log_index i where i.tenant_id = ${tenantId} and i.entry_id = ${entryId}`;
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
      and e.id >= ${idAt(period.fromMs - PLACE_SLACK_MS)} and e.id < ${idAt(period.toMs + PLACE_SLACK_MS)}
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

/** What is exported: matches of one generation from `least` to below `before`. */
export interface Lines {
  readonly generation: number;
  readonly least: number;
  readonly before: number;
  readonly filter: Filter;
}

/** Matches in the order of the log. */
export function matchesInOrder({ tenantId }: TenantContext, lines: Lines): Statement<{ idx: string; leaf: Buffer }> {
  return sql`
    select i.idx, e.leaf
    from audit.log_index i
    join audit.entry e on e.tenant_id = ${tenantId} and e.id = i.entry_id
    where i.tenant_id = ${tenantId} and i.generation = ${lines.generation} and i.idx >= ${lines.least} and i.idx < ${lines.before}
      and ${matching(lines.filter)}
    order by i.idx`;
}

/** How many match, counted to `limit`. */
export function countMatches(
  { tenantId }: TenantContext,
  { limit, ...lines }: Lines & { readonly limit: number },
): Statement<{ entries: string; first: string | null; last: string | null }> {
  return sql`
    select count(*) as entries, min(m.idx) as first, max(m.idx) as last
    from (
      select i.idx
      from audit.log_index i
      join audit.entry e on e.tenant_id = ${tenantId} and e.id = i.entry_id
      where i.tenant_id = ${tenantId} and i.generation = ${lines.generation} and i.idx >= ${lines.least} and i.idx < ${lines.before}
        and ${matching(lines.filter)}
      order by i.idx limit ${limit}
    ) m`;
}

/** Registrations of these passkeys outside a range: what an approval's key is compared with. */
export function registrationsOutside(
  { tenantId }: TenantContext,
  range: { generation: number; from: number; to: number; type: string; credentials: readonly Uuid[]; limit: number },
): Statement<{ idx: string; leaf: Buffer }> {
  return sql`
    select i.idx, e.leaf
    from audit.entry e
    join audit.log_index i on i.tenant_id = ${tenantId} and i.entry_id = e.id
    where e.tenant_id = ${tenantId} and e.resource_id = any(${range.credentials}) and e.type = ${range.type}
      and i.generation = ${range.generation} and (i.idx < ${range.from} or i.idx >= ${range.to})
    order by i.idx desc limit ${range.limit}`;
}

/** Entries of these types outside a range: what is needed to read it, e.g. later erasures. Newest first. */
export function entriesOutside(
  { tenantId }: TenantContext,
  range: { generation: number; from: number; to: number; types: readonly string[]; limit: number },
): Statement<{ idx: string; leaf: Buffer }> {
  return sql`
    select i.idx, e.leaf
    from audit.entry e
    join audit.log_index i on i.tenant_id = ${tenantId} and i.entry_id = e.id
    where e.tenant_id = ${tenantId} and e.type = any(${range.types})
      and i.generation = ${range.generation} and (i.idx < ${range.from} or i.idx >= ${range.to})
    order by i.idx desc limit ${range.limit}`;
}
