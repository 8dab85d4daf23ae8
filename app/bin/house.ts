import { chmodSync, cpSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, isAbsolute, join, relative } from 'node:path';
import { AppError, systemClock, type Json, type ServiceName } from '@auditrax/base';
import { hasSoftToken } from '@auditrax/seal/soft-token';
import { TLS_FLOOR_ARGUMENTS } from '@auditrax/workload';
import { DEDICATED_ROLES } from '../platform/db/cluster.ts';
import type { Launched } from '../platform/db/postgres.ts';
import type { LoginRole } from '../platform/db/roles.ts';
import { NODE_OPTIONS_FOR_TRANSFERS } from '../platform/objects/index.ts';
import { openDeadMan, type DeadMan } from '../platform/supervisor/alarm.ts';
import { takeInventory, type FoundSocket } from '../platform/supervisor/inventory.ts';
import { endLeftovers } from '../platform/supervisor/leftovers.ts';
import {
  DATABASE_PASSWORD_FILE,
  type Boot,
  type DatabaseAccess,
  type HouseInventory,
  type KnownSocket,
  type ProvisionedPlace,
  type ProvisionOrder,
} from '../platform/supervisor/messages.ts';
import { ensureServiceUsers, type ServiceUser } from '../platform/supervisor/service-users.ts';
import { awaitPredecessor, openStateFolder, type StateFolder } from '../platform/supervisor/state-folder.ts';
import { Supervisor, type ChildSpec } from '../platform/supervisor/supervisor.ts';
import { buildBrowser } from './browser-build.ts';
import { openHouseDatabase, type HouseDatabase } from './database.ts';
import { openSetup, type SetupDone } from './house-setup.ts';
import { writeExpectedKeys } from './key-checks.ts';
import { readKeyMeans, type KeyMeans } from './key-means.ts';
import { buildNative } from './native-build.ts';
import { refuseSharedDoors, sidecarSocket, type PeerSetting } from './peer-setting.ts';
import { withPorts } from './ports.ts';
import { openProcessLog } from './process-log.ts';
import { ROOT } from './root.ts';
import type { Settings } from './settings.ts';
import type { SetupOrder } from './setup.ts';

export const SERVICES = ['issuer', 'keys', 'signer', 'ledger', 'workspace', 'gateway', 'sentinel'] as const;

/** Stopping goes from the edge inwards, so that what has been begun can still finish. */
const STOP_ORDER: readonly ServiceName[] = ['gateway', 'sentinel', 'workspace', 'issuer', 'ledger', 'signer', 'keys'];

/** A canary page is due each minute; three missing in a row are no accident. */
const CANARY_SILENCE_SECONDS_MAX = 180;

/**
 * Compiled code of the processes, which halves the time they load in. Only the supervisor's user can write it, and they
 * read it before they give that up: none of them can slip code to another.
 */
const COMPILE_CACHE = 'compile-cache';

const DATABASE_ROLES: Readonly<Partial<Record<ServiceName, LoginRole>>> = {
  issuer: 'ax_issuer',
  workspace: 'ax_workspace',
  ledger: 'ax_ledger',
  sentinel: 'ax_sentinel',
};

/** Whole files pass through these two: their memory must not grow with the file. */
const RUNTIME_OPTIONS: Readonly<Partial<Record<ServiceName, readonly string[]>>> = {
  gateway: NODE_OPTIONS_FOR_TRANSFERS,
  workspace: NODE_OPTIONS_FOR_TRANSFERS,
};

