import type { Uuid } from '@auditrax/base';
import { sql, type Statement } from '@auditrax/tenancy';

export interface RecoveryRow {
  readonly id: Uuid;
  readonly member_id: Uuid;
  readonly opened_by: Uuid;
  readonly opened_at: Date;
  readonly due_at: Date;
  readonly ended_at: Date | null;
  readonly ended_by: Uuid | null;
  readonly outcome: 'cancelled' | 'signed-in' | 'completed' | null;
}

const columns = sql`r.id, r.member_id, r.opened_by, r.opened_at, r.due_at, r.ended_at, r.ended_by, r.outcome`;

export const listRecoveries = (tenantId: Uuid, limit: number): Statement<RecoveryRow> =>
  sql<RecoveryRow>`select ${columns} from identity.recovery r where r.tenant_id = ${tenantId}
    order by r.opened_at desc, r.id limit ${limit}`;

export const recoveryById = (tenantId: Uuid, id: Uuid): Statement<RecoveryRow> =>
  sql<RecoveryRow>`select ${columns} from identity.recovery r where r.tenant_id = ${tenantId} and r.id = ${id}`;

export const recoveryForUpdate = (tenantId: Uuid, id: Uuid): Statement<RecoveryRow> =>
  sql<RecoveryRow>`select ${columns} from identity.recovery r
    where r.tenant_id = ${tenantId} and r.id = ${id} for update`;

export const openRecoveryOf = (tenantId: Uuid, memberId: Uuid): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select r.id from identity.recovery r
    where r.tenant_id = ${tenantId} and r.member_id = ${memberId} and r.ended_at is null`;

export const insertRecovery = (
  tenantId: Uuid,
  row: Pick<RecoveryRow, 'id' | 'member_id' | 'opened_by' | 'opened_at' | 'due_at'>,
): Statement =>
  sql`insert into identity.recovery (tenant_id, id, member_id, opened_by, opened_at, due_at)
    values (${tenantId}, ${row.id}, ${row.member_id}, ${row.opened_by}, ${row.opened_at}, ${row.due_at})`;

export const endRecovery = (
  tenantId: Uuid,
  id: Uuid,
  end: { readonly at: Date; readonly by: Uuid; readonly outcome: 'cancelled' | 'completed' },
): Statement =>
  sql`update identity.recovery set ended_at = ${end.at}, ended_by = ${end.by}, outcome = ${end.outcome}
    where tenant_id = ${tenantId} and id = ${id} and ended_at is null`;
