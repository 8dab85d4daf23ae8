import { AppError, type Uuid } from '@auditrax/base';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { setCanaryConnections } from '../connections/index.ts';
import type { CanaryConnection } from '../connections/contract.ts';
import { findTenantBySlug } from '../identity/index.ts';
import { canaryRoutes } from './contract.ts';
import type { SsoDeps } from './deps.ts';
import type { StandIn, StandIns } from './stand-ins.ts';

export type CanaryDeps = SsoDeps & { readonly standIns: StandIns };

/**
 * Makes connections of a canary and leads them to the sentinel's stand-in, for as long as a probe takes. Any other tenant,
 * and one that does not exist, give `canary_tenant_required`: nobody else's connection is ever let past the guard.
 */
export async function leadToStandIn(
  deps: CanaryDeps,
  wanted: {
    readonly tenant: string;
    readonly connections: readonly CanaryConnection[];
    readonly standIn: StandIn;
  },
  requestId: string,
): Promise<Uuid[]> {
  const { connections, standIn } = wanted;
  const tenant = await findTenantBySlug(deps, wanted.tenant, requestId);
  if (tenant?.kind !== 'canary')
    throw new AppError<'canary_tenant_required'>('canary_tenant_required', `${wanted.tenant} is no canary tenant`);
  const ids = await setCanaryConnections(deps, tenant.context, connections);
  for (const id of ids) deps.standIns.let(id, standIn);
  return ids;
}

export function ssoCanaryRoutes(deps: CanaryDeps): RoomRoutes {
  return bindRoutes(canaryRoutes, {
    async canaryConnections(call) {
      const connections = await leadToStandIn(deps, call.body, call.requestId);
      return { status: 200 as const, body: { connections } };
    },
  });
}
