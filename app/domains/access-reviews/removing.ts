import type { Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import { setRoleIn } from '../access/index.ts';
import { endApiKeyByReview } from '../api-access/index.ts';
import { endProgramGrantByReview } from '../authorisation-server/index.ts';
import { lockManagers, memberForUpdate, revokePrincipal } from '../identity/index.ts';
import { endDirectoryTokenByReview } from '../provisioning/index.ts';
import type { ItemKind } from './contract.ts';
import type { AccessReviewDeps, ReviewedTenant } from './deps.ts';
import { refuse } from './errors.ts';
import type { By } from './opening.ts';
import * as queries from './queries.ts';
import type { ItemRow } from './queries.ts';

/** In the name of whoever decided it; of the house where nobody had. */
export function byOf({ decided_by }: Pick<ItemRow, 'decided_by'>): By {
  return { actor: decided_by === null ? { service: 'issuer' } : { personId: decided_by } };
}

/**
 * The member, held; never the last person who manages the tenant: a tenant that nobody manages has lost its data. Undefined:
 * out already. Throws `access_review_last_manager`.
 */
async function lockUnlessLast(tx: ScopedTransaction, memberId: Uuid) {
  const managers = await tx.query(lockManagers(tx.context.tenantId));
  if (managers.length === 1 && managers[0]!.id === memberId)
    throw refuse('access_review_last_manager', 'nobody else manages this tenant');
  const [row] = await tx.query(memberForUpdate(tx.context.tenantId, memberId));
  return row?.state === 'suspended' ? undefined : row;
}

type Remove = (deps: AccessReviewDeps, tenant: ReviewedTenant, of: { id: Uuid; by: By }) => Promise<unknown>;

const removeMember: Remove = (deps, { context }, { id, by }) =>
  revokePrincipal(deps, context, {
    memberId: id,
    cause: 'review',
    by,
    lock: (tx) => lockUnlessLast(tx, id),
  });

/** Each through the verb of the room that gave it; each may be repeated. */
const REMOVE: Readonly<Record<ItemKind, Remove>> = {
  member: removeMember,
  invitation: removeMember,
  'api-key': (deps, { context }, of) => endApiKeyByReview(deps, context, of),
  program: (deps, { context }, of) => endProgramGrantByReview(deps, context, of),
  'directory-token': (deps, { context }, of) => endDirectoryTokenByReview(deps, context, of),
  // A use is over: whoever decides judges it in the same transaction, and while nobody has, the later look says so.
  'break-glass': () => Promise.resolve(),
};

async function changeRole(deps: AccessReviewDeps, { context }: ReviewedTenant, row: ItemRow): Promise<void> {
  await deps.tenant.transaction(context, async (tx) => {
    const managers = await tx.query(lockManagers(context.tenantId));
    const [member] = await tx.query(memberForUpdate(context.tenantId, row.target_id));
    if (member === undefined || member.state === 'suspended' || member.role === row.new_role) return;
    const keepsManaging = row.new_role === 'lead' || row.new_role === 'operator';
    if (!keepsManaging && managers.length === 1 && managers[0]!.id === member.id)
      throw refuse('access_review_last_manager', 'nobody else manages this tenant');
    const by = { ...byOf(row), requestId: context.requestId };
    await setRoleIn(deps, tx, { row: member, role: row.new_role!, by });
  });
}

/**
 * Does what was decided about one item; may be repeated, by several issuers at once. Throws what the rooms' verbs throw, and
 * `access_review_last_manager`.
 */
export async function carryOut(deps: AccessReviewDeps, tenant: ReviewedTenant, row: ItemRow): Promise<void> {
  const { context } = tenant;
  if (row.decision === 'change-role') await changeRole(deps, tenant, row);
  else await REMOVE[row.kind](deps, tenant, { id: row.target_id, by: byOf(row) });
  await deps.tenant.transaction(context, async (tx) => {
    const at = new Date(deps.clock.nowMs());
    if ((await tx.query(queries.setCarriedOut(context, row.id, at))).length === 0) return;
    await deps.recordAudit(tx, {
      type: 'access-review.carried-out',
      actor: { service: 'issuer' },
      resource: ['access-review', row.review_id],
      outcome: 'allowed',
      requestId: context.requestId,
      public: {
        item: row.position,
        kind: row.kind,
        verdict: row.decision!,
        reason: row.decided_because!,
        ...(row.holder_id === null ? {} : { member: row.holder_id }),
      },
    });
  });
}
