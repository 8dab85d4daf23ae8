import type { Uuid } from '@auditrax/base';
import type { RowFilter } from '@auditrax/policy';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';
import { standingColumns, type Standing } from '../rules/index.ts';
import type { ResultOutcome } from './contract.ts';
import type { EngagementState } from './states.ts';

/** Where the policies' attributes of an Engagement stand in `listEngagements`. */
export const ENGAGEMENT_COLUMNS = { state: 'e.state', contacts: 'e.contact_ids', office: 'e.office_id' } as const;

/** Dates are read as text: the driver would make them midnights of the server's zone. */
export interface EngagementRow {
  readonly id: Uuid;
  readonly title: Buffer;
  readonly client_name: Buffer;
  readonly period_start: string;
  readonly period_end: string;
  readonly state: EngagementState;
  readonly revision: number;
  readonly criteria_count: number;
  readonly contact_ids: Uuid[];
  readonly created_at: Date;
}

/** How many criteria of a group have this outcome in force; null means no result yet. */
export type ProgressCell = readonly [groupIndex: number, outcome: ResultOutcome | null, criteria: number];

export interface EngagementDetailRow extends EngagementRow, Standing {
  readonly office_id: Uuid | null;
  readonly progress: readonly ProgressCell[];
  readonly catalogue: Buffer;
  readonly created_by: Uuid;
  readonly finalised_at: Date | null;
}

/** What a verb needs to know before it touches an engagement, and what the policies decide on. */
export interface EngagementGateRow extends Standing {
  readonly id: Uuid;
  readonly state: EngagementState;
  readonly revision: number;
  readonly contact_ids: Uuid[];
  readonly office_id: Uuid | null;
}

/** Which engagement, and who asks. */
export interface GateKey {
  readonly id: Uuid;
  readonly personId: Uuid;
}

export function insertEngagement(
  { tenantId }: TenantContext,
  row: {
    id: Uuid;
    title: Uint8Array;
    clientName: Uint8Array;
    catalogue: Uint8Array;
    periodStart: string;
    periodEnd: string;
    criteriaCount: number;
    createdBy: Uuid;
    createdAt: Date;
  },
): Statement {
  return sql`insert into app.engagement
    (tenant_id, id, title, client_name, catalogue, period_start, period_end, criteria_count, created_by, created_at)
    values (${tenantId}, ${row.id}, ${row.title}, ${row.clientName}, ${row.catalogue}, ${row.periodStart},
            ${row.periodEnd}, ${row.criteriaCount}, ${row.createdBy}, ${row.createdAt})`;
}

/** All criteria of a catalogue in one statement; the arrays are parallel, position is the index. */
export function insertCriteria(
  { tenantId }: TenantContext,
  rows: { engagementId: Uuid; ids: readonly Uuid[]; groups: readonly number[]; contents: readonly Uint8Array[] },
): Statement {
  const positions = rows.ids.map((_, position) => position);
  return sql`insert into app.criterion (tenant_id, id, engagement_id, position, group_index, content)
    select ${tenantId}::uuid, u.id, ${rows.engagementId}::uuid, u.position, u.group_index, u.content
    from unnest(${rows.ids}::uuid[], ${positions}::int4[], ${rows.groups}::int4[], ${rows.contents}::bytea[])
      as u (id, position, group_index, content)`;
}

/** Newest first; `before` is the last id of the page before. */
export function listEngagements(
  { tenantId }: TenantContext,
  page: { filters: readonly Pick<RowFilter, 'strings' | 'values'>[]; before: Uuid; limit: number },
): Statement<EngagementRow> {
  // The filters' text was compiled from the policies, its values are parameters.
  const permitted = page.filters
    .map((filter) => sql(filter.strings as unknown as TemplateStringsArray, ...filter.values))
    .reduce((all, one) => sql`${all} and ${one}`);
  return sql<EngagementRow>`select e.id, e.title, e.client_name, e.period_start::text as period_start,
      e.period_end::text as period_end, e.state, e.revision, e.criteria_count, e.contact_ids, e.created_at
    from app.engagement e where e.tenant_id = ${tenantId} and e.id < ${page.before} and ${permitted}
    order by e.id desc limit ${page.limit}`;
}

/** The engagement with its progress, in one round trip: this is what people look at all day. */
export function readEngagement(context: TenantContext, { id, personId }: GateKey): Statement<EngagementDetailRow> {
  const { tenantId } = context;
  return sql<EngagementDetailRow>`select e.id, e.title, e.client_name, e.catalogue,
      e.period_start::text as period_start, e.period_end::text as period_end, e.state, e.revision, e.criteria_count,
      e.contact_ids, e.created_at, e.created_by, e.finalised_at, e.office_id,
      ${standingColumns(context, personId)},
      (select jsonb_agg(jsonb_build_array(p.group_index, p.outcome, p.criteria)) from (
        select c.group_index, l.outcome, count(*)::int4 as criteria
        from app.criterion c
        left join lateral (
          select r.outcome from app.result r
          where r.tenant_id = ${tenantId} and r.criterion_id = c.id order by r.revision desc limit 1
        ) l on true
        where c.tenant_id = ${tenantId} and c.engagement_id = ${id}
        group by c.group_index, l.outcome
      ) p) as progress
    from app.engagement e where e.tenant_id = ${tenantId} and e.id = ${id}`;
}

