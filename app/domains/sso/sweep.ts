import { sweepEverywhere } from '../identity/index.ts';
import type { SsoDeps } from './deps.ts';
import { sweepRequests, sweepTokens } from './queries.ts';

/** Deletes what has run out; called by the issuer every minute. */
export async function sweepSso(deps: Pick<SsoDeps, 'system' | 'clock'>): Promise<void> {
  const now = new Date(deps.clock.nowMs());
  await sweepEverywhere(deps.system, sweepRequests(now));
  await sweepEverywhere(deps.system, sweepTokens(now));
}
