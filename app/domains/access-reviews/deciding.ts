import { AppError, type Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import { auditFromCall } from '../../platform/audit/index.ts';
import type { Caller } from '../../platform/http/handler.ts';
import { requireManager, roleExistsIn, type Asker, type StepUpSubjects } from '../access/index.ts';
import { judgeIn } from '../privileged-access/index.ts';
import { rulesInForce, type RulesInForce } from '../rules/index.ts';
import type { GivenDecision } from './contract.ts';
import type { AccessReviewDeps, ReviewedTenant } from './deps.ts';
import { refuse } from './errors.ts';
import { holdersOf, type Holder } from './holders.ts';
import { moveReview } from './moving.ts';
import * as queries from './queries.ts';
import type { ItemRow, ReviewRow } from './queries.ts';
import { growthHash, growthOf, openSnapshot, type FrozenItem, type Snapshot } from './snapshot.ts';

export const tenantOf = (caller: Caller): ReviewedTenant => ({ context: caller.tenant, kind: caller.tenantKind });

/** A review with what was frozen and what stands there now. */
export interface Compared {
  readonly row: ReviewRow;
  readonly snapshot: Snapshot;
  /** In force now. */
  readonly rules: RulesInForce;
  readonly items: readonly ItemRow[];
  /** By number of the item: what has come since; undefined where the access has ended by itself. */
  readonly growth: ReadonlyMap<number, readonly string[] | undefined>;
}

const keyOf = ({ kind, target }: { readonly kind: string; readonly target: Uuid }) =>
  // An invitation that was accepted is a person now, with the same id.
  `${kind === 'invitation' ? 'member' : kind} ${target}`;

/** Reads a review and everybody's access anew. Throws `not_found`, `access_review_tampered`. */
export async function compare(deps: AccessReviewDeps, tenant: ReviewedTenant, id: Uuid): Promise<Compared> {
  const { context } = tenant;
  const [row] = await deps.tenant.scoped(context, queries.reviewById(context, id));
  // The same answer as for a foreign or forged id.
  if (row === undefined) throw new AppError<'not_found'>('not_found', 'no such review');
  const snapshot = await openSnapshot(deps, tenant, row);
  const items = await deps.tenant.scoped(context, queries.itemsOf(context, id));
  const people = row.is_drill ? new Set(snapshot.items.map(({ holder }) => holder!)) : undefined;
  const now = new Map(
    (await holdersOf(deps, tenant, people)).map((holder): [string, Holder] => [keyOf(holder), holder]),
  );
  const rules = await rulesInForce(deps.tenant, context);
  const growth = snapshot.items.map((frozen) => {
    const holder = now.get(keyOf(frozen));
    return [frozen.n, holder === undefined ? undefined : growthOf(snapshot, frozen, { holder, rules })] as const;
  });
  return { row, snapshot, rules, items, growth: new Map(growth) };
}

/** Whose it is; of broken glass also whoever let them in. */
export function isOwn({ kind, holder, of }: FrozenItem, { personId }: Pick<Caller, 'personId'>): boolean {
  return holder === personId || (kind === 'break-glass' && of === personId);
}

/** What must hold of a decision whatever else is true. Throws `access_review_decision`. */
function checkGiven(given: GivenDecision, frozen: FrozenItem, caller: Caller): void {
  const isChange = given.decision === 'change-role';
  const fault =
    isChange !== (given.role !== undefined)
      ? 'A new role belongs to a change of role, and to nothing else.'
      : isChange && (frozen.kind !== 'member' || !roleExistsIn(caller.tenantKind, given.role!))
        ? 'This role does not exist here, or this has none.'
        : isChange && given.role === frozen.role
          ? 'That is the role already.'
          : given.decision !== 'keep' && (given.reason ?? '') === ''
            ? 'Say why.'
            : undefined;
  if (fault !== undefined) throw refuse('access_review_decision', `item ${given.item}`, fault);
}

/** The decisions with their items, or the first reason why not. Throws what `decide` throws. */
function fitting(compared: Compared, caller: Caller, decisions: readonly GivenDecision[]) {
  const byNumber = new Map(compared.snapshot.items.map((frozen) => [frozen.n, frozen]));
  const rows = new Map(compared.items.map((row) => [row.position, row]));
  if (new Set(decisions.map(({ item }) => item)).size !== decisions.length)
    throw refuse('access_review_decision', 'an item twice', 'An item stands there twice.');
  return decisions.map((given) => {
    const [frozen, row] = [byNumber.get(given.item), rows.get(given.item)];
    if (frozen === undefined || row === undefined)
      throw refuse('access_review_decision', `no item ${given.item}`, 'There is no such item.');
    if (row.target_id !== frozen.target || row.holder_id !== frozen.holder || row.kind !== frozen.kind)
      throw refuse('access_review_tampered', `item ${given.item} is not what was frozen`);
    if (isOwn(frozen, caller))
      throw refuse('access_review_own', 'nobody reviews themselves', 'Somebody else decides about you.');
    if (row.decision !== null) throw refuse('access_review_decided', `item ${given.item} is decided`);
    const growth = compared.growth.get(given.item);
    if (growth === undefined || growthHash(growth).toString('hex') !== given.grown)
      throw refuse('access_review_changed', `item ${given.item} has changed`, 'Look at it again and decide that.');
    checkGiven(given, frozen, caller);
    return { given, row, growth };
  });
}

/** Held from here on: the review takes decisions, and its deadline is not over. Throws `access_review_state`, `not_found`. */
async function holdOpen(deps: AccessReviewDeps, tx: ScopedTransaction, id: Uuid): Promise<ReviewRow> {
  const [row] = await tx.query(queries.reviewForUpdate(tx.context, id));
  if (row === undefined) throw new AppError<'not_found'>('not_found', 'no such review');
  // At the very instant it is over, whether or not the chore has come round.
  if (row.state !== 'overdue' && deps.clock.nowMs() >= row.due_at.getTime())
    throw refuse('access_review_state', 'the deadline is over', 'The deadline is over.');
  return row;
}

/** Null: none was given. */
async function sealReason(
  deps: AccessReviewDeps,
  { context }: ReviewedTenant,
  { given: { reason = '' }, row }: { readonly given: GivenDecision; readonly row: ItemRow },
): Promise<Uint8Array | null> {
  if (reason === '') return null;
  const field = 'identity.access_review_item.reason';
  return deps.sealer.seal({ context, field, rowId: row.id, value: reason });
}

/** One of them, with its entry. Throws `access_review_decided`, and what `judgeIn` throws of broken glass. */
async function decideOne(
  deps: AccessReviewDeps,
  tx: ScopedTransaction,
  of: ReturnType<typeof fitting>[number] & {
    readonly who: Asker;
    readonly at: Date;
    readonly snapshot: string;
    readonly sealed: Uint8Array | null;
  },
): Promise<void> {
  const { given, row: item, growth, who } = of;
  const { decision } = given;
  const decided = await tx.query(
    queries.decideItem(tx.context, {
      id: item.id,
      decision,
      because: 'person',
      by: who.caller.personId,
      at: of.at,
      role: given.role ?? null,
      reason: of.sealed,
      grown: growthHash(growth),
    }),
  );
  if (decided.length === 0) throw refuse('access_review_decided', `item ${given.item} is decided`);
  await deps.recordAudit(tx, {
    ...auditFromCall(who),
    type: 'access-review.decided',
    resource: ['access-review', item.review_id],
    outcome: 'allowed',
    stepUpHash: who.stepUp.assertionHash,
    public: {
      item: given.item,
      kind: item.kind,
      verdict: decision,
      snapshot: of.snapshot,
      ...(item.holder_id === null ? {} : { member: item.holder_id }),
      ...(given.role === undefined ? {} : { role: given.role }),
    },
  });
  // Here and not afterwards: an issuer that dies in between would leave a use that counts as gone through and is not judged.
  if (item.kind === 'break-glass') {
    const outcome = decision === 'keep' ? 'justified' : 'not-justified';
    await judgeIn(deps, tx, { who, id: item.target_id, outcome });
  }
}

/**
 * Decides about others, all or none, in the name of who has confirmed exactly these. Returns how many are undecided still.
 * Throws `access_review_own` for what is the caller's, `access_review_decided` where somebody was faster,
 * `access_review_changed` where the access has grown since it was shown, `access_review_state` after the deadline,
 * `access_review_decision` for what does not fit, `operation_refused` for who manages the tenant no more.
 */
export async function decide(
  deps: AccessReviewDeps,
  who: Asker,
  of: { readonly review: Uuid; readonly snapshot: string; readonly decisions: readonly GivenDecision[] },
): Promise<number> {
  const { caller } = who;
  const tenant = tenantOf(caller);
  const { context } = tenant;
  const compared = await compare(deps, tenant, of.review);
  const snapshot = compared.row.snapshot_hash.toString('hex');
  if (snapshot !== of.snapshot) throw refuse('access_review_changed', 'another snapshot', 'That is another snapshot.');
  const found = fitting(compared, caller, of.decisions);
  const sealed: (Uint8Array | null)[] = [];
  for (const { given, row } of found) sealed.push(await sealReason(deps, tenant, { given, row }));
  const at = new Date(deps.clock.nowMs());
  return deps.tenant.transaction(context, async (tx) => {
    const row = await holdOpen(deps, tx, of.review);
    await requireManager(tx, caller);
    for (const [index, one] of found.entries())
      await decideOne(deps, tx, { ...one, who, at, snapshot, sealed: sealed[index]! });
    const items = await tx.query(queries.itemsOf(context, row.id));
    const undecided = items.filter(({ decision }) => decision === null).length;
    await moveReview(deps, tx, { row, event: undecided === 0 ? 'decide-last' : 'decide' });
    return undecided;
  });
}

/**
 * What is read again before decisions are confirmed and when they arrive: until when, and of each item what it is and how
 * much has come to it since it was frozen. No name: what is signed outlives an erasure.
 */
export function accessReviewSubjects(deps: AccessReviewDeps): StepUpSubjects {
  return {
    'access-reviews.decide': async ({ caller, ids, input }) => {
      const id = ids['reviewId'];
      if (id === undefined) throw new AppError<'not_found'>('not_found', 'no such review');
      const compared = await compare(deps, tenantOf(caller), id);
      const asked = Array.isArray(input['decisions']) ? (input['decisions'] as { item?: unknown }[]) : [];
      const numbers = new Set(asked.map(({ item }) => item));
      const items = compared.snapshot.items.filter(({ n }) => numbers.has(n));
      return {
        due: compared.row.due_at.toISOString(),
        ...Object.fromEntries(
          items.map(({ n, kind, role, scope }) => {
            const growth = compared.growth.get(n);
            const since = growth === undefined ? 'ended' : growth.length === 0 ? 'nothing new' : `${growth.length} new`;
            return [`item ${n}`, [kind, role, scope, since].filter((word) => word !== null).join(', ')];
          }),
        ),
      };
    },
  };
}
