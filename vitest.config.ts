import { defineConfig } from 'vitest/config';

const SOURCES = ['packages', 'xks-proxy', 'app', 'tools', 'e2e'];
const HOUSE = ['e2e/**/*.test.ts', '**/*.house.test.ts', '**/*.browser.test.ts'];

/** A kind of test by what it needs; kinds of one group run side by side, groups one after the other. */
function kind(
  name: string,
  options: { include: string[]; exclude?: string[]; seconds: number; group: number; workers: number },
) {
  const milliseconds = options.seconds * 1000;
  return {
    test: {
      name,
      include: options.include,
      exclude: ['**/node_modules/**', '**/dist/**', ...(options.exclude ?? [])],
      pool: 'forks' as const,
      maxWorkers: options.workers,
      testTimeout: milliseconds,
      hookTimeout: Math.max(milliseconds, 120_000),
      sequence: { groupOrder: options.group },
    },
  };
}

// The suffix tells what a test needs (see CONTRIBUTING.md). A whole house uses all the cores there are: two at once, or
// one beside the others, would time each other out.
export default defineConfig({
  test: {
    projects: [
      kind('pure', {
        include: SOURCES.map((folder) => `${folder}/**/*.test.ts`),
        exclude: [...HOUSE, '**/*.db.test.ts'],
        seconds: 30,
        group: 0,
        workers: 2,
      }),
      kind('database', { include: ['**/*.db.test.ts'], seconds: 60, group: 1, workers: 2 }),
      kind('house', { include: HOUSE, seconds: 300, group: 2, workers: 1 }),
    ],
  },
});
