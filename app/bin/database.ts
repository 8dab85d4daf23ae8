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
import { HOME_OBJECTS, OTHER_FOLDER, OTHER_OBJECTS, OWN_REGIONS, readRegions, UNNAMED_REGION } from './regions.ts';
import { ROOT } from './root.ts';
import type { Settings } from './settings.ts';

const DATABASE = 'auditrax';
const SUPERUSER = 'ax_super';

/** How often the server's process is looked for; noticing its end within this time is quick beside its recovery. */
const WATCH_MS = 200;
/** First and longest wait before the server is launched again; doubles while it does not come up. */
const RELAUNCH_MS_MIN = 200;
const RELAUNCH_MS_MAX = 10_000;

/** Part of util-linux, which every Debian has; execs in place, so the process id stays the server's. */
const DIE_WITH_PARENT = ['setpriv', '--pdeathsig', 'INT'];

/** A superuser of a server. */
interface Creator {
  readonly user: string;
  readonly password?: string;
}

/** One server, named by its region. */
export interface HouseCluster {
  readonly region: string;
  /** Its database is not to be looked at. */
  readonly address: DatabaseAddress;
  /** Who may create roles and databases, for the set-up process alone. */
  readonly creator: Creator;
  /** Folder of the region's evidence files. */
  readonly objects: string;
}

/** The database that the house stands on: its own server, kept alive, or one that others run. */
export interface HouseDatabase {
  /** The region of this database. */
  readonly region: string;
  readonly address: DatabaseAddress;
  /** Of every server, that of home first. */
  readonly regions: readonly string[];
  /** Folder of evidence files by region, that of home first. */
  readonly objectStores: Readonly<Record<string, string>>;
  /** Every server, that of home first. Waits for those that are being started. */
  readonly clusters: () => Promise<readonly HouseCluster[]>;
  /** `peer`: the kernel tells the server who calls. Else each role has a password in its process's folder. */
  readonly logins: 'peer' | 'password';
  /** The running server of our own; undefined when others run it. */
  launched(): Launched | undefined;
  /** Every server of our own that runs; none when others run them. Waits for those that are being started. */
  servers(): Promise<readonly Launched[]>;
  stop(): Promise<void>;
}

