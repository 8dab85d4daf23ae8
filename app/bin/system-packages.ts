import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { backportsOfMachine } from './backports.ts';

interface SystemPackage {
  readonly name: string;
  readonly file: string;
  readonly why: string;
  /** Debian has it in its backports only. */
  readonly backports?: true;
}

/** Debian packages that tests and rehearsals need, by a file each brings. */
const SYSTEM_PACKAGES: readonly SystemPackage[] = [
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
  { name: 'rsyslog', file: '/usr/sbin/rsyslogd', why: 'a foreign receiver of streams' },
  {
    name: 'rsyslog-openssl',
    file: '/var/lib/dpkg/info/rsyslog-openssl.list',
    why: 'a foreign receiver of streams, over TLS',
  },
  { name: 'simplesamlphp', file: '/usr/share/simplesamlphp/www/index.php', why: 'a foreign identity provider (SAML)' },
  { name: 'php-cli', file: '/usr/bin/php', why: 'runs that provider' },
  { name: 'php-xml', file: '/usr/share/doc/php-xml/copyright', why: 'that provider’s documents' },
  { name: 'php-mbstring', file: '/usr/share/doc/php-mbstring/copyright', why: 'that provider’s texts' },
  { name: 'php-sqlite3', file: '/usr/share/doc/php-sqlite3/copyright', why: 'that provider’s sessions' },
  {
    name: 'python3-lasso',
    file: '/usr/lib/python3/dist-packages/lasso.py',
    why: 'a second foreign identity provider (SAML)',
  },
  {
    name: 'liblemonldap-ng-portal-perl',
    file: '/usr/share/lemonldap-ng/portal/templates',
    why: 'a third foreign identity provider (SAML and OpenID Connect)',
  },
  { name: 'starman', file: '/usr/bin/starman', why: 'runs that provider' },
  { name: 'libplack-perl', file: '/usr/share/doc/libplack-perl/copyright', why: 'runs that provider' },
  { name: 'liblasso-perl', file: '/usr/share/doc/liblasso-perl/copyright', why: 'that provider’s SAML' },
  {
    name: 'libgd-securityimage-perl',
    file: '/usr/share/doc/libgd-securityimage-perl/copyright',
    why: 'that provider’s pictures, which it loads at its start',
  },
  {
    name: 'libimage-magick-perl',
    file: '/usr/share/doc/libimage-magick-perl/copyright',
    why: 'that provider’s pictures, which it loads at its start',
  },
  {
    name: 'libxml-simple-perl',
    file: '/usr/share/doc/libxml-simple-perl/copyright',
    why: 'that provider’s SAML',
  },
  {
    name: 'libio-string-perl',
    file: '/usr/share/doc/libio-string-perl/copyright',
    why: 'that provider’s texts',
  },
  { name: 'libsoap-lite-perl', file: '/usr/share/doc/libsoap-lite-perl/copyright', why: 'that provider’s SAML' },
  {
    name: 'libconvert-base32-perl',
    file: '/usr/share/doc/libconvert-base32-perl/copyright',
    why: 'that provider’s second factors, which it loads at its start',
  },
  {
    name: 'libcrypt-openssl-bignum-perl',
    file: '/usr/share/doc/libcrypt-openssl-bignum-perl/copyright',
    why: 'that provider’s keys',
  },
  {
    name: 'libstring-random-perl',
    file: '/usr/share/doc/libstring-random-perl/copyright',
    why: 'that provider’s random texts',
  },
  { name: 'xmlsec1', file: '/usr/bin/xmlsec1', why: 'a foreign reader of XML signatures' },
  { name: 'sqlmap', file: '/usr/bin/sqlmap', why: 'a foreign attacker of the API' },
  { name: 'sslscan', file: '/usr/bin/sslscan', why: 'a foreign scanner of the TLS listeners' },
  { name: 'sigsum-go', file: '/usr/bin/sigsum-witness', why: 'a foreign witness of the log', backports: true },
];

/** Debian starts what it installs and starts it again with the machine; a test wants the program, not the service. */
const SERVICES: readonly { readonly package: string; readonly service: string }[] = [
  { package: 'haproxy', service: 'haproxy' },
  { package: 'nginx-light', service: 'nginx' },
  { package: 'pgbouncer', service: 'pgbouncer' },
  { package: 'rsyslog', service: 'rsyslog' },
  { package: 'liblemonldap-ng-portal-perl', service: 'liblemonldap-ng-portal-perl.timer' },
  { package: 'liblemonldap-ng-portal-perl', service: 'liblemonldap-ng-handler-perl.timer' },
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
  const usual = missing.filter(({ backports }) => backports !== true).map(({ name }) => name);
  if (usual.length > 0) withoutServices(usual, () => aptInstall([], usual, print));
  const newer = missing.filter(({ backports }) => backports === true).map(({ name }) => name);
  if (newer.length === 0) return;
  const source = backportsOfMachine();
  if (source === undefined)
    return print(`this machine names no source that has backports: ${newer.join(', ')} is missing`);
  try {
    aptInstall(source.args, newer, print);
  } finally {
    source.remove();
  }
}

function aptInstall(options: readonly string[], names: readonly string[], print: (line: string) => void): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', [...options, 'update', '-qq'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
    timeout: APT_UPDATE_MS_MAX,
  });
  const done = spawnSync('apt-get', [...options, 'install', '-y', '-qq', '--no-install-recommends', ...names], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
  });
  if (done.status !== 0) print('apt-get did not install them all; what needs one says so');
}
