import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildBrowser } from '../browser-build.ts';
import { ROOT } from '../root.ts';
import { runChecks } from './check.ts';

/** Debian packages that tests need, by a file each brings. */
const SYSTEM_PACKAGES: readonly { readonly name: string; readonly file: string; readonly why: string }[] = [
  { name: 'chromium', file: '/usr/bin/chromium', why: 'browser tests' },
  { name: 'openssl', file: '/usr/bin/openssl', why: 'the verifier of exported bundles' },
  { name: 'xxd', file: '/usr/bin/xxd', why: 'the verifier of exported bundles' },
  { name: 'unzip', file: '/usr/bin/unzip', why: 'the verifier of exported bundles' },
  { name: 'golang-go', file: '/usr/bin/go', why: 'a foreign verifier of the log' },
  {
    name: 'golang-golang-x-mod-dev',
    file: '/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog/tlog.go',
    why: 'a foreign verifier of the log',
  },
  { name: 'sslscan', file: '/usr/bin/sslscan', why: 'a foreign scanner of the TLS edge' },
];

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** Installs what is missing when root on Debian; otherwise says what is missing. */
function installSystemPackages(): void {
  const missing = SYSTEM_PACKAGES.filter(({ file }) => !existsSync(file));
  if (missing.length === 0) return;
  const names = missing.map(({ name }) => name);
  if (process.getuid!() !== 0 || !existsSync('/usr/bin/apt-get')) {
    for (const { name, why } of missing)
      process.stdout.write(`missing system package ${name} (${why}): apt-get install ${name}\n`);
    return;
  }
  process.stdout.write(`installing system packages: ${names.join(' ')}\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'], env });
  const done = spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
  });
  if (done.status !== 0) process.stdout.write('apt-get did not install them all; tests that need one say so\n');
}

async function runVitest(args: readonly string[]): Promise<Counts> {
  mkdirSync(join(ROOT, 'dist'), { recursive: true });
  const report = join(ROOT, 'dist/test-report.json');
  const child = spawn(
    process.execPath,
    [
      join(ROOT, 'node_modules/vitest/vitest.mjs'),
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...args,
    ],
    { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const code = await new Promise<number>((resolve) => child.on('exit', (status) => resolve(status ?? 1)));
  if (!existsSync(report)) return { passed: 0, failed: 1, skipped: 0 };
  const counts = JSON.parse(readFileSync(report, 'utf8')) as Record<string, number>;
  const failedSuites = counts['numFailedTests'] === 0 && code !== 0 ? 1 : 0; // a file that did not even load counts
  return {
    passed: counts['numPassedTests'] ?? 0,
    failed: (counts['numFailedTests'] ?? 0) + failedSuites,
    skipped: (counts['numPendingTests'] ?? 0) + (counts['numTodoTests'] ?? 0),
  };
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
  installSystemPackages();
  const checks = values['no-checks'] ? { passed: 0, failed: 0 } : await runChecks();
  if (!values['only-checks']) await buildBrowser(ROOT, (line) => process.stdout.write(`${line}\n`));
  const tests = values['only-checks'] ? { passed: 0, failed: 0, skipped: 0 } : await runVitest(positionals);
  const failed = checks.failed + tests.failed;
  const forbidden = process.env['CI'] === 'true' && tests.skipped > 0;
  if (forbidden) process.stdout.write('CI=true: a skipped test counts as failed\n');
  const [failures, skipped] = forbidden ? [failed + tests.skipped, 0] : [failed, tests.skipped];
  process.stdout.write(`\n${checks.passed + tests.passed} passed, ${failures} failed, ${skipped} skipped\n`);
  return failures === 0 ? 0 : 1;
}
