import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, systemRandom, toBase64Url } from '@auditrax/base';
import { askHouse } from '../platform/supervisor/control.ts';
import { readSettings } from './settings.ts';

/** Where Debian keeps local authorities, and the name ours has there and in the browsers' store. */
const SYSTEM_FILE = '/usr/local/share/ca-certificates/auditrax-edge.crt';
const NICKNAME = 'Auditrax edge (localhost only)';

function browserStore(): string {
  return join(homedir(), '.pki/nssdb');
}

function certutil(args: readonly string[]): boolean {
  return spawnSync('certutil', ['-d', `sql:${browserStore()}`, ...args], { stdio: 'ignore' }).status === 0;
}

/** Refuses an authority that could vouch for more than this machine: a wrong file must never be installed. */
function checkConstrained(pem: string): void {
  const certificate = new X509Certificate(pem);
  const text =
    spawnSync('openssl', ['x509', '-noout', '-ext', 'nameConstraints'], { input: pem, encoding: 'utf8' }).stdout ?? '';
  if (!certificate.ca || !text.includes('Permitted') || !text.includes('DNS:localhost')) {
    throw new AppError(
      'edge_authority_refused',
      'the authority of the edge is not constrained to localhost: it was not installed',
    );
  }
}

function installSystem(pem: string): string {
  if (process.getuid!() !== 0) return 'system store: skipped (only root may); curl needs --cacert';
  mkdirSync('/usr/local/share/ca-certificates', { recursive: true });
  writeFileSync(SYSTEM_FILE, pem, { mode: 0o644 });
  execFileSync('update-ca-certificates', [], { stdio: 'ignore' });
  return `system store: installed (${SYSTEM_FILE})`;
}

function installBrowser(pem: string): string {
  if (spawnSync('certutil', ['-H'], { stdio: 'ignore' }).error !== undefined) {
    return 'browser store: certutil is missing; apt-get install libnss3-tools, then run this again';
  }
  if (!existsSync(browserStore())) {
    mkdirSync(browserStore(), { recursive: true, mode: 0o700 });
    certutil(['-N', '--empty-password']);
  }
  const file = join(tmpdir(), `auditrax-edge-${toBase64Url(systemRandom.bytes(9))}.pem`);
  writeFileSync(file, pem, { flag: 'wx', mode: 0o600 });
  certutil(['-D', '-n', NICKNAME]);
  const done = certutil(['-A', '-n', NICKNAME, '-t', 'C,,', '-i', file]);
  rmSync(file);
  return done
    ? `browser store: installed (${browserStore()}); restart the browser`
    : 'browser store: certutil refused it';
}

/** Installs the running house's edge authority for this user and, as root, for the machine; says what it did. */
export async function installTrust(): Promise<string[]> {
  const socket = join(readSettings(process.env).state, 'supervisor/control');
  const { edgeAuthority } = (await askHouse(socket, { name: 'status', input: null }, () => {})) as {
    edgeAuthority: string;
  };
  checkConstrained(edgeAuthority);
  return [installSystem(edgeAuthority), installBrowser(edgeAuthority)];
}

/** Removes it again from wherever it is; safe to run twice. */
export function removeTrust(): string[] {
  const lines: string[] = [];
  if (existsSync(SYSTEM_FILE) && process.getuid!() === 0) {
    rmSync(SYSTEM_FILE);
    execFileSync('update-ca-certificates', ['--fresh'], { stdio: 'ignore' });
    lines.push('system store: removed');
  }
  if (certutil(['-D', '-n', NICKNAME])) lines.push('browser store: removed');
  return lines.length > 0 ? lines : ['nothing was installed'];
}
