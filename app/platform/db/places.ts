import { Client, escapeIdentifier, type ClientConfig } from 'pg';
import { isAppError, systemRandom } from '@auditrax/base';
import { HOME_CELL } from '../supervisor/messages.ts';
import { copyAppSchema, mirrorWorkspaceRights } from './app-schema.ts';
import { BESIDE_COPIES, WHOLE_CELL } from './place-scopes.ts';
import { databaseError } from './errors.ts';
import { inOwnerTransaction, LOCK_TIMEOUT_MS, migrate, MIGRATION_LOCK, STATEMENT_TIMEOUT_MS } from './migrate.ts';
import {
  allowConnect,
  createDedicatedRole,
  createRoles,
  LOGIN_ROLES,
  MIGRATE_ROLE,
  OWNER_ROLE,
  setUpRoles,
  WORKSPACE_ROLE,
  type LoginRole,
} from './roles.ts';

/** Copied for each new cell, which takes a fraction of running every migration. At the level of its last use. */
const TEMPLATE_DATABASE = 'ax_template';
/** In a cell the dedicated role stands where the workspace's role stands. */
const CELL_ROLES: readonly string[] = LOGIN_ROLES.filter((role) => role !== WORKSPACE_ROLE);
const NAME_BYTES = 8;
/** SQLSTATEs of a deadlock and of a lock that was not given in time. */
const DISTURBED: ReadonlySet<string> = new Set(['40P01', '55P03']);
/** Each try takes a fraction of a second; a house that disturbs this many is told so. */
const DISTURBED_ATTEMPTS_MAX = 10;

/** One PostgreSQL server, as the set-up process may use it. */
export interface Cluster {
  readonly region: string;
  readonly server: Pick<ClientConfig, 'host' | 'port' | 'ssl'>;
  /** Who may create roles and databases. */
  readonly creator: { readonly user: string; readonly password?: string };
}

export interface PlacesInput {
  /** By region; the home region among them. */
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly home: { readonly region: string; readonly database: string };
  readonly logins: 'peer' | Readonly<Record<LoginRole, string>>;
  /** The password of a dedicated role, made and kept where the workspace finds it; asked only without peer. */
  readonly dedicatedPassword: (role: string) => string;
  /** Where evidence files lie, by region, and whose they are. Absent: a house without any. */
  readonly objectStores?: {
    readonly folders: ReadonlyMap<string, string>;
    readonly owner?: { readonly uid: number; readonly gid: number };
  };
  /** Folders that are searched for folders named `migrations`. */
  readonly roots: readonly string[];
  readonly log: (line: string) => void;
}

export interface PlaceOrder {
  readonly tenantId: string;
  readonly kind: 'schema' | 'database';
  readonly region: string;
}

export interface MadePlace {
  /** `home` or `<region>/<database>`. */
  readonly cell: string;
  readonly schema: string;
  readonly role: string;
}

/** A database that is a cell of its own. */
export interface CellPlace {
  readonly cell: string;
  readonly region: string;
  readonly database: string;
}

interface Place {
  readonly name: string;
  readonly tenant_id: string;
  readonly slug: string;
  readonly kind: 'schema' | 'database';
  readonly region: string;
  readonly role_name: string;
  readonly level: string | null;
}

const PLACES = `select p.name, p.tenant_id, t.slug, p.kind, p.region, p.role_name, p.level
  from platform.place p join platform.tenant t on t.id = p.tenant_id`;

function schemaOf(place: Place): string {
  return place.kind === 'schema' ? `t_${place.name}` : 'app';
}

function databaseOf(place: Place): string {
  return `ax_${place.name}`;
}

function cellOf(place: Place): string {
  return place.kind === 'schema' ? HOME_CELL : `${place.region}/${databaseOf(place)}`;
}

function describe(place: Place): string {
  const where = place.kind === 'schema' ? `schema ${schemaOf(place)}` : `database ${databaseOf(place)}`;
  return `${where} of ${place.slug} in region ${place.region}`;
}

export function clusterOf(input: PlacesInput, region: string): Cluster {
  const cluster = input.clusters.get(region);
  if (cluster !== undefined) return cluster;
  const known = [...input.clusters.keys()].join(', ');
  throw databaseError('region_unknown', `region ${region} is not configured; there are: ${known}`);
}

export function asCreator({ server, creator }: Cluster, database: string): ClientConfig {
  return { ...server, ...creator, database };
}

function asMigrator(input: PlacesInput, { server }: Cluster, database: string): ClientConfig {
  const password = input.logins === 'peer' ? {} : { password: input.logins[MIGRATE_ROLE] };
  return { ...server, user: MIGRATE_ROLE, ...password, database, statement_timeout: STATEMENT_TIMEOUT_MS };
}

