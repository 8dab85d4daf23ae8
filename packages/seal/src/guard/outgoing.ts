import { lookup as systemLookup } from 'node:dns';
import type { LookupAddress, LookupOptions } from 'node:dns';
import ipaddr from 'ipaddr.js';
import { sealError } from '../errors.ts';

/** Where a tenant's own endpoint may listen: the ports of HTTPS, never those of a database or a mail server. */
export const OUTGOING_PORTS: readonly number[] = [443, 8443];
/** Origin and port of an address that is typed by a person; longer is no host name. */
const ENDPOINT_LENGTH_MAX = 300;
/** Answers by metadata services of clouds although its range is a public one (Azure's "wire server"). */
const METADATA_ADDRESSES: readonly string[] = ['168.63.129.16'];
/** The only part of IPv6 that is handed out for the public Internet. */
const GLOBAL_UNICAST_V6 = ipaddr.IPv6.parseCIDR('2000::/3');

/** All addresses of a name, as a resolver answers at this moment. Rejects when there is none. */
export type ResolveAddresses = (host: string) => Promise<readonly string[]>;

export interface OutgoingRules {
  /** Defaults to `OUTGOING_PORTS`. */
  readonly ports?: readonly number[];
  /** Defaults to the system's resolver. */
  readonly resolve?: ResolveAddresses;
  /**
   * Exact origins, such as `https://127.0.0.1:18443`, that may lie on this machine's loopback. Only for the rehearsal in
   * try-out mode: an installation with real tenants passes none.
   */
  readonly loopbackOrigins?: readonly string[];
}

/** An endpoint whose text has been checked. Its addresses are checked at each connection. */
export interface OutgoingEndpoint {
  /** `https://host[:port]`, as `URL.origin` writes it. */
  readonly origin: string;
  readonly host: string;
  readonly port: number;
}

/** What `tls.connect` takes as `lookup`. */
export type ConnectionLookup = (
  host: string,
  options: LookupOptions,
  reply: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
) => void;

export interface OutgoingGuard {
  /** Checks the text alone. Throws `kek_misconfigured` with the reason. */
  endpoint(text: string): OutgoingEndpoint;
  /** Checks the text and what the name resolves to now, for an early answer to a form. Throws also `kek_unavailable`. */
  check(text: string): Promise<OutgoingEndpoint>;
  /**
   * Resolves and checks in one step for a connection to `endpoint`: the socket dials exactly the addresses that were
   * checked, so a name that changes between check and use (DNS rebinding) gains nothing.
   */
  lookup(endpoint: OutgoingEndpoint): ConnectionLookup;
}

/**
 * Keeps a tenant from aiming our processes at the inside of our network: an endpoint is HTTPS on a listed port, by name,
 * and every address of that name is a public one. One bad address among good ones refuses the name.
 */
export function outgoingGuard(rules: OutgoingRules = {}): OutgoingGuard {
  const ports = rules.ports ?? OUTGOING_PORTS;
  const resolve = rules.resolve ?? resolveBySystem;
  const loopbackOrigins = new Set(rules.loopbackOrigins);
  const checkedAddresses = async (endpoint: OutgoingEndpoint): Promise<readonly string[]> => {
    const addresses = await resolveOrUnavailable(resolve, endpoint);
    for (const address of addresses) refuseAddress(address, endpoint, loopbackOrigins.has(endpoint.origin));
    return addresses;
  };
  return {
    endpoint: (text) => parseEndpoint(text, ports, loopbackOrigins),
    async check(text) {
      const endpoint = parseEndpoint(text, ports, loopbackOrigins);
      await checkedAddresses(endpoint);
      return endpoint;
    },
    lookup: (endpoint) => (host, options, reply) => {
      if (host !== bareHost(endpoint.host)) {
        reply(refusal(endpoint.origin, `a connection asked for ${host}`), []);
        return;
      }
      checkedAddresses(endpoint).then(
        (addresses) => answer(addresses, options, reply),
        (error: Error) => reply(error, []),
      );
    },
  };
}

function parseEndpoint(text: string, ports: readonly number[], loopbackOrigins: ReadonlySet<string>): OutgoingEndpoint {
  if (text.length > ENDPOINT_LENGTH_MAX || !URL.canParse(text)) throw refusal(text, 'it is not a web address');
  const url = new URL(text);
  if (url.protocol !== 'https:') throw refusal(text, 'only https is spoken');
  if (url.username !== '' || url.password !== '') throw refusal(text, 'a name or password in the address is refused');
  // Compared with what the parser made of it: backslashes, tabs and other spellings are read differently elsewhere.
  if (text !== url.origin && text !== `${url.origin}/`) throw refusal(text, `write it as ${url.origin}`);
  const endpoint = { origin: url.origin, host: url.hostname, port: url.port === '' ? 443 : Number(url.port) };
  if (loopbackOrigins.has(endpoint.origin)) return endpoint;
  if (!ports.includes(endpoint.port)) throw refusal(text, `port ${endpoint.port} is not among ${ports.join(', ')}`);
  if (ipaddr.isValid(bareHost(endpoint.host))) throw refusal(text, 'an address must be given by name');
  // A name without a dot, or one that ends in a dot, is completed or read by rules of this machine's own network.
  if (!/^(?!-)[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(endpoint.host)) throw refusal(text, 'it needs a full host name');
  return endpoint;
}

function refuseAddress(address: string, endpoint: OutgoingEndpoint, mayBeLoopback: boolean): void {
  if (!ipaddr.isValid(address)) throw refusal(endpoint.origin, 'its resolver answered no address');
  const parsed = ipaddr.parse(address);
  const range = parsed.range();
  if (mayBeLoopback) {
    if (range !== 'loopback') throw refusal(endpoint.origin, `it is allowed on loopback only, not at ${address}`);
    return;
  }
  const isGlobal = parsed.kind() === 'ipv4' || (parsed as ipaddr.IPv6).match(GLOBAL_UNICAST_V6);
  if (range !== 'unicast' || !isGlobal || METADATA_ADDRESSES.includes(parsed.toString())) {
    throw refusal(endpoint.origin, `it leads to ${address}, which is no public address (${range})`);
  }
}

async function resolveOrUnavailable(resolve: ResolveAddresses, endpoint: OutgoingEndpoint): Promise<readonly string[]> {
  const host = bareHost(endpoint.host);
  if (ipaddr.isValid(host)) return [host];
  let addresses: readonly string[];
  try {
    addresses = await resolve(host);
  } catch (cause) {
    throw sealError('kek_unavailable', `the name ${host} could not be resolved`, cause);
  }
  if (addresses.length === 0) throw sealError('kek_unavailable', `the name ${host} has no address`);
  return addresses;
}

function answer(
  addresses: readonly string[],
  options: LookupOptions,
  reply: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
): void {
  const all = addresses.map((address) => ({ address, family: ipaddr.parse(address).kind() === 'ipv6' ? 6 : 4 }));
  const first = all[0]!; // an empty answer was refused before
  if (options.all === true) reply(null, all);
  else reply(null, first.address, first.family);
}

function resolveBySystem(host: string): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    systemLookup(host, { all: true, order: 'verbatim' }, (error, found) =>
      error === null ? resolve(found.map(({ address }) => address)) : reject(error),
    );
  });
}

/** `URL` writes an IPv6 address in brackets. */
function bareHost(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host;
}

function refusal(text: string, reason: string): Error {
  return sealError('kek_misconfigured', `endpoint ${JSON.stringify(text.slice(0, ENDPOINT_LENGTH_MAX))}: ${reason}`);
}
