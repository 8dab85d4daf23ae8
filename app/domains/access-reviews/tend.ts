import { randomUUID } from 'node:crypto';
import { isAppError, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { findTenant, lockManagers } from '../identity/index.ts';
import { compare, type Compared } from './deciding.ts';
import type { AccessReviewDeps, ReviewedTenant } from './deps.ts';
import type { AccessReviewCode } from './errors.ts';
import { moveReview } from './moving.ts';
import { DAY_MS, openWhenDue } from './opening.ts';
import { PROOF_AFTER_MS, prove } from './proving.ts';
import * as queries from './queries.ts';
import type { ItemRow, ReviewRow } from './queries.ts';
import { carryOut } from './removing.ts';
import { growthHash } from './snapshot.ts';

/** Days before the deadline on which those who have not decided are reminded. */
export const REMINDER_DAYS = [7, 3, 1] as const;

const BY_SERVICE = { actor: { service: 'issuer' } } as const;

/** What a decision would find changed by itself: the access has ended, or what was kept has grown. */
async function settleChanged(deps: AccessReviewDeps, tenant: ReviewedTenant, compared: Compared): Promise<void> {
  const { context } = tenant;
  const at = new Date(deps.clock.nowMs());
  type Changed = { readonly item: ItemRow; readonly event: 'gone' | 'reopen' };
  const changed = compared.items.flatMap((item): Changed[] => {
    const growth = compared.growth.get(item.position);
    if (growth === undefined) return item.decision === null ? [{ item, event: 'gone' }] : [];
    const isOther = item.decision === 'keep' && growth.length > 0 && !growthHash(growth).equals(item.grown_hash!);
    return isOther ? [{ item, event: 'reopen' }] : [];
  });
  if (changed.length === 0) return;
  await deps.tenant.transaction(context, async (tx) => {
    const [row] = await tx.query(queries.reviewForUpdate(context, compared.row.id));
    if (row === undefined || (row.state !== 'open' && row.state !== 'decided' && row.state !== 'overdue')) return;
    for (const { item, event } of changed) {
      if (event === 'gone') await writeGone(deps, tx, { item, at });
      else if (row.state !== 'overdue') await writeReopened(deps, tx, item);
    }
    const undecided = await undecidedOf(tx, row.id);
    if (row.state === 'decided') {
      if (undecided.length > 0) await moveReview(deps, tx, { row, event: 'reopen' });
    } else if (undecided.length === 0) await moveReview(deps, tx, { row, event: 'decide-last' });
  });
}

async function undecidedOf(tx: ScopedTransaction, reviewId: Uuid): Promise<ItemRow[]> {
  return (await tx.query(queries.itemsOf(tx.context, reviewId))).filter(({ decision }) => decision === null);
}

/** It ended by itself before anybody decided: nothing is left to decide. */
async function writeGone(
  deps: AccessReviewDeps,
  tx: ScopedTransaction,
  { item, at }: { readonly item: ItemRow; readonly at: Date },
): Promise<void> {
  const decision = { id: item.id, decision: 'gone', because: 'ended', by: null, at } as const;
  const done = await tx.query(queries.decideItem(tx.context, { ...decision, role: null, reason: null, grown: null }));
  if (done.length === 0) return;
  await deps.recordAudit(tx, {
    ...BY_SERVICE,
    type: 'access-review.item-ended',
    resource: ['access-review', item.review_id],
    outcome: 'allowed',
    requestId: tx.context.requestId,
    public: { item: item.position, kind: item.kind },
  });
}

async function writeReopened(deps: AccessReviewDeps, tx: ScopedTransaction, item: ItemRow): Promise<void> {
  if ((await tx.query(queries.reopenItem(tx.context, item.id))).length === 0) return;
  await deps.recordAudit(tx, {
    ...BY_SERVICE,
    type: 'access-review.item-reopened',
    resource: ['access-review', item.review_id],
    outcome: 'allowed',
    requestId: tx.context.requestId,
    public: { item: item.position, kind: item.kind },
  });
}

/**
 * The one undecided manager who stays because nobody else would manage the tenant: whoever was seen last. Undefined where
 * somebody stays anyway.
 */
function whoStays(managers: readonly { readonly id: Uuid }[], compared: Compared, items: readonly ItemRow[]) {
  const rows = new Map(items.filter(({ kind }) => kind === 'member').map((item) => [item.target_id, item]));
  const stays = ({ id }: { readonly id: Uuid }): boolean => {
    const item = rows.get(id);
    if (item === undefined) return true; // came after the snapshot
    if (item.decision === 'change-role') return item.new_role === 'lead' || item.new_role === 'operator';
    return item.decision === 'keep';
  };
  if (managers.some(stays)) return undefined;
  const seen = new Map(compared.snapshot.items.map(({ n, lastUsedAt }) => [n, lastUsedAt ?? '']));
  return managers
    .flatMap(({ id }) => rows.get(id) ?? [])
    .filter(({ decision }) => decision === null)
    .toSorted((a, b) => (seen.get(a.position)! < seen.get(b.position)! ? 1 : -1))[0];
}

/** What nobody has decided by the deadline is to be removed; may be repeated. */
async function passDeadline(deps: AccessReviewDeps, tenant: ReviewedTenant, compared: Compared): Promise<void> {
  const { context } = tenant;
  const at = new Date(deps.clock.nowMs());
  if (at < compared.row.due_at) return;
  await deps.tenant.transaction(context, async (tx) => {
    const [row] = await tx.query(queries.reviewForUpdate(context, compared.row.id));
    if (row?.state !== 'open') return;
    const items = await tx.query(queries.itemsOf(context, row.id));
    const staying = whoStays(await tx.query(lockManagers(context.tenantId)), compared, items);
    const lapsed = items.filter(({ id, decision }) => decision === null && id !== staying?.id);
    for (const { id } of lapsed)
      await tx.query(
        queries.decideItem(context, {
          id,
          decision: 'remove',
          because: 'deadline',
          by: null,
          at,
          role: null,
          reason: null,
          grown: null,
        }),
      );
    await moveReview(deps, tx, { row, event: staying === undefined ? 'deadline' : 'deadline-stuck' });
    const entry = { ...BY_SERVICE, resource: ['access-review', row.id], requestId: context.requestId } as const;
    await deps.recordAudit(tx, {
      ...entry,
      type: 'access-review.deadline-passed',
      outcome: 'allowed',
      public: { items: lapsed.length, undecided: staying === undefined ? 0 : 1 },
    });
    if (staying !== undefined)
      await deps.recordAudit(tx, {
        ...entry,
        type: 'access-review.overdue',
        outcome: 'failed',
        public: { member: staying.target_id, undecided: 1 },
      });
  });
}

/** One entry for each of the days on which somebody is to be reminded, whichever issuer comes first. */
async function remind(deps: AccessReviewDeps, tenant: ReviewedTenant, row: ReviewRow): Promise<void> {
  if (row.state !== 'open' || row.is_drill) return;
  const left_ms = row.due_at.getTime() - deps.clock.nowMs();
  const days = REMINDER_DAYS.filter((day) => left_ms <= day * DAY_MS).at(-1);
  if (days === undefined || left_ms <= 0) return;
  if (row.reminded_days !== null && row.reminded_days <= days) return;
  const { context } = tenant;
  await deps.tenant.transaction(context, async (tx) => {
    if ((await tx.query(queries.setReminded(context, row.id, days))).length === 0) return;
    await deps.recordAudit(tx, {
      ...BY_SERVICE,
      type: 'access-review.reminded',
      resource: ['access-review', row.id],
      outcome: 'allowed',
      requestId: context.requestId,
      public: { daysLeft: days, undecided: (await undecidedOf(tx, row.id)).length },
    });
  });
}

const isToBeDone = ({ decision, carried_out_at }: ItemRow): boolean =>
  (decision === 'remove' || decision === 'change-role') && carried_out_at === null;

/** Carries out what was decided and is not done yet, then looks at what was done long enough ago. Throws the first failure. */
async function removeAndProve(deps: AccessReviewDeps, tenant: ReviewedTenant, reviewId: Uuid): Promise<void> {
  const { context } = tenant;
  const failures: unknown[] = [];
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      // Stays with the tenant, and with the review, until somebody else manages it too.
      if (!isAppError<AccessReviewCode>(error, 'access_review_last_manager')) failures.push(error);
    }
  };
  for (const item of await deps.tenant.scoped(context, queries.itemsOf(context, reviewId)))
    if (isToBeDone(item)) await attempt(() => carryOut(deps, tenant, item));
  const looksAfter_ms = deps.clock.nowMs() - PROOF_AFTER_MS;
  for (const item of await deps.tenant.scoped(context, queries.itemsOf(context, reviewId)))
    if (item.carried_out_at !== null && item.proof !== 'gone' && item.carried_out_at.getTime() <= looksAfter_ms)
      await attempt(() => prove(deps, tenant, item));
  if (failures.length > 0) throw failures[0];
}

