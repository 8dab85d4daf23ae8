import type { Uuid } from '@auditrax/base';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';

export type ProofSource = 'sign-in' | 'scim' | 'signal';

/** A proof that comes late never takes a newer one back. */
export const recordProof = (
  { tenantId }: TenantContext,
  proof: { readonly memberId: Uuid; readonly at: Date; readonly source: ProofSource },
): Statement =>
  sql`insert into identity.employment (tenant_id, member_id, proved_at, source)
    values (${tenantId}, ${proof.memberId}, ${proof.at}, ${proof.source})
    on conflict (tenant_id, member_id) do update set
      proved_at = excluded.proved_at, source = excluded.source, lapsed_at = null
      where identity.employment.proved_at < excluded.proved_at`;

export const proofOf = ({ tenantId }: TenantContext, memberId: Uuid): Statement<{ proved_at: Date }> =>
  sql<{ proved_at: Date }>`select e.proved_at from identity.employment e
    where e.tenant_id = ${tenantId} and e.member_id = ${memberId}`;

/** Held, so that a proof that arrives at the same moment comes before or after what is done because of it. */
export const proofForUpdate = ({ tenantId }: TenantContext, memberId: Uuid): Statement<{ proved_at: Date }> =>
  sql<{ proved_at: Date }>`select e.proved_at from identity.employment e
    where e.tenant_id = ${tenantId} and e.member_id = ${memberId} for update`;

export const setLapsed = ({ tenantId }: TenantContext, memberId: Uuid, at: Date): Statement =>
  sql`update identity.employment set lapsed_at = ${at} where tenant_id = ${tenantId} and member_id = ${memberId}`;

/** The oldest first. */
export const proofsBefore = (
  instant: Date,
  limit: number,
): Statement<{ tenant_id: Uuid; member_id: Uuid; proved_at: Date }> =>
  sql<{ tenant_id: Uuid; member_id: Uuid; proved_at: Date }>`
    select e.tenant_id, e.member_id, e.proved_at from identity.employment e
    where e.proved_at <= ${instant} and e.lapsed_at is null order by e.proved_at limit ${limit}`;

/**
 * People with one of these roles and as many passkeys, who would still come in if nobody heard of a provider for hours: no
 * company has ever vouched for them, or no connection in use knows them, or another one knows them as well.
 */
export const standIns = (
  { tenantId }: TenantContext,
  at: { readonly connectionId: Uuid; readonly roles: readonly string[]; readonly passkeysMin: number },
): Statement<{ n: number }> =>
  sql<{ n: number }>`select count(m.id)::int as n from identity.member m
    where m.tenant_id = ${tenantId} and m.state = 'active' and m.role = any(${at.roles})
      and (select count(p.id) from identity.credential p
        where p.tenant_id = ${tenantId} and p.member_id = m.id and p.removed_at is null) >= ${at.passkeysMin}
      and (not exists (select 1 from identity.employment e where e.tenant_id = ${tenantId} and e.member_id = m.id)
        or not exists (select 1 from identity.account a
          join identity.connection c on c.tenant_id = ${tenantId} and c.id = a.connection_id
          where a.tenant_id = ${tenantId} and a.member_id = m.id and c.state = 'active')
        or exists (select 1 from identity.account a
          join identity.connection c on c.tenant_id = ${tenantId} and c.id = a.connection_id
          where a.tenant_id = ${tenantId} and a.member_id = m.id and c.state = 'active'
            and c.id <> ${at.connectionId}))`;

/** An account of the person at a connection that is in use, by which they could prove it again. */
export const accountInUse = ({ tenantId }: TenantContext, memberId: Uuid): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select a.id from identity.account a
    join identity.connection c on c.tenant_id = ${tenantId} and c.id = a.connection_id
    where a.tenant_id = ${tenantId} and a.member_id = ${memberId} and c.state = 'active' limit 1`;
