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

const PROCESSES: Readonly<Record<ServiceName, true>> = {
  gateway: true,
  issuer: true,
  workspace: true,
  keys: true,
  ledger: true,
  signer: true,
  sentinel: true,
};

/** Is `peer` a process of the house? A name that none has opens nothing, whoever signed it: not even how we are. */
export function isProcess(peer: string | undefined): peer is ServiceName {
  return peer !== undefined && Object.hasOwn(PROCESSES, peer);
}
