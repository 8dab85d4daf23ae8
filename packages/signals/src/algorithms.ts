import type { JWK } from 'jose';
import { RSA_BITS_MAX, RSA_BITS_MIN } from './limits.ts';

/** The one table of algorithms, for what is verified and what is signed. `none` and shared secrets are not in it. */
export const SET_ALGORITHMS = {
  RS256: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  ES256: { kty: 'EC' },
} as const;
export type SetAlgorithm = keyof typeof SET_ALGORITHMS;

export function isSetAlgorithm(value: unknown): value is SetAlgorithm {
  return typeof value === 'string' && Object.hasOwn(SET_ALGORITHMS, value);
}

function rsaBits(modulus: unknown): number {
  const bytes = typeof modulus === 'string' ? Buffer.from(modulus, 'base64url') : Buffer.alloc(0);
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first]!) + 24;
}

/** Whether a key has the kind and size that an algorithm needs. */
export function fitsAlgorithm(key: JWK, algorithm: SetAlgorithm): boolean {
  if (key.kty !== SET_ALGORITHMS[algorithm].kty) return false;
  if (algorithm === 'ES256') return key.crv === 'P-256';
  const bits = rsaBits(key.n);
  return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
}

/** Of the public parts only: nothing else of a foreign key reaches the library, nothing private a published set. */
export function publicPart({ kty, n, e, crv, x, y }: JWK): JWK {
  return (kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y }) as JWK;
}
