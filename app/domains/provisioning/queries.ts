import type { Uuid } from '@auditrax/base';
import type { ResourceKind } from '@auditrax/scim';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';

export interface TokenRow {
  readonly id: Uuid;
  readonly connection_id: Uuid;
  readonly created_by: Uuid;
  readonly created_at: Date;
  readonly expires_at: Date;
  readonly ended_at: Date | null;
}

export interface ResourceRow {
  readonly id: Uuid;
  readonly connection_id: Uuid;
  readonly kind: ResourceKind;
  readonly external_hash: Buffer | null;
  readonly member_id: Uuid | null;
  readonly active: boolean;
  readonly content: Buffer;
  readonly version: number;
  readonly created_at: Date;
  readonly modified_at: Date;
  readonly suspended_at: Date | null;
  readonly deleted_at: Date | null;
}

const token = sql`t.id, t.connection_id, t.created_by, t.created_at, t.expires_at, t.ended_at`;
const resource = sql`r.id, r.connection_id, r.kind, r.external_hash, r.member_id, r.active, r.content, r.version,
  r.created_at, r.modified_at, r.suspended_at, r.deleted_at`;

export const tokenByHash = (
  { tenantId }: TenantContext,
  of: { readonly connectionId: Uuid; readonly hash: Uint8Array },
): Statement<TokenRow> =>
  sql<TokenRow>`select ${token} from identity.scim_token t
    where t.tenant_id = ${tenantId} and t.connection_id = ${of.connectionId} and t.token_hash = ${of.hash}`;

/** Also one that has ended. */
export const tokenById = ({ tenantId }: TenantContext, id: Uuid): Statement<TokenRow> =>
  sql<TokenRow>`select ${token} from identity.scim_token t where t.tenant_id = ${tenantId} and t.id = ${id}`;

/** Newest first. */
export const tokensOf = ({ tenantId }: TenantContext, connectionId: Uuid): Statement<TokenRow> =>
  sql<TokenRow>`select ${token} from identity.scim_token t
    where t.tenant_id = ${tenantId} and t.connection_id = ${connectionId} order by t.created_at desc, t.id desc`;

/** Every token of the tenant that works now. */
export const liveTokensIn = ({ tenantId }: TenantContext, now: Date): Statement<TokenRow> =>
  sql<TokenRow>`select ${token} from identity.scim_token t
    where t.tenant_id = ${tenantId} and t.ended_at is null and t.expires_at > ${now} order by t.id`;

export const insertToken = (
  { tenantId }: TenantContext,
  row: Omit<TokenRow, 'ended_at'> & { readonly hash: Uint8Array },
): Statement =>
  sql`insert into identity.scim_token (tenant_id, id, connection_id, token_hash, created_by, created_at, expires_at)
    values (${tenantId}, ${row.id}, ${row.connection_id}, ${row.hash}, ${row.created_by}, ${row.created_at},
      ${row.expires_at})`;

