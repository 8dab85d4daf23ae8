import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Random } from '@auditrax/base';
import { databaseError } from './errors.ts';
import type { RunAs } from './native.ts';

/** PostgreSQL's own default; RFC 7677 asks for at least this many. */
const SCRAM_ITERATIONS = 4096;
/** initdb takes about a second; ten times that means that the disk is stuck. */
const INITDB_TIMEOUT_MS = 60_000;

/** One line of the identity map: this operating-system user may log in as this role. */
export interface PeerMapping {
  readonly osUser: string;
  /** A role, or `DEDICATED_ROLES`. */
  readonly role: string;
}

/** Any role that was made for one tenant (a pattern of PostgreSQL's identity map, version 16 or newer). */
export const DEDICATED_ROLES = '/^ax_t_[0-9a-f]{16}$';

/** How the server knows who calls: by the kernel's word on the socket (needs root to have several users), or SCRAM. */
export type Authentication =
  | { readonly kind: 'peer'; readonly map: readonly PeerMapping[] }
  | { readonly kind: 'scram' };

/** The environment of every PostgreSQL process: nothing of ours leaks in. */
export const POSTGRES_ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' } as const;

/** Spawn options that drop privilege when this process is root, and are empty otherwise. */
export function asUser(runAs: RunAs): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 ? { uid: runAs.uid, gid: runAs.gid } : {};
}

/** Creates a folder with exactly this mode, owned by the server's user when this process is root. */
export function makeServerDirectory(path: string, mode: number, runAs: RunAs): void {
  mkdirSync(path, { recursive: true, mode });
  execFileSync('chmod', [mode.toString(8), path]);
  if (process.getuid?.() === 0) chownSync(path, runAs.uid, runAs.gid);
}

/** Writes a file the server reads; never readable by others. */
export function writeServerFile(path: string, text: string, runAs: RunAs): void {
  const partial = `${path}.new`;
  writeFileSync(partial, text, { mode: 0o600 });
  if (process.getuid?.() === 0) chownSync(partial, runAs.uid, runAs.gid);
  renameSync(partial, path);
}

/**
 * A SCRAM-SHA-256 verifier in PostgreSQL's stored form (RFC 5802 section 3, RFC 7677), so that the password itself
 * never travels to the server. `password` must be ASCII, for which SASLprep is the identity.
 */
export function scramVerifier(password: string, random: Random): string {
  if (!/^[\x21-\x7e]+$/.test(password)) throw new RangeError('a generated password is printable ASCII');
  const salt = random.bytes(16);
  const salted = pbkdf2Sync(password, salt, SCRAM_ITERATIONS, 32, 'sha256');
  const mac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(mac('Client Key')).digest();
  const encode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  return `SCRAM-SHA-256$${SCRAM_ITERATIONS}:${encode(salt)}$${encode(storedKey)}:${encode(mac('Server Key'))}`;
}

/**
 * Makes a data folder: a copy of `templateDirectory` when one is there, else initdb. Works in a neighbour folder and
 * renames, so that a start killed half-way leaves nothing that looks like a database.
 */
export function createDataDirectory(input: {
  native: string;
  dataDirectory: string;
  superuser: string;
  runAs: RunAs;
  templateDirectory?: string;
}): void {
  const { native, dataDirectory, superuser, runAs, templateDirectory } = input;
  const partial = `${dataDirectory}.partial`;
  rmSync(partial, { recursive: true, force: true });
  if (templateDirectory !== undefined && existsSync(join(templateDirectory, 'PG_VERSION'))) {
    execFileSync('cp', ['-a', '--reflink=auto', templateDirectory, partial]);
  } else {
    makeServerDirectory(partial, 0o700, runAs);
    // prettier-ignore
    const options = ['-D', partial, '-U', superuser, '--no-sync', '--no-instructions', '-E', 'UTF8', '--locale=C',
      '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--auth=reject', '--data-checksums'];
    const made = spawnSync(join(native, 'bin', 'initdb'), options, {
      ...asUser(runAs),
      cwd: dirname(dataDirectory),
      env: POSTGRES_ENVIRONMENT,
      encoding: 'utf8',
      timeout: INITDB_TIMEOUT_MS,
    });
    if (made.status !== 0) throw initdbFailed(made.stderr ?? '', runAs, made.error);
  }
  renameSync(partial, dataDirectory);
}