/** Closes a review of which everything is decided, done and seen to be done. */
async function closeWhenDone(deps: AccessReviewDeps, tenant: ReviewedTenant, reviewId: Uuid): Promise<void> {
  const { context } = tenant;
  await deps.tenant.transaction(context, async (tx) => {
    const [row] = await tx.query(queries.reviewForUpdate(context, reviewId));
    if (row === undefined || (row.state !== 'decided' && row.state !== 'removing')) return;
    const items = await tx.query(queries.itemsOf(context, reviewId));
    const isDone = (item: ItemRow) => item.decision === 'keep' || item.decision === 'gone' || item.proof === 'gone';
    if (!items.every(isDone)) {
      const state = await moveReview(deps, tx, { row, event: 'settle' });
      if (state !== row.state) await recordMove(deps, tx, { row, state });
      return;
    }
    const state = await moveReview(deps, tx, { row, event: 'settle' });
    await moveReview(deps, tx, { row: { id: row.id, state }, event: 'prove' });
    await deps.recordAudit(tx, {
      ...BY_SERVICE,
      type: 'access-review.closed',
      resource: ['access-review', row.id],
      outcome: 'allowed',
      requestId: context.requestId,
      public: {
        snapshot: row.snapshot_hash.toString('hex'),
        items: items.length,
        removed: items.filter(({ proof }) => proof === 'gone').length,
      },
    });
  });
}

