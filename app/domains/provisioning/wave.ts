import type { Clock, Uuid } from '@auditrax/base';
import { withEntry } from '@auditrax/scim';
import { auditFromCall } from '../../platform/audit/index.ts';
import { loadConnection } from '../connections/index.ts';
import type { ProvisioningDeps } from './deps.ts';
import { openResources, sealContent, type Kept } from './directory.ts';
import { notFound } from './errors.ts';
import { reinstateUnlessChanged } from './membership.ts';
import * as queries from './queries.ts';
import { auditOf, type Asker } from './tokens.ts';

/** Whom a directory put out longer ago has left in earnest, or is let in by name. */
const UNDO_MS = 86_400_000;

export const undoSince = ({ clock }: { readonly clock: Clock }): Date => new Date(clock.nowMs() - UNDO_MS);

/**
 * Lets everybody in again whom this connection has put out within a day, as if its directory said that they are active.
 * Returns how many. Of whom it says something meanwhile, and of all what it says next, that counts: end its token first.
 * Throws `not_found`.
 */
export async function undoWave(deps: ProvisioningDeps, who: Asker, connectionId: Uuid): Promise<number> {
  const { tenant: context } = who.caller;
  if ((await loadConnection(deps, context, connectionId)) === undefined) throw notFound();
  const since = undoSince(deps);
  const rows = await deps.tenant.scoped(context, queries.waveRows(context, { connectionId, since }));
  let back = 0;
  for (const kept of await openResources(deps, { context }, rows)) back += (await letBack(deps, who, kept)) ? 1 : 0;
  return back;
}

/** False: the directory has said something newer of them, which counts, and its entry is written. */
async function letBack(deps: ProvisioningDeps, who: Asker, { row, resource }: Kept): Promise<boolean> {
  const { tenant: context } = who.caller;
  const memberId = row.member_id!;
  const by = { ...auditFromCall(who), stepUpHash: who.stepUp.assertionHash };
  if (!(await reinstateUnlessChanged(deps, context, { row, by }))) return false;
  await deps.tenant.transaction(context, async (tx) => {
    const entry = auditOf(who, ['scim-resource', row.id], { connection: row.connection_id, member: memberId });
    if (row.deleted_at !== null) {
      await tx.query(queries.deleteResource(context, row.id));
      await deps.recordAudit(tx, { ...entry, type: 'directory.person-forgotten' });
      return;
    }
    const content = await sealContent(deps, tx, { id: row.id, resource: withEntry(resource, 'active', true) });
    const back = { ...row, content, active: true, suspended_at: null, modified_at: new Date(deps.clock.nowMs()) };
    // Said since they were let in: whoever it says is out was put out by it.
    if ((await tx.query(queries.updateResource(context, back))).length === 0) return;
    await deps.recordAudit(tx, { ...entry, type: 'directory.person-reinstated' });
  });
  return true;
}
