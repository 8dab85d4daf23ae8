import type { Uuid } from '@auditrax/base';
import type { RowFilter } from '@auditrax/policy';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';
import { OFFICES_MAX, VERSIONS_SHOWN_MAX } from './contract.ts';

/** What a decision on an engagement needs besides the row: which rules are in force, and where the asker belongs. */
export interface Standing {
  /** Null: nobody ever wrote any. */
  readonly rules_version: number | null;
  readonly asker_office: Uuid | null;
}

/** The same as columns of another statement, so that rules and row are of one moment and cost no round trip. */
export function standingColumns({ tenantId }: TenantContext, personId: Uuid): Statement {
  return sql`(select max(ar.version) from app.access_rules ar where ar.tenant_id = ${tenantId}) as rules_version,
    (select op.office_id from app.office_person op where op.tenant_id = ${tenantId} and op.id = ${personId}) as asker_office`;
}

export function readStanding(context: TenantContext, personId: Uuid): Statement<Standing> {
  return sql<Standing>`select ${standingColumns(context, personId)}`;
}

export interface RulesRow {
  readonly id: Uuid;
  readonly version: number;
  readonly text: Buffer;
  readonly restores: number | null;
  readonly written_by: Uuid;
  readonly written_at: Date;
}

export function readRules({ tenantId }: TenantContext, version: number): Statement<RulesRow> {
  return sql<RulesRow>`select r.id, r.version, r.text, r.restores, r.written_by, r.written_at
    from app.access_rules r where r.tenant_id = ${tenantId} and r.version = ${version}`;
}

export function listRules({ tenantId }: TenantContext): Statement<RulesRow> {
  return sql<RulesRow>`select r.id, r.version, r.text, r.restores, r.written_by, r.written_at
    from app.access_rules r where r.tenant_id = ${tenantId} order by r.version desc limit ${VERSIONS_SHOWN_MAX}`;
}

/** Does nothing when another writer took the number first. */
export function insertRules(
  { tenantId }: TenantContext,
  row: {
    readonly id: Uuid;
    readonly version: number;
    readonly text: Uint8Array;
    readonly textHash: Uint8Array;
    readonly restores: number | null;
    readonly writtenBy: Uuid;
    readonly writtenAt: Date;
  },
): Statement<{ version: number }> {
  return sql<{ version: number }>`insert into app.access_rules
    (tenant_id, id, version, text, text_hash, restores, written_by, written_at)
    values (${tenantId}, ${row.id}, ${row.version}, ${row.text}, ${row.textHash}, ${row.restores}, ${row.writtenBy}, ${row.writtenAt})
    on conflict do nothing returning version`;
}

export interface RulesHashRow {
  readonly version: number;
  /** SHA-256 of the text; null of a version from before hashes were kept. */
  readonly text_hash: Buffer | null;
}

/** Which rules are in force, without their text; no row: nobody ever wrote any. */
export function rulesHash({ tenantId }: TenantContext): Statement<RulesHashRow> {
  return sql<RulesHashRow>`select r.version, r.text_hash from app.access_rules r
    where r.tenant_id = ${tenantId} order by r.version desc limit 1`;
}

export interface OfficeRow {
  readonly id: Uuid;
  readonly label: Buffer;
}

export function listOffices({ tenantId }: TenantContext): Statement<OfficeRow> {
  return sql<OfficeRow>`select o.id, o.label from app.office o where o.tenant_id = ${tenantId}
    order by o.id limit ${OFFICES_MAX}`;
}

export function insertOffice(
  { tenantId }: TenantContext,
  row: { id: Uuid; label: Uint8Array; createdAt: Date },
): Statement {
  return sql`insert into app.office (tenant_id, id, label, created_at)
    values (${tenantId}, ${row.id}, ${row.label}, ${row.createdAt})`;
}

export function readOffice({ tenantId }: TenantContext, id: Uuid): Statement<{ id: Uuid }> {
  return sql<{ id: Uuid }>`select o.id from app.office o where o.tenant_id = ${tenantId} and o.id = ${id}`;
}

