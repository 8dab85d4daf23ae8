import { systemClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { openDatabase, type Connection, type Database, type Place } from '@auditrax/tenancy';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWhereabouts } from '../../probes/whereabouts.ts';
import { makePlace, type Cluster, type MadePlace } from '../../platform/db/places.ts';
import { startTestDatabase, type TestDatabase } from '../../platform/db/testing.ts';
import { openPlacedDoors, runDrill, type DrillDeps, type DrillName, type DrillResult } from './index.ts';

const APP_ROOT = new URL('../../', import.meta.url).pathname;
const HOME = 'auditrax';
const passwordOf = (role: string): string => `password-of-${role}`;
/** A sealed value's form, nothing encrypted. */
const SEALED = Buffer.concat([Buffer.of(0xa7, 1, 0, 0, 0, 1), Buffer.alloc(41)]).toString('hex');
const [A, C, D] = [1, 2, 3].map(() => uuidV4(systemRandom)) as [Uuid, Uuid, Uuid];
const MARKER = uuidV4(systemRandom);

let north: TestDatabase;
let south: TestDatabase;
let schema: MadePlace;
let cell: MadePlace;
let workspace: Database;
let sentinels: Database[];
let deps: DrillDeps;
const seen: string[] = [];

function cluster(region: string, server: TestDatabase): [string, Cluster] {
  const { host, port, user, password } = server.connectionFor('superuser');
  return [
    region,
    { region, server: { host, port }, creator: { user, ...(password === undefined ? {} : { password }) } },
  ];
}

async function asAdmin(server: TestDatabase, database: string, text: string): Promise<{ rows: unknown[] }> {
  const client = new Client({ ...server.connectionFor('superuser'), database });
  await client.connect();
  try {
    return await client.query(text);
  } finally {
    await client.end();
  }
}

const databaseOf = (place: MadePlace): string => place.cell.split('/')[1]!;

const SHARED: Place = { cell: 'home', region: 'north', schema: 'app', role: 'ax_workspace', version: 0 };
const PLACES = (): Record<Uuid, Place> => ({
  [C]: { ...schema, region: 'north', version: 1 },
  [D]: { ...cell, region: 'south', version: 1 },
});

/** As the workspace logs in: by socket, with the password of its role where there is one. */
function connectionOf(at: string, role: string): Connection {
  const { socketDirectory, port } = (at === 'home' ? north : south).connectionFor('superuser');
  const known = north.connectionFor('ax_workspace').password;
  const database = at === 'home' ? HOME : databaseOf(cell);
  const password = role === 'ax_workspace' ? known : passwordOf(role);
  return { socketDirectory, port, database, user: role, ...(known === undefined ? {} : { password: password! }) };
}

/** A result of the tenant, without what hangs together with it. */
function markerOf(tenantId: Uuid, table: string): string {
  return `set session_replication_role = replica;
    insert into ${table} (tenant_id, id, engagement_id, criterion_id, revision, outcome, note, observed_on, recorded_by, recorded_at)
    values ('${tenantId}', '${MARKER}', '${A}', '${A}', 1, 'satisfied', '\\x${SEALED}', now(), '${A}', now())`;
}

