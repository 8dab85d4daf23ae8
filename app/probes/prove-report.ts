import type { Observation } from '../claims/grade.ts';
import type { Claim } from '../claims/model.ts';
import { countsLine, pageRows, type PageModel } from '../domains/trust/index.ts';

export interface ProvedClaim {
  readonly id: string;
  readonly grade: string;
  readonly state: string;
  readonly observed_at: string | null;
  readonly detail: string;
  readonly probed: boolean;
}

export interface ProveReport {
  readonly claims: readonly ProvedClaim[];
  readonly counts: Readonly<Record<string, number>>;
  readonly summary: string;
}

/**
 * The page's own words on each claim, corrected by the newest recorded run: a red run is never told as anything but
 * failing here, also when the code that works the page out has been tampered with.
 */
export function proveReport(model: PageModel, newest: ReadonlyMap<string, Observation>): ProveReport {
  const claims = pageRows(model).map(({ claim, graded }): ProvedClaim => {
    const run = claim.probe === undefined ? undefined : newest.get(claim.probe);
    const isRed = run?.state === 'red';
    return {
      id: claim.id,
      grade: graded.grade,
      state: isRed ? 'failing' : graded.state,
      observed_at: graded.newest === undefined ? null : new Date(graded.newest.observedAt_ms).toISOString(),
      detail: isRed ? run.detail : graded.detail,
      probed: claim.probe !== undefined,
    };
  });
  const { 'without-document': withoutDocument, ...counts } = model.counts;
  return { claims, counts: { ...counts, withoutDocument }, summary: countsLine(model.counts) };
}

/** When no page could be made at all: what the recorded runs alone say. */
export function bareReport(claims: readonly Claim[], newest: ReadonlyMap<string, Observation>): ProveReport {
  const told = claims.map((claim): ProvedClaim => {
    const run = claim.probe === undefined ? undefined : newest.get(claim.probe);
    return {
      id: claim.id,
      grade: 'asserted',
      state: run?.state === 'red' ? 'failing' : 'unknown',
      observed_at: run === undefined ? null : new Date(run.observedAt_ms).toISOString(),
      detail: run?.detail ?? 'The page could not be made.',
      probed: claim.probe !== undefined,
    };
  });
  const failing = told.filter((claim) => claim.state === 'failing').length;
  return { claims: told, counts: { failing }, summary: 'the page could not be made; see the log of the sentinel' };
}
