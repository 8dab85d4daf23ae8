import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ClientConfig } from 'pg';
import { DEDICATED_ROLES } from './cluster.ts';
import { migrate, readMigrations } from './migrate.ts';
import { embeddedPackageDirectory } from './native.ts';
import { launchPostgres, type Launched } from './postgres.ts';
import { LOGIN_ROLES, setUpRoles, type LoginRole } from './roles.ts';

const REPOSITORY_ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const APP_ROOT = join(REPOSITORY_ROOT, 'app');
const SUPERUSER = 'ax_super';
const DATABASE = 'auditrax';
/** A template not used for this long belongs to an older tree. */
const TEMPLATE_AGE_MS_MAX = 24 * 60 * 60 * 1000;
/** Throw-away data: no waiting for disks, few buffers, few processes. */
const TEST_SETTINGS = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  shared_buffers: '24MB',
  io_method: 'sync',
  autovacuum: 'off',
  max_wal_senders: '0',
  wal_level: 'minimal',
  max_parallel_workers: '0',
} as const;

/** The superuser is for sabotage and inspection in tests; no process of the house connects as it. */
export type TestRole = LoginRole | 'superuser';

/** What `pg` and `openDatabase` need to connect. */
export interface TestConnection {
  readonly host: string;
  readonly socketDirectory: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string;
}

export interface TestDatabase {
  readonly socketDirectory: string;
  readonly port: number;
  connectionFor(role: TestRole): TestConnection;
  /** Passwords of the login roles, where the server asks for one. */
  readonly logins: 'peer' | Readonly<Record<LoginRole, string>>;
  /** Applies further migrations (default: every one in `app/`, which is already done). */
  migrate(roots?: readonly string[]): Promise<{ applied: string[] }>;
  readonly launched: Launched;
  /** Immediate stop (SIGQUIT): no checkpoint, and what was only in the server's memory is gone. */
  crash(): Promise<void>;
  /** The same data folder again, after `crash`. Connections have the same address as before. */
  startAgain(): Promise<void>;
  stop(): Promise<void>;
}

/** For a test whose subject is what survives a crash: as an operator's server has it, but for the small buffers. */
export const DURABLE_SETTINGS = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' } as const;
/** An immediate stop ends within a moment; this long means that it does not. */
const CRASH_MS_MAX = 20_000;
const POLL_MS = 5;

export interface TestDatabaseOptions {
  /** Folders that are searched for migrations (default: `app/`); an empty list leaves the database empty. */
  readonly roots?: readonly string[];
  /** Users of the system that may log in as any service, beside root. */
  readonly peers?: readonly string[];
  /** Settings of the server over those of throw-away data. */
  readonly settings?: Readonly<Record<string, string>>;
}

/**
 * The folder of this user for what test runs make: `run-<pid>-*` goes when that process has ended, `tpl-*` when nobody has
 * changed it for a day. Throws when somebody else holds the name.
 */
export function throwAwayHome(): string {
  const home = join(tmpdir(), `axt-${process.getuid!()}`);
  mkdirSync(home, { recursive: true, mode: process.getuid!() === 0 ? 0o711 : 0o700 });
  if (statSync(home).uid !== process.getuid!()) throw new Error(`${home} belongs to another user`);
  sweep(home);
  return home;
}

/**
 * A throw-away PostgreSQL with all roles and every migration below `app/` applied. It dies with this process. The first
 * call for a given set of migrations builds a template below the temporary folder (about a second); later ones copy it.
 */
export async function startTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const home = throwAwayHome();
  const roots = options.roots ?? [APP_ROOT];
  const template = await templateFor(home, roots);
  const run = mkdtempSync(join(home, `run-${process.pid}-`));
  execFileSync('chmod', ['711', run]);
  const passwords = readPasswords(template);
  writeFileSync(join(run, 'superuser.secret'), passwords.superuser, { mode: 0o600 });
  // The template is a whole data folder; copying it must not discard the secret that fits to it.
  execFileSync('cp', ['-a', '--reflink=auto', join(template, 'data'), join(run, 'data')]);
  return describe(await launch(run, options), run, { passwords, options });
}

type Passwords = Readonly<Record<TestRole, string>>;

function launch(state: string, { peers = [], settings = {} }: TestDatabaseOptions): Promise<Launched> {
  return launchPostgres({
    stateDirectory: state,
    packageDirectory: embeddedPackageDirectory(REPOSITORY_ROOT),
    superuser: SUPERUSER,
    peerMap: ['root', ...peers].flatMap((osUser) =>
      [...LOGIN_ROLES, DEDICATED_ROLES].map((role) => ({ osUser, role })),
    ),
    settings: { ...TEST_SETTINGS, ...settings },
    commandPrefix: pdeathsig(),
    log: () => undefined,
  });
}