beforeAll(async () => {
  [north, south] = await Promise.all([startTestDatabase(), startTestDatabase({ roots: [] })]);
  await asAdmin(
    north,
    HOME,
    `insert into platform.tenant (id, part, kind, slug, display_name) values
      ('${A}', 1, 'canary', 'canary-a', 'A'), ('${C}', 2, 'canary', 'canary-c', 'C'), ('${D}', 3, 'canary', 'canary-d', 'D')`,
  );
  const input = {
    clusters: new Map([cluster('north', north), cluster('south', south)]),
    home: { region: 'north', database: HOME },
    logins: north.logins,
    dedicatedPassword: passwordOf,
    roots: [APP_ROOT],
    log: () => undefined,
  };
  schema = await makePlace(input, { tenantId: C, kind: 'schema', region: 'north' });
  cell = await makePlace(input, { tenantId: D, kind: 'database', region: 'south' });
  await asAdmin(
    north,
    HOME,
    `insert into platform.placement (tenant_id, kind, region, cell, schema_name, role_name, state) values
      ('${C}', 'schema', 'north', 'home', '${schema.schema}', '${schema.role}', 'active'),
      ('${D}', 'database', 'south', '${cell.cell}', 'app', '${cell.role}', 'active')`,
  );
  await asAdmin(north, HOME, markerOf(C, `${schema.schema}.result`));
  await asAdmin(south, databaseOf(cell), markerOf(D, 'app.result'));
  workspace = openDatabase({
    connection: north.connectionFor('ax_workspace'),
    poolSize: 2,
    clock: systemClock,
    onRefusal: () => Promise.resolve(),
    systemTables: ['platform.tenant', 'platform.placement'],
  });
  const places = openPlacedDoors({
    role: 'ax_workspace',
    places: {
      placeOf: (tenantId) => Promise.resolve(PLACES()[tenantId] ?? SHARED),
      connectionOf: (at, role) => connectionOf(at, role),
      roleAt: (place) => place.role,
    },
    attempts: {
      record: async (_context, input) => (
        seen.push(String(input.public?.['layer'])),
        { entryId: A, sessionOver: false }
      ),
    },
    clock: systemClock,
  });
  deps = { tenant: workspace.tenant, system: workspace.system, places } as unknown as DrillDeps;
  sentinels = [
    { server: north, database: HOME },
    { server: south, database: databaseOf(cell) },
  ].map(({ server, database }) =>
    openDatabase({
      connection: { ...server.connectionFor('ax_sentinel'), database },
      poolSize: 1,
      clock: systemClock,
      onRefusal: () => Promise.resolve(),
      systemTables: ['audit.entry', 'platform.placement'],
    }),
  );
});
afterAll(async () => {
  await Promise.all([workspace, ...(sentinels ?? [])].map((database) => database?.close()));
  await Promise.all([north?.stop(), south?.stop()]);
});

function drill(name: DrillName, tenant: string): Promise<DrillResult> {
  return runDrill(deps, { name, tenant, other: 'canary-a', rowId: MARKER, requestId: 'r-drill' });
}
const found = (rows: number) => ({ kind: 'happened', facts: { rows } });
const refused = (sqlState: string) => expect.objectContaining({ kind: 'refused', sqlState });

