import { AppError } from '@auditrax/base';
import { describe, expect, it } from 'vitest';
import type { Probe, ProbeHouse } from '../claims/probe.ts';
import { probedClaims } from '../claims/register.ts';
import { DRILLED, PLACED, PROBES, REHEARSALS } from './registry.ts';

const ALL = [...PROBES, ...PLACED.c, ...PLACED.d, ...REHEARSALS, ...DRILLED];
import { seeProbe } from './runner.ts';
import { timesOf } from './watch.ts';

const house = {} as ProbeHouse;
const probe = (run: Probe['run']): Probe => ({ id: 'a.b', claims: ['cert.soc2'], everySeconds: 1, run });

describe('a run of a probe', () => {
  it('is red with the code of its failure when it throws', async () => {
    const seen = await seeProbe(
      probe(() => Promise.reject(new AppError('keys_unavailable', 'gone'))),
      house,
    );
    expect(seen).toEqual({ state: 'red', detail: 'The check could not be carried out (keys_unavailable).' });
  });

  it('is red when it does not come back in time', async () => {
    const seen = await seeProbe(
      probe(() => new Promise(() => {})),
      house,
      5,
    );
    expect(seen).toEqual({ state: 'red', detail: 'The check could not be carried out (probe_timeout).' });
  });
});

describe('the probes', () => {
  it('are exactly those that the claims name, each for the claims that name it', () => {
    const wanted = probedClaims.map((claim) => `${claim.probe} ${claim.id}`).toSorted();
    const found = ALL.flatMap((one) => one.claims.map((id) => `${one.id} ${id}`)).toSorted();
    expect(found).toEqual(wanted);
  });

  it('run often enough for their claims to stay fresh through a missed run', () => {
    for (const claim of probedClaims) {
      const { everySeconds } = ALL.find((one) => one.id === claim.probe)!;
      expect(everySeconds * 2).toBeLessThanOrEqual(claim.freshness_seconds_max);
    }
  });
});

describe('detection times', () => {
  const now_ms = 1_000_000;
  it('are counted from the event to the receipt', () => {
    const rows = [
      { occurred_ms: '1000', accepted_ms: '3000' },
      { occurred_ms: '1000', accepted_ms: '5000' },
    ];
    expect(timesOf(rows, now_ms)).toEqual({ count: 2, missing: 0, mean_ms: 3000, max_ms: 4000 });
  });

  it('count an event without a receipt as missing once a minute has passed', () => {
    const rows = [
      { occurred_ms: String(now_ms - 59_000), accepted_ms: null },
      { occurred_ms: String(now_ms - 61_000), accepted_ms: null },
    ];
    expect(timesOf(rows, now_ms)).toMatchObject({ count: 0, missing: 1 });
  });
});
