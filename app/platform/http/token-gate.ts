import type { RouteClass, RouteContract, ServiceName } from '@auditrax/base';
import type { TokenVerdict, TokenVerifier } from '@auditrax/workload';

/** The class a route wants of the token; undefined when it takes none. */
export function tokenClassOf(contract: RouteContract): RouteClass | undefined {
  if (contract.access.kind === 'session') return contract.access.stepUp === true ? 'privileged' : contract.access.class;
  if (contract.access.kind !== 'internal' || contract.access.token === false) return undefined;
  return contract.access.token === true ? 'read' : contract.access.token;
}

/**
 * Verifies that the call is made for somebody: a live token for this service, presented by the peer it names, of the
 * class that the route asks. At every service, whatever the gateway has checked before.
 */
export function requireToken(
  verifier: TokenVerifier,
  needed: RouteClass,
  presented: { readonly compact: string | undefined; readonly peer: ServiceName },
): TokenVerdict | Promise<TokenVerdict> {
  return verifier.verify({ ...presented, needed });
}
