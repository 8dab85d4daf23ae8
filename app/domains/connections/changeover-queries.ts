import type { Uuid } from '@auditrax/base';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';

export interface ChangeoverRow {
  readonly id: Uuid;
  readonly from_connection: Uuid;
  readonly to_connection: Uuid;
  readonly started_by: Uuid;
  readonly started_at: Date;
}

/** Somebody with an account at the connection that is left: once for each account there and at the new one. */
export interface MoverRow {
  readonly member_id: Uuid;
  readonly state: 'invited' | 'active' | 'suspended';
  readonly label: Buffer;
  readonly origin: 'invitation' | 'just-in-time' | 'connect' | 'scim';
  readonly subject_hash: Buffer;
  readonly to_account: Uuid | null;
  readonly to_changeover: Uuid | null;
  readonly to_since: Date | null;
  readonly passkeys: number;
  /** Connections in use, other than these two, that they have an account at. */
  readonly elsewhere: number;
}

export const openChangeover = ({ tenantId }: TenantContext): Statement<ChangeoverRow> =>
  sql<ChangeoverRow>`select c.id, c.from_connection, c.to_connection, c.started_by, c.started_at
    from identity.changeover c where c.tenant_id = ${tenantId} and c.state = 'open'`;

export const openChangeoverForUpdate = ({ tenantId }: TenantContext): Statement<ChangeoverRow> =>
  sql<ChangeoverRow>`select c.id, c.from_connection, c.to_connection, c.started_by, c.started_at
    from identity.changeover c where c.tenant_id = ${tenantId} and c.state = 'open' for update`;

/** No row where another one is open. */
export const insertChangeover = ({ tenantId }: TenantContext, row: ChangeoverRow): Statement<{ id: Uuid }> =>
  sql<{
    id: Uuid;
  }>`insert into identity.changeover (tenant_id, id, from_connection, to_connection, started_by, started_at)
    values (${tenantId}, ${row.id}, ${row.from_connection}, ${row.to_connection}, ${row.started_by}, ${row.started_at})
    on conflict do nothing returning id`;

export const endChangeover = (
  { tenantId }: TenantContext,
  row: { readonly id: Uuid; readonly state: 'finished' | 'undone'; readonly at: Date },
): Statement =>
  sql`update identity.changeover set state = ${row.state}, ended_at = ${row.at}
    where tenant_id = ${tenantId} and id = ${row.id}`;

/** Everybody with an account at the old connection, and which ways in they would have without it. */
export const movers = (
  { tenantId }: TenantContext,
  { from_connection: from, to_connection: to }: Pick<ChangeoverRow, 'from_connection' | 'to_connection'>,
): Statement<MoverRow> =>
  sql<MoverRow>`
    select m.id as member_id, m.state, m.label, f.origin, f.subject_hash, t.id as to_account,
      t.changeover_id as to_changeover, t.created_at as to_since, count(distinct c.id)::int as passkeys,
      count(distinct k.id)::int as elsewhere
    from identity.account f
    join identity.member m on m.tenant_id = ${tenantId} and m.id = f.member_id
    left join identity.account t on t.tenant_id = ${tenantId} and t.member_id = m.id and t.connection_id = ${to}
    left join identity.credential c on c.tenant_id = ${tenantId} and c.member_id = m.id and c.removed_at is null
    left join identity.account o on o.tenant_id = ${tenantId} and o.member_id = m.id
      and o.connection_id <> ${from} and o.connection_id <> ${to}
    left join identity.connection k on k.tenant_id = ${tenantId} and k.id = o.connection_id and k.state = 'active'
    where f.tenant_id = ${tenantId} and f.connection_id = ${from}
    group by m.id, m.state, m.label, m.created_at, f.origin, f.subject_hash, f.created_at, t.id, t.changeover_id,
      t.created_at
    order by m.created_at, m.id, f.created_at, t.created_at`;

/** Held until the transaction ends, so that nobody takes a way in away while it is counted. */
export const lockMovers = ({ tenantId }: TenantContext, from: Uuid): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select m.id from identity.member m
    where m.tenant_id = ${tenantId} and m.id in
      (select f.member_id from identity.account f where f.tenant_id = ${tenantId} and f.connection_id = ${from})
    order by m.id for update`;

export const accountsOfChangeover = (
  { tenantId }: TenantContext,
  changeoverId: Uuid,
): Statement<{ id: Uuid; member_id: Uuid }> =>
  sql<{ id: Uuid; member_id: Uuid }>`select a.id, a.member_id from identity.account a
    where a.tenant_id = ${tenantId} and a.changeover_id = ${changeoverId} order by a.created_at, a.id`;
