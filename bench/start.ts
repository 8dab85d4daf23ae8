import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchResult } from '../app/bin/commands/bench.ts';
import { startHouse } from '../app/bin/house.ts';
import { readSettings } from '../app/bin/settings.ts';

/** A later start is measured this often; the median is given. */
const LATER_STARTS = 3;

async function startOnce(state: string): Promise<number> {
  const started = performance.now();
  const house = await startHouse({
    settings: { ...readSettings({ AUDITRAX_STATE: state }), port: 0, tryoutPort: 0 },
    progress: () => {},
    log: () => {},
  });
  await house.supervisor.ask('issuer', 'seed', null);
  await house.supervisor.ask('sentinel', 'begin', null);
  await house.supervisor.ask('sentinel', 'prove', { claims: [] });
  const seconds = (performance.now() - started) / 1000;
  house.state.markInitialised();
  await house.stop();
  return seconds;
}

/**
 * Seconds from an installed checkout to a proven page: `first_start_s` with an empty state folder (the browser part
 * built), `later_start_s` with the same folder again. Both include seeding and one run of every probe.
 */
export async function run(progress: (line: string) => void): Promise<BenchResult> {
  const state = mkdtempSync(join(tmpdir(), 'axb-'));
  try {
    progress('first start');
    const first = await startOnce(state);
    const later: number[] = [];
    for (let index = 0; index < LATER_STARTS; index += 1) {
      progress(`later start ${index + 1} of ${LATER_STARTS}`);
      later.push(await startOnce(state));
    }
    later.sort((a, b) => a - b);
    return {
      figures: {
        first_start_s: Number(first.toFixed(2)),
        later_start_s: Number(later[Math.floor(later.length / 2)]!.toFixed(2)),
      },
      conditions: {
        cpus: cpus().length,
        node: process.version,
        includes: 'seed and one run of every probe; packages installed, browser part built',
      },
    };
  } finally {
    rmSync(state, { recursive: true, force: true });
  }
}
