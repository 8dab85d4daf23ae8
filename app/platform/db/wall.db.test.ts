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
  try {
    await app.query(['begin', ...settings, `select app.enter('${OWN}')`].join(';'));
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
  'select id from T where tenant_id = $1 and n = any (array[1, 3, 5])',
  'select id from T where tenant_id = $1 and (n = 1 or body like $2)',
  'select id from T where tenant_id = $1 order by tenant_id, id limit 3',
  'select distinct on (n) n, id from T where tenant_id = $1 order by n, id',
  'select n, body, count(*) from T where tenant_id = $1 group by grouping sets ((n), (body), ())',
  'select id from T where tenant_id = $1 intersect select id from T where tenant_id = $1 and n < 8',
  'select id from T where tenant_id = $1 except select id from T where tenant_id = $1 and n > 8',
  'select a.id from T a join T b on a.n = b.n join T c on c.n = b.n where a.tenant_id = $1 and b.tenant_id = $1 and c.tenant_id = $1',
  'select a.id from T a right join T b on a.tenant_id = $1 and a.n = b.n where b.tenant_id = $1',
  'select a.id from (values (1), (2)) v(n) join T a on a.tenant_id = $1 and a.n = v.n',
  'select a.id from unnest(array[1, 2, 3]) u(n) left join T a on a.tenant_id = $1 and a.n = u.n',
  'with recursive r(n) as (select n from T where tenant_id = $1 and n = 1 union all select b.n from r join T b on b.n = r.n + 1 and b.tenant_id = $1) select count(*) from r',
  'with c as materialized (select id, n from T where tenant_id = $1) select c.id from c join T b on b.tenant_id = $1 and b.n = c.n',
  'with c as not materialized (select id, n from T where tenant_id = $1) select x.id from c x join c y on x.n = y.n',
  'with u as (update T set n = n + 1 where tenant_id = $1 returning id) select count(*) from u',
  'select id from T where tenant_id = $1 and n in (select b.n from T b where b.tenant_id = $1 and b.n < 5)',
  'select id from T where tenant_id = $1 for update',
  'update T a set n = b.n from T b where a.tenant_id = $1 and b.tenant_id = $1 and b.n = a.n returning a.id',
  'delete from T a using T b where a.tenant_id = $1 and b.tenant_id = $1 and b.n = a.n + 1 returning a.id',
  "insert into T (tenant_id, id, n, body) select $1, a.id, a.n, a.body || 'x' from T a where a.tenant_id = $1 on conflict (tenant_id, id) do update set n = excluded.n + 1 returning id",
];

/** Nobody says whose rows; some rows are foreign. */
const CARELESS = [
  'select * from T',
  'select * from T where n = 3',
  'select count(*) from T',
  'update T set n = n',
  'delete from T',
  'select a.id from T a left join T b on a.tenant_id = $1 and b.tenant_id = $1',
  'select a.id from T a join T b on b.tenant_id = $1',
  'select id from T where tenant_id = $1 or n = 3',
  'select id from T where tenant_id >= $1 and n < 3',
  'select (select max(b.n) from T b) from T a where a.tenant_id = $1',
  'select a.id from T a where a.tenant_id = $1 and exists (select 1 from T b where b.n > a.n)',
  'with c as (select * from T) select count(*) from c where n = 3',
  'select id from T where tenant_id = $1 union all select id from T',
  'select id from T order by n limit 25',
  'select n, count(*) from T group by n',
  'select id from T where body like $2 or tenant_id = $1',
  'update T set n = n where n = 3 returning id',
  'delete from T using T b where b.tenant_id = $1 and T.n = b.n',
];

/** The whole of it takes minutes. */
const FUZZ_MS_MAX = 900_000;
/** Ways of the planner, each on or off: 128 mixtures, with custom and with generic plans. */
const WAYS = ['seqscan', 'indexscan', 'indexonlyscan', 'bitmapscan', 'hashjoin', 'mergejoin', 'nestloop'];
const MIXTURES = 2 ** WAYS.length;
/** Without `AUDITRAX_FUZZ=whole` every eleventh mixture: all ways are on and off among them, and in each pair. */
const STRIDE = process.env['AUDITRAX_FUZZ'] === 'whole' ? 1 : 11;

