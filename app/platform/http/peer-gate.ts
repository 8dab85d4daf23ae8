import type { RouteContract, ServiceName } from '@auditrax/base';

/**
 * May `peer`, named by its certificate, call this route? The edge's routes are reached through the gateway alone, so a
 * process that was taken over cannot speak for a browser to its neighbours.
 */
export function requirePeer(contract: RouteContract, peer: string | undefined): peer is ServiceName {
  if (peer === undefined) return false;
  if (contract.access.kind === 'internal') return (contract.access.callers as readonly string[]).includes(peer);
  return peer === 'gateway';
}
