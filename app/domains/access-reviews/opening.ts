import { uuidV7, type Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import type { AuditInput } from '../../platform/audit/index.ts';
import { rulesInForce } from '../rules/index.ts';
import { REVIEW_DAYS } from './contract.ts';
import type { AccessReviewDeps, ReviewedTenant } from './deps.ts';
import { refuse } from './errors.ts';
import { holdersOf } from './holders.ts';
import * as queries from './queries.ts';
import { freeze, sealSnapshot } from './snapshot.ts';

export const DAY_MS = 86_400_000;
/** The page says that nothing is older than this; a quarter has no more days. */
export const QUARTER_DAYS_MAX = 92;
/** To look at what was removed, and for the hours in which nobody notices. */
const SPARE_DAYS = 3;
/** Opened so long after the last one was closed that the next can be closed in time. */
export const OPENED_AFTER_DAYS = QUARTER_DAYS_MAX - REVIEW_DAYS - SPARE_DAYS;

/** In whose name, as entries say it. */
export type By = Pick<AuditInput, 'actor' | 'decision' | 'tokenHash' | 'stepUpHash'>;
export const BY_SERVICE: By = { actor: { service: 'issuer' } };

export interface Opening {
  readonly tenant: ReviewedTenant;
  readonly dueAt: Date;
  readonly by: By;
  readonly openedBy: Uuid | null;
  /** A drill of the sentinel, on these people and what is theirs. */
  readonly drillOn?: ReadonlySet<Uuid>;
  /** Refuses, in the transaction, whoever may not. */
  readonly allow?: (tx: ScopedTransaction) => Promise<void>;
}

/**
 * Freezes who has access now and opens a review of it. Undefined: one is under way. What comes between the look and the
 * commit is no part of it; the next review has it, and so has the comparison at each decision.
 */
export async function openReview(deps: AccessReviewDeps, opening: Opening): Promise<Uuid | undefined> {
  const { tenant, dueAt, by, openedBy, drillOn } = opening;
  const { context } = tenant;
  const id = uuidV7(deps.clock, deps.random);
  const openedAt = new Date(deps.clock.nowMs());
  const holders = await holdersOf(deps, tenant, drillOn);
  const rules = await rulesInForce(deps.tenant, context);
  const { text, hash } = freeze(deps, { tenant, review: id, openedAt, rules }, holders);
  const snapshot = await sealSnapshot(deps, tenant, { review: id, text });
  return deps.tenant.transaction(context, async (tx) => {
    await opening.allow?.(tx);
    const row = { id, opened_at: openedAt, opened_by: openedBy, due_at: dueAt, snapshot, snapshot_hash: hash };
    const made = await tx.query(queries.insertReview(context, { ...row, is_drill: drillOn !== undefined }));
    if (made.length === 0) return undefined;
    for (const [index, { kind, target, holder }] of holders.entries())
      await tx.query(
        queries.insertItem(context, {
          id: uuidV7(deps.clock, deps.random),
          review_id: id,
          position: index + 1,
          kind,
          target_id: target,
          holder_id: holder,
        }),
      );
    await deps.recordAudit(tx, {
      ...by,
      type: 'access-review.opened',
      resource: ['access-review', id],
      outcome: 'allowed',
      requestId: context.requestId,
      decision: by.decision,
      public: {
        snapshot: hash.toString('hex'),
        items: holders.length,
        people: holders.filter(({ kind }) => kind === 'member').length,
        due: dueAt.toISOString(),
      },
    });
    return id;
  });
}

/** Opens the review of a quarter where one is due and none is under way. */
export async function openWhenDue(deps: AccessReviewDeps, tenant: ReviewedTenant): Promise<Uuid | undefined> {
  const { context } = tenant;
  if (tenant.kind !== 'operator') {
    const [setting] = await deps.tenant.scoped(context, queries.settingOf(context));
    if (setting?.each_quarter !== true) return undefined;
  }
  const unclosed = await deps.tenant.scoped(context, queries.unclosedReviews(context));
  if (unclosed.some(({ is_drill }) => !is_drill)) return undefined;
  const now_ms = deps.clock.nowMs();
  const [last] = await deps.tenant.scoped(context, queries.lastClosed(context));
  if (last !== undefined && now_ms - last.closed_at.getTime() < OPENED_AFTER_DAYS * DAY_MS) return undefined;
  // A tenant that is still being set up: nobody has come in yet, and a review would be about nobody.
  const holders = await holdersOf(deps, tenant);
  if (!holders.some(({ kind }) => kind === 'member')) return undefined;
  return openReview(deps, {
    tenant,
    dueAt: new Date(now_ms + REVIEW_DAYS * DAY_MS),
    by: BY_SERVICE,
    openedBy: null,
  });
}

/** Switches the review of each quarter on or off. Throws `access_review_mandatory` for the operator's tenant. */
export async function setEachQuarter(
  deps: AccessReviewDeps,
  tenant: ReviewedTenant,
  { on, by, allow }: { readonly on: boolean; readonly by: By; readonly allow: Opening['allow'] },
): Promise<void> {
  if (tenant.kind === 'operator') throw refuse('access_review_mandatory', 'the operator is reviewed each quarter');
  const { context } = tenant;
  await deps.tenant.transaction(context, async (tx) => {
    await allow?.(tx);
    await tx.query(queries.setEachQuarter(context, on));
    await deps.recordAudit(tx, {
      ...by,
      type: 'access-review.quarterly-set',
      resource: ['access-review-setting', context.tenantId],
      outcome: 'allowed',
      requestId: context.requestId,
      decision: by.decision,
      public: { on },
    });
  });
}