export const endToken = (
  { tenantId }: TenantContext,
  of: { readonly id: Uuid; readonly connectionId: Uuid; readonly at: Date },
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.scim_token t set ended_at = ${of.at}
    where t.tenant_id = ${tenantId} and t.id = ${of.id} and t.connection_id = ${of.connectionId} and t.ended_at is null
    returning t.id`;

export const resourceById = (
  { tenantId }: TenantContext,
  of: { readonly connectionId: Uuid; readonly kind: ResourceKind; readonly id: Uuid },
): Statement<ResourceRow> =>
  sql<ResourceRow>`select ${resource} from identity.scim_resource r
    where r.tenant_id = ${tenantId} and r.connection_id = ${of.connectionId} and r.kind = ${of.kind} and r.id = ${of.id}
      and r.deleted_at is null`;

/** In the order they came, so that pages do not shift. */
export const resourcesOf = (
  { tenantId }: TenantContext,
  of: { readonly connectionId: Uuid; readonly kind: ResourceKind },
): Statement<ResourceRow> =>
  sql<ResourceRow>`select ${resource} from identity.scim_resource r
    where r.tenant_id = ${tenantId} and r.connection_id = ${of.connectionId} and r.kind = ${of.kind}
      and r.deleted_at is null
    order by r.created_at, r.id`;

export const insertResource = (
  { tenantId }: TenantContext,
  row: Omit<ResourceRow, 'version' | 'deleted_at'>,
): Statement =>
  sql`insert into identity.scim_resource (tenant_id, id, connection_id, kind, external_hash, member_id, active, content,
      created_at, modified_at, suspended_at)
    values (${tenantId}, ${row.id}, ${row.connection_id}, ${row.kind}, ${row.external_hash}, ${row.member_id}, ${row.active},
      ${row.content}, ${row.created_at}, ${row.modified_at}, ${row.suspended_at})`;

/** No row when somebody else has changed it since it was read. */
export const updateResource = ({ tenantId }: TenantContext, row: ResourceRow): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.scim_resource r
    set external_hash = ${row.external_hash}, member_id = ${row.member_id}, active = ${row.active},
      content = ${row.content}, version = ${row.version + 1}, modified_at = ${row.modified_at},
      suspended_at = ${row.suspended_at}, deleted_at = ${row.deleted_at}
    where r.tenant_id = ${tenantId} and r.id = ${row.id} and r.version = ${row.version} returning r.id`;

/** What this connection has put out and not let in again, deleted people included. */
export const suspendedRows = (
  { tenantId }: TenantContext,
  of: { readonly connectionId: Uuid; readonly memberId: Uuid },
): Statement<ResourceRow> =>
  sql<ResourceRow>`select ${resource} from identity.scim_resource r
    where r.tenant_id = ${tenantId} and r.connection_id = ${of.connectionId} and r.member_id = ${of.memberId}
      and r.suspended_at is not null order by r.id`;

/** What any connection has put out of a member and not let in again, deleted people included. */
export const outRows = ({ tenantId }: TenantContext, memberId: Uuid): Statement<ResourceRow> =>
  sql<ResourceRow>`select ${resource} from identity.scim_resource r
    where r.tenant_id = ${tenantId} and r.member_id = ${memberId} and r.suspended_at is not null order by r.id`;

/**
 * A row where a directory that still speaks says that a member has left: its connection is in use, one of its tokens is,
 * and the member has an account there.
 */
export const saysLeft = ({ tenantId }: TenantContext, memberId: Uuid, now: Date): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select r.id from identity.scim_resource r
    join identity.connection c on c.tenant_id = ${tenantId} and c.id = r.connection_id
    join identity.account a on a.tenant_id = ${tenantId} and a.connection_id = r.connection_id and a.member_id = r.member_id
    join identity.scim_token t on t.tenant_id = ${tenantId} and t.connection_id = r.connection_id
    where r.tenant_id = ${tenantId} and r.member_id = ${memberId} and c.state = 'active'
      and (not r.active or r.suspended_at is not null or r.deleted_at is not null)
      and t.ended_at is null and t.expires_at > ${now}
    limit 1`;

/** Whom this connection has put out since then, deleted people included. */
export const waveRows = (
  { tenantId }: TenantContext,
  of: { readonly connectionId: Uuid; readonly since: Date },
): Statement<ResourceRow> =>
  sql<ResourceRow>`select ${resource} from identity.scim_resource r
    where r.tenant_id = ${tenantId} and r.connection_id = ${of.connectionId} and r.suspended_at > ${of.since}
    order by r.suspended_at, r.id`;

/** Of any resource, deleted people included. */
export const versionOf = ({ tenantId }: TenantContext, id: Uuid): Statement<Pick<ResourceRow, 'version'>> =>
  sql<Pick<ResourceRow, 'version'>>`select r.version from identity.scim_resource r
    where r.tenant_id = ${tenantId} and r.id = ${id}`;

/** Members of the tenant as they stand. */
export const standings = ({
  tenantId,
}: TenantContext): Statement<{ readonly id: Uuid; readonly role: string; readonly state: string }> =>
  sql<{
    readonly id: Uuid;
    readonly role: string;
    readonly state: string;
  }>`select m.id, m.role, m.state from identity.member m where m.tenant_id = ${tenantId}`;

/** How many people a connection has put out since then. */
export const suspendedSince = (
  { tenantId }: TenantContext,
  of: { readonly connectionId: Uuid; readonly since: Date },
): Statement<{ people: string | number }> =>
  sql<{ people: string | number }>`select count(r.id) as people from identity.scim_resource r
    where r.tenant_id = ${tenantId} and r.connection_id = ${of.connectionId} and r.suspended_at > ${of.since}`;

export const deleteResource = ({ tenantId }: TenantContext, id: Uuid): Statement =>
  sql`delete from identity.scim_resource r where r.tenant_id = ${tenantId} and r.id = ${id}`;

export const hear = (
  { tenantId }: TenantContext,
  of: { readonly id: Uuid; readonly connectionId: Uuid; readonly at: Date },
): Statement =>
  sql`insert into identity.scim_heard (tenant_id, id, connection_id, heard_at)
    values (${tenantId}, ${of.id}, ${of.connectionId}, ${of.at})
    on conflict (tenant_id, id) do update set heard_at = excluded.heard_at`;

export const heardOf = (
  { tenantId }: TenantContext,
  connectionId: Uuid,
): Statement<{ readonly id: Uuid; readonly heard_at: Date }> =>
  sql<{
    readonly id: Uuid;
    readonly heard_at: Date;
  }>`select h.id, h.heard_at from identity.scim_heard h
    where h.tenant_id = ${tenantId} and h.connection_id = ${connectionId}`;

export const forgetHeard = ({ tenantId }: TenantContext, id: Uuid): Statement =>
  sql`delete from identity.scim_heard h where h.tenant_id = ${tenantId} and h.id = ${id}`;

export const insertRefusal = (
  { tenantId }: TenantContext,
  row: { readonly id: Uuid; readonly connectionId: Uuid; readonly report: Uint8Array; readonly at: Date },
): Statement =>
  sql`insert into identity.scim_refusal (tenant_id, id, connection_id, report, refused_at)
    values (${tenantId}, ${row.id}, ${row.connectionId}, ${row.report}, ${row.at})`;

/** Newest first. */
export const refusalsOf = (
  { tenantId }: TenantContext,
  connectionId: Uuid,
): Statement<{ readonly id: Uuid; readonly report: Buffer; readonly refused_at: Date }> =>
  sql<{
    readonly id: Uuid;
    readonly report: Buffer;
    readonly refused_at: Date;
  }>`select a.id, a.report, a.refused_at from identity.scim_refusal a
    where a.tenant_id = ${tenantId} and a.connection_id = ${connectionId} order by a.refused_at desc, a.id desc`;

/** All but the newest go. */
export const forgetRefusals = (
  { tenantId }: TenantContext,
  of: { readonly connectionId: Uuid; readonly kept: number },
): Statement =>
  sql`delete from identity.scim_refusal a
    where a.tenant_id = ${tenantId} and a.connection_id = ${of.connectionId}
      and a.id not in (select k.id from identity.scim_refusal k
        where k.tenant_id = ${tenantId} and k.connection_id = ${of.connectionId}
        order by k.refused_at desc, k.id desc limit ${of.kept})`;
