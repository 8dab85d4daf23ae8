import { uuidV7, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import type { ConnectionDeps } from './deps.ts';
import * as queries from './queries.ts';
import { openSettings } from './read.ts';
import type { StoredSettings } from './settings-contract.ts';

/** No provider stands behind it: nobody signs in by it, a directory speaks through it and lets its people in. */
const CANARY: StoredSettings = {
  name: 'Canary directory',
  justInTime: { allowed: true, roleWithoutGroup: 'auditor' },
  values: null,
};

async function knownCanary(deps: ConnectionDeps, context: TenantContext): Promise<Uuid | undefined> {
  for (const row of await deps.tenant.scoped(context, queries.listConnections(context)))
    if (row.state === 'active' && (await openSettings(deps, { context }, row)).name === CANARY.name) return row.id;
  return undefined;
}

/**
 * The connection of a canary tenant's directory, which the sentinel plays; made when there is none. The caller has made
 * sure that it is a canary tenant: in any other somebody would have to try a connection before it is switched on.
 */
export async function canaryConnection(deps: ConnectionDeps, context: TenantContext): Promise<Uuid> {
  const known = await knownCanary(deps, context);
  if (known !== undefined) return known;
  const id = uuidV7(deps.clock, deps.random);
  const facts = { kind: 'oidc', profile: 'entra' } as const;
  const settings = await deps.sealer.seal({
    context,
    field: 'identity.connection.settings',
    rowId: id,
    value: JSON.stringify(CANARY),
  });
  const row = { id, ...facts, settings, own_keys: null, createdAt: new Date(deps.clock.nowMs()) };
  await deps.tenant.transaction(context, async (tx) => {
    await tx.query(queries.insertConnection(context, row));
    await tx.query(queries.setState(context, { id, state: 'active' }));
    await deps.recordAudit(tx, {
      type: 'connection.canary-made',
      actor: { service: 'sentinel' },
      resource: ['connection', id],
      outcome: 'allowed',
      requestId: context.requestId,
      public: facts,
    });
  });
  const index = queries.insertIndex({ connection_id: id, tenant_id: context.tenantId, look_at: null });
  await deps.system.at(context.tenantId).system(index);
  return id;
}
