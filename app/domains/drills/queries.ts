import type { Uuid } from '@auditrax/base';
import { sql, type Statement } from '@auditrax/tenancy';

/** Statements as an attacker, or a careless room, would send them. Each must be refused by one wall or another. */

export interface CanaryRow {
  readonly id: Uuid;
  readonly part: string;
}

/** The tenant of a slug, when it is one that exists to be attacked. */
export function canaryBySlug(slug: string): Statement<CanaryRow> {
  return sql<CanaryRow>`select t.id, t.part from platform.tenant t where t.slug = ${slug} and t.kind = 'canary'`;
}

export function everyTenant(limit: number): Statement<CanaryRow> {
  return sql<CanaryRow>`select t.id, t.part from platform.tenant t
    where t.closed_at is null order by t.created_at limit ${limit}`;
}

export function engagementsOf(tenantId: Uuid): Statement<{ id: Uuid; tenant_id: Uuid }> {
  return sql<{ id: Uuid; tenant_id: Uuid }>`select id, tenant_id from app.engagement where tenant_id = ${tenantId}`;
}

export function ownEngagement(tenantId: Uuid, id: Uuid): Statement<{ id: Uuid }> {
  return sql<{ id: Uuid }>`select id from app.engagement where tenant_id = ${tenantId} and id = ${id}`;
}

export const everyEngagement: Statement = { sql: 'select id, tenant_id from app.engagement', parameters: [] };

export function engagementsWithAnybodysResults(tenantId: Uuid): Statement {
  return sql`select e.id, r.note from app.engagement e join app.result r on r.engagement_id = e.id
    where e.tenant_id = ${tenantId}`;
}

export function engagementById(id: Uuid): Statement {
  return sql`select id, title from app.engagement where id = ${id}`;
}

export function closeEngagementById(id: Uuid): Statement {
  return sql`update app.engagement set revision = revision + 1 where id = ${id}`;
}

/** A small tenant table without references, so that only the wall can refuse. */
export function acknowledge(row: { tenantId: Uuid; id: Uuid; personId: Uuid; at: Date }): Statement {
  return sql`insert into oncall.acknowledgement (tenant_id, id, person_id, acknowledged_at)
    values (${row.tenantId}, ${row.id}, ${row.personId}, ${row.at})`;
}

export const everyRevision: Statement = {
  sql: 'update app.engagement set revision = revision + 1',
  parameters: [],
};

/** Below the walls' own tables: the application's role must have no right at all. */
export const CHANGE_ENTRIES: Statement = { sql: `update audit.entry set leaf = '\\x7b7d'`, parameters: [] };
export const REMOVE_ENTRIES: Statement = { sql: 'delete from audit.entry', parameters: [] };
export const EMPTY_LOG: Statement = { sql: 'truncate audit.log_index', parameters: [] };
export const LOWER_WALL: Statement = {
  sql: 'alter table app.engagement disable row level security',
  parameters: [],
};

/** A privileged change, named correctly in every way but one: nothing says who did it. */
export function touchEngagement(tenantId: Uuid, id: Uuid): Statement {
  return sql`update app.engagement set revision = revision + 1 where tenant_id = ${tenantId} and id = ${id}`;
}

export function noteOf(tenantId: Uuid, id: Uuid): Statement<{ note: Buffer }> {
  return sql<{ note: Buffer }>`select note from app.result where tenant_id = ${tenantId} and id = ${id}`;
}

/** A careless job, or an intruder with the application's login, puts other bytes over a sealed value. */
export function overwriteNote(tenantId: Uuid, id: Uuid, note: Uint8Array): Statement {
  return sql`update app.result set note = ${note} where tenant_id = ${tenantId} and id = ${id}`;
}

export interface WrappedKeyRow {
  readonly id: Uuid;
  readonly version: number;
  readonly kek_ref: string;
  readonly wrapped: Buffer;
}

export function activeFieldKey(tenantId: Uuid): Statement<WrappedKeyRow> {
  return sql<WrappedKeyRow>`select id, version, kek_ref, wrapped from app.dek
    where tenant_id = ${tenantId} and purpose = 'fields' and state = 'ACTIVE'`;
}

/** Opaque names, made by the set-up process; the shared schema is `app`. */
const SCHEMA_NAME = /^(app|t_[0-9a-f]{16})$/;

/** One row in the result table of a schema. Throws RangeError for a name that is no schema of a tenant. */
export function markerIn(schema: string, row: { tenantId: Uuid; id: Uuid }): Statement<{ id: Uuid }> {
  if (!SCHEMA_NAME.test(schema)) throw new RangeError('no schema of a tenant');
  return {
    sql: `select r.id from ${schema}.result r where r.tenant_id = $1 and r.id = $2`,
    parameters: [row.tenantId, row.id],
  };
}
