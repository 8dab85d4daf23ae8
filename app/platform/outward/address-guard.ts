import { lookup as systemLookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';

/** IANA's special-purpose registries: what a name on the Internet has no business to resolve to. */
const REFUSED_V4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];
/** Of IPv6 only global unicast is public, and of that not what leads to IPv4 or is for documents. */
const PUBLIC_V6: readonly [string, number] = ['2000::', 3];
const REFUSED_V6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];
const NAME_MS_MAX = 5_000;

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Why a host is not dialled: it has no address, or one that is not for the public. */
export class AddressError extends Error {
  readonly code: 'NAME_UNKNOWN' | 'PRIVATE_ADDRESS';
  constructor(code: AddressError['code'], cause?: unknown) {
    super(code, { cause });
    this.name = 'AddressError';
    this.code = code;
  }
}

/** Resolves a host to an address that may be dialled at `port`. Throws `AddressError`. */
export type AddressGuard = (host: string, port?: number) => Promise<Address>;

function listOf(networks: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of networks) list.addSubnet(network, prefix, isIP(network) === 6 ? 'ipv6' : 'ipv4');
  return list;
}

/** `10.0.0.0/8` as network and length. Throws RangeError on anything else. */
export function parseNetwork(text: string): readonly [string, number] {
  const [network = '', length = '', more] = text.split('/');
  const family = isIP(network);
  const prefix = Number(length);
  const widest = family === 6 ? 128 : 32;
  if (family === 0 || more !== undefined || !/^\d{1,3}$/.test(length) || prefix > widest)
    throw new RangeError(`${text} is no network such as 10.0.0.0/8`);
  return [network, prefix];
}

const HOST_AND_PORT = /^([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?):([1-9]\d{0,4})$/;

/** `adfs.example:443` as it is written; undefined for anything else. Such a place may be private, whatever its address. */
export function parsePlace(text: string): string | undefined {
  const [, , port] = HOST_AND_PORT.exec(text) ?? [];
  return port !== undefined && Number(port) <= 65_535 ? text : undefined;
}

const refusedV4 = listOf(REFUSED_V4);
const publicV6 = listOf([PUBLIC_V6]);
const refusedV6 = listOf(REFUSED_V6);

function isPublic({ address, family }: Address): boolean {
  if (family === 4) return !refusedV4.check(address, 'ipv4');
  return publicV6.check(address, 'ipv6') && !refusedV6.check(address, 'ipv6');
}

function named(lookup: NonNullable<GuardOptions['lookup']>, host: string): ReturnType<typeof lookup> {
  return Promise.race([
    lookup(host),
    new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error('the name server is silent')), NAME_MS_MAX).unref();
    }),
  ]);
}

export interface GuardOptions {
  /** Networks of the operator's own (`10.20.0.0/16`), or single places (`adfs.example:443`), dialled all the same. */
  readonly allowed: readonly string[];
  readonly lookup?: (host: string) => Promise<readonly { address: string; family: number }[]>;
}

/**
 * Whoever may name a destination must not be able to make this house knock at machines behind it (SSRF): every address
 * of the name has to be public, or where the operator has allowed it; one that is not refuses the name. The caller dials
 * the address that was looked at, so a name that changes its mind in between (DNS rebinding) gains nothing. Throws
 * RangeError on an `allowed` that is neither a network nor a place.
 */
export function createAddressGuard(options: GuardOptions): AddressGuard {
  const places = new Set(options.allowed.filter((one) => parsePlace(one) !== undefined));
  const allowed = listOf(options.allowed.filter((one) => !places.has(one)).map(parseNetwork));
  const lookup = options.lookup ?? ((host: string) => systemLookup(host, { all: true }));
  return async (host, port) => {
    const literal = isIP(host);
    let found: readonly { address: string; family: number }[];
    try {
      found = literal !== 0 ? [{ address: host, family: literal }] : await named(lookup, host);
    } catch (error) {
      throw new AddressError('NAME_UNKNOWN', error);
    }
    const addresses = found.map(({ address, family }): Address => ({ address, family: family === 6 ? 6 : 4 }));
    const [first] = addresses;
    if (first === undefined) throw new AddressError('NAME_UNKNOWN');
    const isNamed = port !== undefined && places.has(`${host}:${port}`);
    const may = (one: Address) =>
      isNamed || isPublic(one) || allowed.check(one.address, one.family === 6 ? 'ipv6' : 'ipv4');
    if (!addresses.every(may)) throw new AddressError('PRIVATE_ADDRESS');
    return first;
  };
}