function plannerSettings(): string[][] {
  const rounds: string[][] = [];
  for (let mixture = 0; mixture < MIXTURES; mixture += STRIDE) {
    for (const plans of STRIDE === 1 ? ['custom', 'generic'] : [mixture % 2 === 0 ? 'custom' : 'generic']) {
      const extra = mixture % 5;
      rounds.push([
        ...WAYS.map((way, bit) => `set local enable_${way} = ${(mixture >> bit) & 1 ? 'on' : 'off'}`),
        `set local plan_cache_mode = force_${plans}_plan`,
        `set local enable_material = ${extra === 1 ? 'off' : 'on'}`,
        `set local enable_memoize = ${extra === 2 ? 'off' : 'on'}`,
        `set local enable_hashagg = ${extra === 3 ? 'off' : 'on'}`,
        // In a worker process the tenant must be the same.
        `set local debug_parallel_query = ${extra === 4 ? 'on' : 'off'}`,
        `set local max_parallel_workers = ${extra === 4 ? 2 : 0}`,
      ]);
    }
  }
  return rounds;
}

/** Rows in an order of their own; plans differ in it. */
function sorted(rows: readonly unknown[] | string): string[] | string {
  return typeof rows === 'string' ? rows : rows.map((row) => JSON.stringify(row)).toSorted();
}

/** What a statement answers where there are no other tenants. */
async function answerAlone(text: string, values: readonly string[]): Promise<string[] | string> {
  await admin.query('begin');
  try {
    for (const table of TABLES) await admin.query(`delete from ${table} where tenant_id <> $1`, [OWN]);
    return sorted((await admin.query(text, [...values])).rows as unknown[]);
  } finally {
    await admin.query('rollback');
  }
}

describe('T13: the tripwire', () => {
  const rounds = plannerSettings();
  const values = (text: string, tenant: string): string[] =>
    text.includes('$2') ? [tenant, '%/3'] : text.includes('$1') ? [tenant] : [];

  test(
    `raises for every shape and plan that meets a foreign row, and never for own rows (${rounds.length} rounds)`,
    async () => {
      const tally = { runs: 0, misses: [] as string[], alarms: [] as string[] };
      for (const table of TABLES) {
        for (const shape of SHAPES) {
          const text = shape.replaceAll(/\bT\b/g, table);
          await admin.query('begin');
          const expected = (await admin.query(text, values(text, OWN))).rowCount;
          await admin.query('rollback');
          for (const settings of rounds) {
            const own = await attempt(text, values(text, OWN), settings);
            if (!Array.isArray(own) || own.length !== expected) tally.alarms.push(`${text} ${settings.join()}`);
            if ((await attempt(text, values(text, OTHER), settings)) !== 'AX001')
              tally.misses.push(`${text} ${settings.join()}`);
            tally.runs += 2;
          }
        }
      }
      process.stderr.write(
        `tripwire: ${TABLES.length} forms, ${SHAPES.length} shapes, ${rounds.length} mixtures of planner settings, ${tally.runs} runs, ${tally.misses.length} misses, ${tally.alarms.length} false alarms\n`,
      );
      expect(tally.alarms).toEqual([]);
      expect(tally.misses).toEqual([]);
      expect(tally.runs).toBe(TABLES.length * SHAPES.length * rounds.length * 2);
    },
    FUZZ_MS_MAX,
  );

  test(
    'raises for careless statements, whatever the plan; one that ends before it meets a foreign row gives own rows',
    async () => {
      let [runs, raised] = [0, 0];
      for (const table of TABLES) {
        const name = table.split('.')[1]!;
        for (const careless of CARELESS) {
          const text = careless.replaceAll(/\bT\b(?!\.)/g, table).replaceAll('T.', `${name}.`);
          const alone = await answerAlone(text, values(text, OWN));
          for (const settings of rounds) {
            const answer = await attempt(text, values(text, OWN), settings);
            if (answer !== 'AX001') expect(sorted(answer), `${text} ${settings.join()}`).toEqual(alone);
            raised += answer === 'AX001' ? 1 : 0;
            runs += 1;
          }
        }
      }
      process.stderr.write(`tripwire: ${CARELESS.length} careless statements, ${runs} runs, ${raised} raised\n`);
      expect(raised).toBeGreaterThan(runs * 0.9);
    },
    FUZZ_MS_MAX,
  );

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