export interface PlacedPerson {
  readonly id: Uuid;
  readonly office_id: Uuid;
}

/** A tenant has far fewer people than this; the rest would be a machine's doing. */
const PLACED_PEOPLE_MAX = 5000;

export function listPlacedPeople({ tenantId }: TenantContext): Statement<PlacedPerson> {
  return sql<PlacedPerson>`select p.id, p.office_id from app.office_person p
    where p.tenant_id = ${tenantId} and p.office_id is not null order by p.id limit ${PLACED_PEOPLE_MAX}`;
}

export function readPersonOffice({ tenantId }: TenantContext, personId: Uuid): Statement<{ office_id: Uuid | null }> {
  return sql<{ office_id: Uuid | null }>`select p.office_id from app.office_person p
    where p.tenant_id = ${tenantId} and p.id = ${personId}`;
}

export function updatePersonOffice(
  { tenantId }: TenantContext,
  row: { personId: Uuid; officeId: Uuid | null },
): Statement<{ id: Uuid }> {
  return sql<{ id: Uuid }>`update app.office_person set office_id = ${row.officeId}
    where tenant_id = ${tenantId} and id = ${row.personId} returning id`;
}

export function insertPersonOffice(
  { tenantId }: TenantContext,
  row: { personId: Uuid; officeId: Uuid | null },
): Statement<{ id: Uuid }> {
  return sql<{ id: Uuid }>`insert into app.office_person (tenant_id, id, office_id)
    values (${tenantId}, ${row.personId}, ${row.officeId}) on conflict do nothing returning id`;
}

export function updateEngagementOffice(
  { tenantId }: TenantContext,
  row: { engagementId: Uuid; officeId: Uuid | null },
): Statement<{ id: Uuid }> {
  return sql<{ id: Uuid }>`update app.engagement set office_id = ${row.officeId}
    where tenant_id = ${tenantId} and id = ${row.engagementId} returning id`;
}

export interface RuledRow {
  readonly id: Uuid;
  readonly title: Buffer;
  readonly state: string;
  readonly contact_ids: Uuid[];
  readonly office_id: Uuid | null;
}

/** Where the policies' attributes of an Engagement stand in `listRuled`. */
export const RULED_COLUMNS = { state: 'e.state', contacts: 'e.contact_ids', office: 'e.office_id' } as const;

type Filters = readonly Pick<RowFilter, 'strings' | 'values'>[];

function all(filters: Filters): Statement {
  return filters
    .map((filter) => sql(filter.strings as unknown as TemplateStringsArray, ...filter.values))
    .reduce((both, one) => sql`${both} and ${one}`, sql`true`);
}

export interface EffectRow {
  readonly counted: string;
  readonly before: string;
  readonly after: string;
  readonly loses: string;
  readonly gains: string;
}

/** Counts, over the newest engagements that `seen` lets through, those that `before` and `after` let through. */
export function countEffect(
  { tenantId }: TenantContext,
  asked: { readonly seen: Filters; readonly before: Filters; readonly after: Filters; readonly limit: number },
): Statement<EffectRow> {
  return sql<EffectRow>`select count(*) as counted, count(*) filter (where s.before) as before,
      count(*) filter (where s.after) as after, count(*) filter (where s.before and not s.after) as loses,
      count(*) filter (where s.after and not s.before) as gains
    from (select (${all(asked.before)}) as before, (${all(asked.after)}) as after from app.engagement e
      where e.tenant_id = ${tenantId} and ${all(asked.seen)} order by e.id desc limit ${asked.limit}) s`;
}

/** The newest engagements that both filters let through. */
export function listRuled({ tenantId }: TenantContext, page: { filters: Filters; limit: number }): Statement<RuledRow> {
  return sql<RuledRow>`select e.id, e.title, e.state, e.contact_ids, e.office_id from app.engagement e
    where e.tenant_id = ${tenantId} and ${all(page.filters)} order by e.id desc limit ${page.limit}`;
}
