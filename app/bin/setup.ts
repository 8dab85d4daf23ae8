// One-shot process: brings roles and schema to what the program needs, then ends. It is the only one that ever holds
// the database superuser's or the migration role's credentials.
import { chownSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { AppError, systemRandom, toBase64Url } from '@auditrax/base';
import { countHoldings, sumHoldings, type Holdings } from '../platform/db/holdings.ts';
import { migrate } from '../platform/db/migrate.ts';
import { moveTenant } from '../platform/db/moving.ts';
import { bringUpPlaces, makePlace, type CellPlace, type PlacesInput } from '../platform/db/places.ts';
import { LOGIN_ROLES, MIGRATE_ROLE, setUpRoles, type LoginRole } from '../platform/db/roles.ts';
import {
  DATABASE_PASSWORD_FILE,
  dedicatedPasswordFile,
  type DatabaseAddress,
  type ProvisionedPlace,
  type ProvisionOrder,
  type RelocationOrder,
  type RelocationReport,
} from '../platform/supervisor/messages.ts';
import { ROOT } from './root.ts';
import { verifiedTls } from './verified-tls.ts';

/** What the set-up process says: how far it is, and at last its answer. */
export type SetupAnswer =
  | {
      readonly ok: true;
      /** Migrations applied now. */
      readonly applied: readonly string[];
      readonly holdings: Holdings;
      /** Databases beside home. */
      readonly cells: readonly CellPlace[];
      /** Of an order to provision. */
      readonly place?: ProvisionedPlace;
      /** Of an order to move. */
      readonly report?: RelocationReport;
    }
  | { readonly ok: false; readonly code: string; readonly message: string };
export type SetupMessage =
  | SetupAnswer
  | { readonly progress: string }
  /** Asked of the house: is everything in a cell's log up to this position followed? Answered by `Followed`. */
  | { readonly followed: { readonly cell: string; readonly position: string } };

/** The answer of the house; `failure` says why not. */
export interface Followed {
  readonly followed: true;
  readonly failure?: string;
}

/** What the supervisor tells the set-up process. */
export interface SetupOrder {
  readonly address: DatabaseAddress;
  /** Every server by region, that of home first; the databases in their addresses mean nothing. */
  readonly clusters: readonly {
    readonly region: string;
    readonly address: DatabaseAddress;
    /** Who may create roles and databases. */
    readonly creator: { readonly user: string; readonly password?: string };
    /** Folder of the region's evidence files. */
    readonly objects: string;
  }[];
  /** `peer`: the kernel tells who calls. Else each role gets a password in the named folder. */
  readonly logins: 'peer' | 'password';
  /** Folder that keeps the role's password, and its owner. */
  readonly folders: Readonly<
    Record<LoginRole, { readonly path: string; readonly uid?: number; readonly gid?: number }>
  >;
  /** Absent: bring roles, schema and every place to what the program needs. */
  readonly provision?: ProvisionOrder;
  readonly relocate?: RelocationOrder;
}

/** A password of an earlier start is kept; a missing one is made. The verifier in the database follows the file. */
function passwordIn(folder: SetupOrder['folders'][LoginRole], name: string): string {
  const file = join(folder.path, name);
  if (!existsSync(file)) {
    writeFileSync(file, toBase64Url(systemRandom.bytes(32)), { mode: 0o600 });
    if (folder.uid !== undefined && folder.gid !== undefined) chownSync(file, folder.uid, folder.gid);
  }
  return readFileSync(file, 'utf8');
}

function loginsOf({ logins, folders }: SetupOrder): 'peer' | Record<LoginRole, string> {
  if (logins === 'peer') return 'peer';
  return Object.fromEntries(
    LOGIN_ROLES.map((role) => [role, passwordIn(folders[role], DATABASE_PASSWORD_FILE)]),
  ) as Record<LoginRole, string>;
}

function serverOf({ host, port, tls }: DatabaseAddress) {
  return { host, port, ...(tls === undefined ? {} : { ssl: verifiedTls(tls) }) };
}

function objectStoresOf({ clusters, folders }: SetupOrder): Pick<PlacesInput, 'objectStores'> {
  const { uid, gid } = folders.ax_workspace;
  const owner = uid === undefined || gid === undefined ? {} : { owner: { uid, gid } };
  return { objectStores: { folders: new Map(clusters.map(({ region, objects }) => [region, objects])), ...owner } };
}

function placesInput(order: SetupOrder, logins: PlacesInput['logins']): PlacesInput {
  return {
    clusters: new Map(
      order.clusters.map(({ region, address, creator }) => [region, { region, server: serverOf(address), creator }]),
    ),
    home: { region: order.clusters[0]!.region, database: order.address.database },
    logins,
    dedicatedPassword: (role) => passwordIn(order.folders.ax_workspace, dedicatedPasswordFile(role)),
    ...objectStoresOf(order),
    roots: [join(ROOT, 'app')],
    log: (progress) => process.send!({ progress }),
  };
}

/** One question at a time: a set-up process carries out one order. */
async function followed(cell: string, position: bigint): Promise<void> {
  const answered = once(process, 'message') as Promise<[Followed]>;
  process.send!({ followed: { cell, position: position.toString() } });
  const [{ failure }] = await answered;
  if (failure !== undefined) throw new AppError('relocation_failed', `${failure}: nothing was moved`);
}

async function setUp(order: SetupOrder): Promise<SetupAnswer> {
  const logins = loginsOf(order);
  const places = placesInput(order, logins);
  const place = order.provision === undefined ? undefined : await makePlace(places, order.provision);
  const report = order.relocate === undefined ? undefined : await moveTenant({ ...places, followed }, order.relocate);
  const isStart = place === undefined && report === undefined;
  const applied = isStart ? await setUpHome(order, logins) : [];
  const cells = await bringUpPlaces(places);
  return {
    ok: true,
    applied,
    cells,
    holdings: await holdingsOf(order, cells),
    ...(place === undefined ? {} : { place }),
    ...(report === undefined ? {} : { report }),
  };
}

/** A region that is out of reach holds what it holds: home alone tells that this house is not a new one. */
async function holdingsOf({ clusters, address }: SetupOrder, cells: readonly CellPlace[]): Promise<Holdings> {
  const access = new Map(clusters.map((one) => [one.region, { ...serverOf(one.address), ...one.creator }]));
  const home = await countHoldings({ ...access.get(clusters[0]!.region), database: address.database });
  const others = cells.map(({ region, database }) => countHoldings({ ...access.get(region), database }));
  const found = await Promise.allSettled(others);
  return sumHoldings([home, ...found.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))]);
}

async function setUpHome(order: SetupOrder, logins: PlacesInput['logins']): Promise<readonly string[]> {
  const { database } = order.address;
  const server = serverOf(order.address);
  const creator = { ...server, ...order.clusters[0]!.creator };
  await setUpRoles({ connection: { ...creator, database: 'postgres' }, database, logins });
  const connection = {
    ...server,
    database,
    user: MIGRATE_ROLE,
    ...(logins === 'peer' ? {} : { password: logins.ax_migrate }),
  };
  const { applied } = await migrate({ connection, roots: [join(ROOT, 'app')], log: () => {} });
  return applied;
}

process.once('message', (message) => {
  setUp(message as SetupOrder).then(
    (answer) => process.send!(answer, () => process.exit(0)),
    (error: unknown) => {
      const code = error instanceof AppError ? error.code : 'unexpected';
      process.send!({ ok: false, code, message: (error as Error).message }, () => process.exit(1));
    },
  );
});
// The supervisor is gone: what is half done is rolled back by the server, and the next start does it again.
process.once('disconnect', () => process.exit(1));
