import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { buildBrowser } from '../browser-build.ts';
import { buildNative } from '../native-build.ts';
import { ROOT } from '../root.ts';
import { installSystemPackages } from '../system-packages.ts';
import { runChecks } from './check.ts';
import { runTests, type TestRun } from './test-run.ts';

const NOTHING: TestRun = { passed: 0, failed: 0, skipped: 0, kinds: [], slowest: [], skips: [] };

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function runEveryTest(filters: readonly string[]): Promise<TestRun> {
  await Promise.all([buildBrowser(ROOT, print), buildNative(ROOT, print)]);
  const run = await runTests(ROOT, filters, print);
  print('\nwhat took longest:');
  for (const line of run.slowest) print(`  ${line}`);
  print(`\ntime by kind, at a load of ${loadavg()[0]!.toFixed(1)} on ${availableParallelism()} cores:`);
  for (const line of run.kinds) print(`  ${line}`);
  if (run.skips.length > 0) print('\nskipped:');
  for (const line of run.skips) print(`  ${line}`);
  return run;
}

const HELP = `Usage: npm test [-- --only-checks | --no-checks] [vitest filters]

Installs what is missing, runs every check and test, ends with one line of counts.
With CI=true nothing may be skipped.
`;

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      'only-checks': { type: 'boolean' },
      'no-checks': { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  installSystemPackages(print);
  const checks = values['no-checks'] ? { passed: 0, failed: 0 } : await runChecks();
  const tests = values['only-checks'] ? NOTHING : await runEveryTest(positionals);
  const forbidden = process.env['CI'] === 'true' && tests.skipped > 0;
  if (forbidden) print('CI=true: a skipped test counts as failed');
  const failed = checks.failed + tests.failed + (forbidden ? tests.skipped : 0);
  const skipped = forbidden ? 0 : tests.skipped;
  print(`\n${checks.passed + tests.passed} passed, ${failed} failed, ${skipped} skipped`);
  return failed === 0 ? 0 : 1;
}
