import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { checkPosture, type FindingCode } from '@auditrax/tenancy';
import { migrate } from './migrate.ts';
import { bringUpPlaces, makePlace, type Cluster, type MadePlace, type PlacesInput } from './places.ts';
import { postureExpectations } from './readiness.ts';
import { startTestDatabase, type TestDatabase } from './testing.ts';

const ONE = '018f0000-0000-7000-8000-000000000001';
const TWO = '018f0000-0000-7000-8000-000000000002';
const THREE = '018f0000-0000-7000-8000-000000000003';
const APP_ROOT = new URL('../../', import.meta.url).pathname;
const HOME = 'auditrax';

let north: TestDatabase;
let south: TestDatabase;
let admin: Client;
let input: PlacesInput;
let schema: MadePlace;
let cell: MadePlace;
/** Database of `cell`. */
let cellName: string;
const folders: string[] = [];

const passwordOf = (role: string): string => `password-of-${role}`;

function cluster(region: string, database: TestDatabase): [string, Cluster] {
  const { host, port, user, password } = database.connectionFor('superuser');
  const creator = { user, ...(password === undefined ? {} : { password }) };
  return [region, { region, server: { host, port }, creator }];
}

/** Works as a dedicated role, a login role or the superuser in any database of a server. */
async function as<T>(
  server: TestDatabase,
  { role, name = HOME }: { role: string; name?: string },
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const known = role.startsWith('ax_t_') ? undefined : server.connectionFor(role as 'superuser');
  const { host, port } = server.connectionFor('superuser');
  const password = known === undefined ? passwordOf(role) : known.password;
  const client = new Client({
    host,
    port,
    user: known?.user ?? role,
    database: name,
    ...(password === undefined ? {} : { password }),
  });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Adds a row for `tenant` to a table without a commit guard, in the tenant's transaction. */
async function addRow(client: Client, tables: string, tenant: string): Promise<void> {
  await client.query('begin');
  try {
    await client.query('select app.enter($1)', [tenant]);
    await client.query(
      `insert into ${tables}.reseal_progress (tenant_id, relation, column_name, version, walked, done, unreadable, updated_at)
       values ($1, $2, 'c', 1, null, 0, 0, now())`,
      [tenant, `r${performance.now()}`],
    );
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

async function posture(server: TestDatabase, role: string, name = HOME) {
  const expectations = postureExpectations({ durable: false });
  return as(server, { role, name }, (client) =>
    checkPosture(async (text, values) => (await client.query(text, values as unknown[])).rows, expectations),
  );
}

/** A folder with one more migration. */
function migrationFolder(name: string, sql: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'axm-'));
  folders.push(folder);
  mkdirSync(join(folder, 'migrations'));
  writeFileSync(join(folder, 'migrations', `${name}.sql`), sql);
  return folder;
}

const roots: string[] = [APP_ROOT];

/** What a start with a newer program does: home first, then the places. */
async function upgrade(name: string, sql: string): Promise<unknown> {
  roots.push(migrationFolder(name, sql));
  await migrate({ connection: north.connectionFor('ax_migrate'), roots, log: () => undefined });
  return bringUpPlaces(input);
}

beforeAll(async () => {
  [north, south] = await Promise.all([startTestDatabase(), startTestDatabase({ roots: [] })]);
  admin = new Client(north.connectionFor('superuser'));
  await admin.connect();
  await admin.query(
    `insert into platform.tenant (id, part, kind, slug, display_name)
     values ($1, 1, 'customer', 'one', 'One'), ($2, 2, 'customer', 'two', 'Two'), ($3, 3, 'customer', 'three', 'Three')`,
    [ONE, TWO, THREE],
  );
  input = {
    clusters: new Map([cluster('north', north), cluster('south', south)]),
    home: { region: 'north', database: HOME },
    logins: north.logins,
    dedicatedPassword: passwordOf,
    roots,
    log: () => undefined,
  };
  schema = await makePlace(input, { tenantId: ONE, kind: 'schema', region: 'north' });
  cell = await makePlace(input, { tenantId: TWO, kind: 'database', region: 'south' });
  cellName = cell.cell.split('/')[1]!;
});

afterAll(async () => {
  await admin?.end();
  await Promise.all([north?.stop(), south?.stop()]);
  for (const folder of folders) rmSync(folder, { recursive: true });
});

describe('a schema of its own', () => {
  test('D11 holds every table of the model, and the posture is green for whoever looks', async () => {
    expect(schema).toEqual({
      cell: 'home',
      schema: expect.stringMatching(/^t_[0-9a-f]{16}$/),
      role: schema.schema.replace('t_', 'ax_t_'),
    });
    const tables = async (name: string) =>
      (await admin.query('select tablename from pg_tables where schemaname = $1 order by 1', [name])).rows;
    expect(await tables(schema.schema)).toEqual(await tables('app'));
    expect(await posture(north, schema.role)).toEqual([]);
    expect(await posture(north, 'ax_workspace')).toEqual([]);
  });

  test('D10 its role works there, and neither in the shared tables nor for another tenant', async () => {
    await as(north, { role: schema.role }, async (client) => {
      await addRow(client, schema.schema, ONE);
      await expect(addRow(client, 'app', ONE)).rejects.toMatchObject({ code: '42501' });
      await expect(addRow(client, schema.schema, TWO)).rejects.toMatchObject({ code: 'AX004' });
    });
    await as(north, { role: 'ax_workspace' }, (client) =>
      expect(addRow(client, schema.schema, ONE)).rejects.toMatchObject({ code: '42501' }),
    );
  });

  test('D11 the commit guard and the rules of keys hold in it as in the shared tables', async () => {
    await admin.query('update audit.beat set beat = now()');
    const addKey = (client: Client) =>
      client.query(
        `insert into ${schema.schema}.dek (tenant_id, id, purpose, version, kek_ref, wrapped, commitment, state, created_at, not_after)
         values ($1, gen_random_uuid(), 'fields', 1, 'local:1', repeat('x', 48)::bytea, sha256('c'), 'ACTIVE', now(), now() + interval '1 day')`,
        [ONE],
      );
    await as(north, { role: schema.role }, async (client) => {
      await client.query('begin');
      await client.query('select app.enter($1)', [ONE]);
      await addKey(client);
      await expect(client.query('commit')).rejects.toMatchObject({ code: 'AX101' });
    });
    // Of the rows beside the key, not of those in the shared tables, it is asked whether they still need it.
    await admin.query(`begin; set local app.tenant = '${ONE}'`);
    await addKey(admin);
    await admin.query(`update ${schema.schema}.dek set state = 'DECRYPT_ONLY'`);
    await admin.query(`update ${schema.schema}.dek set state = 'RETIRED'`);
    await admin.query(`update ${schema.schema}.dek set state = 'DECRYPT_ONLY'`);
    await admin.query('set local session_replication_role = replica');
    await admin.query(
      `insert into ${schema.schema}.engagement (tenant_id, id, title, client_name, catalogue, period_start, period_end, criteria_count, created_by, created_at)
       select $1, gen_random_uuid(), s, s, s, now(), now(), 1, gen_random_uuid(), now()
       from (select '\\xa70100000001'::bytea || repeat('x', 40)::bytea as s) sealed`,
      [ONE],
    );
    await admin.query('set local session_replication_role = origin');
    await expect(admin.query(`update ${schema.schema}.dek set state = 'RETIRED'`)).rejects.toMatchObject({
      code: 'AX106',
    });
    await admin.query('rollback');
  });
});

describe('a database of its own', () => {
  test('D12 is in the region that was asked for, and the posture is green for whoever looks', async () => {
    expect(cell).toMatchObject({ cell: expect.stringMatching(/^south\/ax_[0-9a-f]{16}$/), schema: 'app' });
    expect(await posture(south, cell.role, cellName)).toEqual([]);
    expect(await posture(south, 'ax_issuer', cellName)).toEqual([]);
  });

  test('D12 the workspace’s own role stands there and works; the shared one does not get in', async () => {
    await as(south, { role: cell.role, name: cellName }, async (client) => {
      await addRow(client, 'app', TWO);
      await expect(addRow(client, 'app', ONE)).rejects.toMatchObject({ code: 'AX004' });
    });
    const shared = as(south, { role: 'ax_workspace', name: cellName }, async () => undefined);
    await expect(shared).rejects.toMatchObject({ code: '42501' });
    const elsewhere = as(south, { role: cell.role }, async () => undefined);
    await expect(elsewhere).rejects.toMatchObject({ code: '42501' });
  });
});

describe('an interrupted order', () => {
  const finish = (kind: 'schema' | 'database') =>
    makePlace(input, { tenantId: THREE, kind, region: kind === 'schema' ? 'north' : 'south' });
  afterEach(() => admin.query('delete from platform.place where tenant_id = $1', [THREE]));

  test.each([
    ['before anything was made', []],
    ['after the role', ['create role ax_t_00000000000000aa']],
    [
      'after the database',
      ['create role ax_t_00000000000000aa', 'create database ax_00000000000000aa template ax_template owner ax_owner'],
    ],
  ])('D13 is finished by asking again: %s', async (_when, made) => {
    await admin.query(
      `insert into platform.place (name, tenant_id, kind, region) values ('00000000000000aa', $1, 'database', 'south')`,
      [THREE],
    );
    for (const text of made) await as(south, { role: 'superuser', name: 'postgres' }, (client) => client.query(text));
    const place = await finish('database');
    expect(place).toEqual({ cell: 'south/ax_00000000000000aa', schema: 'app', role: 'ax_t_00000000000000aa' });
    expect(await finish('database')).toEqual(place);
    expect(await posture(south, place.role, 'ax_00000000000000aa')).toEqual([]);
    await as(south, { role: 'superuser', name: 'postgres' }, async (client) => {
      await client.query('drop database ax_00000000000000aa');
      await client.query(`drop role ${place.role}`);
    });
  });

  test('D13 of a schema leaves nothing half made, and is finished by asking again', async () => {
    // The last step fails: everything of the schema goes with it.
    await admin.query(
      `alter table platform.place add constraint no_level check (level is null or tenant_id <> '${THREE}')`,
    );
    await expect(finish('schema')).rejects.toMatchObject({ code: 'place_failed' });
    await admin.query('alter table platform.place drop constraint no_level');
    const left = await admin.query(`select count(*)::int as n from pg_namespace where nspname ~ '^t_'`);
    expect(left.rows).toEqual([{ n: 1 }]);
    expect(await posture(north, 'ax_workspace')).toEqual([]);
    const place = await finish('schema');
    expect(await posture(north, place.role)).toEqual([]);
    await admin.query(`drop schema ${place.schema} cascade; drop owned by ${place.role}; drop role ${place.role}`);
    await admin.query(`delete from platform.pinned_object where identity like '%${place.schema}%'`);
    await admin.query(`delete from platform.table_rule where table_name like '${place.schema}.%'`);
  });

  test('D13 is refused for a tenant or a region that is not there, with nothing made', async () => {
    const order = { tenantId: THREE, kind: 'schema', region: 'north' } as const;
    await expect(makePlace(input, { ...order, region: 'west' })).rejects.toMatchObject({ code: 'region_unknown' });
    await expect(makePlace(input, { ...order, region: 'south' })).rejects.toMatchObject({ code: 'place_refused' });
    const nobody = makePlace(input, { ...order, tenantId: '018f0000-0000-7000-8000-0000000000ff' });
    await expect(nobody).rejects.toMatchObject({ code: 'place_refused' });
    expect((await admin.query('select count(*)::int as n from platform.place')).rows).toEqual([{ n: 2 }]);
  });
});

/** What is done in the schema, what must be seen, and how it is undone. */
const IN_SCHEMA: readonly [name: string, sabotage: string, seen: FindingCode, undo: string][] = [
  ['a policy dropped', 'drop policy tenant_wall on @s.dek', 'table_wall_changed', ''],
  ['row security not forced', 'alter table @s.dek no force row level security', 'table_unwalled', ''],
  ['a trigger dropped', 'drop trigger audit_guard_update on @s.dek', 'copy_changed', ''],
  ['a key dropped', 'alter table @s.evidence drop constraint evidence_tenant_id_upload_id_fkey', 'copy_changed', ''],
  [
    'the shared role let in',
    'grant usage on schema @s to ax_workspace; grant select on @s.dek to ax_workspace',
    'copy_changed',
    '',
  ],
  ['the role let into the shared tables', 'grant select on app.dek to @r', 'copy_rights', ''],
  ['the role with more than the model', 'grant delete on audit.entry to @r', 'copy_rights', ''],
  ['the role a member', 'grant ax_issuer to @r', 'role_member', ''],
  ['the role past the walls', 'alter role @r bypassrls', 'role_attribute', ''],
  ['a schema nobody wrote down', 'create schema t_00000000000000bb', 'copy_unlisted', ''],
  ['a table beside the copies', 'create table @s.extra (tenant_id uuid primary key)', 'copy_changed', ''],
];

describe('the posture', () => {
  test.each(IN_SCHEMA)('D15 sees in a schema: %s', async (_name, sabotage, seen) => {
    const text = (sql: string): string => sql.replaceAll('@s', schema.schema).replaceAll('@r', schema.role);
    const expectations = postureExpectations({ durable: false });
    await admin.query('begin');
    try {
      await admin.query(text(sabotage));
      await admin.query('set local search_path = pg_catalog');
      const findings = await checkPosture(
        async (query, values) => (await admin.query(query, values as unknown[])).rows,
        expectations,
      );
      expect(findings.map(({ code }) => code)).toContain(seen);
    } finally {
      await admin.query('rollback');
    }
  });

  test.each<[string, string, FindingCode]>([
    ['the shared role let in', 'grant connect on database @d to ax_workspace', 'copy_connect'],
    [
      'another tenant’s role let in',
      'create role ax_t_00000000000000cc login; grant connect on database @d to ax_t_00000000000000cc',
      'copy_connect',
    ],
    ['the role with less than the model', 'revoke select on app.dek from @r', 'copy_rights'],
    ['a wall dropped', 'drop policy tenant_wall on app.dek', 'table_wall_changed'],
    ['a wall for the other roles only', 'alter policy tenant_wall on audit.entry to ax_issuer', 'table_wall_changed'],
    [
      'a policy of its own',
      'create function app.extra() returns int language sql as $$ select 1 $$',
      'object_unlisted',
    ],
  ])('D15 sees in a database: %s', async (_name, sabotage, seen) => {
    const expectations = postureExpectations({ durable: false });
    await as(south, { role: 'superuser', name: cellName }, async (client) => {
      await client.query('begin; set local search_path = pg_catalog');
      await client.query(sabotage.replaceAll('@d', cellName).replaceAll('@r', cell.role));
      const findings = await checkPosture(
        async (query, values) => (await client.query(query, values as unknown[])).rows,
        expectations,
      );
      await client.query('rollback');
      expect(findings.map(({ code }) => code)).toContain(seen);
    });
  });
});

describe('migrations', () => {
  const levels = async () =>
    (await admin.query('select tenant_id, level from platform.place order by 1')).rows.map((row) => row.level);

  test('D14 reach every place: tables, columns, rows, rights and walls', async () => {
    await as(north, { role: schema.role }, (client) => addRow(client, schema.schema, ONE));
    await upgrade(
      '20991231000001_more',
      `create table app.memo (tenant_id uuid not null references platform.tenant (id), id uuid not null, body text not null,
         primary key (tenant_id, id), foreign key (tenant_id, id) references app.engagement (tenant_id, id));
       select platform.protect_tenant_table('app.memo');
       grant select, insert on app.memo to ax_workspace;
       create index memo_body on app.memo (tenant_id, body);
       select platform.each_app_schema('alter table @schema.reseal_progress add column note text');
       alter table app.reseal_progress alter column note set default 'new';
       grant update (note) on app.reseal_progress to ax_workspace;
       grant select on audit.pending to ax_workspace;`,
    );
    expect(new Set(await levels())).toEqual(new Set(['20991231000001_more']));
    expect(await posture(north, schema.role)).toEqual([]);
    expect(await posture(south, cell.role, cellName)).toEqual([]);
    const { rows } = await admin.query(
      `select column_default from information_schema.columns where table_schema = $1 and column_name = 'note'
       and table_name = 'reseal_progress'`,
      [schema.schema],
    );
    expect(rows).toEqual([{ column_default: "'new'::text" }]);
  });

  test('D14 one that a place cannot follow is named, nothing is served, and the next start goes on from there', async () => {
    const lost = upgrade('20991231000002_drop', 'alter table app.memo drop column body');
    await expect(lost).rejects.toMatchObject({
      code: 'migration_placement_behind',
      message: expect.stringMatching(/schema t_[0-9a-f]{16} of one in region north is behind.*column memo body/),
    });
    expect(await levels()).toContain('20991231000001_more');
    // Once more, with the same files: still refused, never silently.
    await expect(bringUpPlaces(input)).rejects.toMatchObject({ code: 'migration_placement_behind' });
    const lines: string[] = [];
    input = { ...input, log: (line) => lines.push(line) };
    await upgrade(
      '20991231000003_drop_all',
      `select platform.each_app_schema('alter table @schema.memo drop column if exists body')`,
    );
    expect(new Set(await levels())).toEqual(new Set(['20991231000003_drop_all']));
    expect(lines).toEqual([expect.stringMatching(/^places: 1 of 2/), expect.stringMatching(/^places: 2 of 2/)]);
    expect(await posture(north, schema.role)).toEqual([]);
  });

  test('D14 a region out of reach keeps the others served when it has nothing to catch up with, and else it does not', async () => {
    const gone: PlacesInput = {
      ...input,
      clusters: new Map([
        ...input.clusters,
        ['south', { ...input.clusters.get('south')!, server: { host: '/nonexistent', port: 1 } }],
      ]),
    };
    const lines: string[] = [];
    await expect(bringUpPlaces({ ...gone, log: (line) => lines.push(line) })).resolves.toHaveLength(1);
    expect(lines.join()).toMatch(/region south is out of reach, with 1 tenants/);
    await admin.query(`update platform.place set level = 'old' where kind = 'database'`);
    await expect(bringUpPlaces(gone)).rejects.toMatchObject({
      code: 'migration_placement_behind',
      message: expect.stringContaining('of two in region south is behind'),
    });
    await bringUpPlaces(input);
  });
});
