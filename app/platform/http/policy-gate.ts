import type { OperatorAccess, RouteContract } from '@auditrax/base';
import type { Caller, ProductionGrant } from './handler.ts';

/** The role part of the authorisation policy; rows are decided in the rooms. */
export interface RoutePolicy {
  allows(operation: string, caller: Caller): boolean;
  /** Does any policy name this operation? A session route without one keeps the process from starting. */
  has(operation: string): boolean;
}

export type PolicyVerdict = 'allowed' | 'role' | 'operator-only' | 'production-access';

/** Does a grant that lives at `now_ms` cover what the route asks of operators? Past its end by a millisecond it does not. */
function isCovered(needed: OperatorAccess, grant: ProductionGrant | undefined, now_ms: number): boolean {
  if ('withoutGrant' in needed) return true;
  return grant !== undefined && now_ms < grant.endsAtMs && grant.scopes.includes(needed.scope);
}

/**
 * May the caller do this operation at all? By their role; and where it is the operator's, by a grant of production access
 * that lives at `now_ms`: the role alone says who may ask for one (docs/adr/0026).
 */
export function requirePolicy(
  policy: RoutePolicy,
  contract: RouteContract,
  { caller, now_ms }: { readonly caller: Caller; readonly now_ms: number },
): PolicyVerdict {
  if (contract.access.kind !== 'session') return 'allowed';
  const { operatorOnly } = contract.access;
  if (operatorOnly !== undefined && !(caller.role === 'operator' && caller.tenantKind === 'operator'))
    return 'operator-only';
  if (!policy.allows(contract.operation, caller)) return 'role';
  return operatorOnly === undefined || isCovered(operatorOnly, caller.production, now_ms)
    ? 'allowed'
    : 'production-access';
}
