import type { ProductionScope, Uuid } from '@auditrax/base';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';

export type Vouching = 'provider' | 'operator' | 'nobody';
export type EndedReason = 'person' | 'operator' | 'revoked' | 'replaced' | 'over';
export type ReviewOutcome = 'justified' | 'not-justified';

export interface GrantRow {
  readonly id: Uuid;
  readonly kind: 'grant' | 'break-glass';
  readonly member_id: Uuid;
  readonly scopes: readonly ProductionScope[];
  readonly minutes: number;
  readonly reason: Buffer;
  readonly ticket: Buffer | null;
  readonly asked_at: Date;
  readonly vouched: Vouching | null;
  readonly proved_at: Date | null;
  readonly confirmed_by: Uuid | null;
  readonly starts_at: Date | null;
  readonly ends_at: Date | null;
  readonly ended_at: Date | null;
  readonly ended_reason: EndedReason | null;
  readonly ended_by: Uuid | null;
  readonly reviewed_at: Date | null;
  readonly reviewed_by: Uuid | null;
  readonly review: ReviewOutcome | null;
}

const columns = sql`g.id, g.kind, g.member_id, g.scopes, g.minutes, g.reason, g.ticket, g.asked_at, g.vouched, g.proved_at,
  g.confirmed_by, g.starts_at, g.ends_at, g.ended_at, g.ended_reason, g.ended_by, g.reviewed_at, g.reviewed_by, g.review`;

/** The newest first. */
export const grants = ({ tenantId }: TenantContext, limit: number): Statement<GrantRow> =>
  sql<GrantRow>`select ${columns} from identity.production_grant g where g.tenant_id = ${tenantId}
    order by g.asked_at desc, g.id desc limit ${limit}`;

export const grantById = ({ tenantId }: TenantContext, id: Uuid): Statement<GrantRow> =>
  sql<GrantRow>`select ${columns} from identity.production_grant g where g.tenant_id = ${tenantId} and g.id = ${id}`;

export const grantForUpdate = ({ tenantId }: TenantContext, id: Uuid): Statement<GrantRow> =>
  sql<GrantRow>`select ${columns} from identity.production_grant g where g.tenant_id = ${tenantId} and g.id = ${id}
    for update`;

/** What is in force for the person, or waits, or has run out and was not looked at since. */
export const openOf = ({ tenantId }: TenantContext, memberId: Uuid): Statement<GrantRow> =>
  sql<GrantRow>`select ${columns} from identity.production_grant g
    where g.tenant_id = ${tenantId} and g.member_id = ${memberId} and g.ended_at is null order by g.id for update`;

export const begunOf = ({ tenantId }: TenantContext, memberId: Uuid): Statement<GrantRow> =>
  sql<GrantRow>`select ${columns} from identity.production_grant g
    where g.tenant_id = ${tenantId} and g.member_id = ${memberId} and g.ended_at is null and g.starts_at is not null`;

/** Glass that was broken and nobody has looked at since; the oldest first. */
export const unreviewed = ({ tenantId }: TenantContext, limit: number): Statement<GrantRow> =>
  sql<GrantRow>`select ${columns} from identity.production_grant g
    where g.tenant_id = ${tenantId} and g.kind = 'break-glass' and g.starts_at is not null and g.reviewed_at is null
    order by g.asked_at, g.id limit ${limit}`;

export interface UnjudgedFilter {
  /** Broken at this instant or before. */
  readonly before: Date;
  /** Asked by this person or let in by them. */
  readonly of?: Uuid;
  /** Only what nobody was told of yet. */
  readonly isUntold?: boolean;
}

