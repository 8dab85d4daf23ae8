import type { SignatureAlgorithm } from '@auditrax/base/key-set';

/** The one table of algorithms, for what is verified and what is signed. `none` and shared secrets are not in it. */
export const SET_ALGORITHMS = { RS256: true, PS256: true, ES256: true } as const satisfies Record<
  SignatureAlgorithm,
  true
>;
export type SetAlgorithm = SignatureAlgorithm;

export function isSetAlgorithm(value: unknown): value is SetAlgorithm {
  return typeof value === 'string' && Object.hasOwn(SET_ALGORITHMS, value);
}