async function withClient<T>(config: ClientConfig, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(config);
  await client.connect();
  client.on('error', () => undefined); // a lost connection also fails the query that is running
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Works on home as the migrate role, under the lock that migrations take; nobody else makes or mends places meanwhile. */
function withHome<T>(input: PlacesInput, work: (home: Client) => Promise<T>): Promise<T> {
  const cluster = clusterOf(input, input.home.region);
  return withClient(asMigrator(input, cluster, input.home.database), async (home) => {
    await home.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`);
    await home.query('select pg_catalog.pg_advisory_lock($1)', [MIGRATION_LOCK]);
    return work(home);
  });
}

/**
 * Makes a place for a tenant, or finishes one that was begun: names are random and written down first, everything after
 * that looks what is there already. An answer means that the place is complete and empty.
 *
 * Throws `region_unknown`, `place_refused` (no such tenant, or a schema outside the home region), `place_failed`, and
 * what migrations throw.
 */
export async function makePlace(input: PlacesInput, order: PlaceOrder): Promise<MadePlace> {
  const cluster = clusterOf(input, order.region);
  if (order.kind === 'schema' && order.region !== input.home.region)
    throw databaseError('place_refused', `a schema of its own is made in region ${input.home.region} only`);
  try {
    return await withHome(input, async (home) => {
      const place = await writeDown(home, order);
      await withClient(asCreator(cluster, 'postgres'), (client) => makeRole(input, client, place));
      if (place.kind === 'schema') await bringUpSchema(input, home, place);
      else await bringUpDatabase(input, home, place);
      return { cell: cellOf(place), schema: schemaOf(place), role: place.role_name };
    });
  } catch (error) {
    if (isAppError(error)) throw error;
    const what = order.kind === 'schema' ? 'schema' : 'database';
    throw databaseError('place_failed', `the ${what} could not be made: ${(error as Error).message}`, error);
  }
}

async function writeDown(home: Client, order: PlaceOrder): Promise<Place> {
  return inOwnerTransaction(home, async () => {
    const tenant = await home.query('select 1 from platform.tenant where id = $1', [order.tenantId]);
    if (tenant.rowCount === 0) throw databaseError('place_refused', 'there is no such tenant');
    const name = Buffer.from(systemRandom.bytes(NAME_BYTES)).toString('hex');
    await home.query(
      `insert into platform.place (name, tenant_id, kind, region) values ($1, $2, $3, $4)
       on conflict (tenant_id, kind, region) do nothing`,
      [name, order.tenantId, order.kind, order.region],
    );
    const found = await home.query<Place>(`${PLACES} where p.tenant_id = $1 and p.kind = $2 and p.region = $3`, [
      order.tenantId,
      order.kind,
      order.region,
    ]);
    return found.rows[0]!;
  });
}

async function lastMigration(client: Client): Promise<string> {
  const { rows } = await client.query<{ name: string }>('select max(name) as name from platform.migration');
  return rows[0]!.name;
}

const SET_LEVEL = 'update platform.place set level = $2 where name = $1';

/**
 * Runs `work` again when the server has ended it in favour of somebody else: on a busy house, policies change hands on
 * tables that transactions of people hold in another order.
 */
async function undisturbed<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const isDisturbed = DISTURBED.has((error as { code?: string }).code ?? '');
      if (!isDisturbed || attempt >= DISTURBED_ATTEMPTS_MAX) throw error;
    }
  }
}

async function bringUpSchema(input: PlacesInput, home: Client, place: Place): Promise<void> {
  const cluster = clusterOf(input, input.home.region);
  await withClient(asCreator(cluster, 'postgres'), (client) =>
    client.query(
      `grant connect on database ${escapeIdentifier(input.home.database)} to ${escapeIdentifier(place.role_name)}`,
    ),
  );
  await undisturbed(() =>
    inOwnerTransaction(home, async () => {
      await copyAppSchema(home, schemaOf(place), place.role_name);
      await mirrorWorkspaceRights(home, place.role_name, BESIDE_COPIES);
      await home.query(SET_LEVEL, [place.name, await lastMigration(home)]);
    }),
  );
}

async function bringUpDatabase(input: PlacesInput, home: Client, place: Place): Promise<void> {
  const cluster = clusterOf(input, place.region);
  const database = databaseOf(place);
  await createCell(input, cluster, place);
  await migrate({ connection: asMigrator(input, cluster, database), roots: input.roots, log: () => undefined });
  const tenant = await inOwnerTransaction(home, () =>
    home.query<{ tenant: string }>('select to_jsonb(t)::text as tenant from platform.tenant t where id = $1', [
      place.tenant_id,
    ]),
  );
  await withClient(asMigrator(input, cluster, database), (cell) =>
    inOwnerTransaction(cell, async () => {
      await copyTenant(cell, tenant.rows[0]!.tenant);
      await cell.query(
        `insert into platform.place (name, tenant_id, kind, region) values ($1, $2, 'database', $3)
         on conflict (name) do nothing`,
        [place.name, place.tenant_id, place.region],
      );
      await mirrorWorkspaceRights(cell, place.role_name, WHOLE_CELL);
      await cell.query(SET_LEVEL, [place.name, await lastMigration(cell)]);
    }),
  );
  await inOwnerTransaction(home, async () => home.query(SET_LEVEL, [place.name, await lastMigration(home)]));
}

/**
 * As at home, roles follow what the house is at each start: a restored one may ask for passwords where none were. A
 * region that is out of reach and has nothing to catch up with does not keep the others from being served.
 */
async function mendRoles(input: PlacesInput, places: readonly Place[], behind: readonly Place[]): Promise<void> {
  for (const region of new Set(places.map((place) => place.region))) {
    const own = places.filter((place) => place.region === region);
    try {
      await mendRolesIn(input, region, own);
    } catch (error) {
      const late = behind.find((place) => place.region === region);
      if (late !== undefined) throw placeBehind(late, error);
      input.log(`region ${region} is out of reach, with ${own.length} tenants: ${(error as Error).message}`);
    }
  }
}

function mendRolesIn(input: PlacesInput, region: string, places: readonly Place[]): Promise<void> {
  return withClient(asCreator(clusterOf(input, region), 'postgres'), async (client) => {
    if (region !== input.home.region) await createRoles(client, input.logins);
    for (const place of places) await makeRole(input, client, place);
  });
}

function placeBehind(place: Place, cause: unknown): Error {
  const why = `is behind, so nothing is served: ${(cause as Error).message}`;
  return databaseError('migration_placement_behind', `${describe(place)} ${why}`, cause);
}

function makeRole({ logins, dedicatedPassword }: PlacesInput, client: Client, { role_name }: Place): Promise<void> {
  return createDedicatedRole(client, role_name, logins === 'peer' ? undefined : dedicatedPassword(role_name));
}

/** Home's row of the tenant is the truth; a cell has it for its keys, and follows what changes. */
async function copyTenant(cell: Client, tenant: string): Promise<void> {
  const columns = Object.keys(JSON.parse(tenant) as object).map((name) => escapeIdentifier(name));
  await cell.query(
    `insert into platform.tenant (${columns.join(', ')})
     select ${columns.join(', ')} from jsonb_populate_record(null::platform.tenant, $1::jsonb)
     on conflict (id) do update set ${columns.map((name) => `${name} = excluded.${name}`).join(', ')}`,
    [tenant],
  );
}

/** The cell's database with its roles. It exists whole or not at all: the server makes a copy in one step. */
async function createCell(input: PlacesInput, cluster: Cluster, place: Place): Promise<void> {
  const database = databaseOf(place);
  const isThere = await withClient(asCreator(cluster, 'postgres'), async (client) => {
    const found = await client.query('select 1 from pg_catalog.pg_database where datname = $1', [database]);
    return found.rowCount !== 0;
  });
  if (!isThere) {
    const { roots, logins } = input;
    const connection = asCreator(cluster, 'postgres');
    await setUpRoles({ connection, database: TEMPLATE_DATABASE, logins, connect: [MIGRATE_ROLE] });
    await migrate({ connection: asMigrator(input, cluster, TEMPLATE_DATABASE), roots, log: () => undefined });
  }
  await withClient(asCreator(cluster, 'postgres'), async (client) => {
    const name = escapeIdentifier(database);
    if (!isThere) await client.query(`create database ${name} owner ${OWNER_ROLE} template ${TEMPLATE_DATABASE}`);
    await client.query(`revoke connect on database ${name} from ${WORKSPACE_ROLE}`);
    await allowConnect(client, database, [...CELL_ROLES, place.role_name]);
  });
}

/**
 * Brings every place to the level of home, which is migrated already, and gives the cells. One after another, each
 * where it stopped; nothing is served while one is behind. Throws `migration_placement_behind`, naming the place.
 */
export function bringUpPlaces(input: PlacesInput): Promise<CellPlace[]> {
  return withHome(input, async (home) => {
    const { rows, level } = await inOwnerTransaction(home, async () => {
      const found = await home.query<Place>(`${PLACES} where p.level is not null order by p.kind desc, p.name`);
      return { rows: found.rows, level: await lastMigration(home) };
    });
    const behind = rows.filter((place) => place.level !== level);
    await mendRoles(input, rows, behind);
    for (const [index, place] of behind.entries()) {
      try {
        if (place.kind === 'schema') await bringUpSchema(input, home, place);
        else await bringUpDatabase(input, home, place);
      } catch (error) {
        throw placeBehind(place, error);
      }
      input.log(`places: ${index + 1} of ${behind.length} migrated (${describe(place)})`);
    }
    return rows
      .filter(({ kind }) => kind === 'database')
      .map((place) => ({ cell: cellOf(place), region: place.region, database: databaseOf(place) }));
  });
}
