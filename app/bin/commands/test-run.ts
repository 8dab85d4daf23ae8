import type { Reporter, TestCase, TestModule } from 'vitest/node';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** What one run of the tests came to. */
export interface TestRun extends Counts {
  /** For each kind of test how many files and tests it has, and how long they took together. */
  readonly kinds: readonly string[];
  /** The files that took longest, and those that took longer than their kind may, a line each. */
  readonly slowest: readonly string[];
  /** What was skipped and why, a line for each file and reason. */
  readonly skips: readonly string[];
}

type Print = (line: string) => void;

/** Tests of this kind take seconds to minutes each, so that each one is worth a line of its own. */
const SLOW_KIND = 'house';
const MARKS = { passed: 'ok  ', failed: 'FAIL', skipped: 'skip', pending: 'skip' } as const;

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

function reasonOf(test: TestCase): string {
  const result = test.result();
  return (result.state === 'skipped' ? result.note : undefined) ?? 'the file says why';
}

function skipLines(modules: readonly TestModule[]): string[] {
  return modules.flatMap((module) => {
    const reasons = new Map<string, string[]>();
    for (const test of module.children.allTests('skipped'))
      reasons.set(reasonOf(test), [...(reasons.get(reasonOf(test)) ?? []), test.fullName]);
    return [...reasons].map(([reason, names]) => {
      const what = names.length === 1 ? names[0]! : `${names.length} tests`;
      return `${module.relativeModuleId}: ${what} (${reason})`;
    });
  });
}

/** From the first start of a file of a kind to the last end of one. */
interface Span {
  begun_ms: number;
  ended_ms: number;
}

function kindLines(modules: readonly TestModule[], spans: ReadonlyMap<string, Span>): string[] {
  const names = [...new Set(modules.map((module) => module.project.name))];
  return names.map((name) => {
    const own = modules.filter((module) => module.project.name === name);
    const tests = own.reduce((sum, module) => sum + [...module.children.allTests()].length, 0);
    const sum_ms = own.reduce((sum, module) => sum + durationOf(module), 0);
    const { begun_ms, ended_ms } = spans.get(name) ?? { begun_ms: 0, ended_ms: 0 };
    return `${name}: ${own.length} files, ${tests} tests, ${seconds(ended_ms - begun_ms)} (the files together ${seconds(sum_ms)})`;
  });
}

function durationOf(module: TestModule): number {
  const { collectDuration, setupDuration, duration } = module.diagnostic();
  return collectDuration + setupDuration + duration;
}

/** Enough to see what grows. */
const FILES_LISTED = 10;

/**
 * What a file of a kind may take, in seconds, on a machine that does nothing else. A longer one is told and fails nothing:
 * a loaded machine is no fault of the tests. Together they keep the whole run below 25 minutes on two cores.
 */
const BUDGET_SECONDS: Readonly<Record<string, number>> = { pure: 30, database: 30, house: 330 };

/** A file of tests and how long it took. */
export interface TimedFile {
  readonly name: string;
  readonly kind: string;
  readonly duration_ms: number;
}

/** The slowest files, slowest first, and every one that took longer than its kind may. */
export function slowestLines(files: readonly TimedFile[]): string[] {
  const isOver = ({ kind, duration_ms }: TimedFile): boolean => duration_ms > (BUDGET_SECONDS[kind] ?? Infinity) * 1000;
  return files
    .toSorted((a, b) => b.duration_ms - a.duration_ms)
    .filter((file, at) => at < FILES_LISTED || isOver(file))
    .map((file) => {
      const budget = isOver(file) ? `: WARNING, more than the ${BUDGET_SECONDS[file.kind]} s of its kind` : '';
      return `${seconds(file.duration_ms)} ${file.name}${budget}`;
    });
}

function timed(module: TestModule): TimedFile {
  return { name: module.relativeModuleId, kind: module.project.name, duration_ms: durationOf(module) };
}

/** Counts tests by their state. A file that did not load, or an error outside every test, counts as a failed test. */
export function countTests(modules: readonly TestModule[], strayErrors: number): Counts {
  const count = (state: 'passed' | 'failed' | 'skipped') =>
    modules.reduce((sum, module) => sum + [...module.children.allTests(state)].length, 0);
  if (modules.length === 0) return { passed: 0, failed: 1, skipped: 0 }; // a filter that matches nothing tests nothing
  // A test that was never reached (its file's hook failed) has not passed.
  const unreached = modules.reduce((sum, module) => sum + [...module.children.allTests('pending')].length, 0);
  const broken = modules.filter((module) => {
    const explained = [...module.children.allTests('failed')].length > 0;
    return module.state() === 'failed' && !explained;
  }).length;
  return {
    passed: count('passed'),
    failed: count('failed') + unreached + broken + strayErrors,
    skipped: count('skipped'),
  };
}

/** Runs vitest in this process over the files that match `filters` (all, when there are none). */
export async function runTests(root: string, filters: readonly string[], print: Print): Promise<TestRun> {
  const { startVitest } = await import('vitest/node');
  let run: TestRun = {
    passed: 0,
    failed: 1,
    skipped: 0,
    kinds: [],
    slowest: [],
    skips: ['the run did not come to its end'],
  };
  const spans = new Map<string, Span>();
  const reporter: Reporter = {
    onTestModuleStart(module) {
      const now_ms = performance.now();
      if (!spans.has(module.project.name)) spans.set(module.project.name, { begun_ms: now_ms, ended_ms: now_ms });
    },
    onTestModuleEnd(module) {
      const span = spans.get(module.project.name);
      if (span !== undefined) span.ended_ms = performance.now();
    },
    onTestCaseResult(test) {
      if (test.project.name !== SLOW_KIND) return;
      print(`${MARKS[test.result().state]} ${test.fullName} (${seconds(test.diagnostic()?.duration ?? 0)})`);
    },
    onTestRunEnd(modules, errors) {
      run = {
        ...countTests(modules, errors.length),
        kinds: kindLines(modules, spans),
        slowest: slowestLines(modules.map(timed)),
        skips: skipLines(modules),
      };
    },
  };
  const vitest = await startVitest('test', [...filters], { root, watch: false, reporters: ['default', reporter] });
  await vitest.close();
  return run;
}