function initdbFailed(stderr: string, runAs: RunAs, cause: unknown): Error {
  if (stderr.includes('could not look up effective user ID')) {
    return databaseError(
      'postgres_user_unknown',
      `user id ${runAs.uid} has no entry in /etc/passwd, which PostgreSQL needs: create the user or run as another one`,
    );
  }
  const lastLine = stderr.trim().split('\n').at(-1) ?? '';
  return databaseError('postgres_init_failed', `initdb failed: ${lastLine || String(cause)}`, cause);
}

/** Sets a role's verifier while the server is down: single-user mode asks nobody who they are. */
export function setVerifierOffline(input: {
  native: string;
  dataDirectory: string;
  role: string;
  verifier: string;
  runAs: RunAs;
}): void {
  const { native, dataDirectory, role, verifier, runAs } = input;
  const run = spawnSync(join(native, 'bin', 'postgres'), ['--single', '-D', dataDirectory, 'postgres'], {
    ...asUser(runAs),
    cwd: dataDirectory,
    env: POSTGRES_ENVIRONMENT,
    input: `alter role "${role}" password '${verifier}'\n`,
    encoding: 'utf8',
    timeout: INITDB_TIMEOUT_MS,
  });
  if (run.status !== 0 || /ERROR|FATAL/.test(run.stderr)) {
    throw databaseError('postgres_init_failed', 'the superuser password could not be set while the server was down');
  }
}

const NAME_PATTERN = /^[a-z_][a-z0-9_-]{0,31}$/i;

/** The three files that decide who gets in and how the server behaves. There is no `trust` line in any of them. */
export function writeConfiguration(input: {
  dataDirectory: string;
  socketDirectory: string;
  port: number;
  superuser: string;
  authentication: Authentication;
  settings: Readonly<Record<string, string>>;
  runAs: RunAs;
}): void {
  const { dataDirectory, authentication, superuser, runAs } = input;
  const method = authentication.kind === 'peer' ? 'peer map=auditrax' : 'scram-sha-256';
  const rules = [`local all all ${method}`, `local replication "${superuser}" ${method}`];
  writeServerFile(join(dataDirectory, 'pg_hba.conf'), `${rules.join('\n')}\n`, runAs);
  const map = authentication.kind === 'peer' ? authentication.map : [];
  for (const { osUser, role } of map) {
    if (!NAME_PATTERN.test(osUser) || !(NAME_PATTERN.test(role) || role === DEDICATED_ROLES)) {
      throw databaseError('roles_failed', 'an operating-system user or role name has characters this map refuses');
    }
  }
  const lines = map.map(({ osUser, role }) => `auditrax "${osUser}" "${role}"\n`);
  writeServerFile(join(dataDirectory, 'pg_ident.conf'), lines.join(''), runAs);
  const settings = Object.entries(serverSettings(input)).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
  );
  writeServerFile(join(dataDirectory, 'postgresql.conf'), settings.join(''), runAs);
}

function serverSettings(input: {
  socketDirectory: string;
  port: number;
  authentication: Authentication;
  settings: Readonly<Record<string, string>>;
}): Record<string, string> {
  return {
    // The embedded build carries an OpenSSL that is out of support, so it never listens on a network.
    listen_addresses: '',
    ssl: 'off',
    unix_socket_directories: input.socketDirectory,
    // With peer authentication every service user must reach the socket; the kernel tells the server who it is.
    unix_socket_permissions: input.authentication.kind === 'peer' ? '0777' : '0700',
    port: String(input.port),
    max_connections: '120',
    shared_buffers: '128MB',
    password_encryption: 'scram-sha-256',
    timezone: 'UTC',
    log_timezone: 'UTC',
    jit: 'off',
    // Terse leaves DETAIL out: what the tripwire says about a foreign row must never reach a log line.
    log_error_verbosity: 'terse',
    log_min_error_statement: 'panic',
    log_parameter_max_length: '0',
    log_parameter_max_length_on_error: '0',
    log_statement: 'none',
    max_prepared_transactions: '0',
    ...input.settings,
  };
}