export function readGate(context: TenantContext, { id, personId }: GateKey): Statement<EngagementGateRow> {
  return sql<EngagementGateRow>`select e.id, e.state, e.revision, e.contact_ids, e.office_id,
      ${standingColumns(context, personId)}
    from app.engagement e where e.tenant_id = ${context.tenantId} and e.id = ${id}`;
}

/** Holds the engagement's state still until the transaction ends, without keeping other writers of results out. */
export function readGateShared(context: TenantContext, { id, personId }: GateKey): Statement<EngagementGateRow> {
  return sql<EngagementGateRow>`select e.id, e.state, e.revision, e.contact_ids, e.office_id,
      ${standingColumns(context, personId)}
    from app.engagement e where e.tenant_id = ${context.tenantId} and e.id = ${id} for share`;
}

/** Alone until the transaction ends: for changes of the engagement itself. */
export function readGateAlone(context: TenantContext, { id, personId }: GateKey): Statement<EngagementGateRow> {
  return sql<EngagementGateRow>`select e.id, e.state, e.revision, e.contact_ids, e.office_id,
      ${standingColumns(context, personId)}
    from app.engagement e where e.tenant_id = ${context.tenantId} and e.id = ${id} for update`;
}

/** Above every id there is. */
export const BEYOND_ALL_IDS = 'ffffffff-ffff-ffff-ffff-ffffffffffff' as Uuid;

/** Named engagements, whoever may see them: what the sampler decides anew. */
export function gatesAmong(
  context: TenantContext,
  asked: { readonly ids: readonly Uuid[]; readonly personId: Uuid },
): Statement<EngagementGateRow> {
  return sql<EngagementGateRow>`select e.id, e.state, e.revision, e.contact_ids, e.office_id,
      ${standingColumns(context, asked.personId)}
    from app.engagement e where e.tenant_id = ${context.tenantId} and e.id = any (${asked.ids}::uuid[])`;
}

/** Those of the named engagements that every filter lets through. */
export function permittedAmong(
  { tenantId }: TenantContext,
  asked: { readonly ids: readonly Uuid[]; readonly filters: readonly Pick<RowFilter, 'strings' | 'values'>[] },
): Statement<{ id: Uuid }> {
  const conditions = asked.filters.map((filter) =>
    sql(filter.strings as unknown as TemplateStringsArray, ...filter.values),
  );
  const permitted = conditions.reduce((all, one) => sql`${all} and ${one}`, sql`true`);
  return sql<{ id: Uuid }>`select e.id from app.engagement e
    where e.tenant_id = ${tenantId} and e.id = any (${asked.ids}::uuid[]) and ${permitted}`;
}

/** The newest engagements below a place, whoever may see them: what the sampler decides anew. */
export function sampleEngagements(
  context: TenantContext,
  page: { before: Uuid; limit: number; personId: Uuid },
): Statement<EngagementGateRow> {
  return sql<EngagementGateRow>`select e.id, e.state, e.revision, e.contact_ids, e.office_id,
      ${standingColumns(context, page.personId)}
    from app.engagement e where e.tenant_id = ${context.tenantId} and e.id < ${page.before}
    order by e.id desc limit ${page.limit}`;
}

export function updateState(
  { tenantId }: TenantContext,
  change: { id: Uuid; revision: number; state: EngagementState; finalisedAt: Date | null },
): Statement<{ revision: number }> {
  return sql<{ revision: number }>`update app.engagement
    set state = ${change.state}, finalised_at = ${change.finalisedAt}, revision = ${change.revision + 1}
    where tenant_id = ${tenantId} and id = ${change.id} and revision = ${change.revision} returning revision`;
}

export function updateContacts(
  { tenantId }: TenantContext,
  change: { id: Uuid; revision: number; contactIds: readonly Uuid[] },
): Statement<{ revision: number }> {
  return sql<{ revision: number }>`update app.engagement
    set contact_ids = ${change.contactIds}::uuid[], revision = ${change.revision + 1}
    where tenant_id = ${tenantId} and id = ${change.id} and revision = ${change.revision} returning revision`;
}

export interface ProgressRow {
  readonly engagement_id: Uuid;
  readonly outcome: ResultOutcome | null;
  readonly criteria: number;
}

/**
 * Counts criteria of several engagements by the outcome in force; null means no result yet. One look at an index for
 * each criterion, however long the histories are.
 */
export function countProgress({ tenantId }: TenantContext, engagementIds: readonly Uuid[]): Statement<ProgressRow> {
  return sql<ProgressRow>`select c.engagement_id, l.outcome, count(*)::int4 as criteria
    from app.criterion c
    left join lateral (
      select r.outcome from app.result r
      where r.tenant_id = ${tenantId} and r.criterion_id = c.id order by r.revision desc limit 1
    ) l on true
    where c.tenant_id = ${tenantId} and c.engagement_id = any(${engagementIds}::uuid[])
    group by c.engagement_id, l.outcome`;
}