export interface HouseOptions {
  readonly settings: Settings;
  /** One line per step, for people. */
  readonly progress: (line: string) => void;
  /** Output of the processes. */
  readonly log: (line: string) => void;
  /** What must be seen whatever is shown otherwise: the watch itself is down. Default: `log`. */
  readonly alarm?: (line: string) => void;
  /** Ends a start that is under way; what was started is stopped. */
  readonly signal?: AbortSignal;
  /** A house for one question or test: its database ends with this process, even a killed one. */
  readonly ephemeral?: boolean;
  /** Test composition roots only: extra arguments of the runtime for a process, e.g. a module hook. */
  readonly execArgv?: Readonly<Partial<Record<ServiceName, readonly string[]>>>;
  /** Extra boot options for a process (shorter intervals in tests). */
  readonly options?: Readonly<Partial<Record<ServiceName, Readonly<Record<string, Json>>>>>;
}

export interface House {
  readonly supervisor: Supervisor;
  readonly state: StateFolder;
  readonly settings: Settings;
  /** The server of our own as it runs now. Throws `database_of_others` when the house has none. */
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

/** Where each login role's password is kept, when it has one. */
function roleFolders(state: StateFolder, users: Users): SetupOrder['folders'] {
  const folder = (name: string, user?: ServiceUser) => ({
    path: state.own(name, user),
    ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
  });
  return {
    ax_migrate: folder('supervisor'),
    ax_issuer: folder('issuer', users?.['issuer']),
    ax_workspace: folder('workspace', users?.['workspace']),
    ax_ledger: folder('ledger', users?.['ledger']),
    ax_sentinel: folder('sentinel', users?.['sentinel']),
  };
}

/** Those of our own; a folder that the operator named is never made, for its disk may not be there. */
function ownObjectStores(state: StateFolder, { objectStores }: HouseDatabase, users: Users): void {
  for (const folder of Object.values(objectStores)) {
    const name = relative(state.path, folder);
    if (!name.startsWith('..') && !isAbsolute(name)) state.own(name, users?.['workspace']);
  }
}

function databaseAccess(
  service: ServiceName,
  database: HouseDatabase,
  stateDirectory: string,
): { database?: DatabaseAccess } {
  const role = DATABASE_ROLES[service];
  if (role === undefined) return {};
  const passwordFile = join(stateDirectory, DATABASE_PASSWORD_FILE);
  return {
    database: { ...database.address, user: role, ...(database.logins === 'password' ? { passwordFile } : {}) },
  };
}

interface Parts {
  readonly options: HouseOptions;
  readonly state: StateFolder;
  readonly users: Users;
  readonly database: HouseDatabase;
  readonly deadMan: DeadMan;
  readonly browser: string;
  readonly setup: SetupDone;
  /** What opens the key stores; read once, so that a restarted process needs no file again. */
  readonly keyMeans: KeyMeans;
  /** A first start on an empty database: the only time when keys may be made. */
  readonly isNew: boolean;
}

/**
 * True when any user may reach the checkout. The driver of a token starts children when its process has given up root
 * long ago: below a folder like /root they could not be loaded, and a rehearsal would fail for no fault of the keys.
 */
function isOpenToOthers(path: string): boolean {
  const isOpen = (statSync(path).mode & 0o001) !== 0;
  return isOpen && (dirname(path) === path || isOpenToOthers(dirname(path)));
}

/** Read here: the user of a process need not be able to. Throws `bad_setting` for a file that cannot be read. */
function readGiven(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new AppError('bad_setting', `${path} cannot be read: ${(error as Error).message}`);
  }
}

/** Whom the ledger has sign what it keeps. */
function outsideOptions({ witnessPolicyFile, timestamps }: Settings): Record<string, Json> {
  const read = readGiven;
  return {
    witnessPolicy: witnessPolicyFile === undefined ? null : read(witnessPolicyFile),
    timestamps:
      timestamps === undefined ? null : { url: timestamps.url, certificates: read(timestamps.certificatesFile) },
  };
}

