import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';

/** Debian packages that tests and rehearsals need, by a file each brings. */
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
  { name: 'pgbouncer', file: '/usr/sbin/pgbouncer', why: 'the tenant doors behind a pool in transaction mode' },
  { name: 'sslscan', file: '/usr/bin/sslscan', why: 'a foreign scanner of the TLS listeners' },
];

/** Debian starts what it installs and starts it again with the machine; a test wants the program, not the service. */
const SERVICES: readonly { readonly package: string; readonly service: string }[] = [
  { package: 'haproxy', service: 'haproxy' },
  { package: 'nginx-light', service: 'nginx' },
  { package: 'pgbouncer', service: 'pgbouncer' },
];
/** A machine without a way out must not wait for ever for lists of packages. */
const APT_UPDATE_MS_MAX = 120_000;
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

/**
 * Installs what is missing when root on Debian; otherwise says what is missing. `only` names the packages that are
 * wanted now; without it, all that the tests need.
 */
export function installSystemPackages(print: (line: string) => void, only?: readonly string[]): void {
  const wanted = SYSTEM_PACKAGES.filter(({ name }) => only?.includes(name) ?? true);
  const missing = wanted.filter(({ file }) => !existsSync(file));
  if (missing.length === 0) return;
  const names = missing.map(({ name }) => name);
  if (process.getuid!() !== 0 || !existsSync('/usr/bin/apt-get')) {
    for (const { name, why } of missing) print(`missing system package ${name} (${why}): apt-get install ${name}`);
    return;
  }
  print(`installing system packages: ${names.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'], env, timeout: APT_UPDATE_MS_MAX });
  withoutServices(names, () => {
    const done = spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env,
    });
    if (done.status !== 0) print('apt-get did not install them all; what needs one says so');
  });
}
