import type { Uuid } from '@auditrax/base';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';
import type { MemberRow } from './queries.ts';

/** Everybody who is not suspended, in the order they came. */
export const membersInUse = ({ tenantId }: TenantContext): Statement<MemberRow> =>
  sql<MemberRow>`select m.id, m.role, m.state, m.label, m.created_at from identity.member m
    where m.tenant_id = ${tenantId} and m.state <> 'suspended' order by m.created_at, m.id`;

/** Counts of what is not ended, by member. */
export interface CountRow {
  readonly member_id: Uuid;
  readonly count: string | number;
}

export const passkeysByMember = ({ tenantId }: TenantContext): Statement<CountRow> =>
  sql<CountRow>`select c.member_id, count(c.id) as count from identity.credential c
    where c.tenant_id = ${tenantId} and c.removed_at is null group by c.member_id`;

export const linksByMember = ({ tenantId }: TenantContext, now: Date): Statement<CountRow> =>
  sql<CountRow>`select l.member_id, count(l.token_hash) as count from identity.one_time_link l
    where l.tenant_id = ${tenantId} and l.used_at is null and l.expires_at > ${now} group by l.member_id`;

export const accountsIn = ({ tenantId }: TenantContext): Statement<{ member_id: Uuid; connection_id: Uuid }> =>
  sql<{ member_id: Uuid; connection_id: Uuid }>`select a.member_id, a.connection_id from identity.account a
    where a.tenant_id = ${tenantId} order by a.member_id, a.connection_id`;

export interface SessionUseRow {
  readonly member_id: Uuid;
  readonly open: string | number;
  readonly last_used_at: Date | null;
}

/** When somebody was last seen, as far as sessions still tell. */
export const sessionUse = ({ tenantId }: TenantContext): Statement<SessionUseRow> =>
  sql<SessionUseRow>`select s.member_id, count(s.id) filter (where s.closed_at is null) as open,
      max(greatest(s.auth_time, i.last_seen_at)) as last_used_at
    from identity.session s
    left join identity.session_index i on i.tenant_id = ${tenantId} and i.session_id = s.id
    where s.tenant_id = ${tenantId} group by s.member_id`;

export const proofsIn = ({ tenantId }: TenantContext): Statement<{ member_id: Uuid; proved_at: Date }> =>
  sql<{ member_id: Uuid; proved_at: Date }>`select e.member_id, e.proved_at from identity.employment e
    where e.tenant_id = ${tenantId}`;

export const memberState = ({ tenantId }: TenantContext, id: Uuid): Statement<Pick<MemberRow, 'role' | 'state'>> =>
  sql<Pick<MemberRow, 'role' | 'state'>>`select m.role, m.state from identity.member m
    where m.tenant_id = ${tenantId} and m.id = ${id}`;

/** The newest sessions of somebody, also those that are over: what a later look asks again. */
export const newestSessions = ({ tenantId }: TenantContext, of: { readonly memberId: Uuid; readonly limit: number }) =>
  sql<{ id: Uuid; expires_at: Date }>`select s.id, s.expires_at from identity.session s
    where s.tenant_id = ${tenantId} and s.member_id = ${of.memberId} order by s.auth_time desc, s.id limit ${of.limit}`;
