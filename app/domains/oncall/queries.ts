import type { Json, Uuid } from '@auditrax/base';
import { sql, type Statement } from '@auditrax/tenancy';

/** A day of attempts each minute, and a storm on top. */
const DETECTION_TIMES_MAX = 20_000;

export interface PageRow {
  readonly id: Uuid;
  readonly detection: string;
  readonly severity: 'low' | 'high' | 'critical';
  readonly canary: boolean;
  readonly facts: Json;
  readonly about_tenant: string | null;
  readonly opened_at: Date;
  readonly last_at: Date;
  readonly count: number;
}

export interface DeliveryRow {
  readonly page_id: Uuid;
  readonly channel: 'inbox' | 'webhook' | 'canary';
  readonly count: number;
  readonly attempts: number;
  readonly accepted_at: Date | null;
  readonly outcome: string | null;
}

export function alreadyRaised(entryId: string, detection: string): Statement<{ entry_id: string }> {
  return sql<{
    entry_id: string;
  }>`select entry_id from oncall.page_entry where entry_id = ${entryId} and detection = ${detection}`;
}

export function openPageToCollapseInto(collapseKey: string, since: Date): Statement<{ id: Uuid; count: number }> {
  return sql<{ id: Uuid; count: number }>`
    select id, count from oncall.page where collapse_key = ${collapseKey} and last_at >= ${since}
    order by last_at desc limit 1 for update`;
}

export interface NewPage {
  readonly id: Uuid;
  readonly detection: string;
  readonly severity: string;
  readonly collapseKey: string;
  readonly aboutTenant: string;
  readonly canary: boolean;
  readonly facts: Json;
  readonly count: number;
  readonly at: Date;
}

export function insertPage(page: NewPage): Statement {
  return sql`
    insert into oncall.page (id, detection, severity, collapse_key, about_tenant, canary, facts, opened_at, last_at, count)
    values (${page.id}, ${page.detection}, ${page.severity}, ${page.collapseKey}, ${page.aboutTenant}, ${page.canary},
      ${JSON.stringify(page.facts)}, ${page.at}, ${page.at}, ${page.count})`;
}

/** Adds to a page's count; a worse alert makes the page as bad. */
export function growPage(
  id: Uuid,
  by: { readonly times: number; readonly severity: string; readonly at: Date },
): Statement<{ count: number }> {
  return sql<{ count: number }>`
    update oncall.page set count = count + ${by.times}, last_at = ${by.at},
      severity = case when severity = 'critical' or ${by.severity}::text = 'critical' then 'critical'
                      when severity = 'high' or ${by.severity}::text = 'high' then 'high' else 'low' end
    where id = ${id} returning count`;
}

export interface PageEntry {
  readonly entryId: string;
  readonly detection: string;
  readonly pageId: Uuid;
  readonly requestId: string;
  readonly occurred_ms: number;
  readonly at: Date;
}

export function insertPageEntry(entry: PageEntry): Statement {
  return sql`
    insert into oncall.page_entry (entry_id, detection, page_id, request_id, occurred_ms, seen_at)
    values (${entry.entryId}, ${entry.detection}, ${entry.pageId}, ${entry.requestId}, ${entry.occurred_ms}, ${entry.at})`;
}

export function enqueueDelivery(delivery: { pageId: Uuid; channel: string; count: number; at: Date }): Statement {
  return sql`
    insert into oncall.delivery (page_id, channel, count, next_at)
    values (${delivery.pageId}, ${delivery.channel}, ${delivery.count}, ${delivery.at})`;
}

export function dueDeliveries(now: Date, limit: number): Statement<DeliveryRow & PageRow> {
  return sql<DeliveryRow & PageRow>`
    select d.page_id, d.channel, d.count, d.attempts, p.id, p.detection, p.severity, p.canary, p.facts, p.about_tenant,
      p.opened_at, p.last_at
    from oncall.delivery d join oncall.page p on p.id = d.page_id
    where d.accepted_at is null and d.next_at <= ${now}
    order by d.next_at limit ${limit}`;
}

export interface DeliveryOutcome {
  readonly pageId: Uuid;
  readonly channel: string;
  readonly count: number;
  readonly acceptedAt: Date | null;
  readonly outcome: string;
  readonly nextAt: Date;
}