async function recordMove(
  deps: AccessReviewDeps,
  tx: ScopedTransaction,
  { row, state }: { readonly row: ReviewRow; readonly state: ReviewRow['state'] },
): Promise<void> {
  await deps.recordAudit(tx, {
    ...BY_SERVICE,
    type: 'access-review.removing',
    resource: ['access-review', row.id],
    outcome: 'allowed',
    requestId: tx.context.requestId,
    public: { state },
  });
}

/** Takes a review on as far as it goes by itself; may be repeated, and done by several issuers at once. */
export async function tendReview(deps: AccessReviewDeps, tenant: ReviewedTenant, row: ReviewRow): Promise<void> {
  if (row.state !== 'removing') {
    const compared = await compare(deps, tenant, row.id);
    await settleChanged(deps, tenant, compared);
    await passDeadline(deps, tenant, compared);
  }
  await remind(deps, tenant, row);
  await removeAndProve(deps, tenant, row.id);
  await closeWhenDone(deps, tenant, row.id);
}

/** What is due for one tenant: the review of a new quarter, reminders, deadlines, removals and their proofs. */
export async function tendAccessReviews(deps: AccessReviewDeps, context: TenantContext): Promise<void> {
  const tenant = await findTenant(deps, context.tenantId, randomUUID());
  if (tenant === undefined) return;
  await openWhenDue(deps, tenant);
  const failures: unknown[] = [];
  for (const row of await deps.tenant.scoped(tenant.context, queries.unclosedReviews(tenant.context))) {
    try {
      await tendReview(deps, tenant, row);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