/** Glass that was broken so long ago and that nobody has judged. */
export const unjudgedSince = (
  { tenantId }: TenantContext,
  { before, of, isUntold = false }: UnjudgedFilter,
): Statement<GrantRow> =>
  sql<GrantRow>`select ${columns} from identity.production_grant g
    where g.tenant_id = ${tenantId} and g.kind = 'break-glass' and g.starts_at <= ${before} and g.reviewed_at is null
      and (${of ?? null}::uuid is null or ${of ?? null}::uuid in (g.member_id, g.confirmed_by))
      and (not ${isUntold}::boolean or g.unjudged_told_at is null)
    order by g.starts_at, g.id`;

/** No row when somebody has told of it, or judged it, meanwhile. */
export const setUnjudgedTold = ({ tenantId }: TenantContext, id: Uuid, at: Date): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`update identity.production_grant set unjudged_told_at = ${at}
    where tenant_id = ${tenantId} and id = ${id} and unjudged_told_at is null and reviewed_at is null returning id`;

export const insertGrant = (
  { tenantId }: TenantContext,
  row: Pick<GrantRow, 'id' | 'kind' | 'member_id' | 'scopes' | 'minutes' | 'reason' | 'ticket' | 'asked_at'>,
): Statement =>
  sql`insert into identity.production_grant (tenant_id, id, kind, member_id, scopes, minutes, reason, ticket, asked_at)
    values (${tenantId}, ${row.id}, ${row.kind}, ${row.member_id}, ${[...row.scopes]}::text[], ${row.minutes}, ${row.reason},
      ${row.ticket}, ${row.asked_at})`;

export interface Beginning {
  readonly vouched: Vouching;
  readonly provedAt: Date;
  readonly confirmedBy: Uuid | null;
  readonly startsAt: Date;
  readonly endsAt: Date;
}

export const beginGrant = ({ tenantId }: TenantContext, id: Uuid, begun: Beginning): Statement =>
  sql`update identity.production_grant set vouched = ${begun.vouched}, proved_at = ${begun.provedAt},
    confirmed_by = ${begun.confirmedBy}, starts_at = ${begun.startsAt}, ends_at = ${begun.endsAt}
    where tenant_id = ${tenantId} and id = ${id}`;

export const endGrant = (
  { tenantId }: TenantContext,
  id: Uuid,
  ended: { readonly at: Date; readonly reason: EndedReason; readonly by: Uuid | null },
): Statement =>
  sql`update identity.production_grant set ended_at = ${ended.at}, ended_reason = ${ended.reason}, ended_by = ${ended.by}
    where tenant_id = ${tenantId} and id = ${id}`;

export const reviewGrant = (
  { tenantId }: TenantContext,
  id: Uuid,
  review: { readonly at: Date; readonly by: Uuid; readonly outcome: ReviewOutcome },
): Statement =>
  sql`update identity.production_grant set reviewed_at = ${review.at}, reviewed_by = ${review.by},
    review = ${review.outcome} where tenant_id = ${tenantId} and id = ${id}`;

/** An operator who could confirm for another one: active, with as many passkeys as approving asks for. */
export const otherOperators = (
  { tenantId }: TenantContext,
  than: { readonly memberId: Uuid; readonly passkeys_min: number },
): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select m.id from identity.member m
    where m.tenant_id = ${tenantId} and m.role = 'operator' and m.state = 'active' and m.id <> ${than.memberId}
      and (select count(*) from identity.credential c
        where c.tenant_id = ${tenantId} and c.member_id = m.id and c.removed_at is null) >= ${than.passkeys_min}
    order by m.id limit 1`;

export const isOperator = ({ tenantId }: TenantContext, memberId: Uuid): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select m.id from identity.member m
    where m.tenant_id = ${tenantId} and m.id = ${memberId} and m.role = 'operator' and m.state = 'active' for update`;

/** Everybody who was ever let in or let somebody in is among them. */
export const operatorLabels = ({ tenantId }: TenantContext): Statement<{ id: Uuid; label: Buffer }> =>
  sql<{ id: Uuid; label: Buffer }>`select m.id, m.label from identity.member m where m.tenant_id = ${tenantId}
    order by m.id`;
