import { describe, expect, it } from 'vitest';
import { allClaims } from '../claims/register.ts';
import { freshRuns, sampleModel } from '../domains/trust/testing/sample-model.ts';
import { bareReport, proveReport } from './prove-report.ts';

const newestOf = (runs: ReturnType<typeof freshRuns>) => new Map(runs.map((run) => [run.probeId, run]));

describe('what prove answers', () => {
  it('is the page’s own words, with the counts that add up to all claims', () => {
    const runs = freshRuns();
    const report = proveReport(sampleModel(runs), newestOf(runs));
    expect(report.claims.map((claim) => claim.id)).toEqual(allClaims.map((claim) => claim.id));
    expect(Object.values(report.counts).reduce((sum, count) => sum + count, 0)).toBe(allClaims.length);
    expect(report.summary).toContain('0 failing');
  });

  it('never tells a red run as anything but failing, whatever the page says', () => {
    const runs = freshRuns();
    const red = { ...runs[0]!, state: 'red' as const, detail: 'Seen to be broken.' };
    const report = proveReport(sampleModel(runs), newestOf([red]));
    const told = report.claims.filter((claim) => claim.detail === 'Seen to be broken.');
    expect(told.length).toBeGreaterThan(0);
    expect(told.every((claim) => claim.state === 'failing')).toBe(true);
  });

  it('is never green without a page', () => {
    const { claims } = bareReport(allClaims, newestOf(freshRuns()));
    expect(claims.some((claim) => claim.state === 'green')).toBe(false);
  });
});
