import type { Uuid } from '@auditrax/base';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';
import type { Role } from '../../platform/http/handler.ts';
import type { Decision, ItemKind } from './contract.ts';
import type { ReviewState } from './states.ts';

export interface ReviewRow {
  readonly id: Uuid;
  readonly state: ReviewState;
  readonly opened_at: Date;
  readonly opened_by: Uuid | null;
  readonly due_at: Date;
  readonly snapshot: Buffer;
  readonly snapshot_hash: Buffer;
  readonly is_drill: boolean;
  readonly reminded_days: number | null;
  readonly closed_at: Date | null;
}

export interface ItemRow {
  readonly id: Uuid;
  readonly review_id: Uuid;
  readonly position: number;
  readonly kind: ItemKind;
  readonly target_id: Uuid;
  readonly holder_id: Uuid | null;
  readonly decision: Decision | 'gone' | null;
  readonly decided_because: 'person' | 'deadline' | 'ended' | null;
  readonly decided_by: Uuid | null;
  readonly decided_at: Date | null;
  readonly new_role: Role | null;
  readonly reason: Buffer | null;
  readonly grown_hash: Buffer | null;
  readonly carried_out_at: Date | null;
  readonly looked_at: Date | null;
  readonly proof: 'gone' | 'still-there' | null;
}

/** Four a year: beyond these years the log tells. */
const LISTED_MAX = 100;
const review = sql`r.id, r.state, r.opened_at, r.opened_by, r.due_at, r.snapshot, r.snapshot_hash, r.is_drill,
  r.reminded_days, r.closed_at`;
const item = sql`i.id, i.review_id, i.position, i.kind, i.target_id, i.holder_id, i.decision, i.decided_because,
  i.decided_by, i.decided_at, i.new_role, i.reason, i.grown_hash, i.carried_out_at, i.looked_at, i.proof`;

/** Newest first. Drills of the sentinel are left out. */
export const listReviews = ({ tenantId }: TenantContext): Statement<ReviewRow> =>
  sql<ReviewRow>`select ${review} from identity.access_review r
    where r.tenant_id = ${tenantId} and not r.is_drill order by r.opened_at desc, r.id limit ${LISTED_MAX}`;

export const reviewById = ({ tenantId }: TenantContext, id: Uuid): Statement<ReviewRow> =>
  sql<ReviewRow>`select ${review} from identity.access_review r where r.tenant_id = ${tenantId} and r.id = ${id}`;

/** Held, so that a decision and the deadline come one after the other. */
export const reviewForUpdate = ({ tenantId }: TenantContext, id: Uuid): Statement<ReviewRow> =>
  sql<ReviewRow>`select ${review} from identity.access_review r
    where r.tenant_id = ${tenantId} and r.id = ${id} for update`;

export const unclosedReviews = ({ tenantId }: TenantContext): Statement<ReviewRow> =>
  sql<ReviewRow>`select ${review} from identity.access_review r
    where r.tenant_id = ${tenantId} and r.state <> 'closed' order by r.opened_at, r.id`;

export const lastClosed = ({ tenantId }: TenantContext): Statement<{ id: Uuid; closed_at: Date }> =>
  sql<{ id: Uuid; closed_at: Date }>`select r.id, r.closed_at from identity.access_review r
    where r.tenant_id = ${tenantId} and r.state = 'closed' and not r.is_drill order by r.closed_at desc limit 1`;

