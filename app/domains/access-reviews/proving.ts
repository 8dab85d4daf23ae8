import type { Uuid } from '@auditrax/base';
import { isKeyLetIn, keysLetIn } from '../api-access/index.ts';
import { isProgramLetIn, programsLetIn } from '../authorisation-server/index.ts';
import { letInAgain, remainsOf } from '../identity/index.ts';
import { productionGrants, unreviewedBreakGlass } from '../privileged-access/index.ts';
import { isDirectoryLetIn } from '../provisioning/index.ts';
import type { AccessReviewDeps, ReviewedTenant } from './deps.ts';
import { operationsOfPerson } from './effective.ts';
import * as queries from './queries.ts';
import type { ItemRow } from './queries.ts';

/**
 * Between a removal and the look that proves it. What the look reads must not come out of the transaction that did it, and
 * every gateway has been told within a second.
 */
export const PROOF_AFTER_MS = 5_000;

/** What was read, in words of ours, and whether what was to be gone is. */
interface Look {
  readonly isGone: boolean;
  readonly read: string;
}

/**
 * What is left of somebody in the rows, and what they would be given who came with all that was ever theirs: every question
 * goes to what decides it in earnest, which refuses. A count of rows alone says nothing of that.
 */
async function lookAtPerson(deps: AccessReviewDeps, tenant: ReviewedTenant, id: Uuid): Promise<Look> {
  const { context, kind } = tenant;
  const { state, links } = await remainsOf(deps, context, id);
  const { signsIn, sessions, minted } = await letInAgain(deps, tenant, id);
  const keys = await keysLetIn(deps, context, id);
  const programs = await programsLetIn(deps, context, id);
  const production = kind === 'operator' ? await productionGrants(deps)(context, id) : undefined;
  const given = minted + keys.minted + programs.minted;
  const isOut = !signsIn && production === undefined && given + links === 0;
  const of = (got: number, all: number) => `${got} of ${all}`;
  return {
    isGone: (state === 'suspended' || state === 'none') && isOut,
    read: `membership ${state}, sign-in ${signsIn ? 'open' : 'refused'}, links ${links}, tokens for sessions ${of(minted, sessions)}, keys ${of(keys.minted, keys.keys)}, programs ${of(programs.minted, programs.programs)}, production ${production === undefined ? 'none' : 'open'}`,
  };
}

async function lookAtRole(deps: AccessReviewDeps, tenant: ReviewedTenant, row: ItemRow): Promise<Look> {
  const { state, role } = await remainsOf(deps, tenant.context, row.target_id);
  const who = { tenant, memberId: row.target_id, role: role ?? row.new_role! };
  const operations = await operationsOfPerson(deps.judge, who, ['passkey', 'sso']);
  const isGone = state !== 'active' || role === row.new_role;
  return { isGone, read: `membership ${state}, role ${role ?? 'none'}, operations ${operations.length}` };
}

async function lookAtThing(deps: AccessReviewDeps, { context }: ReviewedTenant, row: ItemRow): Promise<Look> {
  if (row.kind === 'break-glass') {
    const isOpen = (await unreviewedBreakGlass(deps, context)).some(({ id }) => id === row.target_id);
    return { isGone: !isOpen, read: isOpen ? 'nobody has judged the use' : 'the use was judged' };
  }
  const isLetIn = row.kind === 'api-key' ? isKeyLetIn : row.kind === 'program' ? isProgramLetIn : isDirectoryLetIn;
  const isThere = await isLetIn(deps, context, row.target_id);
  return { isGone: !isThere, read: `${row.kind} ${isThere ? 'is let in' : 'is refused'}` };
}

function lookAt(deps: AccessReviewDeps, tenant: ReviewedTenant, row: ItemRow): Promise<Look> {
  if (row.decision === 'change-role') return lookAtRole(deps, tenant, row);
  if (row.kind === 'member' || row.kind === 'invitation') return lookAtPerson(deps, tenant, row.target_id);
  return lookAtThing(deps, tenant, row);
}

/**
 * Looks at the target of a removal, some seconds after it and by statements of its own, and writes down what was read. What is
 * there still is an entry that pages, and is removed again.
 */
export async function prove(deps: AccessReviewDeps, tenant: ReviewedTenant, row: ItemRow): Promise<void> {
  const { context } = tenant;
  const { isGone, read } = await lookAt(deps, tenant, row);
  const at = new Date(deps.clock.nowMs());
  await deps.tenant.transaction(context, async (tx) => {
    const proof = isGone ? 'gone' : 'still-there';
    const seen = await tx.query(queries.setProof(context, { id: row.id, at, proof }));
    if (!isGone) await tx.query(queries.forgetCarriedOut(context, row.id));
    if (seen.length === 0 && isGone) return;
    const entry = {
      actor: { service: 'issuer' },
      resource: ['access-review', row.review_id],
      requestId: context.requestId,
      public: {
        item: row.position,
        kind: row.kind,
        detail: read,
        since: row.carried_out_at!.toISOString(),
        ...(row.holder_id === null ? {} : { member: row.holder_id }),
      },
    } as const;
    if (isGone) await deps.recordAudit(tx, { ...entry, type: 'access-review.removal-proven', outcome: 'allowed' });
    else await deps.recordAudit(tx, { ...entry, type: 'access-review.removal-unproven', outcome: 'failed' });
  });
}
