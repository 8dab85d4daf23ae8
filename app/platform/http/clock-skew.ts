import type { Clock } from '@auditrax/base';
import { CLOCK_SKEW_SECONDS_MAX } from '@auditrax/workload';
import type { Finding } from './readiness.ts';

/** A difference seen counts for this long; a corrected clock clears the finding by itself. */
const MEMORY_MS = 60_000;

export interface ClockSkewWatch {
  /** Another machine's time, as it arrived (ms since the epoch); `coarse_ms` is how finely it was told. */
  observe(theirMs: number, coarse_ms: number): void;
  finding(): Finding;
}

/** Compares the own clock with every time that others tell: tokens and `Date` headers. */
export function watchClockSkew(clock: Clock): ClockSkewWatch {
  let worst_ms = 0;
  let seenAtMs = 0;
  return {
    observe(theirMs, coarse_ms) {
      const now = clock.nowMs();
      const difference_ms = Math.max(Math.abs(theirMs - now) - coarse_ms, 0);
      if (difference_ms >= worst_ms || now - seenAtMs > MEMORY_MS) {
        worst_ms = difference_ms;
        seenAtMs = now;
      }
    },
    finding() {
      const current_ms = clock.nowMs() - seenAtMs > MEMORY_MS ? 0 : worst_ms;
      return {
        check: 'clock-skew',
        ok: current_ms <= CLOCK_SKEW_SECONDS_MAX * 1000,
        detail: `${Math.round(current_ms)} ms apart at most; ${CLOCK_SKEW_SECONDS_MAX} s allowed`,
      };
    },
  };
}
