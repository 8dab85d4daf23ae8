import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { buildBrowser } from '../browser-build.ts';
import { buildNative } from '../native-build.ts';
import { ROOT } from '../root.ts';
import { runChecks } from './check.ts';
import { runTests, type TestRun } from './test-run.ts';

/** Debian packages that tests need, by a file each brings. */
const SYSTEM_PACKAGES: readonly { readonly name: string; readonly file: string; readonly why: string }[] = [
  { name: 'chromium', file: '/usr/bin/chromium', why: 'browser tests' },
  { name: 'openssl', file: '/usr/bin/openssl', why: 'certificates, signatures and bundles seen by another program' },
  { name: 'g++', file: '/usr/bin/c++', why: 'the native seal engine and the HSM driver' },
  { name: 'golang-go', file: '/usr/bin/go', why: 'a foreign verifier of the log' },
  {
    name: 'golang-golang-x-mod-dev',
    file: '/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog/tlog.go',
    why: 'a foreign verifier of the log',
  },
  { name: 'libnss3-tools', file: '/usr/bin/certutil', why: 'the certificate store of the browser' },
  { name: 'softhsm2', file: '/usr/bin/softhsm2-util', why: 'a PKCS#11 token in software' },
  { name: 'awscli', file: '/usr/bin/aws', why: 'a foreign client of the KMS protocol simulator' },
  { name: 'testssl.sh', file: '/usr/bin/testssl', why: 'a foreign scanner of the load balancer' },
  { name: 'haproxy', file: '/usr/sbin/haproxy', why: 'the template of deploy/ in the real program' },
  { name: 'nginx-light', file: '/usr/sbin/nginx', why: 'the template of deploy/ in the real program' },
  { name: 'sslscan', file: '/usr/bin/sslscan', why: 'a foreign scanner of the TLS listeners' },
];

/** Debian starts what it installs and starts it again with the machine; a test wants the program, not the service. */
const SERVICES: readonly { readonly package: string; readonly service: string }[] = [
  { package: 'haproxy', service: 'haproxy' },
  { package: 'nginx-light', service: 'nginx' },
];
const START_POLICY = '/usr/sbin/policy-rc.d';

/** Runs `install` while no package may start a service; a policy that the machine has already is left as it is. */
function withoutServices(names: readonly string[], install: () => void): void {
  const isOurs = !existsSync(START_POLICY);
  if (isOurs) writeFileSync(START_POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' });
  try {
    install();
  } finally {
    if (isOurs) rmSync(START_POLICY);
  }
  for (const { package: name, service } of SERVICES) {
    if (names.includes(name)) spawnSync('systemctl', ['disable', '--quiet', service], { stdio: 'ignore' });
  }
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
  withoutServices(names, () => {
    const done = spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env,
    });
    if (done.status !== 0) process.stdout.write('apt-get did not install them all; tests that need one say so\n');
  });
}

const NOTHING: TestRun = { passed: 0, failed: 0, skipped: 0, kinds: [], skips: [] };

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function runEveryTest(filters: readonly string[]): Promise<TestRun> {
  await Promise.all([buildBrowser(ROOT, print), buildNative(ROOT, print)]);
  const run = await runTests(ROOT, filters, print);
  for (const line of run.kinds) print(line);
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
  installSystemPackages();
  const checks = values['no-checks'] ? { passed: 0, failed: 0 } : await runChecks();
  const tests = values['only-checks'] ? NOTHING : await runEveryTest(positionals);
  const forbidden = process.env['CI'] === 'true' && tests.skipped > 0;
  if (forbidden) print('CI=true: a skipped test counts as failed');
  const failed = checks.failed + tests.failed + (forbidden ? tests.skipped : 0);
  const skipped = forbidden ? 0 : tests.skipped;
  print(`\n${checks.passed + tests.passed} passed, ${failed} failed, ${skipped} skipped`);
  return failed === 0 ? 0 : 1;
}
