import { AppError, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import type { Caller } from '../../platform/http/handler.ts';
import type { StepUpSubjects } from '../access/index.ts';
import { GRANTS_SHOWN_MAX, type ShownGrant } from './contract.ts';
import { confirmBy, stateOf } from './grant-rules.ts';
import { judgeBy, reviewRefusal } from './judging.ts';
import type { GrantRow } from './queries.ts';
import * as queries from './queries.ts';
import { askFacts, type PrivilegedAccessDeps } from './service.ts';

type ShowingDeps = Pick<PrivilegedAccessDeps, 'tenant' | 'sealer' | 'clock' | 'formatId'>;

/** What people are called, as far as it can be read. */
async function labelsOf(deps: ShowingDeps, context: TenantContext): Promise<ReadonlyMap<Uuid, string>> {
  const rows = await deps.tenant.scoped(context, queries.operatorLabels(context));
  const values = rows.map(({ id, label }) => ({ field: 'identity.member.label', rowId: id, sealed: label }) as const);
  const labels = await deps.sealer.openNames({ context, values });
  return new Map(rows.map(({ id }, at) => [id, labels[at]!]));
}

interface Words {
  readonly reasons: readonly string[];
  readonly tickets: ReadonlyMap<Uuid, string>;
  readonly labels: ReadonlyMap<Uuid, string>;
}

/** Reasons as far as they can be read: who is let in must be seen, and ended, also while a key store is away. */
async function wordsOf(deps: ShowingDeps, context: TenantContext, rows: readonly GrantRow[]): Promise<Words> {
  const reasons = await deps.sealer.openNames({
    context,
    values: rows.map(({ id, reason }) => ({
      field: 'identity.production_grant.reason',
      rowId: id,
      sealed: reason,
    })),
  });
  const ticketed = rows.flatMap(({ id, ticket }) => (ticket === null ? [] : [{ id, ticket }]));
  const tickets = await deps.sealer.openNames({
    context,
    values: ticketed.map(({ id, ticket }) => ({
      field: 'identity.production_grant.ticket',
      rowId: id,
      sealed: ticket,
    })),
  });
  const byId = new Map(ticketed.map(({ id }, at) => [id, tickets[at]!]));
  return { reasons, tickets: byId, labels: await labelsOf(deps, context) };
}

const iso = (at: Date | null): string | null => at?.toISOString() ?? null;

/** Rows as the caller sees them. */
export async function showGrants(
  deps: ShowingDeps,
  caller: Pick<Caller, 'tenant' | 'personId'>,
  rows: readonly GrantRow[],
): Promise<ShownGrant[]> {
  const { tenant: context, personId } = caller;
  const { reasons, tickets, labels } = await wordsOf(deps, context, rows);
  const nameOf = (id: Uuid | null) => (id === null ? null : (labels.get(id) ?? 'somebody'));
  const now_ms = deps.clock.nowMs();
  return rows.map((row, at) => {
    const state = stateOf(row, now_ms);
    const { reviewed_at, reviewed_by, review } = row;
    const endedAt = state === 'over' ? row.ends_at : state === 'ended' ? row.ended_at : null;
    return {
      id: deps.formatId('pgr', context, row.id),
      kind: row.kind,
      person: nameOf(row.member_id)!,
      own: row.member_id === personId,
      scopes: [...row.scopes],
      minutes: row.minutes,
      reason: reasons[at]!,
      ticket: tickets.get(row.id) ?? null,
      state,
      askedAt: row.asked_at.toISOString(),
      confirmBy: confirmBy(row).toISOString(),
      vouched: row.vouched,
      confirmedBy: nameOf(row.confirmed_by),
      provedAt: iso(row.proved_at),
      startsAt: iso(row.starts_at),
      endsAt: iso(row.ends_at),
      endedAt: iso(endedAt),
      endedBecause: state === 'over' ? 'over' : state === 'ended' ? row.ended_reason : null,
      endedBy: nameOf(row.ended_by),
      review:
        reviewed_at === null ? null : { at: reviewed_at.toISOString(), by: nameOf(reviewed_by)!, outcome: review! },
      judgeBy: iso(judgeBy(row)),
      mayConfirm: state === 'waiting' && row.member_id !== personId,
      mayReview: reviewRefusal(row, personId) === undefined,
    };
  });
}

/** Who has, had or wants production access; the newest first, at most `limit`. */
export function listGrants(
  { tenant }: Pick<PrivilegedAccessDeps, 'tenant'>,
  context: TenantContext,
  { limit = GRANTS_SHOWN_MAX }: { readonly limit?: number } = {},
): Promise<GrantRow[]> {
  return tenant.scoped(context, queries.grants(context, limit));
}

/** Glass that was broken and that no third person has judged yet; the oldest first. */
export function unreviewedBreakGlass(
  { tenant }: Pick<PrivilegedAccessDeps, 'tenant'>,
  context: TenantContext,
): Promise<GrantRow[]> {
  return tenant.scoped(context, queries.unreviewed(context, GRANTS_SHOWN_MAX));
}

/** What is read again before access is asked for or given: on whose word, to whom, what, for how long and why. */
export function privilegedAccessSubjects(deps: ShowingDeps): StepUpSubjects {
  return {
    'production-access.ask': ({ caller }) => askFacts(deps, caller),
    async 'production-access.confirm'({ caller, ids }) {
      const id = ids['grantId'];
      const [row] =
        id === undefined ? [] : await deps.tenant.scoped(caller.tenant, queries.grantById(caller.tenant, id));
      if (row === undefined) throw new AppError<'not_found'>('not_found', 'no such grant');
      const [shown] = await showGrants(deps, caller, [row]);
      const { person, kind, scopes, minutes, reason, ticket, state, askedAt } = shown!;
      const facts = { person, kind, scopes: scopes.join(', '), minutes, reason, state, askedAt };
      return { ...facts, ...(ticket === null ? {} : { ticket }) };
    },
  };
}
