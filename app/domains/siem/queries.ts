import type { Uuid } from '@auditrax/base';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';

export interface StreamRow {
  readonly id: Uuid;
  readonly config: Buffer;
  readonly enabled: boolean;
  readonly version: number;
}

export interface CursorRow {
  readonly id: Uuid;
  readonly generation: number;
  readonly next_idx: string;
  readonly sent: string;
  readonly repeated: string;
  readonly error: string | null;
  readonly failing_since: Date | null;
  readonly retry_at: Date | null;
  readonly last_sent_at: Date | null;
}

export function listStreams({ tenantId }: TenantContext): Statement<StreamRow> {
  return sql<StreamRow>`select s.id, s.config, s.enabled, s.version from app.stream s where s.tenant_id = ${tenantId} order by s.id`;
}

export function streamById({ tenantId }: TenantContext, id: Uuid): Statement<StreamRow> {
  return sql<StreamRow>`
    select s.id, s.config, s.enabled, s.version from app.stream s where s.tenant_id = ${tenantId} and s.id = ${id}`;
}

export function listCursors({ tenantId }: TenantContext): Statement<CursorRow> {
  return sql<CursorRow>`
    select c.id, c.generation, c.next_idx, c.sent, c.repeated, c.error, c.failing_since, c.retry_at, c.last_sent_at
    from audit.stream_cursor c where c.tenant_id = ${tenantId} order by c.id`;
}

export function insertStream(
  { tenantId }: TenantContext,
  row: { id: Uuid; config: Buffer; createdAt: Date },
): Statement {
  return sql`
    insert into app.stream (tenant_id, id, config, created_at)
    values (${tenantId}, ${row.id}, ${row.config}, ${row.createdAt})`;
}

export function insertCursor(
  { tenantId }: TenantContext,
  row: { id: Uuid; generation: number; index: number },
): Statement {
  return sql`
    insert into audit.stream_cursor (tenant_id, id, generation, next_idx)
    values (${tenantId}, ${row.id}, ${row.generation}, ${row.index})`;
}

/** No row when the settings have changed since they were read. */
export function updateStream(
  { tenantId }: TenantContext,
  row: { id: Uuid; config: Buffer; version: number },
): Statement<{ id: Uuid }> {
  return sql<{ id: Uuid }>`
    update app.stream s set config = ${row.config}, version = ${row.version + 1}
    where s.tenant_id = ${tenantId} and s.id = ${row.id} and s.version = ${row.version} returning s.id`;
}

/** A stream as somebody saw it: what is done to it is done to that, or not at all. */
export interface SeenStream {
  readonly id: Uuid;
  readonly on: boolean;
  readonly version: number;
}

/** Switches one over that is as it was seen; no row when it is not. */
export function turnStream({ tenantId }: TenantContext, seen: SeenStream): Statement<{ id: Uuid }> {
  return sql<{ id: Uuid }>`
    update app.stream s set enabled = ${!seen.on}
    where s.tenant_id = ${tenantId} and s.id = ${seen.id} and s.version = ${seen.version} and s.enabled = ${seen.on}
    returning s.id`;
}

/** What the process that dials sees of the settings; a new version or a new start is tried at once. */
export function mirrorStream({ tenantId }: TenantContext, id: Uuid): Statement {
  return sql`
    update audit.stream_cursor c set enabled = s.enabled, version = s.version, retry_at = null
    from app.stream s
    where c.tenant_id = ${tenantId} and c.id = ${id} and s.tenant_id = ${tenantId} and s.id = c.id`;
}

/** No row when it is not as it was seen. */
export function deleteStream({ tenantId }: TenantContext, seen: SeenStream): Statement<{ id: Uuid }> {
  return sql<{ id: Uuid }>`
    delete from app.stream s
    where s.tenant_id = ${tenantId} and s.id = ${seen.id} and s.version = ${seen.version} and s.enabled = ${seen.on}
    returning s.id`;
}

export function deleteCursor({ tenantId }: TenantContext, id: Uuid): Statement {
  return sql`delete from audit.stream_cursor c where c.tenant_id = ${tenantId} and c.id = ${id}`;
}

/** The key part of a tenant's context, for a process that acts for whom it is told. */
export function tenantPart(tenantId: Uuid): Statement<{ part: string }> {
  return sql<{ part: string }>`select t.part from platform.tenant t where t.id = ${tenantId}`;
}
