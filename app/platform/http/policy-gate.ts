import type { RouteContract } from '@auditrax/base';
import type { Caller } from './handler.ts';

/** The role part of the authorisation policy; rows are decided in the rooms. */
export interface RoutePolicy {
  allows(operation: string, caller: Caller): boolean;
  /** Does any policy name this operation? A session route without one keeps the process from starting. */
  has(operation: string): boolean;
}

export type PolicyVerdict = 'allowed' | 'role' | 'operator-only';

/** May the caller's role do this operation at all? */
export function requirePolicy(policy: RoutePolicy, contract: RouteContract, caller: Caller): PolicyVerdict {
  if (contract.access.kind !== 'session') return 'allowed';
  if (contract.access.operatorOnly === true && !(caller.role === 'operator' && caller.tenantKind === 'operator'))
    return 'operator-only';
  return policy.allows(contract.operation, caller) ? 'allowed' : 'role';
}
