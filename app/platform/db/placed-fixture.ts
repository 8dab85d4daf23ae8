import { randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError, type Uuid } from '@auditrax/base';
import {
  openPlacedDatabase,
  type Place,
  type PlacedDatabaseOptions,
  type Database,
  type Refusal,
} from '@auditrax/tenancy';
import { Pool, type Client } from 'pg';
import { startPgBouncer, type Pooler } from './pgbouncer-fixture.ts';
import { createNotes, numberedUuid, superuser } from './tenancy-fixture.ts';
import { startTestDatabase, type TestDatabase } from './testing.ts';

/** The other cell of these tests, in a cluster of its own. */
export const OTHER_CELL = 'south/other';
const TABLE_GRANTS = 'select, insert, delete, update (n, body)';

/** Two clusters with tenants in shared tables, in schemas and in a database of their own, and whoever moves them. */
export interface PlacedFixture {
  readonly admin: Readonly<Record<string, Client>>;
  readonly doors: Database;
  readonly refusals: Refusal[];
  /** Cells and roles that were logged in to, in order. */
  readonly opened: readonly string[];
  placeOf(tenant: number): Promise<Place>;
  /**
   * Moves a tenant's notes to another place and marks them there with its version, the way that SPEC.md demands: the
   * departure first, the rows of the old place go last, when nothing of before runs any more.
   */
  move(tenant: number, to: 'shared' | 'schema' | 'database'): Promise<number>;
  /** Doors of another process, with limits of its own. */
  open(limits?: { poolsMax?: number; poolSize?: number }): Database;
  /** The same doors with a PgBouncer in front of each cell; the roles that there are by now come through. */
  pooled(serverConnections: number, poolSize: number): Promise<PooledDoors>;
  /** A further superuser's client. */
  connect(cell: string): Promise<Client>;
  stop(): Promise<void>;
}

export interface PooledDoors {
  readonly doors: Database;
  readonly poolers: Readonly<Record<string, Pooler>>;
  stop(): Promise<void>;
}

interface Cluster {
  readonly database: TestDatabase;
  readonly admin: Client;
}

/** Whoever runs the tests may log in as a role that was made for a tenant. */
async function admitDedicatedRoles({ database, admin }: Cluster): Promise<void> {
  appendFileSync(join(database.launched.dataDirectory, 'pg_ident.conf'), 'auditrax "root" /^ax_t_[0-9a-f]+$\n');
  await admin.query('select pg_reload_conf()');
}

async function startCluster(tenants: number, peers: readonly string[]): Promise<Cluster> {
  const database = await startTestDatabase({ peers });
  const admin = await superuser(database);
  await createNotes(admin, { tenants, rows: 10 });
  await admin.query(`insert into platform.tenant (id, part, kind, slug, display_name)
    select ('00000000-0000-7000-8000-' || lpad(to_hex(t), 12, '0'))::uuid, t, 'customer', 'tenant-' || t, 'Tenant ' || t
    from generate_series(1, 99) t`);
  await admitDedicatedRoles({ database, admin });
  return { database, admin };
}

/** A schema or the whole database for one tenant, and its role. */
async function makePlace(
  admin: Client,
  at: { tenant: number; kind: 'schema' | 'database'; name: string },
): Promise<void> {
  const [role, schema] = [`ax_t_${at.name}`, at.kind === 'schema' ? `t_${at.name}` : 'app'];
  await admin.query(`create role ${role} login noinherit nosuperuser nobypassrls password 'test-${role}'`);
  await admin.query('insert into platform.place (name, tenant_id, kind, region) values ($1, $2, $3, $4)', [
    at.name,
    numberedUuid(at.tenant),
    at.kind,
    at.kind === 'schema' ? 'north' : 'south',
  ]);
  await admin.query(`grant connect on database auditrax to ${role}`);
  await admin.query(`grant usage on schema app, platform to ${role}`);
  await admin.query(
    `grant execute on function app.enter(uuid, integer), app.present(uuid, integer), app.trip(uuid) to ${role}`,
  );
  await admin.query(`grant select on platform.tenant to ${role}`);
  if (at.kind === 'schema') {
    await admin.query(`create schema ${schema} authorization ax_owner`);
    await admin.query(`create table ${schema}.note (like app.note including all)`);
    await admin.query(`alter table ${schema}.note owner to ax_owner`);
    await admin.query(`select platform.protect_tenant_table('${schema}.note')`);
    await admin.query(`grant usage on schema ${schema} to ${role}`);
  }
  await admin.query(`grant ${TABLE_GRANTS} on ${schema}.note to ${role}`);
}