describe('drills on tenants with a place of their own', () => {
  it('R6: a schema: the row is there alone, and each wrong login is refused by the server', async () => {
    seen.length = 0;
    expect(await drill('placed-own-role', 'canary-c')).toEqual(found(1));
    expect(await drill('placed-shared-tables', 'canary-c')).toEqual(found(0));
    expect(await drill('placed-shared-role', 'canary-c')).toEqual(refused('42501'));
    expect(await drill('placed-role-at-home', 'canary-c')).toEqual(refused('42501'));
    expect(await drill('placed-role-elsewhere', 'canary-c')).toEqual(refused('AX004'));
    expect(seen).toContain('grant');
  });

  it('R6: a database: the row is there alone, and nobody logs in with a wrong role', async () => {
    expect(await drill('placed-own-role', 'canary-d')).toEqual(found(1));
    expect(await drill('placed-shared-tables', 'canary-d')).toEqual(found(0));
    expect(await drill('placed-shared-role', 'canary-d')).toEqual(refused('42501'));
    expect(await drill('placed-role-at-home', 'canary-d')).toEqual({
      kind: 'refused',
      code: expect.any(String) as string,
      sqlState: expect.stringMatching(/^(28000|28P01)$/) as string,
    });
    expect(await drill('placed-role-elsewhere', 'canary-d')).toEqual(refused('AX004'));
  });

  /** One wall around a tenant with a place of its own taken away, and put back. */
  const WALLS = {
    role: [
      `create or replace function app.enter_place(tenant uuid, place_version integer) returns text
         language sql as 'select tenant::text'`,
      undefined,
    ],
    grant: [
      `grant usage on schema SCHEMA to ax_workspace; grant select on SCHEMA.result to ax_workspace`,
      `revoke all on SCHEMA.result from ax_workspace; revoke usage on schema SCHEMA from ax_workspace`,
    ],
    tripwire: [
      `alter table SCHEMA.result disable row level security`,
      `alter table SCHEMA.result enable row level security`,
    ],
  } as const;
  const ATTEMPTS = ['placed-role-elsewhere', 'placed-shared-elsewhere'] as const;

  it('R6: with its role, its grants or its wall gone, one of the others still stops both logins, and tells', async () => {
    const told = async (): Promise<string[]> => {
      const states: string[] = [];
      for (const attempt of ATTEMPTS) {
        seen.length = 0;
        const outcome = await drill(attempt, 'canary-c');
        states.push(`${outcome.kind === 'refused' ? outcome.sqlState : 'happened'} ${seen.join()}`);
      }
      return states;
    };
    const measured: Record<string, string[]> = { none: await told() };
    for (const [wall, [away, back]] of Object.entries(WALLS)) {
      const { rows } = await asAdmin(
        north,
        HOME,
        `select pg_get_functiondef('app.enter_place(uuid, integer)'::regprocedure) as source`,
      );
      await asAdmin(north, HOME, away.replaceAll('SCHEMA', schema.schema));
      measured[wall] = await told();
      await asAdmin(north, HOME, back?.replaceAll('SCHEMA', schema.schema) ?? (rows[0] as { source: string }).source);
    }
    expect(measured).toEqual({
      none: ['AX004 role', '42501 grant'],
      role: ['AX001 tripwire', '42501 grant'],
      grant: ['AX004 role', 'AX001 tripwire'],
      tripwire: ['AX004 role', '42501 grant'],
    });
    expect(await told()).toEqual(measured['none']);
  });

  it('notice a right too many, and a row that was left behind', async () => {
    await asAdmin(north, HOME, `grant usage on schema ${schema.schema} to ax_workspace`);
    await asAdmin(north, HOME, `grant select on ${schema.schema}.result to ax_workspace`);
    await asAdmin(south, databaseOf(cell), `grant connect on database ${databaseOf(cell)} to ax_workspace`);
    await asAdmin(north, HOME, markerOf(D, 'app.result'));
    expect(await drill('placed-shared-role', 'canary-c')).toEqual(found(1));
    expect(await drill('placed-shared-role', 'canary-d')).not.toEqual(refused('42501'));
    expect(await drill('placed-shared-tables', 'canary-d')).toEqual(found(1));
  });

  it('want a tenant with a place of its own', async () => {
    await expect(
      runDrill(deps, {
        name: 'placed-own-role',
        tenant: 'canary-a',
        other: 'canary-c',
        rowId: MARKER,
        requestId: 'r',
      }),
    ).rejects.toMatchObject({ code: 'drill_place_required' });
  });
});

describe('where a canary left traces', () => {
  const regions = (): Map<string, string> =>
    new Map([
      ['home', 'north'],
      [cell.cell, 'south'],
    ]);
  const cells = () => [
    { cell: 'home', door: sentinels[0]!.system },
    { cell: cell.cell, door: sentinels[1]!.system },
  ];
  const entry = (tenantId: Uuid): string =>
    `set session_replication_role = replica; insert into audit.entry
       (tenant_id, id, xid, writer, leaf, type, resource_kind, resource_id, outcome, occurred_ms)
     values ('${tenantId}', gen_random_uuid(), '0', 'ax_workspace', '{}', 'a.b', 'thing', '${A}', 'allowed', 1)`;

  it('is every database with an entry of its log, all of them asked', async () => {
    const look = createWhereabouts({ cells, regions });
    await asAdmin(south, databaseOf(cell), entry(D));
    expect(await look(D)).toMatchObject({
      kind: 'database',
      region: 'south',
      homeRegion: 'north',
      loggedIn: [cell.cell],
    });
    await asAdmin(north, HOME, entry(D));
    expect((await look(D)).loggedIn).toEqual(['home', cell.cell]);
    await expect(look(A)).rejects.toMatchObject({ code: 'canary_not_placed' });
    const blind = createWhereabouts({ cells: () => cells().slice(0, 1), regions });
    await expect(blind(D)).rejects.toMatchObject({ code: 'cell_not_open' });
  });
});
