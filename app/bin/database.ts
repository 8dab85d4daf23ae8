import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@auditrax/base';
import { parseDatabaseUrl } from '../platform/db/connection.ts';
import { embeddedPackageDirectory } from '../platform/db/native.ts';
import { launchPostgres, type Launched } from '../platform/db/postgres.ts';
import type { DatabaseAddress } from '../platform/supervisor/messages.ts';
import type { ServiceUser } from '../platform/supervisor/service-users.ts';
import type { StateFolder } from '../platform/supervisor/state-folder.ts';
import { ROOT } from './root.ts';
import type { Settings } from './settings.ts';
import type { SetupOrder } from './setup.ts';

const DATABASE = 'auditrax';
const SUPERUSER = 'ax_super';

/** How often the server's process is looked for; noticing its end within this time is quick beside its recovery. */
const WATCH_MS = 200;
/** First and longest wait before the server is launched again; doubles while it does not come up. */
const RELAUNCH_MS_MIN = 200;
const RELAUNCH_MS_MAX = 10_000;

/** Part of util-linux, which every Debian has; execs in place, so the process id stays the server's. */
const DIE_WITH_PARENT = ['setpriv', '--pdeathsig', 'INT'];

/** The database that the house stands on: its own server, kept alive, or one that others run. */
export interface HouseDatabase {
  readonly address: DatabaseAddress;
  /** `peer`: the kernel tells the server who calls. Else each role has a password in its process's folder. */
  readonly logins: SetupOrder['logins'];
  /** Who may create roles, for the set-up process alone. */
  readonly creator: SetupOrder['creator'];
  /** The running server of our own; undefined when others run it. */
  launched(): Launched | undefined;
  stop(): Promise<void>;
}

export interface DatabaseInput {
  readonly settings: Pick<Settings, 'databaseUrl' | 'databaseMigrateUrl'>;
  readonly state: StateFolder;
  /** As root: the server's user, and who may log in as which role. */
  readonly serverUser: ServiceUser | undefined;
  readonly peerMap: readonly { readonly osUser: string; readonly role: string }[];
  /** The server ends with this process, even a killed one. */
  readonly ephemeral: boolean;
  /** Told of each step of the start. */
  readonly progress: (line: string) => void;
  /** Told of what happens to the server afterwards. */
  readonly log: (line: string) => void;
}

/** Opens whichever database the settings name. Throws what the launcher and the address parser throw. */
export function openHouseDatabase(input: DatabaseInput): Promise<HouseDatabase> {
  const { databaseUrl, databaseMigrateUrl } = input.settings;
  if (databaseUrl === undefined || databaseMigrateUrl === undefined) return openEmbedded(input);
  return Promise.resolve(externalDatabase(databaseUrl, databaseMigrateUrl));
}

/** What an address says, in the form that travels to the processes. */
function addressOf(text: string, name: string): { address: DatabaseAddress; user: string; password?: string } {
  const { socketDirectory, host, port, database, user, password, tls } = parseDatabaseUrl(text, name);
  const place = socketDirectory ?? host!;
  const ca = typeof tls?.ca === 'string' ? { ca: tls.ca } : {};
  return {
    address: { host: place, port, database, ...(tls === undefined ? {} : { tls: { ...ca, servername: place } }) },
    user,
    ...(password === undefined ? {} : { password }),
  };
}

/**
 * A database of the operator's. The addresses are checked before anything is started: over TCP only with a verified
 * certificate. Both must name the same database, or the schema would be made where nobody looks.
 */
function externalDatabase(url: string, migrateUrl: string): HouseDatabase {
  const { address } = addressOf(url, 'DATABASE_URL');
  const { address: same, user, password } = addressOf(migrateUrl, 'DATABASE_MIGRATE_URL');
  if (address.host !== same.host || address.port !== same.port || address.database !== same.database) {
    throw new AppError(
      'bad_setting',
      'DATABASE_URL and DATABASE_MIGRATE_URL must name the same host, port and database: only the user differs',
    );
  }
  return {
    address,
    logins: 'password',
    creator: { user, ...(password === undefined ? {} : { password }) },
    launched: () => undefined,
    stop: () => Promise.resolve(),
  };
}

function launch(input: DatabaseInput, log: (line: string) => void): Promise<Launched> {
  const { state, serverUser, peerMap, ephemeral } = input;
  return launchPostgres({
    stateDirectory: join(state.path, 'postgres'),
    packageDirectory: embeddedPackageDirectory(ROOT),
    superuser: SUPERUSER,
    ...(serverUser === undefined ? {} : { runAs: serverUser }),
    peerMap,
    log,
    ...(ephemeral ? { commandPrefix: DIE_WITH_PARENT } : {}),
  });
}

async function openEmbedded(input: DatabaseInput): Promise<HouseDatabase> {
  const keeper = keepAlive(await launch(input, input.progress), {
    relaunch: () => launch(input, input.log),
    log: input.log,
  });
  const { socketDirectory, port, authentication, superuserPassword } = keeper.launched();
  return {
    address: { host: socketDirectory, port, database: DATABASE },
    logins: authentication === 'peer' ? 'peer' : 'password',
    creator: { user: SUPERUSER, ...(superuserPassword === undefined ? {} : { password: superuserPassword }) },
    launched: keeper.launched,
    stop: keeper.stop,
  };
}

/** The number may live on as another process: only one that works in the data folder is the server. */
function isRunning({ pid, dataDirectory }: Launched): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === dataDirectory;
  } catch {
    return false;
  }
}

/**
 * Watches the server and launches it again when it has ended; the processes reconnect by themselves. A server that ends
 * by an operator's hand comes back too: the way to stop it is to stop the house.
 */
function keepAlive(
  first: Launched,
  deps: { relaunch: () => Promise<Launched>; log: (line: string) => void },
): { launched: () => Launched; stop: () => Promise<void> } {
  let current = first;
  const stopping = new AbortController();
  const watch = async (): Promise<void> => {
    let wait_ms = RELAUNCH_MS_MIN;
    while (!stopping.signal.aborted) {
      await sleep(WATCH_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted || isRunning(current)) continue;
      deps.log(`postgres: the database server (pid ${current.pid}) has ended; starting it again`);
      try {
        current = await deps.relaunch();
        wait_ms = RELAUNCH_MS_MIN;
      } catch (error) {
        deps.log(`postgres: ${(error as Error).message}`);
        await sleep(wait_ms, undefined, { signal: stopping.signal }).catch(() => undefined);
        wait_ms = Math.min(RELAUNCH_MS_MAX, wait_ms * 2);
      }
    }
  };
  const watching = watch();
  return {
    launched: () => current,
    stop: async () => {
      stopping.abort();
      await watching; // a launch in hand ends first, or it would outlive us
      await current.stop();
    },
  };
}
