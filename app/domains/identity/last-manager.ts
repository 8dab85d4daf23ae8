import type { ScopedTransaction } from '@auditrax/tenancy';
import type { AuditInput } from '../../platform/audit/index.ts';
import type { Role } from '../../platform/http/handler.ts';
import type { IdentityDeps } from './deps.ts';
import * as queries from './queries.ts';
import type { RevocationCause } from './revocation-queries.ts';

/** Who may let people in, and undo what was done to them. */
export const MANAGES: ReadonlySet<Role> = new Set(['lead', 'operator']);

/**
 * A directory, a signal or a provider's groups may take away whoever is the last to manage a tenant: their word holds,
 * since somebody who left must not stay in for being the last. But nobody there can let anybody in again, and the operator
 * hears of it at once. To be asked when the change is made, by whoever has locked the managers (`lockManagers`) before it:
 * of two changes at once each would see the other's person stay.
 */
export async function tellWithoutManager(
  { recordAudit }: Pick<IdentityDeps, 'recordAudit'>,
  tx: ScopedTransaction,
  of: {
    /** Of whoever managed until now. */
    readonly role: Role;
    readonly cause: RevocationCause | 'groups';
    readonly by: Pick<AuditInput, 'actor' | 'decision' | 'tokenHash' | 'stepUpHash'>;
  },
): Promise<void> {
  const { role, cause, by } = of;
  const { tenantId, requestId } = tx.context;
  if (!MANAGES.has(role) || (await tx.query(queries.activeOfRole(tenantId, role))).length > 0) return;
  await recordAudit(tx, {
    ...by,
    type: 'tenant.without-lead',
    resource: ['tenant', tenantId],
    outcome: 'allowed',
    requestId,
    decision: by.decision,
    public: { cause, role },
  });
}
