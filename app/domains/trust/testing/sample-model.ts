import type { Observation } from '../../../claims/grade.ts';
import { allClaims } from '../../../claims/register.ts';
import { buildPage } from '../model.ts';
import type { Conditions, PageModel } from '../model.ts';
import { parseOrganisation } from '../organisation.ts';
import sample from '../organisation.sample.json' with { type: 'json' };

/** Instant of the pages that tests render. */
export const SAMPLE_NOW_MS = Date.UTC(2026, 10, 22, 19, 31, 7);

export const sampleConditions: Conditions = {
  organisation: parseOrganisation(sample),
  origin: 'https://127.0.0.1:8443',
  witnessesIndependent: 0,
  notes: ['A listener for trying out is open on this machine’s loopback address.'],
  figures: { 'vendor.registry': '6 today' },
  tables: {
    'people.revocation': {
      summary: 'Longest until nothing worked: by SCIM 1.2 s, without a word not measured.',
      caption: 'How long each thing still worked.',
      columns: ['By SCIM', 'Without a word'],
      rows: [
        { name: 'Passkey', cells: ['1.2 s', 'not measured'] },
        { name: 'API key', cells: ['0.9 s', 'not measured'] },
      ],
    },
  },
  probesDueSince_ms: SAMPLE_NOW_MS - 60_000,
};

/** One fresh run for each probed claim's probe; measured ones at half their limit. */
export function freshRuns(now_ms: number = SAMPLE_NOW_MS): Observation[] {
  return allClaims
    .filter((claim) => claim.probe !== undefined)
    .map((claim, at) => ({
      probeId: claim.probe!,
      observedAt_ms: now_ms - 1000 * (at + 1),
      duration_ms: 12,
      state: 'green',
      detail: 'Tried the opposite; it was refused.',
      ...(claim.limit === undefined
        ? {}
        : { measured: { value: claim.limit.value / 2, limit: claim.limit.value, unit: claim.limit.unit } }),
    }));
}

export function sampleModel(observations: readonly Observation[] = freshRuns()): PageModel {
  return buildPage({
    claims: allClaims,
    observations,
    conditions: sampleConditions,
    now_ms: SAMPLE_NOW_MS,
    revision: 42,
  });
}
