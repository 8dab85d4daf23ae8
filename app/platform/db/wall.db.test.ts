import { wallStatements } from '@auditrax/tenancy';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNotes, numberedUuid, superuser } from './tenancy-fixture.ts';
import { startTestDatabase, type TestDatabase } from './testing.ts';

let database: TestDatabase;
let admin: Client;
let app: Client;
beforeAll(async () => {
  database = await startTestDatabase();
  admin = await superuser(database);
  await createNotes(admin, { tenants: 3, rows: 10 });
  // Raw SQL as the workspace's role: what an attacker has who got past the ids and the guard.
  app = new Client(database.connectionFor('ax_workspace'));
  await app.connect();
});
afterAll(async () => {
  await app?.end();
  await admin?.end();
  await database?.stop();
});

const [OWN, OTHER] = [numberedUuid(1), numberedUuid(2)];

/** Runs in a transaction of tenant 1 that is rolled back; gives the rows, or the SQLSTATE. */
async function attempt(
  text: string,
  values: readonly unknown[] = [],
  settings: readonly string[] = [],
): Promise<unknown[] | string> {
  await app.query('begin');
  try {
    for (const setting of settings) await app.query(setting);
    await app.query('select app.enter($1)', [OWN]);
    return (await app.query<Record<string, unknown>>(text, [...values])).rows;
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    await app.query('rollback');
  }
}

const TABLES = ['app.note', 'app.note_initplan'] as const;

/** `$1` is a tenant in each; `T` the table. Every relation carries its own predicate, as the guard demands. */
const SHAPES = [
  'select id from T where tenant_id = $1',
  'select id from T where tenant_id = $1 and n = 3',
  "select id from T where tenant_id = $1 and body like '%/3'",
  'select count(*) from T where tenant_id = $1',
  'select n, count(*) from T where tenant_id = $1 group by n having count(*) > 0',
  'select id from T where tenant_id = $1 order by n desc limit 2',
  'select distinct n from T where tenant_id = $1',
  'select a.id from T a join T b on a.n = b.n where a.tenant_id = $1 and b.tenant_id = $1',
  'select a.id, b.id from T a left join T b on b.tenant_id = $1 and b.n = a.n + 1 where a.tenant_id = $1',
  'select a.id from T a full join T b on a.n = b.n where a.tenant_id = $1 and b.tenant_id = $1',
  'select a.id from T a where a.tenant_id = $1 and exists (select 1 from T b where b.tenant_id = $1 and b.n = a.n)',
  'select a.id from T a where a.tenant_id = $1 and not exists (select 1 from T b where b.tenant_id = $1 and b.n > a.n)',
  'select a.id, (select max(b.n) from T b where b.tenant_id = $1 and b.n <= a.n) from T a where a.tenant_id = $1',
  'with c as (select * from T where tenant_id = $1) select c.id from c join T b on b.tenant_id = $1 and b.id = c.id',
  'with c as materialized (select * from T where tenant_id = $1) select count(*) from c',
  'select id from T where tenant_id = $1 union select id from T where tenant_id = $1 and n < 3',
  'select a.id, l.n from T a left join lateral (select b.n from T b where b.tenant_id = $1 and b.n > a.n order by b.n limit 1) l on true where a.tenant_id = $1',
  'select id, row_number() over (order by n) from T where tenant_id = $1',
  'update T set n = n where tenant_id = $1 returning id',
  'delete from T where tenant_id = $1 and n > 5 returning id',
];

/** Nobody says whose rows; some rows are foreign. */
const CARELESS = [
  'select * from T',
  'select * from T where n = 3',
  'select count(*) from T',
  'update T set n = n',
  'delete from T',
  'select a.id from T a left join T b on a.tenant_id = $1 and b.tenant_id = $1',
];

function plannerSettings(): string[][] {
  const names = [
    'enable_seqscan',
    'enable_indexscan',
    'enable_bitmapscan',
    'enable_hashjoin',
    'enable_mergejoin',
    'enable_nestloop',
  ];
  return Array.from({ length: 12 }, (_, round) => [
    ...names.map((name, bit) => `set local ${name} = ${((round * 37) >> bit) & 1 ? 'on' : 'off'}`),
    `set local plan_cache_mode = ${round % 2 === 0 ? 'force_generic_plan' : 'force_custom_plan'}`,
    `set local enable_material = ${round % 3 === 0 ? 'off' : 'on'}`,
  ]);
}

