import type { JWK } from 'jose';
import type { Clock } from './clock.ts';

/** Of a key set. Entra publishes about 20 KiB, certificates included. */
export const KEYS_BYTES_MAX = 256 * 1024;
/** Keys of one set; nobody publishes more than about ten. */
export const KEYS_MAX = 64;
/** How long a withdrawn key may still be believed. */
export const KEYS_AGE_MS_MAX = 3_600_000;
/** Between two readings of the key set because of unknown key ids, which anybody can invent. */
export const KEYS_RELOAD_MS_MIN = 60_000;
/** Between two readings of a key set that failed: short, because people wait for the other side to be back. */
export const KEYS_RETRY_MS_MIN = 5_000;
export const RSA_BITS_MIN = 2048;
/** Verification time grows with the key; nobody needs more. */
export const RSA_BITS_MAX = 8192;

/** What is believed of others, and signed with for them: neither `none` nor shared secrets. */
export type SignatureAlgorithm = 'RS256' | 'PS256' | 'ES256';

const isKey = (value: unknown): value is JWK => typeof value === 'object' && value !== null && !Array.isArray(value);

/** RFC 7517, as it was published. What is wrong with it stands in place of the keys. */
export function parseKeySet(
  document: Readonly<Record<string, unknown>>,
): readonly JWK[] | 'malformed' | 'a private or symmetric key' {
  const { keys } = document;
  if (!Array.isArray(keys) || keys.length > KEYS_MAX || !keys.every(isKey)) return 'malformed';
  // Who publishes a private key has published it to everybody; nothing that it signed can be believed.
  return keys.some(({ kty, d }) => d !== undefined || kty === 'oct') ? 'a private or symmetric key' : keys;
}

function rsaBits(modulus: unknown): number {
  const bytes = typeof modulus === 'string' ? Buffer.from(modulus, 'base64url') : Buffer.alloc(0);
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first]!) + 24;
}

/** Whether a key has the kind and size that an algorithm needs. */
export function fitsAlgorithm(key: JWK, algorithm: SignatureAlgorithm): boolean {
  if (algorithm === 'ES256') return key.kty === 'EC' && key.crv === 'P-256';
  const bits = key.kty === 'RSA' ? rsaBits(key.n) : 0;
  return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
}

/** Whether a key was made for this algorithm and for signatures. */
export function isUsable(key: JWK, algorithm: SignatureAlgorithm): boolean {
  if (key.use !== undefined && key.use !== 'sig') return false;
  if (key.alg !== undefined && key.alg !== algorithm) return false;
  if (key.key_ops !== undefined && !(Array.isArray(key.key_ops) && key.key_ops.includes('verify'))) return false;
  return fitsAlgorithm(key, algorithm);
}

/** Of the public parts only: nothing else of a foreign key reaches a library, nothing private a published set. */
export function publicPart({ kty, n, e, crv, x, y }: JWK): JWK {
  return (kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y }) as JWK;
}

/** The keys of a set that fit a token. */
export interface FoundKeys {
  readonly keys: readonly JWK[];
  /** None fits, and the set may not be read again yet; with why the last reading failed, where it did. */
  readonly heldBack?: { readonly failure: unknown };
}

export interface HeldKeys {
  /** Usable keys with this id, or all where a token names none. Throws what a reading throws that was made for it. */
  find(kid: string | undefined): Promise<FoundKeys>;
}

/**
 * B8: reads the key set when it is needed, keeps it for an hour, and reads it again for an unknown key id, but not more
 * often than once a minute, whatever came of the last reading. Where there is no set to go by, a reading that failed is the
 * answer to everybody for five seconds. Whoever sends many tokens, which anybody can, must not make us ask as often, neither
 * a silent publisher nor a speaking one. Addresses inside of tokens and keys (`jku`, `x5u`) are not looked at.
 */
export function holdKeys(
  algorithm: SignatureAlgorithm,
  { read, clock }: { readonly read: () => Promise<readonly JWK[]>; readonly clock: Clock },
): HeldKeys {
  let held: { readonly keys: readonly JWK[]; readonly readAt_ms: number } | undefined;
  /** Of the last reading; undefined when it succeeded. */
  let failed: { readonly failure: unknown; readonly at_ms: number } | undefined;
  let triedAt_ms = -Infinity;
  let reading: Promise<readonly JWK[]> | undefined;
  const readAnew = (): Promise<readonly JWK[]> => {
    if (reading === undefined) triedAt_ms = clock.nowMs();
    reading ??= read()
      .then((keys) => {
        held = { keys, readAt_ms: clock.nowMs() };
        failed = undefined;
        return keys;
      })
      .catch((failure: unknown) => {
        failed = { failure, at_ms: clock.nowMs() };
        throw failure;
      })
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };
  const isTooSoon = (isFresh: boolean): boolean => {
    if (reading !== undefined) return false;
    const now_ms = clock.nowMs();
    if (isFresh) return now_ms - triedAt_ms < KEYS_RELOAD_MS_MIN;
    return failed !== undefined && now_ms - failed.at_ms < KEYS_RETRY_MS_MIN;
  };
  return {
    async find(kid) {
      const matching = (keys: readonly JWK[]) =>
        keys.filter((key) => isUsable(key, algorithm) && (kid === undefined || key.kid === kid));
      const isFresh = held !== undefined && clock.nowMs() - held.readAt_ms <= KEYS_AGE_MS_MAX;
      const known = isFresh ? matching(held!.keys) : [];
      if (known.length > 0) return { keys: known };
      if (isTooSoon(isFresh)) return { keys: [], heldBack: { failure: failed?.failure } };
      return { keys: matching(await readAnew()) };
    },
  };
}
