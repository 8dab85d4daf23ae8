import type { Json, Uuid } from '@auditrax/base';
import { sql, type Statement } from '@auditrax/tenancy';
import type { DeletionState } from './states.ts';

export interface DeletionRow {
  readonly id: Uuid;
  readonly subject_id: Uuid;
  readonly state: DeletionState;
  readonly inventory: Record<string, number>;
  readonly proposed_by: Uuid;
  readonly proposed_at: Date;
  readonly confirmed_by: Uuid | null;
  readonly confirmed_at: Date | null;
  readonly due_at: Date | null;
  readonly cancelled_by: Uuid | null;
  readonly cancelled_at: Date | null;
  readonly begun_at: Date | null;
  readonly ended_at: Date | null;
  readonly canary_fields: Buffer | null;
  readonly canary_objects: Buffer | null;
  readonly evidence: Record<string, Json> | null;
  readonly certificate: Record<string, Json> | null;
}

export interface SubjectRow {
  readonly id: Uuid;
  /** bigint; the driver may hand it over as text. */
  readonly part: string | number;
  readonly kind: 'sample' | 'canary' | 'operator' | 'customer';
  readonly tier: 'standard' | 'enterprise';
  readonly slug: string;
  readonly display_name: string;
  readonly closed_at: Date | null;
}

// Global: tenants.

export const subjectBySlug = (slug: string): Statement<SubjectRow> =>
  sql<SubjectRow>`select t.id, t.part, t.kind, t.tier, t.slug, t.display_name, t.closed_at from platform.tenant t
    where t.slug = ${slug}`;

export const subjectById = (id: Uuid): Statement<SubjectRow> =>
  sql<SubjectRow>`select t.id, t.part, t.kind, t.tier, t.slug, t.display_name, t.closed_at from platform.tenant t
    where t.id = ${id}`;

export const operatorTenant = (): Statement<SubjectRow> =>
  sql<SubjectRow>`select t.id, t.part, t.kind, t.tier, t.slug, t.display_name, t.closed_at from platform.tenant t
    where t.kind = 'operator' order by t.created_at limit 1`;

export const closedSlugs = (): Statement<{ slug: string }> =>
  sql<{ slug: string }>`select t.slug from platform.tenant t where t.closed_at is not null`;

export const closeTenant = (id: Uuid, at: Date): Statement =>
  sql`update platform.tenant set closed_at = ${at} where id = ${id} and closed_at is null`;

// Rows of the operator's tenant.

const columns = sql`d.id, d.subject_id, d.state, d.inventory, d.proposed_by, d.proposed_at, d.confirmed_by, d.confirmed_at,
  d.due_at, d.cancelled_by, d.cancelled_at, d.begun_at, d.ended_at, d.canary_fields, d.canary_objects, d.evidence,
  d.certificate`;

export const listDeletions = (tenantId: Uuid, limit: number): Statement<DeletionRow> =>
  sql<DeletionRow>`select ${columns} from app.tenant_deletion d where d.tenant_id = ${tenantId}
    order by d.proposed_at desc, d.id limit ${limit}`;

export const deletionForUpdate = (tenantId: Uuid, id: Uuid): Statement<DeletionRow> =>
  sql<DeletionRow>`select ${columns} from app.tenant_deletion d where d.tenant_id = ${tenantId} and d.id = ${id} for update`;

export const deletionById = (tenantId: Uuid, id: Uuid): Statement<DeletionRow> =>
  sql<DeletionRow>`select ${columns} from app.tenant_deletion d where d.tenant_id = ${tenantId} and d.id = ${id}`;

/** The one that is not cancelled, if any. */
export const deletionOf = (tenantId: Uuid, subjectId: Uuid): Statement<{ id: Uuid; state: DeletionState }> =>
  sql<{ id: Uuid; state: DeletionState }>`select d.id, d.state from app.tenant_deletion d
    where d.tenant_id = ${tenantId} and d.subject_id = ${subjectId} and d.state <> 'cancelled'`;

/** Confirmed ones whose delay is over, and those that a crash or a failure left behind. */
export const dueDeletions = (tenantId: Uuid, now: Date, failedBefore: Date): Statement<DeletionRow> =>
  sql<DeletionRow>`select ${columns} from app.tenant_deletion d where d.tenant_id = ${tenantId}
    and ((d.state = 'confirmed' and d.due_at <= ${now}) or d.state = 'destroying'
      or (d.state = 'failed' and d.ended_at <= ${failedBefore}))
    order by d.due_at, d.id limit 20`;