export function recordDelivery(result: DeliveryOutcome): Statement {
  return sql`
    update oncall.delivery set attempts = attempts + 1, accepted_at = ${result.acceptedAt}, outcome = ${result.outcome},
      next_at = ${result.nextAt}
    where page_id = ${result.pageId} and channel = ${result.channel} and count = ${result.count}`;
}

export interface ReceiptRow {
  readonly page_id: Uuid;
  readonly detection: string;
  readonly opened_at: Date;
  readonly channel: string;
  readonly accepted_at: Date | null;
  readonly occurred_ms: string;
}

/** Deliveries of the pages that answer for a request; the first accepted one per page comes first. */
export function receiptsOfRequest(requestId: string): Statement<ReceiptRow> {
  return sql<ReceiptRow>`
    select e.page_id, e.detection, p.opened_at, d.channel, d.accepted_at, e.occurred_ms
    from oncall.page_entry e
    join oncall.page p on p.id = e.page_id
    join oncall.delivery d on d.page_id = p.id
    where e.request_id = ${requestId}
    order by d.accepted_at nulls last`;
}

/**
 * Per event: when it happened and when the first channel accepted its page. The inbox counts only where the page has no
 * other channel: a page that nobody was sent is not yet a page.
 */
export function detectionTimesSince(since_ms: number): Statement<{ occurred_ms: string; accepted_ms: string | null }> {
  return sql<{ occurred_ms: string; accepted_ms: string | null }>`
    select e.occurred_ms, (extract(epoch from coalesce(
        min(d.accepted_at) filter (where d.channel <> 'inbox'),
        case when count(*) filter (where d.channel <> 'inbox') = 0 then min(d.accepted_at) end)) * 1000)::bigint as accepted_ms
    from oncall.page_entry e
    left join oncall.delivery d on d.page_id = e.page_id
    where e.occurred_ms >= ${since_ms}
    group by e.entry_id, e.detection, e.occurred_ms
    limit ${DETECTION_TIMES_MAX}`;
}

export function listPages(before: Date, limit: number): Statement<PageRow> {
  return sql<PageRow>`
    select id, detection, severity, canary, facts, about_tenant, opened_at, last_at, count
    from oncall.page where not canary and opened_at < ${before} order by opened_at desc limit ${limit}`;
}

export function countCanaryPages(since: Date): Statement<{ pages: string; delivered: string; last_at: Date | null }> {
  return sql<{ pages: string; delivered: string; last_at: Date | null }>`
    select count(*) as pages,
      count(*) filter (where exists (
        select from oncall.delivery d where d.page_id = p.id and d.channel = 'canary' and d.accepted_at is not null)) as delivered,
      max(p.opened_at) as last_at
    from oncall.page p where p.canary and p.opened_at >= ${since}`;
}

export function deliveriesOf(pageIds: readonly Uuid[]): Statement<DeliveryRow> {
  return sql<DeliveryRow>`
    select page_id, channel, count, attempts, accepted_at, outcome from oncall.delivery where page_id = any(${pageIds})`;
}

export function pageById(id: Uuid): Statement<PageRow> {
  return sql<PageRow>`
    select id, detection, severity, canary, facts, about_tenant, opened_at, last_at, count from oncall.page where id = ${id}`;
}

export function acknowledgementsOf(
  tenantId: Uuid,
  pageIds: readonly Uuid[],
): Statement<{ id: Uuid; person_id: Uuid; acknowledged_at: Date }> {
  return sql<{ id: Uuid; person_id: Uuid; acknowledged_at: Date }>`
    select id, person_id, acknowledged_at from oncall.acknowledgement
    where tenant_id = ${tenantId} and id = any(${pageIds})`;
}

export function insertAcknowledgement(input: { tenantId: Uuid; pageId: Uuid; personId: Uuid; at: Date }): Statement {
  return sql`
    insert into oncall.acknowledgement (tenant_id, id, person_id, acknowledged_at)
    values (${input.tenantId}, ${input.pageId}, ${input.personId}, ${input.at})`;
}

/** Slugs of the named tenants, for the operator's eyes. */
export function tenantSlugs(ids: readonly string[]): Statement<{ id: string; slug: string }> {
  return sql<{ id: string; slug: string }>`select t.id, t.slug from platform.tenant t where t.id = any(${ids})`;
}