/** No row where another one is under way. */
export const insertReview = (
  { tenantId }: TenantContext,
  row: Pick<ReviewRow, 'id' | 'opened_at' | 'opened_by' | 'due_at' | 'snapshot' | 'snapshot_hash' | 'is_drill'>,
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`insert into identity.access_review
      (tenant_id, id, place, state, opened_at, opened_by, due_at, snapshot, snapshot_hash, is_drill)
    values (${tenantId}, ${row.id}, ${row.is_drill ? row.id : tenantId}, 'open', ${row.opened_at}, ${row.opened_by}, ${row.due_at}, ${row.snapshot},
      ${row.snapshot_hash}, ${row.is_drill})
    on conflict (tenant_id, place) do nothing returning id`;

export const setReviewState = (
  { tenantId }: TenantContext,
  of: { readonly id: Uuid; readonly state: ReviewState; readonly closedAt: Date | null },
): Statement =>
  sql`update identity.access_review set state = ${of.state}, closed_at = ${of.closedAt},
      place = case when ${of.state} = 'closed' then null else place end
    where tenant_id = ${tenantId} and id = ${of.id}`;

/** A row for the first issuer that reminds of so many days. */
export const setReminded = ({ tenantId }: TenantContext, id: Uuid, days: number): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.access_review set reminded_days = ${days}
    where tenant_id = ${tenantId} and id = ${id} and (reminded_days is null or reminded_days > ${days}) returning id`;

export const insertItem = (
  { tenantId }: TenantContext,
  row: Pick<ItemRow, 'id' | 'review_id' | 'position' | 'kind' | 'target_id' | 'holder_id'>,
): Statement =>
  sql`insert into identity.access_review_item (tenant_id, id, review_id, position, kind, target_id, holder_id)
    values (${tenantId}, ${row.id}, ${row.review_id}, ${row.position}, ${row.kind}, ${row.target_id}, ${row.holder_id})`;

export const itemsOf = ({ tenantId }: TenantContext, reviewId: Uuid): Statement<ItemRow> =>
  sql<ItemRow>`select ${item} from identity.access_review_item i
    where i.tenant_id = ${tenantId} and i.review_id = ${reviewId} order by i.position`;

export interface Progress {
  readonly review_id: Uuid;
  readonly items: string | number;
  readonly undecided: string | number;
  readonly removed: string | number;
  readonly unproven: string | number;
  readonly still_there: string | number;
}

/** How far reviews have come; all of the tenant's. */
export const progressOf = ({ tenantId }: TenantContext): Statement<Progress> =>
  sql<Progress>`select i.review_id, count(i.id) as items,
      count(i.id) filter (where i.decision is null) as undecided,
      count(i.id) filter (where i.decision in ('remove', 'change-role')) as removed,
      count(i.id) filter (where i.decision in ('remove', 'change-role') and i.proof is distinct from 'gone') as unproven,
      count(i.id) filter (where i.proof = 'still-there') as still_there
    from identity.access_review_item i where i.tenant_id = ${tenantId} group by i.review_id`;

export interface NewDecision {
  readonly id: Uuid;
  readonly decision: Decision | 'gone';
  readonly because: NonNullable<ItemRow['decided_because']>;
  readonly by: Uuid | null;
  readonly at: Date;
  readonly role: Role | null;
  readonly reason: Uint8Array | null;
  readonly grown: Uint8Array | null;
}

/** No row when somebody else has decided meanwhile. */
export const decideItem = ({ tenantId }: TenantContext, of: NewDecision): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.access_review_item set decision = ${of.decision}, decided_because = ${of.because},
      decided_by = ${of.by}, decided_at = ${of.at}, new_role = ${of.role}, reason = ${of.reason}, grown_hash = ${of.grown}
    where tenant_id = ${tenantId} and id = ${of.id} and decision is null returning id`;

/** No row when it is not kept any more. */
export const reopenItem = ({ tenantId }: TenantContext, id: Uuid): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.access_review_item set decision = null, decided_because = null, decided_by = null,
      decided_at = null, reason = null, grown_hash = null
    where tenant_id = ${tenantId} and id = ${id} and decision = 'keep' returning id`;

/** No row when another issuer has written it down already. */
export const setCarriedOut = ({ tenantId }: TenantContext, id: Uuid, at: Date): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.access_review_item set carried_out_at = ${at}
    where tenant_id = ${tenantId} and id = ${id} and carried_out_at is null returning id`;

/** No row when the same was seen before. */
export const setProof = (
  { tenantId }: TenantContext,
  of: { readonly id: Uuid; readonly at: Date; readonly proof: NonNullable<ItemRow['proof']> },
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.access_review_item set looked_at = ${of.at}, proof = ${of.proof}
    where tenant_id = ${tenantId} and id = ${of.id} and proof is distinct from ${of.proof} and proof is distinct from 'gone'
    returning id`;

/** To be done again: the target was seen to be there still. */
export const forgetCarriedOut = ({ tenantId }: TenantContext, id: Uuid): Statement =>
  sql`update identity.access_review_item set carried_out_at = null where tenant_id = ${tenantId} and id = ${id}`;

export interface LabelRow {
  readonly id: Uuid;
  readonly label: Buffer;
}

export const labelsOf = ({ tenantId }: TenantContext, ids: readonly Uuid[]): Statement<LabelRow> =>
  sql<LabelRow>`select m.id, m.label from identity.member m where m.tenant_id = ${tenantId} and m.id = any(${[...ids]}::uuid[])`;

export const settingOf = ({ tenantId }: TenantContext): Statement<{ each_quarter: boolean }> =>
  sql<{ each_quarter: boolean }>`select s.each_quarter from identity.access_review_setting s
    where s.tenant_id = ${tenantId}`;

export const setEachQuarter = ({ tenantId }: TenantContext, on: boolean): Statement =>
  sql`insert into identity.access_review_setting (tenant_id, id, each_quarter)
    values (${tenantId}, ${tenantId}, ${on})
    on conflict (tenant_id, id) do update set each_quarter = excluded.each_quarter`;