export const insertDeletion = (
  tenantId: Uuid,
  row: Pick<DeletionRow, 'id' | 'subject_id' | 'proposed_by' | 'proposed_at'> & { inventory: string },
): Statement =>
  sql`insert into app.tenant_deletion (tenant_id, id, subject_id, state, inventory, proposed_by, proposed_at)
    values (${tenantId}, ${row.id}, ${row.subject_id}, 'proposed', ${row.inventory}::jsonb, ${row.proposed_by}, ${row.proposed_at})`;

interface Place {
  readonly tenantId: Uuid;
  readonly id: Uuid;
}

export const confirmDeletion = (at: Place, by: { personId: Uuid; now: Date; dueAt: Date }): Statement =>
  sql`update app.tenant_deletion set state = 'confirmed', confirmed_by = ${by.personId}, confirmed_at = ${by.now},
    due_at = ${by.dueAt} where tenant_id = ${at.tenantId} and id = ${at.id}`;

export const cancelDeletion = (at: Place, by: { personId: Uuid; now: Date }): Statement =>
  sql`update app.tenant_deletion set state = 'cancelled', cancelled_by = ${by.personId}, cancelled_at = ${by.now}
    where tenant_id = ${at.tenantId} and id = ${at.id}`;

export const beginDestruction = (
  at: Place,
  begun: { now: Date; fields: Buffer | null; objects: Buffer | null },
): Statement =>
  sql`update app.tenant_deletion set state = 'destroying', begun_at = ${begun.now}, canary_fields = ${begun.fields},
    canary_objects = ${begun.objects} where tenant_id = ${at.tenantId} and id = ${at.id}`;

export const resumeDestruction = (at: Place): Statement =>
  sql`update app.tenant_deletion set state = 'destroying' where tenant_id = ${at.tenantId} and id = ${at.id}`;

export const keepEvidence = (at: Place, evidence: string): Statement =>
  sql`update app.tenant_deletion set evidence = ${evidence}::jsonb where tenant_id = ${at.tenantId} and id = ${at.id}`;

export const failDestruction = (at: Place, failed: { now: Date; evidence: string }): Statement =>
  sql`update app.tenant_deletion set state = 'failed', ended_at = ${failed.now}, evidence = ${failed.evidence}::jsonb
    where tenant_id = ${at.tenantId} and id = ${at.id}`;

export const finishDestruction = (at: Place, done: { now: Date; certificate: string }): Statement =>
  sql`update app.tenant_deletion set state = 'destroyed', ended_at = ${done.now}, certificate = ${done.certificate}::jsonb
    where tenant_id = ${at.tenantId} and id = ${at.id}`;

// Rows of the tenant that is deleted, in its own scope.

export const countEngagements = (tenantId: Uuid): Statement<{ count: string }> =>
  sql<{ count: string }>`select count(e.id) as count from app.engagement e where e.tenant_id = ${tenantId}`;

export const countEvidence = (tenantId: Uuid): Statement<{ count: string; bytes: string | null }> =>
  sql<{
    count: string;
    bytes: string | null;
  }>`select count(v.id) as count, sum(v.size_bytes) as bytes from app.evidence v
    where v.tenant_id = ${tenantId}`;

export const countKeys = (tenantId: Uuid): Statement<{ count: string; refs: string }> =>
  sql<{ count: string; refs: string }>`select count(k.id) as count, count(distinct k.kek_ref) as refs from app.dek k
    where k.tenant_id = ${tenantId} and k.state <> 'DESTROYED'`;

export const countPeople = (tenantId: Uuid): Statement<{ count: string }> =>
  sql<{ count: string }>`select count(m.id) as count from identity.member m where m.tenant_id = ${tenantId}`;

export const countSessions = (tenantId: Uuid, now: Date): Statement<{ count: string }> =>
  sql<{ count: string }>`select count(s.id) as count from identity.session s
    where s.tenant_id = ${tenantId} and s.closed_at is null and s.expires_at > ${now}`;

export const allMembers = (tenantId: Uuid): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select m.id from identity.member m where m.tenant_id = ${tenantId} order by m.id`;
