import type { Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import type { IdentityDeps } from './deps.ts';
import { isLapsed, PROOF_MS_MAX } from './employment.ts';
import * as queries from './employment-queries.ts';
import { memberForUpdate } from './queries.ts';
import { revokePrincipal, type RevocationDeps } from './revocation.ts';
import { findTenant } from './tenant-lookup.ts';

/** Of one round in one database; the rest comes a minute later, and is refused meanwhile all the same. */
const LAPSED_PER_ROUND_MAX = 500;

/**
 * Ends what people hold for whom nobody has vouched for too long; called by the issuer every minute. Each is looked at
 * again under the lock of their row: whoever has just come in by their company keeps the session. Gives how many people
 * something was ended for. Throws the first failure, after all had a turn.
 */
export async function sweepEmployment(
  deps: RevocationDeps & Pick<IdentityDeps, 'system'>,
  requestId: string,
): Promise<number> {
  const before = new Date(deps.clock.nowMs() - PROOF_MS_MAX);
  const cells = deps.system.everywhere().map(({ system }) => system);
  const found = await Promise.allSettled(
    cells.map((cell) => cell.system(queries.proofsBefore(before, LAPSED_PER_ROUND_MAX))),
  );
  const failures: unknown[] = found.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  let ended = 0;
  for (const row of found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))) {
    try {
      ended += (await endLapsed(deps, row, requestId)) ? 1 : 0;
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return ended;
}

async function endLapsed(
  deps: RevocationDeps & Pick<IdentityDeps, 'system'>,
  row: { readonly tenant_id: Uuid; readonly member_id: Uuid; readonly proved_at: Date },
  requestId: string,
): Promise<boolean> {
  const tenant = await findTenant(deps, row.tenant_id, requestId);
  if (tenant === undefined) return false;
  const memberId = row.member_id;
  const effects = await revokePrincipal(deps, tenant.context, {
    memberId,
    cause: 'lapsed',
    by: { actor: { service: 'issuer' } },
    causedAt: new Date(row.proved_at.getTime() + PROOF_MS_MAX),
    lock: (tx) => lockLapsed(deps, tx, memberId),
  });
  return effects.some(({ ended }) => ended > 0);
}

/** The member, when the proof is too old still; noted, so that the next round does not come back to them. */
async function lockLapsed(deps: Pick<IdentityDeps, 'clock'>, tx: ScopedTransaction, memberId: Uuid) {
  const { context } = tx;
  const now_ms = deps.clock.nowMs();
  const [member] = await tx.query(memberForUpdate(context.tenantId, memberId));
  const [proof] = await tx.query(queries.proofForUpdate(context, memberId));
  const provedAt = proof?.proved_at ?? null;
  if (provedAt === null || now_ms - provedAt.getTime() < PROOF_MS_MAX) return undefined;
  await tx.query(queries.setLapsed(context, memberId, new Date(now_ms)));
  const asked = { memberId, provedAt, byProvider: false, now_ms };
  return (await isLapsed((statement) => tx.query(statement), context, asked)) ? member : undefined;
}
