import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLOCK_SKEW_MS_MAX, gradeClaim, keepsLimit } from './grade.ts';
import type { GradeInput, Observation, State } from './grade.ts';
import { allClaims, claimById, probedClaims } from './register.ts';

const NOW_MS = Date.UTC(2026, 10, 22, 19, 31, 7);
const enforced = claimById('crypto.tls13-only');
const measured = claimById('crypto.dek-rotation');
const severity: Record<State, number> = { green: 0, stale: 1, failing: 2, unknown: 1 };

const observation = fc
  .record({
    probeId: fc.constantFrom(enforced.probe!, measured.probe!, 'somebody.else'),
    observedAt_ms: fc.integer({ min: NOW_MS - 10_000_000, max: NOW_MS + 10_000_000 }),
    duration_ms: fc.nat(5000),
    state: fc.constantFrom('green', 'red'),
    detail: fc.constant('seen'),
    measured: fc.option(
      fc.record({
        value: fc.double({ min: 0, max: 200 }),
        limit: fc.constant(1e9),
        unit: fc.constantFrom('days', 'hours'),
      }),
      { nil: undefined },
    ),
    rehearsedAgainst: fc.option(fc.constant('a simulator'), { nil: undefined }),
  })
  .map((one) => JSON.parse(JSON.stringify(one)) as Observation);

const input: fc.Arbitrary<GradeInput> = fc.record({
  claim: fc.constantFrom(...allClaims, ...Array.from({ length: 40 }, () => [enforced, measured]).flat()),
  observations: fc.array(observation, { maxLength: 12 }),
  now_ms: fc.integer({ min: NOW_MS - 5_000_000, max: NOW_MS + 5_000_000 }),
});

function seen(at_ms: number, more: Partial<Observation> = {}): Observation {
  return {
    probeId: enforced.probe!,
    observedAt_ms: at_ms,
    duration_ms: 12,
    state: 'green',
    detail: 'Refused.',
    ...more,
  };
}

