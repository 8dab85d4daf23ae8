import type { Uuid } from '@auditrax/base';
import { openApiKeys } from '../api-access/index.ts';
import { openProgramGrants } from '../authorisation-server/index.ts';
import { remainsOf } from '../identity/index.ts';
import { listGrants, unreviewedBreakGlass } from '../privileged-access/index.ts';
import { liveDirectoryTokens } from '../provisioning/index.ts';
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

type GrantRow = Awaited<ReturnType<typeof listGrants>>[number];

async function lookAtPerson(deps: AccessReviewDeps, { context, kind }: ReviewedTenant, id: Uuid): Promise<Look> {
  const { state, sessions, links } = await remainsOf(deps, context, id);
  const keys = (await openApiKeys(deps, context)).filter(({ member_id }) => member_id === id).length;
  const programs = (await openProgramGrants(deps, context)).filter(({ member_id }) => member_id === id).length;
  const now = new Date(deps.clock.nowMs());
  const isLive = ({ member_id, ended_at, ends_at }: GrantRow) =>
    member_id === id && ended_at === null && ends_at !== null && ends_at > now;
  const grants = kind === 'operator' ? (await listGrants(deps, context)).filter(isLive).length : 0;
  return {
    isGone: (state === 'suspended' || state === 'none') && sessions + links + keys + programs + grants === 0,
    read: `membership ${state}, sessions ${sessions}, links ${links}, keys ${keys}, programs ${programs}, grants ${grants}`,
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
  const open =
    row.kind === 'api-key'
      ? await openApiKeys(deps, context)
      : row.kind === 'program'
        ? await openProgramGrants(deps, context)
        : await liveDirectoryTokens(deps, context);
  const isThere = open.some(({ id }) => id === row.target_id);
  return { isGone: !isThere, read: `${row.kind} ${isThere ? 'works' : 'ended'}` };
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
