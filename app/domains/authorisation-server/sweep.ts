import { sweepEverywhere } from '../identity/index.ts';
import type { AuthorisationDeps } from './deps.ts';
import { sweepArtifacts } from './queries.ts';

/** Deletes codes, tokens and proofs that have run out; called by the issuer every minute. */
export async function sweepApiArtifacts(deps: Pick<AuthorisationDeps, 'system' | 'clock'>): Promise<void> {
  await sweepEverywhere(deps.system, sweepArtifacts(new Date(deps.clock.nowMs())));
}
