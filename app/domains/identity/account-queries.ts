import type { Uuid } from '@auditrax/base';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';
import type { Role } from '../../platform/http/handler.ts';
import type { MemberRow } from './queries.ts';

export type AccountOrigin = 'invitation' | 'just-in-time' | 'connect' | 'scim';

export interface AccountRow {
  readonly id: Uuid;
  readonly connection_id: Uuid;
  readonly member_id: Uuid;
  readonly origin: AccountOrigin;
}

export const accountBySubject = (
  { tenantId }: TenantContext,
  of: { readonly connectionId: Uuid; readonly subjectHash: Uint8Array },
): Statement<AccountRow> =>
  sql<AccountRow>`select a.id, a.connection_id, a.member_id, a.origin from identity.account a
    where a.tenant_id = ${tenantId} and a.connection_id = ${of.connectionId} and a.subject_hash = ${of.subjectHash}`;

export const accountsOfMember = ({ tenantId }: TenantContext, memberId: Uuid): Statement<AccountRow> =>
  sql<AccountRow>`select a.id, a.connection_id, a.member_id, a.origin from identity.account a
    where a.tenant_id = ${tenantId} and a.member_id = ${memberId} order by a.created_at, a.id`;

/** A member's accounts with the last sign-in by each, the oldest account first. */
export const accountUses = (
  { tenantId }: TenantContext,
  memberId: Uuid,
): Statement<AccountRow & { readonly created_at: Date; readonly last_used_at: Date | null }> =>
  sql<AccountRow & { readonly created_at: Date; readonly last_used_at: Date | null }>`
    select a.id, a.connection_id, a.member_id, a.origin, a.created_at, max(s.auth_time) as last_used_at
    from identity.account a
    left join identity.session s on s.tenant_id = ${tenantId} and s.account_id = a.id
    where a.tenant_id = ${tenantId} and a.member_id = ${memberId}
    group by a.id, a.connection_id, a.member_id, a.origin, a.created_at order by a.created_at, a.id`;

export const openSessionsOfAccount = ({ tenantId }: TenantContext, accountId: Uuid): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select s.id from identity.session s
    where s.tenant_id = ${tenantId} and s.account_id = ${accountId} and s.closed_at is null order by s.id`;

/** No row when somebody else has just made the same account: of two first sign-ins at once only one makes a member. */
export const insertAccount = (
  { tenantId }: TenantContext,
  row: AccountRow & {
    readonly subjectHash: Uint8Array;
    readonly createdAt: Date;
    /** The change of provider that it is made for. */
    readonly changeoverId?: Uuid;
  },
): Statement<{ id: Uuid }> =>
  sql<{
    id: Uuid;
  }>`insert into identity.account (tenant_id, id, connection_id, subject_hash, member_id, origin, created_at,
      changeover_id)
    values (${tenantId}, ${row.id}, ${row.connection_id}, ${row.subjectHash}, ${row.member_id}, ${row.origin},
      ${row.createdAt}, ${row.changeoverId ?? null})
    on conflict (tenant_id, connection_id, subject_hash) do nothing returning id`;

export const deleteAccount = ({ tenantId }: TenantContext, id: Uuid): Statement =>
  sql`delete from identity.account where tenant_id = ${tenantId} and id = ${id}`;

/** What directories have said of a member; gone with their accounts. */
export const deleteDirectoryRows = ({ tenantId }: TenantContext, memberId: Uuid): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`delete from identity.scim_resource r
    where r.tenant_id = ${tenantId} and r.member_id = ${memberId} returning r.id`;

/** What providers have signalled about a member: whom it names goes with their accounts. */
export const deleteReceivedEvents = ({ tenantId }: TenantContext, memberId: Uuid): Statement<{ stream_id: Uuid }> =>
  sql<{ stream_id: Uuid }>`delete from identity.received_event e
    where e.tenant_id = ${tenantId} and e.member_id = ${memberId} returning e.stream_id`;

export const insertNewcomer = ({ tenantId }: TenantContext, row: MemberRow): Statement =>
  sql`insert into identity.member (tenant_id, id, role, state, label, created_at)
    values (${tenantId}, ${row.id}, ${row.role}, ${row.state}, ${row.label}, ${row.created_at})`;

export const setRole = ({ tenantId }: TenantContext, id: Uuid, role: Role): Statement =>
  sql`update identity.member set role = ${role} where tenant_id = ${tenantId} and id = ${id}`;

export const membersIn = ({ tenantId }: TenantContext): Statement<{ members: string | number }> =>
  sql<{
    members: string | number;
  }>`select count(m.id) as members from identity.member m where m.tenant_id = ${tenantId}`;

/** Open sessions of a connection: of one session there, of one person there, of one account, or all. */
export const providerSessions = (
  { tenantId }: TenantContext,
  of: {
    readonly connectionId: Uuid;
    readonly providerSession?: Uint8Array | undefined;
    readonly providerSubject?: Uint8Array | undefined;
    readonly accountId?: Uuid | undefined;
  },
): Statement<{ id: Uuid; member_id: Uuid }> =>
  sql<{ id: Uuid; member_id: Uuid }>`select s.id, s.member_id from identity.session s
    where s.tenant_id = ${tenantId} and s.connection_id = ${of.connectionId} and s.closed_at is null
      and (${of.providerSession ?? null}::bytea is null or s.provider_session = ${of.providerSession ?? null})
      and (${of.providerSubject ?? null}::bytea is null or s.provider_subject = ${of.providerSubject ?? null})
      and (${of.accountId ?? null}::uuid is null or s.account_id = ${of.accountId ?? null})
    order by s.id`;
