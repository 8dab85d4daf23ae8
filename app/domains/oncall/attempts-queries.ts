import type { Uuid } from '@auditrax/base';
import { sql, type Statement } from '@auditrax/tenancy';

export interface AttemptRow {
  readonly entry_id: Uuid;
  readonly log_index: string | null;
  readonly about_tenant: Uuid | null;
  readonly target_part: string | null;
  readonly canary: boolean;
  readonly code: string;
  readonly layer: string;
  readonly operation: string | null;
  readonly actor: string;
  readonly session_id: Uuid | null;
  readonly request_id: string;
  readonly source: string | null;
  readonly times: string;
  readonly occurred_ms: string;
  readonly page_id: Uuid | null;
}

export interface NewAttempt {
  readonly entryId: string;
  readonly logIndex: bigint;
  readonly aboutTenant: string;
  readonly targetPart: number | null;
  readonly canary: boolean;
  readonly code: string;
  readonly layer: string;
  readonly operation: string | null;
  readonly actor: string;
  readonly sessionId: Uuid | null;
  readonly requestId: string;
  readonly source: string | null;
  readonly times: number;
  readonly occurred_ms: number;
  readonly seenAt: Date;
}

/** An entry that a repeated batch brings again is noted already. */
export function insertAttempt(attempt: NewAttempt): Statement {
  return sql`
    insert into oncall.attempt (entry_id, log_index, about_tenant, target_part, canary, code, layer, operation,
      actor, session_id, request_id, source, times, occurred_ms, seen_at)
    values (${attempt.entryId}, ${attempt.logIndex.toString()}, ${attempt.aboutTenant},
      ${attempt.targetPart}, ${attempt.canary}, ${attempt.code}, ${attempt.layer}, ${attempt.operation}, ${attempt.actor},
      ${attempt.sessionId}, ${attempt.requestId}, ${attempt.source}, ${attempt.times}, ${attempt.occurred_ms},
      ${attempt.seenAt})
    on conflict (entry_id) do nothing`;
}

/** Keeps the newest only: ids of entries are in the order of time. */
export function forgetAttempts(canary: boolean, kept: number): Statement {
  return sql`
    delete from oncall.attempt where canary = ${canary} and entry_id <= (
      select a.entry_id from oncall.attempt a where a.canary = ${canary} order by a.entry_id desc offset ${kept} limit 1)`;
}

export interface AttemptFilter {
  /** Null: any. */
  readonly layer: string | null;
  readonly tenantId: Uuid | null;
  readonly canary: boolean;
  /** Entry that the last page ended at; null: from the newest. */
  readonly before: string | null;
  readonly limit: number;
}

export function listAttempts(filter: AttemptFilter): Statement<AttemptRow> {
  const { layer, tenantId, canary, before, limit } = filter;
  return sql<AttemptRow>`
    select a.entry_id, a.log_index, a.about_tenant, a.target_part, a.canary, a.code, a.layer, a.operation,
      a.actor, a.session_id, a.request_id, a.source, a.times, a.occurred_ms, e.page_id
    from oncall.attempt a
    left join oncall.page_entry e on e.entry_id = a.entry_id and e.detection = a.code
    where (${canary}::boolean or not a.canary)
      and (${layer}::text is null or a.layer = ${layer}::text)
      and (${tenantId}::uuid is null or a.about_tenant = ${tenantId}::uuid)
      and (${before}::uuid is null or a.entry_id < ${before}::uuid)
    order by a.entry_id desc limit ${limit}`;
}

export function countCanaryAttempts(since_ms: number): Statement<{ attempts: string }> {
  return sql<{ attempts: string }>`
    select count(*) as attempts from oncall.attempt a where a.canary and a.occurred_ms >= ${since_ms}`;
}

export interface TenantName {
  readonly id: Uuid;
  /** bigint; as text. */
  readonly part: string;
  readonly slug: string;
}

/** The tenants that attempts name, on either side. */
export function tenantsNamed(ids: readonly string[], parts: readonly string[]): Statement<TenantName> {
  return sql<TenantName>`
    select t.id, t.part, t.slug from platform.tenant t where t.id = any(${ids}::uuid[]) or t.part = any(${parts}::bigint[])`;
}

/** Every tenant with an attempt at hand, for the choice of one. */
export function tenantsWithAttempts(): Statement<TenantName> {
  return sql<TenantName>`
    select t.id, t.part, t.slug from platform.tenant t
    where exists (select from oncall.attempt a where a.about_tenant = t.id) order by t.slug limit 500`;
}