/** What each process is told beyond its folder and its database. */
function processOptions(service: ServiceName, parts: Parts): Record<string, Json> {
  const { settings } = parts.options;
  const doors = {
    host: settings.host,
    port: settings.port,
    publicPort: settings.publicPort ?? settings.port,
    tryoutPort: settings.tryoutPort ?? null,
  };
  const own: Partial<Record<ServiceName, Record<string, Json>>> = {
    issuer: {
      doors,
      sample: !settings.production,
      regions: parts.database.regions,
      backupRetention_days: settings.backupRetention_days,
      identityNetworks: [...settings.identityNetworks],
      identityAuthorities: settings.identityCaFile === undefined ? [] : [readGiven(settings.identityCaFile)],
    },
    keys: {
      tryOut: !settings.production,
      create: parts.isNew,
      wrappedKeys: parts.setup.holdings.wrappedKeys,
      kekRefs: parts.setup.holdings.kekRefs,
      ...parts.keyMeans,
    },
    gateway: {
      doors,
      bind: settings.bind,
      balancers: settings.balancers,
      browser: parts.browser,
      certificateFile: settings.certificateFile ?? null,
      keyFile: settings.keyFile ?? null,
    },
    sentinel: {
      regions: parts.database.regions,
      rehearse: !settings.production && hasSoftToken() && (parts.users === undefined || isOpenToOthers(ROOT)),
      doors,
      canaryWebhook: parts.deadMan.url,
      pageWebhook: settings.pageWebhook ?? null,
      streamNetworks: [...settings.streamNetworks],
      separation: parts.users === undefined ? 'passwords' : 'users',
    },
    ledger: outsideOptions(settings),
    workspace: {
      doors,
      backupRetention_days: settings.backupRetention_days,
      objectStores: parts.database.objectStores,
    },
  };
  const peerIdentity = { ...settings.peerIdentity };
  return { isNew: parts.isNew, peerIdentity, ...own[service], ...parts.options.options?.[service] };
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
  const extra = [...(RUNTIME_OPTIONS[service] ?? []), ...(parts.options.execArgv?.[service] ?? [])];
  return {
    service,
    program: join(ROOT, `app/bin/${service}.ts`),
    execArgv: ['--disable-warning=ExperimentalWarning', ...TLS_FLOOR_ARGUMENTS, ...extra],
    // Not read by the process: it tells people, and the next start, whose process this is.
    arguments: [parts.state.path],
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
  progress(`processes: ${SERVICES.join(', ')}`);
  // All at once: whoever needs another one waits for it, and the machine's cores are busy meanwhile.
  await Promise.all(SERVICES.map((service) => supervisor.start(childSpec(service, parts))));
}

function openDatabase(options: HouseOptions, state: StateFolder, users: Users): Promise<HouseDatabase> {
  return openHouseDatabase({
    settings: options.settings,
    state,
    serverUser: users?.['postgres'],
    peerMap:
      users === undefined
        ? []
        : [
            { osUser: 'root', role: 'ax_migrate' },
            { osUser: users['workspace']!.name, role: DEDICATED_ROLES },
            ...Object.entries(DATABASE_ROLES).map(([service, role]) => ({ osUser: users[service]!.name, role })),
          ],
    ephemeral: options.ephemeral === true,
    progress: options.progress,
    log: options.log,
  });
}

/** What a start has opened so far, closed again in the opposite order. */
class Opened {
  readonly #closers: (() => unknown)[] = [];
  #closing: Promise<void> | undefined;

  push(close: () => unknown): void {
    this.#closers.push(close);
  }

  /** Closes everything, whatever fails on the way; throws the first failure at the end. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      const failures: unknown[] = [];
      for (const close of this.#closers.reverse()) {
        try {
          await close();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
    })();
    return this.#closing;
  }
}

/**
 * Starts the whole house in its state folder and resolves when every process is ready. Whatever fails, what was started
 * is stopped again. Errors are AppErrors with the fix in the message; `start_interrupted` when `signal` ended it.
 */
export async function startHouse(options: HouseOptions): Promise<House> {
  const opened = new Opened();
  try {
    return await openHouse(options, opened);
  } catch (error) {
    await opened.close().catch(() => undefined); // the first failure is the one to tell
    if (options.signal?.aborted === true)
      throw new AppError('start_interrupted', 'stopped before it was ready', { cause: error });
    throw error;
  }
}

async function openHouse(given: HouseOptions, opened: Opened): Promise<House> {
  const { progress, signal } = given;
  progress(`state folder ${given.settings.state}`);
  await awaitPredecessor(given.settings.state, progress);
  const keyMeans = readKeyMeans(given.settings);
  const state = openStateFolder(given.settings.state);
  opened.push(() => state.release());
  await endLeftovers(state.path, progress);
  const kept = openProcessLog(state.logFile);
  opened.push(() => kept.close());
  const log = (line: string) => {
    kept.write(line);
    given.log(line);
  };
  const options = { ...given, log, settings: await withPorts(given.settings) };
  refuseSharedDoors(options.settings);
  const users = process.getuid!() === 0 ? ensureServiceUsers([...SERVICES, 'postgres'], progress) : undefined;
  const building = buildBrowser(ROOT, progress);
  building.catch(() => {}); // awaited below; a failure must not outrun the database's start
  const compiling = buildNative(ROOT, progress);
  progress('database');
  const database = await openDatabase(options, state, users);
  opened.push(() => database.stop());
  signal?.throwIfAborted();
  const folders = roleFolders(state, users);
  ownObjectStores(state, database, users);
  const setups = openSetup({
    database,
    folders,
    statePath: state.path,
    compileCache: state.own(COMPILE_CACHE),
    progress,
    followed: (cell, position) => supervisor.ask('sentinel', 'followed', { cell, position }),
  });
  const setup = await setups.run();
  if (setup.applied.length > 0) progress(`schema: ${setup.applied.length} migrations applied`);
  const deadMan = await openAlarm(options, state);
  opened.push(() => deadMan.close());
  const browser = placeBrowser(await building, state);
  await compiling;
  signal?.throwIfAborted();
  const provision = async (order: ProvisionOrder): Promise<ProvisionedPlace> => {
    const done = await setups.run(order);
    supervisor.publishCells(await setups.cells(done));
    return done.place!;
  };
  const supervisor: Supervisor = new Supervisor({
    node: process.execPath,
    environment: { PATH: '/usr/bin:/bin', TZ: 'UTC', NODE_COMPILE_CACHE: state.own(COMPILE_CACHE) },
    log,
    onChange: () => writeHouseFile(state, supervisor),
    provision,
    relocate: async (order) => {
      // The processes must know the new place's database before the first row counts there.
      if (order.kind !== 'shared')
        await provision({ tenantId: order.tenantId, kind: order.kind, region: order.region });
      return setups.relocate(order);
    },
    inventory: () => inventoryOf({ options, state, database, deadMan, supervisor }),
  });
  opened.push(() => supervisor.stop(STOP_ORDER));
  supervisor.publishCells(await setups.cells(setup));
  signal?.addEventListener('abort', () => void supervisor.stop(STOP_ORDER), { once: true });
  // A lost marker must not make a house look new whose data need the keys that were lost with it.
  const isNew = state.isNew && setup.holdings.tenants === 0 && setup.holdings.wrappedKeys === 0;
  await startProcesses(supervisor, { options, state, users, database, deadMan, browser, setup, keyMeans, isNew });
  writeExpectedKeys(state.path, { facts: supervisor.peers().facts, kekRefs: setup.holdings.kekRefs });
  signal?.throwIfAborted();
  const key = supervisor.peers().facts['pageWebhookKey'];
  if (typeof key === 'string') deadMan.trust(key);
  return describeHouse({ options, state, users, database, deadMan, supervisor, isNew, stop: () => opened.close() });
}

/**
 * What the house listens at. Its processes, its database servers and this one, with all that descends from them. A house
 * for one question or test lives in its caller's process: of that only the alarm is the house's.
 */
async function inventoryOf(parts: {
  readonly options: HouseOptions;
  readonly state: StateFolder;
  readonly database: HouseDatabase;
  readonly deadMan: DeadMan;
  readonly supervisor: Supervisor;
}): Promise<HouseInventory> {
  const { options, state, database, deadMan, supervisor } = parts;
  const servers = await database.servers();
  const children = [...Object.values(supervisor.pids()), ...servers.map(({ pid }) => pid)];
  const isGuest = options.ephemeral === true;
  const trees = isGuest ? children : [process.pid, ...children];
  const found = takeInventory({ trees, alone: [process.pid] });
  const alarmPort = Number(new URL(deadMan.url).port);
  const isCallers = ({ pids, port }: FoundSocket): boolean =>
    isGuest && port !== alarmPort && pids.length > 0 && pids.every((pid) => pid === process.pid);
  return {
    ...found,
    sockets: found.sockets.filter((socket) => !isCallers(socket)),
    known: [
      { path: controlSocket(state), use: 'control', pid: process.pid },
      ...servers.map(({ socketDirectory, port, pid }) => ({
        path: join(socketDirectory, `.s.PGSQL.${port}`),
        use: 'database' as const,
        pid,
      })),
      ...sidecarSockets(options.settings.peerIdentity, supervisor.pids()),
    ],
  };
}

function sidecarSockets(told: PeerSetting, pids: ReturnType<Supervisor['pids']>): KnownSocket[] {
  if (told.kind === 'own' || told.kind === 'spiffe') return [];
  return Object.entries(pids).map(([service, pid]) => {
    return { path: sidecarSocket(told.folder, service as ServiceName), use: 'sidecar', pid };
  });
}

/** The operator's door to this house. */
export function controlSocket(state: StateFolder): string {
  return join(state.own('supervisor'), 'control');
}

function openAlarm({ alarm, log }: HouseOptions, state: StateFolder): Promise<DeadMan> {
  return openDeadMan({
    clock: systemClock,
    port: 0,
    silence_seconds_max: CANARY_SILENCE_SECONDS_MAX,
    file: join(state.own('supervisor'), 'alarms.jsonl'),
    raise: (line) => (alarm ?? log)(`ALARM: ${line}`),
  });
}

function describeHouse(
  parts: Pick<Parts, 'options' | 'state' | 'users' | 'database' | 'deadMan' | 'isNew'> & {
    readonly supervisor: Supervisor;
    readonly stop: () => Promise<void>;
  },
): House {
  const { options, state, users, database, deadMan, supervisor, isNew, stop } = parts;
  const { settings } = options;
  return {
    supervisor,
    state,
    settings,
    get database() {
      const launched = database.launched();
      if (launched === undefined)
        throw new AppError('database_of_others', 'this house uses the database of DATABASE_URL');
      return launched;
    },
    deadMan,
    isNew,
    edgeUrl: `https://${settings.host}:${settings.publicPort ?? settings.port}`,
    tryoutUrl: settings.tryoutPort === undefined ? undefined : `http://localhost:${settings.tryoutPort}`,
    separation: users === undefined ? 'passwords' : 'users',
    stop,
  };
}

/** For people and for the probes: which process is which. Replaced whole, so that nobody reads half of it. */
function writeHouseFile(state: StateFolder, supervisor: Supervisor): void {
  const file = join(state.own('supervisor'), 'house.json');
  writeFileSync(
    `${file}.new`,
    JSON.stringify({ pid: process.pid, pids: supervisor.pids(), peers: supervisor.peers() }),
    {
      mode: 0o600,
    },
  );
  renameSync(`${file}.new`, file);
}

/** Reads what a running house wrote about itself. */
export function readHouseFile(statePath: string): {
  pid: number;
  pids: Record<string, number>;
  peers: { facts: Record<string, Json> };
} {
  return JSON.parse(readFileSync(join(statePath, 'supervisor/house.json'), 'utf8')) as never;
}