function describe(
  first: Launched,
  run: string,
  { passwords, options }: { passwords: Passwords; options: TestDatabaseOptions },
): TestDatabase {
  let launched = first;
  const connectionFor = (role: TestRole): TestConnection => ({
    host: launched.socketDirectory,
    socketDirectory: launched.socketDirectory,
    port: launched.port,
    database: DATABASE,
    user: role === 'superuser' ? SUPERUSER : role,
    ...(launched.authentication === 'scram' ? { password: passwords[role] } : {}),
  });
  return {
    socketDirectory: launched.socketDirectory,
    port: launched.port,
    get launched() {
      return launched;
    },
    connectionFor,
    logins: launched.authentication === 'peer' ? 'peer' : passwords,
    migrate: (roots = [APP_ROOT]) => migrate({ connection: connectionFor('ax_migrate'), roots, log: () => undefined }),
    crash: () => crash(launched),
    startAgain: async () => {
      launched = await launch(run, options);
    },
    stop: async () => {
      await launched.stop();
      rmSync(run, { recursive: true, force: true });
    },
  };
}

async function crash({ pid, dataDirectory }: Launched): Promise<void> {
  const isThere = (): boolean => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === dataDirectory;
    } catch {
      return false;
    }
  };
  if (!isThere()) throw new Error('the server of this test is not there');
  process.kill(pid, 'SIGQUIT');
  const end = performance.now() + CRASH_MS_MAX;
  while (isThere()) {
    if (performance.now() > end) throw new Error(`the server of this test (pid ${pid}) does not end`);
    await sleep(POLL_MS);
  }
}

/** Without a template of this exact content, builds one; whoever is second finds it or throws theirs away. */
async function templateFor(home: string, roots: readonly string[]): Promise<string> {
  const target = join(home, `tpl-${templateKey(roots)}`);
  if (existsSync(join(target, 'complete'))) return target;
  const building = mkdtempSync(join(home, `run-${process.pid}-tpl-`));
  execFileSync('chmod', ['711', building]);
  const launched = await launch(building, {});
  const passwords = Object.fromEntries([...LOGIN_ROLES].map((role) => [role, `test-${role}-${process.pid}`])) as Record<
    LoginRole,
    string
  >;
  const connection: ClientConfig = {
    host: launched.socketDirectory,
    port: launched.port,
    user: SUPERUSER,
    database: 'postgres',
    ...(launched.superuserPassword === undefined ? {} : { password: launched.superuserPassword }),
  };
  try {
    await setUpRoles({
      connection,
      database: DATABASE,
      logins: launched.authentication === 'peer' ? 'peer' : passwords,
    });
    const migrator = { ...connection, user: 'ax_migrate', database: DATABASE, password: passwords.ax_migrate };
    await migrate({ connection: migrator, roots, log: () => undefined });
  } finally {
    await launched.stop();
  }
  const secrets: Passwords = { ...passwords, superuser: launched.superuserPassword ?? '' };
  writeFileSync(join(building, 'passwords.json'), JSON.stringify(secrets), { mode: 0o600 });
  writeFileSync(join(building, 'complete'), '');
  try {
    renameSync(building, target);
  } catch {
    rmSync(building, { recursive: true, force: true }); // another process finished the same template first
  }
  return target;
}

function templateKey(roots: readonly string[]): string {
  const hash = createHash('sha256').update(`${process.version}\0${REPOSITORY_ROOT}\0`);
  for (const file of ['cluster.ts', 'roles.ts', 'migrate.ts', 'testing.ts']) {
    hash.update(readFileSync(join(REPOSITORY_ROOT, 'app', 'platform', 'db', file)));
  }
  hash.update(readFileSync(join(REPOSITORY_ROOT, 'packages', 'tenancy', 'src', 'posture-queries.ts')));
  for (const migration of readMigrations(roots)) hash.update(`${migration.name}:${migration.sha256}\n`);
  return hash.digest('hex').slice(0, 16);
}

function readPasswords(template: string): Passwords {
  return JSON.parse(readFileSync(join(template, 'passwords.json'), 'utf8')) as Passwords;
}

/** A test run that is killed takes its server along, where the system has a tool for that. */
function pdeathsig(): string[] {
  return ['/usr/bin/setpriv', '/bin/setpriv']
    .filter((path) => existsSync(path))
    .slice(0, 1)
    .flatMap((path) => [path, '--pdeathsig', 'INT']);
}

/** Removes what killed test runs and older trees left behind. */
function sweep(home: string): void {
  for (const name of readdirSync(home)) {
    const path = join(home, name);
    const owner = /^run-(\d+)-/.exec(name)?.[1];
    const stale =
      owner === undefined
        ? Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > TEMPLATE_AGE_MS_MAX
        : !existsSync(`/proc/${owner}`);
    if (stale) rmSync(path, { recursive: true, force: true });
  }
}