/** How to log in to a cell as a tenant's role; writes down who did. */
function connectionsOf(clusters: Readonly<Record<string, Cluster>>, opened: string[]) {
  return (cell: string, role: string) => {
    opened.push(`${cell} ${role}`);
    const database = clusters[cell]?.database;
    if (database === undefined) throw new AppError('database_unavailable', `no cell ${cell}`);
    const { password, ...rest } = database.connectionFor('ax_workspace');
    return { ...rest, user: role, ...(password === undefined ? {} : { password: `test-${role}` }) };
  };
}

function openReaders(database: TestDatabase): Pool {
  const readers = new Pool({ ...database.connectionFor('superuser'), max: 2 });
  readers.on('error', () => undefined);
  readers.on('connect', (client) => client.on('error', () => undefined));
  return readers;
}

async function stopCluster({ admin, database }: Cluster): Promise<void> {
  await admin.end();
  await database.stop();
}

/** Starts both clusters; tenants 1 to `tenants` are in home's shared tables and have ten notes each. */
export async function startPlaced(tenants: number, peers: readonly string[] = []): Promise<PlacedFixture> {
  const clusters: Record<string, Cluster> = {
    home: await startCluster(tenants, peers),
    [OTHER_CELL]: await startCluster(0, peers),
  };
  const home = clusters['home']!;
  const refusals: Refusal[] = [];
  const opened: string[] = [];
  const names = new Map<string, string>();
  await home.admin.query(`create table public.test_place (tenant_id uuid primary key, place jsonb not null)`);
  const readers = openReaders(home.database);
  const placeOf = (tenantId: Uuid): Promise<Place> => readPlace(readers, tenantId);
  const connectionOf = connectionsOf(clusters, opened);
  const openVia = (via: Via): Database =>
    openPlacedDatabase({
      ...via,
      clock: { nowMs: () => 1_000 },
      onRefusal: (event) => {
        refusals.push(event);
        return Promise.resolve();
      },
      systemTables: ['platform.tenant'],
      home: 'home',
      placeOf,
      cells: () => [
        { cell: 'home', region: 'north' },
        { cell: OTHER_CELL, region: 'south' },
      ],
      roleAt: (place) => place.role,
    });
  const open: PlacedFixture['open'] = (limits) =>
    openVia({
      connection: home.database.connectionFor('ax_workspace'),
      poolSize: 4,
      connectionOf,
      ...(limits === undefined ? {} : { limits }),
    });
  const doors = open();
  const placeFor = async (tenant: number, kind: 'schema' | 'database'): Promise<string> => {
    const key = `${tenant} ${kind}`;
    let name = names.get(key);
    if (name === undefined) {
      names.set(key, (name = randomBytes(8).toString('hex')));
      await makePlace(clusters[kind === 'schema' ? 'home' : OTHER_CELL]!.admin, { tenant, kind, name });
    }
    return name;
  };
  return {
    admin: Object.fromEntries(Object.entries(clusters).map(([cell, { admin }]) => [cell, admin])),
    doors,
    refusals,
    opened,
    open,
    connect: (cell) => superuser(clusters[cell]!.database),
    pooled: (serverConnections, poolSize) => {
      const roles = [...names.values()].map((name) => `ax_t_${name}`);
      return putPoolers({ clusters, roles, connectionOf, openVia }, { serverConnections, poolSize });
    },
    placeOf: (tenant) => placeOf(numberedUuid(tenant)),
    move: async (tenant, to) => {
      const name = to === 'shared' ? undefined : await placeFor(tenant, to);
      return moveNotes(clusters, { tenant, to: placeNamed(to, name) });
    },
    stop: async () => {
      await doors.close();
      await readers.end();
      await Promise.all(Object.values(clusters).map(stopCluster));
    },
  };
}

type Via = Pick<PlacedDatabaseOptions, 'connection' | 'connectionOf' | 'poolSize' | 'limits'>;

