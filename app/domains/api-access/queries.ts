import type { Uuid } from '@auditrax/base';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';
import type { Caller } from '../../platform/http/handler.ts';

export type ApiKeyScope = 'read' | 'write';
export type EndedReason = 'owner' | 'administrator' | 'revoked' | 'attempts' | 'review' | 'tenant-deleted';

export interface ApiKeyRow {
  readonly id: Uuid;
  readonly member_id: Uuid;
  readonly name: Buffer;
  readonly secret_hash: Buffer;
  readonly scope: ApiKeyScope;
  readonly created_at: Date;
  readonly expires_at: Date;
  readonly ended_at: Date | null;
  readonly ended_reason: EndedReason | null;
}

export type UsedKeyRow = ApiKeyRow & { readonly last_used_at: Date | null };
export type OwnedKeyRow = UsedKeyRow & { readonly label: Buffer };

/** Newest first; those that ended long ago are the log's. */
const LISTED_MAX = 200;
const key = sql`k.id, k.member_id, k.name, k.secret_hash, k.scope, k.created_at, k.expires_at, k.ended_at, k.ended_reason`;

export const keysOf = ({ tenantId }: TenantContext, memberId: Uuid): Statement<UsedKeyRow> =>
  sql<UsedKeyRow>`select ${key}, u.last_used_at from identity.api_key k
    left join identity.api_key_use u on u.tenant_id = ${tenantId} and u.key_id = k.id
    where k.tenant_id = ${tenantId} and k.member_id = ${memberId} order by k.created_at desc, k.id limit ${LISTED_MAX}`;

export const allKeys = ({ tenantId }: TenantContext): Statement<OwnedKeyRow> =>
  sql<OwnedKeyRow>`select ${key}, u.last_used_at, m.label from identity.api_key k
    join identity.member m on m.tenant_id = ${tenantId} and m.id = k.member_id
    left join identity.api_key_use u on u.tenant_id = ${tenantId} and u.key_id = k.id
    where k.tenant_id = ${tenantId} order by k.created_at desc, k.id limit ${LISTED_MAX}`;

/** With what its owner is now: a key is never more than they are. */
export interface KeyWithOwner extends UsedKeyRow {
  readonly role: Caller['role'];
  readonly state: 'invited' | 'active' | 'suspended';
}

export const keyWithOwner = ({ tenantId }: TenantContext, id: Uuid): Statement<KeyWithOwner> =>
  sql<KeyWithOwner>`select ${key}, u.last_used_at, m.role, m.state from identity.api_key k
    join identity.member m on m.tenant_id = ${tenantId} and m.id = k.member_id
    left join identity.api_key_use u on u.tenant_id = ${tenantId} and u.key_id = k.id
    where k.tenant_id = ${tenantId} and k.id = ${id}`;

export const openKeysOf = ({ tenantId }: TenantContext, memberId: Uuid, now: Date): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select k.id from identity.api_key k where k.tenant_id = ${tenantId} and k.member_id = ${memberId}
    and k.ended_at is null and k.expires_at > ${now} order by k.id`;

/** Every key of the tenant that works now. */
export const openKeysIn = ({ tenantId }: TenantContext, now: Date): Statement<UsedKeyRow> =>
  sql<UsedKeyRow>`select ${key}, u.last_used_at from identity.api_key k
    left join identity.api_key_use u on u.tenant_id = ${tenantId} and u.key_id = k.id
    where k.tenant_id = ${tenantId} and k.ended_at is null and k.expires_at > ${now} order by k.id`;

/** Also those whose time is over: nothing of the tenant is left open. */
export const unendedKeys = ({ tenantId }: TenantContext): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select k.id from identity.api_key k where k.tenant_id = ${tenantId} and k.ended_at is null
    order by k.id`;

export const insertKey = (
  { tenantId }: TenantContext,
  row: Pick<ApiKeyRow, 'id' | 'member_id' | 'name' | 'secret_hash' | 'scope' | 'created_at' | 'expires_at'>,
): Statement =>
  sql`insert into identity.api_key (tenant_id, id, member_id, name, secret_hash, scope, created_at, expires_at)
    values (${tenantId}, ${row.id}, ${row.member_id}, ${row.name}, ${row.secret_hash}, ${row.scope}, ${row.created_at},
      ${row.expires_at})`;

export const endKey = (
  { tenantId }: TenantContext,
  { id, at, reason }: { readonly id: Uuid; readonly at: Date; readonly reason: EndedReason },
): Statement<{ member_id: Uuid }> =>
  sql<{ member_id: Uuid }>`update identity.api_key set ended_at = ${at}, ended_reason = ${reason}
    where tenant_id = ${tenantId} and id = ${id} and ended_at is null returning member_id`;

export const touchKey = ({ tenantId }: TenantContext, id: Uuid, at: Date): Statement =>
  sql`insert into identity.api_key_use (tenant_id, key_id, last_used_at) values (${tenantId}, ${id}, ${at})
    on conflict (tenant_id, key_id) do update set last_used_at = excluded.last_used_at`;