describe('a claim is green only for what was really seen', () => {
  it('G1: green needs a fresh green run of its own probe that is not from the future', () => {
    fc.assert(
      fc.property(input, (given) => {
        if (gradeClaim(given).state !== 'green') return;
        const { claim, observations, now_ms } = given;
        expect(
          observations.some(
            (one) =>
              one.probeId === claim.probe &&
              one.state === 'green' &&
              one.observedAt_ms <= now_ms + CLOCK_SKEW_MS_MAX &&
              now_ms - one.observedAt_ms <= claim.freshness_seconds_max * 1000,
          ),
        ).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('G2: a claim without a probe is never green, whatever runs are recorded', () => {
    fc.assert(
      fc.property(input, (given) => {
        if (given.claim.probe === undefined) expect(gradeClaim(given).state).not.toBe('green');
      }),
    );
  });

  it('G3: a run seen only against a stand-in is rehearsed, never proven and never measured', () => {
    fc.assert(
      fc.property(input, (given) => {
        const graded = gradeClaim(given);
        if (graded.newest?.rehearsedAgainst !== undefined)
          expect(['rehearsed', 'stale', 'failing']).toContain(graded.standing);
      }),
    );
    expect(
      gradeClaim({ claim: enforced, observations: [seen(NOW_MS, { rehearsedAgainst: 'SoftHSM' })], now_ms: NOW_MS })
        .standing,
    ).toBe('rehearsed');
  });

  it('G4: waiting never improves a state', () => {
    fc.assert(
      fc.property(input, fc.nat(20_000_000), (given, wait_ms) => {
        // Runs dated ahead would come into force by waiting; that is time passing, not a run.
        const observations = given.observations.filter((one) => one.observedAt_ms <= given.now_ms);
        const before = gradeClaim({ ...given, observations });
        const after = gradeClaim({ ...given, observations, now_ms: given.now_ms + wait_ms });
        expect(severity[after.state]).toBeGreaterThanOrEqual(severity[before.state]);
      }),
      { numRuns: 500 },
    );
  });

  it('G5: the newest red run fails the claim, whatever came before and however old it is', () => {
    fc.assert(
      fc.property(fc.array(observation, { maxLength: 8 }), fc.nat(50_000_000), (before, wait_ms) => {
        const observations = [...before.filter((one) => one.observedAt_ms <= NOW_MS), seen(NOW_MS, { state: 'red' })];
        expect(gradeClaim({ claim: enforced, observations, now_ms: NOW_MS + wait_ms }).state).toBe('failing');
      }),
    );
  });

  it('G6: the order in which runs are handed in changes nothing', () => {
    fc.assert(
      fc.property(input, (given) => {
        const { newest: _a, ...one } = gradeClaim(given);
        const { newest: _b, ...other } = gradeClaim({ ...given, observations: given.observations.toReversed() });
        expect(one.state).toBe(other.state);
      }),
    );
  });

  it('G7: a dead check is stale past its freshness and failing past twice that, to the millisecond', () => {
    const budget_ms = enforced.freshness_seconds_max * 1000;
    const at = (age_ms: number) =>
      gradeClaim({ claim: enforced, observations: [seen(NOW_MS - age_ms)], now_ms: NOW_MS }).state;
    expect([at(budget_ms), at(budget_ms + 1), at(2 * budget_ms), at(2 * budget_ms + 1)]).toEqual([
      'green',
      'stale',
      'stale',
      'failing',
    ]);
  });

  it('G8: a check that never ran is unknown, then stale, then failing', () => {
    const budget_ms = enforced.freshness_seconds_max * 1000;
    const at = (late_ms: number) =>
      gradeClaim({ claim: enforced, observations: [], now_ms: NOW_MS, dueSince_ms: NOW_MS - late_ms }).state;
    expect([at(0), at(budget_ms + 1), at(2 * budget_ms + 1)]).toEqual(['unknown', 'stale', 'failing']);
  });

  it('G9: the limit of the claim decides, not the word of the probe', () => {
    const run = (value: number, unit: string) =>
      gradeClaim({
        claim: measured,
        now_ms: NOW_MS,
        observations: [seen(NOW_MS, { probeId: measured.probe!, measured: { value, limit: 1e9, unit } })],
      }).standing;
    expect([run(41, 'days'), run(90, 'days'), run(90.1, 'days'), run(41, 'hours'), run(Number.NaN, 'days')]).toEqual([
      'measured',
      'measured',
      'failing',
      'failing',
      'failing',
    ]);
    expect(
      gradeClaim({ claim: measured, now_ms: NOW_MS, observations: [seen(NOW_MS, { probeId: measured.probe! })] })
        .standing,
    ).toBe('failing');
    expect([keepsLimit(10, claimById('ops.mttd').limit!), keepsLimit(9.99, claimById('ops.mttd').limit!)]).toEqual([
      false,
      true,
    ]);
  });

  it('G10: gaps in the runs are shown as gaps, the one up to now included', () => {
    const budget_ms = enforced.freshness_seconds_max * 1000;
    const first = NOW_MS - 5 * budget_ms;
    const graded = gradeClaim({
      claim: enforced,
      observations: [seen(first), seen(first + 1000), seen(first + 3 * budget_ms)],
      now_ms: NOW_MS,
    });
    expect(graded.strip.map((mark) => mark.kind)).toEqual(['run', 'run', 'gap', 'run', 'gap']);
  });
});

describe('documents of third parties', () => {
  const claim = claimById('cert.soc2');
  const document = {
    title: 'SOC 2 Type II report',
    issuer: 'An audit firm',
    validFrom: '2026-01-01',
    validUntil: '2026-11-22',
    sha256: 'a'.repeat(64),
  };

  it('G11: no document, no pass', () => {
    expect(gradeClaim({ claim, observations: [], now_ms: NOW_MS })).toMatchObject({
      state: 'unknown',
      standing: 'without-document',
    });
  });

  it('G12: attested to the end of its last day, failing from the next', () => {
    expect(gradeClaim({ claim, observations: [], now_ms: NOW_MS, documents: [document] })).toMatchObject({
      state: 'green',
      standing: 'attested',
    });
    expect(
      gradeClaim({ claim, observations: [], now_ms: Date.UTC(2026, 10, 23), documents: [document] }),
    ).toMatchObject({ state: 'failing' });
    expect(gradeClaim({ claim, observations: [], now_ms: Date.UTC(2025, 10, 23), documents: [document] }).state).toBe(
      'failing',
    );
  });

  it('G13: a target date that has passed shows as overdue', () => {
    const iso = claimById('cert.iso42001');
    const at = (now_ms: number) => gradeClaim({ claim: iso, observations: [], now_ms, targetDate: '2026-09-30' });
    expect(at(Date.UTC(2026, 8, 30, 23)).inProgress).toEqual({ targetDate: '2026-09-30', overdue: false });
    expect(at(NOW_MS)).toMatchObject({ standing: 'without-document', state: 'unknown', inProgress: { overdue: true } });
  });

  it('G14: a fresh installation shows nothing as proven', () => {
    for (const one of allClaims)
      expect(gradeClaim({ claim: one, observations: [], now_ms: NOW_MS }).state, one.id).toBe('unknown');
    expect(probedClaims.length).toBeGreaterThan(0);
  });
});
