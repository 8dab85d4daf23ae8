import { fork } from 'node:child_process';
import { chmodSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { AppError, systemClock, type Json, type ServiceName } from '@auditrax/base';
import { embeddedPackageDirectory } from '../platform/db/native.ts';
import { launchPostgres, type Launched } from '../platform/db/postgres.ts';
import type { LoginRole } from '../platform/db/roles.ts';
import { openDeadMan, type DeadMan } from '../platform/supervisor/alarm.ts';
import type { Boot, DatabaseAccess } from '../platform/supervisor/messages.ts';
import { ensureServiceUsers, type ServiceUser } from '../platform/supervisor/service-users.ts';
import { openStateFolder, type StateFolder } from '../platform/supervisor/state-folder.ts';
import { Supervisor, type ChildSpec } from '../platform/supervisor/supervisor.ts';
import { buildBrowser } from './browser-build.ts';
import { ROOT } from './root.ts';
import type { Settings } from './settings.ts';
import { PASSWORD_FILE, type SetupOrder } from './setup.ts';

export const SERVICES = ['issuer', 'keys', 'signer', 'ledger', 'workspace', 'gateway', 'sentinel'] as const;

/** Stopping goes from the edge inwards, so that what has been begun can still finish. */
const STOP_ORDER: readonly ServiceName[] = ['gateway', 'sentinel', 'workspace', 'issuer', 'ledger', 'signer', 'keys'];

/** A canary page is due each minute; three missing in a row are no accident. */
const CANARY_SILENCE_SECONDS_MAX = 180;

const DATABASE = 'auditrax';
const SUPERUSER = 'ax_super';
const DATABASE_ROLES: Readonly<Partial<Record<ServiceName, LoginRole>>> = {
  issuer: 'ax_issuer',
  workspace: 'ax_workspace',
  ledger: 'ax_ledger',
  sentinel: 'ax_sentinel',
};

export interface HouseOptions {
  readonly settings: Settings;
  /** One line per step, for people. */
  readonly progress: (line: string) => void;
  /** Output of the processes. */
  readonly log: (line: string) => void;
  /** Test composition roots only: extra arguments of the runtime for a process, e.g. a module hook. */
  readonly execArgv?: Readonly<Partial<Record<ServiceName, readonly string[]>>>;
  /** Extra boot options for a process (shorter intervals in tests). */
  readonly options?: Readonly<Partial<Record<ServiceName, Readonly<Record<string, Json>>>>>;
}

export interface House {
  readonly supervisor: Supervisor;
  readonly state: StateFolder;
  readonly settings: Settings;
  readonly database: Launched;
  readonly deadMan: DeadMan;
  /** True when this start created the keys and the database. */
  readonly isNew: boolean;
  readonly edgeUrl: string;
  readonly tryoutUrl: string | undefined;
  /** Everything the house's processes said at start: users apart or not. */
  readonly separation: 'users' | 'passwords';
  stop(): Promise<void>;
}

type Users = Readonly<Record<string, ServiceUser>> | undefined;

/** Runs the set-up process and returns which migrations it applied. */
async function setUpDatabase(order: SetupOrder): Promise<string[]> {
  const child = fork(join(ROOT, 'app/bin/setup.ts'), [], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    env: { PATH: '/usr/bin:/bin' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  child.send(order);
  const said = await new Promise<{ ok: boolean; applied?: string[]; code?: string; message?: string }>((resolve) => {
    child.once('message', (message) => resolve(message as { ok: boolean }));
    child.once('exit', (code) =>
      resolve({ ok: false, code: 'setup_failed', message: `the set-up process ended with ${code}` }),
    );
  });
  if (!said.ok) throw new AppError(said.code ?? 'setup_failed', said.message ?? 'the database could not be set up');
  return said.applied ?? [];
}

function setupOrder(database: Launched, state: StateFolder, users: Users): SetupOrder {
  const folder = (name: string, user?: ServiceUser) => ({
    path: state.own(name, user),
    ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
  });
  return {
    host: database.socketDirectory,
    port: database.port,
    database: DATABASE,
    superuser: SUPERUSER,
    ...(database.superuserPassword === undefined ? {} : { superuserPassword: database.superuserPassword }),
    logins: database.authentication === 'peer' ? 'peer' : 'password',
    folders: {
      ax_migrate: folder('supervisor'),
      ax_issuer: folder('issuer', users?.['issuer']),
      ax_workspace: folder('workspace', users?.['workspace']),
      ax_ledger: folder('ledger', users?.['ledger']),
      ax_sentinel: folder('sentinel', users?.['sentinel']),
    },
  };
}

function databaseAccess(
  service: ServiceName,
  database: Launched,
  stateDirectory: string,
): { database?: DatabaseAccess } {
  const role = DATABASE_ROLES[service];
  if (role === undefined) return {};
  return {
    database: {
      host: database.socketDirectory,
      port: database.port,
      database: DATABASE,
      user: role,
      ...(database.authentication === 'scram' ? { passwordFile: join(stateDirectory, PASSWORD_FILE) } : {}),
    },
  };
}

interface Parts {
  readonly options: HouseOptions;
  readonly state: StateFolder;
  readonly users: Users;
  readonly database: Launched;
  readonly deadMan: DeadMan;
  readonly browser: string;
}

/** What each process is told beyond its folder and its database. */
function processOptions(service: ServiceName, parts: Parts): Record<string, Json> {
  const { settings } = parts.options;
  const doors = { host: settings.host, port: settings.port, tryoutPort: settings.tryoutPort ?? null };
  const own: Partial<Record<ServiceName, Record<string, Json>>> = {
    issuer: { doors, sample: !settings.production },
    keys: { create: parts.state.isNew },
    gateway: {
      doors,
      bind: settings.bind,
      browser: parts.browser,
      certificateFile: settings.certificateFile ?? null,
      keyFile: settings.keyFile ?? null,
    },
    sentinel: {
      doors,
      canaryWebhook: parts.deadMan.url,
      pageWebhook: settings.pageWebhook ?? null,
      separation: parts.users === undefined ? 'passwords' : 'users',
    },
    workspace: { doors },
  };
  return { isNew: parts.state.isNew, ...own[service], ...parts.options.options?.[service] };
}

function childSpec(service: ServiceName, parts: Parts): ChildSpec {
  const user = parts.users?.[service];
  const stateDirectory = parts.state.own(service, user);
  const boot: Boot = {
    service,
    stateDirectory,
    ...(user === undefined ? {} : { runAs: { uid: user.uid, gid: user.gid } }),
    ...databaseAccess(service, parts.database, stateDirectory),
    options: processOptions(service, parts),
  };
  const extra = parts.options.execArgv?.[service] ?? [];
  return {
    service,
    program: join(ROOT, `app/bin/${service}.ts`),
    execArgv: ['--disable-warning=ExperimentalWarning', '--tls-min-v1.3', ...extra],
    boot,
  };
}

/** The checkout may lie where only root can read; the gateway, which has dropped root, gets a copy it can. */
function placeBrowser(built: string, state: StateFolder): string {
  const place = join(state.path, 'browser');
  rmSync(place, { recursive: true, force: true });
  cpSync(built, place, { recursive: true });
  for (const entry of readdirSync(place, { recursive: true, withFileTypes: true })) {
    chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644);
  }
  chmodSync(place, 0o755);
  return place;
}

async function startProcesses(supervisor: Supervisor, parts: Parts): Promise<void> {
  const { progress } = parts.options;
  progress('issuer: workload certificates and sessions');
  await supervisor.start(childSpec('issuer', parts));
  progress('keys, signer, ledger, workspace, gateway, sentinel');
  const others = SERVICES.filter((service) => service !== 'issuer');
  await Promise.all(others.map((service) => supervisor.start(childSpec(service, parts))));
}

async function launchDatabase(options: HouseOptions, state: StateFolder, users: Users): Promise<Launched> {
  return launchPostgres({
    stateDirectory: join(state.path, 'postgres'),
    packageDirectory: embeddedPackageDirectory(ROOT),
    superuser: SUPERUSER,
    ...(users === undefined ? {} : { runAs: users['postgres']! }),
    peerMap:
      users === undefined
        ? []
        : [
            { osUser: 'root', role: 'ax_migrate' },
            ...Object.entries(DATABASE_ROLES).map(([service, role]) => ({ osUser: users[service]!.name, role })),
          ],
    log: options.log,
  });
}

/** Asks the system for a free loopback port, or checks that the wanted one is free. Throws `port_busy` with the fix. */
function claimPort(wanted: number, variable: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'is in use by another program' : `cannot be used (${error.code})`;
      reject(
        new AppError(
          'port_busy',
          `port ${wanted} ${why}: stop it, or start with another port, e.g. ${variable}=${wanted + 1000} npm start`,
        ),
      );
    });
    server.listen(wanted, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

async function withPorts(settings: Settings): Promise<Settings> {
  return {
    ...settings,
    port: await claimPort(settings.port, 'AUDITRAX_PORT'),
    tryoutPort:
      settings.tryoutPort === undefined ? undefined : await claimPort(settings.tryoutPort, 'AUDITRAX_TRYOUT_PORT'),
  };
}

/**
 * Starts the whole house in its state folder and resolves when every process is ready. Whatever fails, what was started
 * is stopped again. Errors are AppErrors with the fix in the message.
 */
export async function startHouse(options: HouseOptions): Promise<House> {
  const settings = await withPorts(options.settings);
  const { progress, log } = options;
  progress(`state folder ${settings.state}`);
  const state = openStateFolder(settings.state);
  const isRoot = process.getuid!() === 0;
  const users = isRoot ? ensureServiceUsers([...SERVICES, 'postgres'], progress) : undefined;
  const building = buildBrowser(ROOT, progress);
  building.catch(() => {}); // awaited below; a failure must not outrun the database's start
  progress('database');
  const database = await launchDatabase(options, state, users);
  const supervisor = new Supervisor({ node: process.execPath, environment: { PATH: '/usr/bin:/bin', TZ: 'UTC' }, log });
  let deadMan: DeadMan | undefined;
  const stop = async (): Promise<void> => {
    await supervisor.stop(STOP_ORDER);
    await deadMan?.close();
    await database.stop();
    state.release();
  };
  try {
    const applied = await setUpDatabase(setupOrder(database, state, users));
    if (applied.length > 0) progress(`schema: ${applied.length} migrations applied`);
    deadMan = await openDeadMan({
      clock: systemClock,
      port: 0,
      silence_seconds_max: CANARY_SILENCE_SECONDS_MAX,
      file: join(state.own('supervisor'), 'alarms.jsonl'),
      raise: (line) => log(`ALARM: ${line}`),
    });
    const parts: Parts = {
      options: { ...options, settings },
      state,
      users,
      database,
      deadMan,
      browser: await building,
    };
    await startProcesses(supervisor, parts);
    const key = supervisor.peers().facts['pageWebhookKey'];
    if (typeof key === 'string') deadMan.trust(key);
    writeHouseFile(state, supervisor);
    return {
      supervisor,
      state,
      settings,
      database,
      deadMan,
      isNew: state.isNew,
      edgeUrl: `https://${settings.host}:${settings.port}`,
      tryoutUrl: settings.tryoutPort === undefined ? undefined : `http://localhost:${settings.tryoutPort}`,
      separation: users === undefined ? 'passwords' : 'users',
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function writeHouseFile(state: StateFolder, supervisor: Supervisor): void {
  const file = join(state.own('supervisor'), 'house.json');
  writeFileSync(file, JSON.stringify({ pid: process.pid, pids: supervisor.pids(), peers: supervisor.peers() }), {
    mode: 0o600,
  });
}

/** Reads what a running house wrote about itself. */
export function readHouseFile(statePath: string): {
  pid: number;
  pids: Record<string, number>;
  peers: { facts: Record<string, Json> };
} {
  return JSON.parse(readFileSync(join(statePath, 'supervisor/house.json'), 'utf8')) as never;
}