async function putPoolers(
  fixture: {
    readonly clusters: Readonly<Record<string, Cluster>>;
    readonly roles: readonly string[];
    readonly connectionOf: ReturnType<typeof connectionsOf>;
    readonly openVia: (via: Via) => Database;
  },
  { serverConnections, poolSize }: { readonly serverConnections: number; readonly poolSize: number },
): Promise<PooledDoors> {
  const roles = fixture.roles.map((name) => ({ name, password: `test-${name}` }));
  const poolers: Record<string, Pooler> = {};
  for (const [cell, { database }] of Object.entries(fixture.clusters))
    poolers[cell] = await startPgBouncer(database, serverConnections, roles);
  const doors = fixture.openVia({
    connection: poolers['home']!.connection,
    poolSize,
    limits: { poolsMax: roles.length + 1, poolSize },
    connectionOf: (cell, role) => {
      const { host, socketDirectory, port, namedStatements } = poolers[cell]!.connection;
      return { ...fixture.connectionOf(cell, role), host, socketDirectory, port, namedStatements };
    },
  });
  const stop = async (): Promise<void> => {
    await doors.close();
    await Promise.all(Object.values(poolers).map((pooler) => pooler.stop()));
  };
  return { doors, poolers, stop };
}

type Target = Omit<Place, 'version'> & { readonly kind: string };

function placeNamed(kind: 'shared' | 'schema' | 'database', name: string | undefined): Target {
  if (kind === 'database') return { kind, cell: OTHER_CELL, region: 'south', schema: 'app', role: `ax_t_${name}` };
  if (kind === 'schema') return { kind, cell: 'home', region: 'north', schema: `t_${name}`, role: `ax_t_${name}` };
  return { kind, cell: 'home', region: 'north', schema: 'app', role: 'ax_workspace' };
}

/** The fixture's own record of places: the names of its cells are not those of the house. */
async function readPlace(admin: Client | Pool, tenantId: Uuid): Promise<Place> {
  const { rows } = await admin.query<{ place: Place }>('select place from public.test_place where tenant_id = $1', [
    tenantId,
  ]);
  return rows[0]?.place ?? { cell: 'home', region: 'north', schema: 'app', role: 'ax_workspace', version: 0 };
}

async function moveNotes(
  clusters: Readonly<Record<string, Cluster>>,
  { tenant, to }: { tenant: number; to: Target },
): Promise<number> {
  const tenantId = numberedUuid(tenant);
  const home = clusters['home']!.admin;
  const from = await readPlace(home, tenantId);
  if (from.schema === to.schema && from.cell === to.cell) return from.version;
  const version = from.version + 1;
  const [source, target] = [clusters[from.cell]!.admin, clusters[to.cell]!.admin];
  await source.query(`insert into platform.hold (tenant_id, reason) values ($1, 'moved by a test')`, [tenantId]);
  await settle(source);
  const { rows } = await source.query<{ id: string; n: number }>(
    `select id, n from ${from.schema}.note where tenant_id = $1`,
    [tenantId],
  );
  for (const row of rows) {
    await target.query(`insert into ${to.schema}.note (tenant_id, id, n, body) values ($1, $2, $3, $4)`, [
      tenantId,
      row.id,
      row.n,
      `note ${tenant}/${row.n} v${version}`,
    ]);
  }
  await source.query(
    `insert into platform.departure (tenant_id, version) values ($1, $2)
     on conflict (tenant_id) do update set version = excluded.version`,
    [tenantId, version],
  );
  const { kind: _kind, ...place } = to;
  await home.query(
    `insert into public.test_place values ($1, $2) on conflict (tenant_id) do update set place = excluded.place`,
    [tenantId, JSON.stringify({ ...place, version })],
  );
  await source.query(`delete from platform.hold where tenant_id = $1`, [tenantId]);
  await settle(source);
  await source.query(`delete from ${from.schema}.note where tenant_id = $1`, [tenantId]);
  return version;
}

/** Waits until no transaction runs that began before. */
async function settle(admin: Client): Promise<void> {
  const { rows } = await admin.query<{ at: Date }>('select clock_timestamp()::text as at');
  for (;;) {
    const running = await admin.query(
      `select from pg_stat_activity where xact_start < $1::timestamptz and pid <> pg_backend_pid()
       and backend_type = 'client backend'`,
      [rows[0]!.at],
    );
    if (running.rowCount === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
