import type { IdentityDeps, KnownTenant } from '../identity/index.ts';
import type { Judge } from './effective.ts';

/** What the room is built from. */
export type AccessReviewDeps = Pick<
  IdentityDeps,
  | 'tenant'
  | 'system'
  | 'sealer'
  | 'recordAudit'
  | 'clock'
  | 'random'
  | 'formatId'
  | 'evictions'
  | 'revocations'
  | 'signals'
  | 'doors'
> & {
  readonly judge: Judge;
  /** SHA-256 of the policy text that decisions were made by. */
  readonly policyHash: string;
};

/** A tenant and what kind it is. */
export type ReviewedTenant = Pick<KnownTenant, 'context' | 'kind'>;