export interface DatabaseInput {
  readonly settings: Pick<Settings, 'databaseUrl' | 'databaseMigrateUrl' | 'regionsFile'>;
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
  return Promise.resolve(
    externalDatabase(databaseUrl, databaseMigrateUrl, {
      regionsFile: input.settings.regionsFile,
      homeObjects: join(input.state.path, HOME_OBJECTS),
    }),
  );
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

interface Server {
  readonly address: DatabaseAddress;
  readonly creator: Creator;
}

/** Both addresses must name the same server, or the schema would be made where nobody looks. */
function serverOf(url: string, migrateUrl: string, names: readonly [string, string]): Server & { database: string } {
  const { address } = addressOf(url, names[0]);
  const { address: same, user, password } = addressOf(migrateUrl, names[1]);
  if (address.host !== same.host || address.port !== same.port || address.database !== same.database) {
    throw new AppError(
      'bad_setting',
      `${names[0]} and ${names[1]} must name the same host, port and database: only the user differs`,
    );
  }
  return { address, creator: { user, ...(password === undefined ? {} : { password }) }, database: same.database };
}

function isSameServer(one: DatabaseAddress, other: DatabaseAddress): boolean {
  return one.host === other.host && one.port === other.port;
}

/**
 * The operator's servers by region. Throws `bad_setting` when none of them, or two, are that of home, and when another
 * region has no folder for evidence files: they would have to lie somewhere else.
 */
function externalClusters(file: string, home: DatabaseAddress, homeObjects: string): HouseCluster[] {
  const clusters = Object.entries(readRegions(file)).map(([region, { url, migrateUrl, objects }]) => {
    const names = [`AUDITRAX_REGIONS_FILE ${region}.url`, `AUDITRAX_REGIONS_FILE ${region}.migrateUrl`] as const;
    const server = serverOf(url, migrateUrl, names);
    return {
      region,
      ...server,
      objects: objectsOf({ region, objects }, isSameServer(server.address, home), homeObjects),
    };
  });
  const own = clusters.filter(({ address }) => isSameServer(address, home));
  if (own.length !== 1) {
    const how = own.length === 0 ? 'no region names' : 'two regions name';
    throw new AppError('bad_setting', `AUDITRAX_REGIONS_FILE: ${how} the server of DATABASE_URL: one must`);
  }
  return [...own, ...clusters.filter((cluster) => cluster !== own[0])];
}

function objectsOf(
  { region, objects }: { readonly region: string; readonly objects: string | undefined },
  isHome: boolean,
  homeObjects: string,
): string {
  if (isHome && objects === undefined) return homeObjects;
  if (!isHome && objects !== undefined) return objects;
  const what = isHome
    ? `is home, whose evidence files are in ${homeObjects}: leave ${region}.objects out`
    : `needs a folder for evidence files on a disk of that region, which the workspace may write`;
  throw new AppError('bad_setting', `AUDITRAX_REGIONS_FILE: ${region}.objects: region ${region} ${what}`);
}

/**
 * Databases of the operator's. The addresses are checked before anything is started: over TCP only with a verified
 * certificate.
 */
function externalDatabase(
  url: string,
  migrateUrl: string,
  { regionsFile, homeObjects }: { readonly regionsFile: string | undefined; readonly homeObjects: string },
): HouseDatabase {
  const { address, creator } = serverOf(url, migrateUrl, ['DATABASE_URL', 'DATABASE_MIGRATE_URL']);
  const clusters =
    regionsFile === undefined
      ? [{ region: UNNAMED_REGION, address, creator, objects: homeObjects }]
      : externalClusters(regionsFile, address, homeObjects);
  return {
    region: clusters[0]!.region,
    address,
    regions: clusters.map(({ region }) => region),
    objectStores: Object.fromEntries(clusters.map(({ region, objects }) => [region, objects])),
    clusters: () => Promise.resolve(clusters),
    logins: 'password',
    launched: () => undefined,
    servers: () => Promise.resolve([]),
    stop: () => Promise.resolve(),
  };
}

/** Folder of our own server at home. */
const HOME_FOLDER = 'postgres';

function launch(input: DatabaseInput, folder: string, log: (line: string) => void): Promise<Launched> {
  const { state, serverUser, peerMap, ephemeral } = input;
  return launchPostgres({
    stateDirectory: join(state.path, folder),
    packageDirectory: embeddedPackageDirectory(ROOT),
    superuser: SUPERUSER,
    ...(serverUser === undefined ? {} : { runAs: serverUser }),
    peerMap,
    log,
    ...(folder === HOME_FOLDER ? { twinDirectory: join(state.path, OTHER_FOLDER, 'data') } : {}),
    ...(ephemeral ? { commandPrefix: DIE_WITH_PARENT } : {}),
  });
}

interface OwnServer extends Server {
  readonly keeper: ReturnType<typeof keepAlive>;
  readonly authentication: Launched['authentication'];
}

async function openOwnServer(input: DatabaseInput, folder: string): Promise<OwnServer> {
  const keeper = keepAlive(await launch(input, folder, input.progress), {
    relaunch: () => launch(input, folder, input.log),
    log: input.log,
  });
  const { socketDirectory, port, authentication, superuserPassword } = keeper.launched();
  return {
    keeper,
    authentication,
    address: { host: socketDirectory, port, database: DATABASE },
    creator: { user: SUPERUSER, ...(superuserPassword === undefined ? {} : { password: superuserPassword }) },
  };
}

/** The other region's server starts in the shadow of what follows; whoever needs it waits, and nobody else does. */
async function openEmbedded(input: DatabaseInput): Promise<HouseDatabase> {
  const home = await openOwnServer(input, HOME_FOLDER);
  const opening = openOwnServer(input, OTHER_FOLDER);
  opening.catch(() => {}); // told to whoever asks for it
  const stopOther = async (): Promise<void> => {
    const other = await opening.catch(() => undefined);
    await other?.keeper.stop();
  };
  const { keeper, authentication, address, creator } = home;
  const objects = { home: join(input.state.path, HOME_OBJECTS), other: join(input.state.path, OTHER_OBJECTS) };
  return {
    region: OWN_REGIONS.home,
    address,
    regions: [OWN_REGIONS.home, OWN_REGIONS.other],
    objectStores: { [OWN_REGIONS.home]: objects.home, [OWN_REGIONS.other]: objects.other },
    clusters: async () => [
      { region: OWN_REGIONS.home, address, creator, objects: objects.home },
      {
        region: OWN_REGIONS.other,
        address: (await opening).address,
        creator: (await opening).creator,
        objects: objects.other,
      },
    ],
    logins: authentication === 'peer' ? 'peer' : 'password',
    launched: keeper.launched,
    servers: async () => [keeper.launched(), (await opening).keeper.launched()],
    stop: async () => {
      await Promise.all([keeper.stop(), stopOther()]);
    },
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
