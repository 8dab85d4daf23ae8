import type { Json } from '@auditrax/base';
import type { Measurement, ProbeResult } from './probe.ts';

/** Faults told in one run; the first ones say enough. */
const FAULTS_TOLD_MAX = 4;
const DETAIL_CHARS_MAX = 1_500;

/** Collects what a probe found wrong. A run without a single check is no proof and turns red. */
export interface Checks {
  /** Notes `fault` (a public sentence) unless `holds`. Returns `holds`. */
  expect(holds: boolean, fault: string): boolean;
  readonly faults: readonly string[];
  readonly made: number;
}

export function checks(): Checks {
  const faults: string[] = [];
  let made = 0;
  return {
    faults,
    get made() {
      return made;
    },
    expect(holds, fault) {
      made += 1;
      if (!holds) faults.push(fault);
      return holds;
    },
  };
}

/** Green with `said` when every check held, red with the first faults otherwise. */
export function verdict(
  done: Checks,
  said: { readonly green: string; readonly measured?: Measurement; readonly evidence?: Json },
): ProbeResult {
  const { faults } = done;
  const extra = {
    ...(said.measured === undefined ? {} : { measured: said.measured }),
    ...(said.evidence === undefined ? {} : { evidence: said.evidence }),
  };
  if (done.made === 0) return { state: 'red', detail: 'The check found nothing that it could try.', ...extra };
  if (faults.length === 0) return { state: 'green', detail: said.green, ...extra };
  const rest = faults.length > FAULTS_TOLD_MAX ? [`And ${faults.length - FAULTS_TOLD_MAX} more.`] : [];
  const detail = [...faults.slice(0, FAULTS_TOLD_MAX), ...rest].join(' ').slice(0, DETAIL_CHARS_MAX);
  return { state: 'red', detail, ...extra };
}
