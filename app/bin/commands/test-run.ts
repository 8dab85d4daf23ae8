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

function kindLines(modules: readonly TestModule[]): string[] {
  const names = [...new Set(modules.map((module) => module.project.name))];
  return names.map((name) => {
    const own = modules.filter((module) => module.project.name === name);
    const tests = own.reduce((sum, module) => sum + [...module.children.allTests()].length, 0);
    const took = own.reduce((sum, module) => sum + module.diagnostic().duration, 0);
    return `${name}: ${own.length} files, ${tests} tests, ${seconds(took)}`;
  });
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
  let run: TestRun = { passed: 0, failed: 1, skipped: 0, kinds: [], skips: ['the run did not come to its end'] };
  const reporter: Reporter = {
    onTestCaseResult(test) {
      if (test.project.name !== SLOW_KIND) return;
      print(`${MARKS[test.result().state]} ${test.fullName} (${seconds(test.diagnostic()?.duration ?? 0)})`);
    },
    onTestRunEnd(modules, errors) {
      run = { ...countTests(modules, errors.length), kinds: kindLines(modules), skips: skipLines(modules) };
    },
  };
  const vitest = await startVitest('test', [...filters], { root, watch: false, reporters: ['default', reporter] });
  await vitest.close();
  return run;
}
