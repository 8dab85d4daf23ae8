import type { Uuid } from '@auditrax/base';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';

export type RevocationCause = 'scim' | 'back-channel' | 'signal' | 'lapsed' | 'administrator' | 'review';

export interface RevocationRow {
  readonly id: Uuid;
  readonly member_id: Uuid;
  readonly cause: RevocationCause;
  readonly caused_at: Date;
  readonly by_member: Uuid | null;
}

/** One that was begun and not completed: a process died, or a holder failed. */
export const openRevocationOf = (
  { tenantId }: TenantContext,
  memberId: Uuid,
): Statement<{ id: Uuid; caused_at: Date }> =>
  sql<{ id: Uuid; caused_at: Date }>`select r.id, r.caused_at from identity.revocation r
    where r.tenant_id = ${tenantId} and r.member_id = ${memberId} and r.completed_at is null
    order by r.caused_at, r.id limit 1`;

export const insertRevocation = ({ tenantId }: TenantContext, row: RevocationRow): Statement =>
  sql`insert into identity.revocation (tenant_id, id, member_id, cause, caused_at, by_member)
    values (${tenantId}, ${row.id}, ${row.member_id}, ${row.cause}, ${row.caused_at}, ${row.by_member})`;

export const completeRevocation = (
  { tenantId }: TenantContext,
  done: { readonly id: Uuid; readonly effects: string; readonly at: Date },
): Statement =>
  sql`update identity.revocation set effects = ${done.effects}::jsonb, completed_at = ${done.at}
    where tenant_id = ${tenantId} and id = ${done.id}`;
