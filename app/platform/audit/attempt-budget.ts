import type { Uuid } from '@auditrax/base';
import type { Statement } from '@auditrax/tenancy';
import type { AuditInput } from './leaf.ts';

/**
 * Attempts across tenants that one session may make before it ends. A person who follows old links of an organisation
 * they left does it a few times; whoever does it thirty times is a program.
 */
export const WALL_ATTEMPTS_PER_SESSION_MAX = 30;
/** Refusals by role, row or approval that one session has written one by one within a window; the session goes on. */
export const RULE_ATTEMPTS_PER_SESSION_MAX = 200;
/** Without a session behind them: of one passkey, or of one tenant's own statements. A house with more is on fire, and knows. */
export const ATTEMPTS_PER_RESOURCE_MAX = 2_000;
/** After this time a budget that does not end a session begins anew. */
export const BUDGET_MS = 3_600_000;
/** How often a sum of what is past its budget is written. */
export const TELL_EVERY_MS = 10_000;

/** `walls`: what concerns another tenant. `rules`: what one's own tenant does not allow. */
export type BudgetKind = 'walls' | 'rules';

/** Who pays for an attempt, and how much they have. */
export interface Budget {
  readonly subject: Uuid;
  readonly kind: BudgetKind;
  readonly max: number;
  /** Attempts of before then no longer count; null when they always do. */
  readonly since: Date | null;
  /** True when a session is behind it that ends with its budget. */
  readonly ends: boolean;
}

/** Pure: the budget of an entry about a denial. */
export function budgetOf(input: Pick<AuditInput, 'actor' | 'resource'>, kind: BudgetKind, now_ms: number): Budget {
  const session = 'sessionId' in input.actor ? input.actor.sessionId : undefined;
  const since = new Date(now_ms - BUDGET_MS);
  if (session === undefined)
    return { subject: input.resource[1], kind, max: ATTEMPTS_PER_RESOURCE_MAX, since, ends: false };
  if (kind === 'walls') return { subject: session, kind, max: WALL_ATTEMPTS_PER_SESSION_MAX, since: null, ends: true };
  return { subject: session, kind, max: RULE_ATTEMPTS_PER_SESSION_MAX, since, ends: false };
}

export interface BudgetRow {
  readonly recorded: number;
  /** bigint; as text. */
  readonly over: string;
  readonly told: string;
  readonly told_at: Date | null;
  readonly single: boolean;
  readonly log_running: boolean;
}

/** Counts one attempt and holds the row until the transaction ends: of two at once each gets its own place. */
export function countAttempt(tenantId: Uuid, budget: Budget, at: Date): Statement<BudgetRow> {
  return {
    sql: `insert into audit.attempt_budget as held
            (tenant_id, subject, kind, since, last_at, recorded, single) values ($1, $2, $3, $4, $4, 1, true)
          on conflict (tenant_id, subject, kind) do update set
            single = coalesce(held.since < $6::timestamptz, false) or held.recorded < $5::integer,
            over = held.over + case when coalesce(held.since < $6::timestamptz, false) or held.recorded < $5::integer then 0 else 1 end,
            recorded = case when coalesce(held.since < $6::timestamptz, false) then 1
                            when held.recorded < $5::integer then held.recorded + 1 else held.recorded end,
            since = case when coalesce(held.since < $6::timestamptz, false) then excluded.since else held.since end,
            last_at = excluded.last_at
          returning recorded, over, told, told_at, single, log_running`,
    parameters: [tenantId, budget.subject, budget.kind, at, budget.max, budget.since],
  };
}

/** Of the sums that were not told yet, those of one subject; the row is held. */
export function readBudget(tenantId: Uuid, budget: Pick<Budget, 'subject' | 'kind'>): Statement<BudgetRow> {
  return {
    sql: `select b.recorded, b.over, b.told, b.told_at, b.single, b.log_running from audit.attempt_budget b
          where b.tenant_id = $1 and b.subject = $2 and b.kind = $3 for update`,
    parameters: [tenantId, budget.subject, budget.kind],
  };
}

/** Everything counted so far has been told. */
export function markTold(tenantId: Uuid, budget: Pick<Budget, 'subject' | 'kind'>, at: Date): Statement {
  return {
    sql: `update audit.attempt_budget set told = over, told_at = $4 where tenant_id = $1 and subject = $2 and kind = $3`,
    parameters: [tenantId, budget.subject, budget.kind, at],
  };
}

/** How many attempts on other tenants a session has made; no row when it made none. */
export function wallAttemptsOf(tenantId: Uuid, sessionId: Uuid): Statement<{ recorded: number; over: string }> {
  return {
    sql: `select b.recorded, b.over from audit.attempt_budget b
          where b.tenant_id = $1 and b.subject = $2 and b.kind = 'walls'`,
    parameters: [tenantId, sessionId],
  };
}
