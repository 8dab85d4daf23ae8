import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** How a load balancer tells us whose request it passes on. */
export const CLIENT_ADDRESS_HEADER = 'x-real-ip';

/** IPv4 that arrives on a listener for both families. */
const MAPPED = '::ffff:';

function plain(address: string | undefined): string | undefined {
  return address?.startsWith(MAPPED) === true ? address.slice(MAPPED.length) : address;
}

/** What may be said of an address in a log that forgets nothing: the kind of place, never the place. */
export type AddressKind = 'this machine' | 'private network' | 'internet' | 'unknown';

const PRIVATE: ReadonlySet<string> = new Set(['private', 'uniqueLocal', 'linkLocal', 'carrierGradeNat']);

export function addressKind(address: string | undefined): AddressKind {
  if (address === undefined || isIP(address) === 0) return 'unknown';
  const range = ipaddr.parse(address).range();
  if (range === 'loopback') return 'this machine';
  return PRIVATE.has(range) ? 'private network' : 'internet';
}

/**
 * Whose request this is, for limits and the list of one's sessions: the peer of the connection. Only where that peer is
 * one of our own load balancers is its word taken, and then it has to be exactly one address. From anybody else the
 * header is nothing: a client would give itself a new address with each guess.
 *
 * Undefined when a balancer does not say one address: it is misconfigured, and everybody would be one client.
 */
export function clientAddress(request: IncomingMessage, balancers: ReadonlySet<string>): string | undefined {
  const peer = plain(request.socket.remoteAddress) ?? 'unknown';
  if (!balancers.has(peer)) return peer;
  // Two headers of that name arrive joined by a comma, which is no address.
  const told = request.headers[CLIENT_ADDRESS_HEADER];
  return typeof told === 'string' && isIP(told) !== 0 ? told : undefined;
}
