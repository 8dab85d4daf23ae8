import { availableParallelism, loadavg } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const SOURCES = ['packages', 'xks-proxy', 'witness', 'app', 'tools', 'e2e'];
const WORKERS = 2;
/** Of runnable processes for each core: beyond it two houses run into the deadlines that their processes have. */
const LOAD_MAX = 4;
const [load = 0] = loadavg();
const HOUSES = load > LOAD_MAX * availableParallelism() ? 1 : WORKERS;
const HOUSE = ['e2e/**/*.test.ts', '**/*.house.test.ts', '**/*.browser.test.ts'];

/** What takes minutes begins first, so that no worker is left with it at the end. */
const LONGEST_FIRST = [
  'e2e/workspace-mutants.house.test.ts',
  'e2e/mutants.house.test.ts',
  'e2e/keys.browser.test.ts',
  'e2e/transfer.house.test.ts',
  'e2e/lifecycle.house.test.ts',
  'e2e/external-database.house.test.ts',
  'e2e/layers.house.test.ts',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const group = ({ project }: TestSpecification): number => project.config.sequence.groupOrder;
    const place = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST_FIRST.findIndex((name) => moduleId.endsWith(`/${name}`));
      return at < 0 ? LONGEST_FIRST.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => group(a) - group(b) || place(a) - place(b));
  }
}

/** A kind of test by what it needs. Kinds run one after the other, each with a file for each of two cores. */
function kind(
  name: string,
  options: { include: string[]; exclude?: string[]; seconds: number; group: number; workers?: number; setup?: string },
) {
  const milliseconds = options.seconds * 1000;
  return {
    test: {
      name,
      include: options.include,
      exclude: ['**/node_modules/**', '**/dist/**', ...(options.exclude ?? [])],
      pool: 'forks' as const,
      maxWorkers: options.workers ?? WORKERS,
      testTimeout: milliseconds,
      hookTimeout: Math.max(milliseconds, 120_000),
      sequence: { groupOrder: options.group },
      ...(options.setup === undefined ? {} : { globalSetup: options.setup }),
    },
  };
}

// The suffix tells what a test needs (see CONTRIBUTING.md). Of two houses one mostly waits while the other works; each has
// a state folder, ports and servers of its own.
export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      kind('pure', {
        include: SOURCES.map((folder) => `${folder}/**/*.test.ts`),
        exclude: [...HOUSE, '**/*.db.test.ts'],
        seconds: 30,
        group: 0,
      }),
      kind('database', { include: ['**/*.db.test.ts'], seconds: 60, group: 1 }),
      kind('house', { include: HOUSE, seconds: 300, group: 2, workers: HOUSES, setup: 'e2e/testing/before-houses.ts' }),
    ],
  },
});