describe('T13: the tripwire', () => {
  test('raises for every shape and plan that meets a foreign row, and never for own rows', async () => {
    let runs = 0;
    for (const table of TABLES) {
      for (const shape of SHAPES) {
        const text = shape.replaceAll(/\bT\b/g, table);
        await admin.query('begin');
        const expected = (await admin.query(text, [OWN])).rowCount;
        await admin.query('rollback');
        for (const settings of plannerSettings()) {
          const own = await attempt(text, [OWN], settings);
          expect(Array.isArray(own) && own.length, `${text} ${settings.join()}`).toBe(expected);
          expect(await attempt(text, [OTHER], settings), `${text} ${settings.join()}`).toBe('AX001');
          runs += 2;
        }
      }
    }
    expect(runs).toBe(TABLES.length * SHAPES.length * 24);
  });

  test('raises for statements that name no tenant', async () => {
    for (const table of TABLES) {
      for (const text of CARELESS)
        expect(await attempt(text.replaceAll(/\bT\b/g, table), text.includes('$1') ? [OWN] : [])).toBe('AX001');
    }
  });

  test('raises for rows that are written for another tenant, moved to it, or in the way of it', async () => {
    for (const table of TABLES) {
      expect(
        await attempt(`insert into ${table} (tenant_id, id, n, body) values ($1, $2, 1, 'x')`, [
          OTHER,
          numberedUuid(9),
        ]),
      ).toBe('AX001');
      expect(
        await attempt(`insert into ${table} (tenant_id, id, n, body) values ($1, $2, 1, 'x') on conflict do nothing`, [
          OTHER,
          numberedUuid(2001),
        ]),
      ).toBe('AX001');
      expect(await attempt(`copy (select * from ${table}) to stdout`)).toBe('AX001');
      await admin.query(`grant update (tenant_id) on ${table} to ax_workspace`);
      expect(await attempt(`update ${table} set tenant_id = $2 where tenant_id = $1`, [OWN, OTHER])).toBe('AX001');
      await admin.query(`revoke update (tenant_id) on ${table} from ax_workspace`);
    }
  });

  test('cannot be widened by a later policy', async () => {
    await admin.query('create policy wide on app.note using (true) with check (true)');
    expect(await attempt('select * from app.note where tenant_id = $1', [OTHER])).toBe('AX001');
    await admin.query('drop policy wide on app.note');
  });

  test('binds the owner of the table too', async () => {
    const owner = new Client(database.connectionFor('ax_migrate'));
    await owner.connect();
    await owner.query('begin; set local role ax_owner');
    await expect(owner.query('select * from app.note')).rejects.toMatchObject({ code: '42704' });
    await owner.end();
  });

  test('names the foreign row in DETAIL only, and the server does not log it', async () => {
    const error = await app
      .query('begin')
      .then(() => app.query('select app.enter($1)', [OWN]))
      .then(() => app.query('select * from app.note where tenant_id = $1', [OTHER]))
      .catch((caught: unknown) => caught as { message: string; detail: string });
    await app.query('rollback');
    expect((error as { detail: string }).detail).toContain(OTHER);
    expect((error as { message: string }).message).not.toContain(OTHER);
    expect((await app.query('show log_error_verbosity')).rows).toEqual([{ log_error_verbosity: 'terse' }]);
  });
});

describe('T14: a transaction', () => {
  test('without a tenant sees an error, not an empty world', async () => {
    const fresh = new Client(database.connectionFor('ax_workspace'));
    await fresh.connect();
    for (const table of TABLES)
      await expect(fresh.query(`select * from ${table}`)).rejects.toMatchObject({ code: '42704' });
    await fresh.end();
  });

  test('sets its tenant once, and never to nothing', async () => {
    expect(await attempt('select app.enter($1)', [OTHER])).toBe('AX002');
    expect(await attempt('select app.enter($1)', [OWN])).toBe('AX002');
    expect(
      await attempt('select id from app.note where tenant_id = $1 and app.enter($2) is not null', [OWN, OTHER]),
    ).toBe('AX002');
    await expect(app.query('select app.enter(null)')).rejects.toMatchObject({ code: 'AX003' });
  });

  test('cannot change its tenant by set_config, nor become another role', async () => {
    expect(await attempt(`select set_config('app.tenant', $1, true)`, [OTHER])).toBe('42501');
    for (const role of ['ax_owner', 'ax_migrate', 'ax_ledger', 'ax_super'])
      expect(await attempt(`set local role ${role}`)).toBe('42501');
    expect(await attempt('alter table app.note disable row level security')).toBe('42501');
    expect(await attempt('truncate app.note')).toBe('42501');
    expect(await attempt('create table app.mine (a int)')).toBe('42501');
    expect(await attempt('create temporary table mine (a int)')).toBe('42501');
    expect(await attempt('select * from audit.pending')).toBe('42501');
  });
});

describe('T15: the wall is put up', () => {
  test('only around a table whose keys begin with the tenant', async () => {
    const tables = [
      'create table app.bad (id uuid primary key)',
      'create table app.bad (tenant_id uuid, id uuid, unique (tenant_id, id))',
      'create table app.bad (tenant_id text not null, id uuid, primary key (tenant_id, id))',
      'create table app.bad (tenant_id uuid not null, id uuid primary key)',
      'create table app.bad (tenant_id uuid not null, id uuid, mail text unique, primary key (tenant_id, id))',
      'create table app.bad (tenant_id uuid not null, id uuid, other uuid references app.note_initplan_other (id), primary key (tenant_id, id))',
    ];
    await admin.query('create table app.note_initplan_other (id uuid primary key)');
    for (const text of tables) {
      await admin.query('begin');
      await admin.query(text);
      await expect(admin.query(`select platform.protect_tenant_table('app.bad')`), text).rejects.toMatchObject({
        code: 'P0001',
      });
      await admin.query('rollback');
    }
    await admin.query('drop table app.note_initplan_other');
  });

  test('with names that cannot carry SQL', () => {
    for (const name of ['note', 'app.note; drop table x', 'App.Note', 'a.b.c', ''])
      expect(() => wallStatements(name, 'direct')).toThrow(RangeError);
  });
});
