import type { AppError, Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { auditFromCall } from '../../platform/audit/index.ts';
import { requireManager, type Asker } from '../access/index.ts';
import type { IdentityDeps } from '../identity/index.ts';
import { JUDGED_WITHIN_DAYS } from './contract.ts';
import { notFound, refuse, type PrivilegedAccessCode } from './errors.ts';
import type { GrantRow, ReviewOutcome } from './queries.ts';
import * as queries from './queries.ts';

const DAY_MS = 86_400_000;
type Deps = Pick<IdentityDeps, 'tenant' | 'recordAudit' | 'clock'>;
type Judge = Omit<Asker, 'stepUp'>;

/** Until when a third person has to say what they make of it; null where nothing is to be judged any more. */
export function judgeBy({ kind, starts_at, reviewed_at }: GrantRow): Date | null {
  if (kind !== 'break-glass' || starts_at === null || reviewed_at !== null) return null;
  return new Date(starts_at.getTime() + JUDGED_WITHIN_DAYS * DAY_MS);
}

const tooLongAgo = ({ clock }: Pick<Deps, 'clock'>): Date => new Date(clock.nowMs() - JUDGED_WITHIN_DAYS * DAY_MS);

/**
 * That no emergency of these people, whether they asked or let somebody in, is older than it may be and judged by nobody:
 * who is never asked about the last one finds it easy to break the glass again. Throws `production_glass_unjudged`.
 */
export async function requireJudged(
  deps: Pick<Deps, 'clock'>,
  tx: ScopedTransaction,
  people: readonly Uuid[],
): Promise<void> {
  for (const of of people) {
    const rows = await tx.query(queries.unjudgedSince(tx.context, { before: tooLongAgo(deps), of }));
    if (rows.length > 0)
      throw refuse(
        'production_glass_unjudged',
        `An emergency of one of you was judged by nobody within ${JUDGED_WITHIN_DAYS} days. Somebody who was not part of it has to say first whether it was justified. Access can be asked for without breaking the glass.`,
      );
  }
}

/** Glass that was broken too long ago and that nobody has judged, for a review and for the page about it. */
export function longUnjudged(deps: Pick<Deps, 'tenant' | 'clock'>, context: TenantContext): Promise<GrantRow[]> {
  return deps.tenant.scoped(context, queries.unjudgedSince(context, { before: tooLongAgo(deps) }));
}

/** Tells, once, of each broken glass that nobody has judged in time; may be repeated, and done by several issuers at once. */
export async function tendBrokenGlass(deps: Deps, context: TenantContext): Promise<void> {
  const before = tooLongAgo(deps);
  for (const row of await deps.tenant.scoped(context, queries.unjudgedSince(context, { before, isUntold: true })))
    await deps.tenant.transaction(context, async (tx) => {
      const told = await tx.query(queries.setUnjudgedTold(context, row.id, new Date(deps.clock.nowMs())));
      if (told.length === 0) return;
      await deps.recordAudit(tx, {
        type: 'production-access.glass-unjudged',
        actor: { service: 'issuer' },
        resource: ['production-grant', row.id],
        outcome: 'failed',
        requestId: context.requestId,
        public: { kind: row.kind, member: row.member_id, since: row.starts_at!.toISOString() },
      });
    });
}

/** Why `personId` may not judge this; undefined when they may. */
export function reviewRefusal(row: GrantRow, personId: Uuid): AppError<PrivilegedAccessCode> | undefined {
  const refused = (why: string) => refuse('production_review_refused', why);
  if (row.kind !== 'break-glass' || row.starts_at === null) return refused('Only a broken glass is reviewed.');
  if (row.reviewed_at !== null) return refused('It is reviewed already.');
  if (row.member_id === personId || row.confirmed_by === personId)
    return refused('Whoever asked for it or let them in cannot judge it.');
  return undefined;
}

/**
 * Keeps what a third person says of a broken glass, in the transaction of whatever else they decide, so that there is never
 * the one without the other. Throws `not_found`, `production_review_refused`, `operation_refused`.
 */
export async function judgeIn(
  deps: Pick<Deps, 'recordAudit' | 'clock'>,
  tx: ScopedTransaction,
  { who, id, outcome }: { readonly who: Judge; readonly id: Uuid; readonly outcome: ReviewOutcome },
): Promise<GrantRow> {
  const { context } = tx;
  const { personId } = who.caller;
  await requireManager(tx, who.caller);
  const [row] = await tx.query(queries.grantForUpdate(context, id));
  if (row === undefined) throw notFound();
  const refused = reviewRefusal(row, personId);
  if (refused !== undefined) throw refused;
  await tx.query(queries.reviewGrant(context, id, { at: new Date(deps.clock.nowMs()), by: personId, outcome }));
  await deps.recordAudit(tx, {
    ...auditFromCall(who),
    type: 'production-access.reviewed',
    resource: ['production-grant', id],
    outcome: 'allowed',
    public: { kind: row.kind, state: outcome, member: row.member_id },
  });
  return (await tx.query(queries.grantById(context, id)))[0]!;
}

/** As `judgeIn`, by itself. */
export function markReviewed(
  deps: Deps,
  who: Judge,
  of: { readonly id: Uuid; readonly outcome: ReviewOutcome },
): Promise<GrantRow> {
  return deps.tenant.transaction(who.caller.tenant, (tx) => judgeIn(deps, tx, { who, ...of }));
}
