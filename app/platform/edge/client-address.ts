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

/** Undefined: no address. The interface after a link-local one (`fe80::1%eth0.4`) says nothing to anybody else. */
function parsedOf(address: string | undefined): ReturnType<typeof ipaddr.process> | undefined {
  const bare = address?.split('%', 1)[0];
  return bare === undefined || isIP(bare) === 0 ? undefined : ipaddr.process(bare);
}

export function addressKind(address: string | undefined): AddressKind {
  const range = parsedOf(address)?.range();
  if (range === undefined) return 'unknown';
  if (range === 'loopback') return 'this machine';
  return PRIVATE.has(range) ? 'private network' : 'internet';
}

/** Of an IPv6 address, what a provider gives to one line at least (RFC 6177). */
const NETWORK_BITS = 64;

/**
 * Under which name an address is counted where something is limited: IPv4 as it is, in whichever way it is written; of IPv6
 * its network, since one line has 2^64 addresses, and whoever guesses would take a new one for each guess.
 */
export function limitName(address: string | undefined): string {
  const parsed = parsedOf(address);
  if (parsed === undefined) return 'unknown';
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString()}/${NETWORK_BITS}`).toString()}/${NETWORK_BITS}`;
}

/**
 * Whose request this is, for limits and for the sums of what was refused: the peer of the connection. Only where that peer is
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
