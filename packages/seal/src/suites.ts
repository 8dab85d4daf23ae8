import { sealError } from './errors.ts';

/**
 * The algorithms that this build has, by the number in a format's header. A number is never reused for something else;
 * field suite 02 is reserved for AES-256-GCM-SIV.
 */
export const FIELD_SUITE_XAES_256_GCM = 0x01;
/** Suite 01 of an object part. */
export const PART_SUITE_COBBLESTONE_256 = 0x01;

export type FieldSuite = typeof FIELD_SUITE_XAES_256_GCM;
export type PartSuite = typeof PART_SUITE_COBBLESTONE_256;

/**
 * What a tenant's values may be written and read with. An algorithm that the build has and the tenant's list has not is
 * `suite_refused`: an attacker who can write to the store cannot lead a reader back to a weaker one, and a writer cannot
 * fall back on it by a mistake in configuration.
 */
export interface SuitePolicy<Suite extends number = number> {
  readonly write: readonly Suite[];
  readonly read: readonly Suite[];
}

/** Throws `suite_unknown` for what this build does not have, `suite_refused` for what `policy` does not allow. */
export function checkSuite(
  suite: number | undefined,
  known: readonly number[],
  policy: readonly number[] | undefined,
): void {
  if (suite === undefined || !known.includes(suite))
    throw sealError('suite_unknown', `suite ${suite} is not one that this build may read`);
  if (policy !== undefined && !policy.includes(suite))
    throw sealError('suite_refused', `suite ${suite} is not on this tenant's list`);
}
