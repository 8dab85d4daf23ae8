import { isAppError } from '@auditrax/base';
import type { Clock } from '@auditrax/base';
import { sealError } from './errors.ts';

/** So many failures in a row are no accident. */
export const BREAKER_FAILURES_MAX = 5;
/** How long callers are answered at once instead of each waiting for a dead key store. Far below the 300 s of a cached key. */
export const BREAKER_OPEN_MS = 5_000;

type BreakerState = 'closed' | 'open' | 'half-open';

export interface Breaker {
  /** Runs `work`, or throws `kek_unavailable` at once while open. One call alone tries again after a pause. */
  run<T>(work: () => Promise<T>): Promise<T>;
  state(): BreakerState;
}

/** Counts only `kek_unavailable`: a key store that refuses is alive. */
export function createBreaker(clock: Clock, about: string): Breaker {
  let failures = 0;
  let openedAtMs = 0;
  let isProbing = false;
  const state = (): BreakerState => {
    if (failures < BREAKER_FAILURES_MAX) return 'closed';
    return clock.nowMs() < openedAtMs + BREAKER_OPEN_MS ? 'open' : 'half-open';
  };
  return {
    state,
    async run(work) {
      const before = state();
      if (before === 'open' || (before === 'half-open' && isProbing)) {
        throw sealError(
          'kek_unavailable',
          `${about} failed ${failures} times in a row; it is asked again after a pause`,
        );
      }
      if (before === 'half-open') isProbing = true;
      try {
        const result = await work();
        failures = 0;
        return result;
      } catch (error) {
        if (isAppError(error, 'kek_unavailable')) {
          failures += 1;
          openedAtMs = clock.nowMs();
        } else failures = 0;
        throw error;
      } finally {
        if (before === 'half-open') isProbing = false;
      }
    },
  };
}