export interface CriterionRow {
  readonly id: Uuid;
  readonly position: number;
  readonly group_index: number;
  readonly content: Buffer;
}

export function listCriteria(
  { tenantId }: TenantContext,
  page: { engagementId: Uuid; from: number; group: number | null; limit: number },
): Statement<CriterionRow> {
  return sql<CriterionRow>`select c.id, c.position, c.group_index, c.content from app.criterion c
    where c.tenant_id = ${tenantId} and c.engagement_id = ${page.engagementId} and c.position >= ${page.from}
      and (${page.group}::int4 is null or c.group_index = ${page.group}::int4)
    order by c.position limit ${page.limit}`;
}

export function readCriterion(
  { tenantId }: TenantContext,
  key: { engagementId: Uuid; criterionId: Uuid },
): Statement<CriterionRow> {
  return sql<CriterionRow>`select c.id, c.position, c.group_index, c.content from app.criterion c
    where c.tenant_id = ${tenantId} and c.engagement_id = ${key.engagementId} and c.id = ${key.criterionId}`;
}

export interface ResultRow {
  readonly id: Uuid;
  readonly criterion_id: Uuid;
  readonly revision: number;
  readonly outcome: ResultOutcome;
  readonly note: Buffer;
  readonly observed_on: string;
  readonly recorded_by: Uuid;
  readonly recorded_at: Date;
}

/** The results in force of some criteria. */
export function listResultsInForce(
  { tenantId }: TenantContext,
  key: { engagementId: Uuid; criterionIds: readonly Uuid[] },
): Statement<ResultRow> {
  return sql<ResultRow>`select l.id, l.criterion_id, l.revision, l.outcome, l.note, l.observed_on::text as observed_on,
      l.recorded_by, l.recorded_at
    from app.criterion c
    join lateral (
      select r.id, r.criterion_id, r.revision, r.outcome, r.note, r.observed_on, r.recorded_by, r.recorded_at
      from app.result r
      where r.tenant_id = ${tenantId} and r.criterion_id = c.id order by r.revision desc limit 1
    ) l on true
    where c.tenant_id = ${tenantId} and c.engagement_id = ${key.engagementId}
      and c.id = any(${key.criterionIds}::uuid[])`;
}

/** Every result of one criterion, newest first; `limit` bounds the answer, not the history. */
export function listHistory(
  { tenantId }: TenantContext,
  key: { engagementId: Uuid; criterionId: Uuid; limit: number },
): Statement<ResultRow> {
  return sql<ResultRow>`select r.id, r.criterion_id, r.revision, r.outcome, r.note, r.observed_on::text as observed_on,
      r.recorded_by, r.recorded_at
    from app.result r
    where r.tenant_id = ${tenantId} and r.engagement_id = ${key.engagementId} and r.criterion_id = ${key.criterionId}
    order by r.revision desc limit ${key.limit}`;
}

export interface ResultGateRow extends EngagementGateRow {
  /** Null: no criterion of this engagement has the id. */
  readonly criterion_id: Uuid | null;
  readonly result_revision: number | null;
}

/**
 * Everything that a new result depends on, in one round trip: the engagement, whose state is held still until the
 * transaction ends (without keeping other writers of results out), the criterion, and its result in force. When the
 * statement had to wait, that result may be an older one; `insertResult` then finds its number taken.
 */
export function readResultGate(
  context: TenantContext,
  key: { engagementId: Uuid; criterionId: Uuid; personId: Uuid },
): Statement<ResultGateRow> {
  const { tenantId } = context;
  return sql<ResultGateRow>`select e.id, e.state, e.revision, e.contact_ids, e.office_id, c.id as criterion_id,
      l.revision as result_revision, ${standingColumns(context, key.personId)}
    from app.engagement e
    left join app.criterion c on c.tenant_id = ${tenantId} and c.engagement_id = e.id and c.id = ${key.criterionId}
    left join lateral (
      select r.revision from app.result r
      where r.tenant_id = ${tenantId} and r.criterion_id = c.id order by r.revision desc limit 1
    ) l on true
    where e.tenant_id = ${tenantId} and e.id = ${key.engagementId} for share of e`;
}

/** Does nothing when another result took the same number first. */
export function insertResult(
  { tenantId }: TenantContext,
  row: {
    id: Uuid;
    engagementId: Uuid;
    criterionId: Uuid;
    revision: number;
    outcome: ResultOutcome;
    note: Uint8Array;
    observedOn: string;
    recordedBy: Uuid;
    recordedAt: Date;
  },
): Statement<{ id: Uuid }> {
  return sql<{ id: Uuid }>`insert into app.result
    (tenant_id, id, engagement_id, criterion_id, revision, outcome, note, observed_on, recorded_by, recorded_at)
    values (${tenantId}, ${row.id}, ${row.engagementId}, ${row.criterionId}, ${row.revision},
            ${row.outcome}, ${row.note}, ${row.observedOn}, ${row.recordedBy}, ${row.recordedAt})
    on conflict do nothing returning id`;
}
