// The commit guard on every privileged table that the catalogue knows, in the shared schema and in a tenant's own, for
// every way in which PostgreSQL changes rows. The statements run as the superuser: nothing but the guard is in their way.
import { systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyAppSchema } from '../db/app-schema.ts';
import { superuser } from '../db/tenancy-fixture.ts';
import { startTestDatabase, type TestDatabase } from '../db/testing.ts';
import { setBeat } from './testing.ts';

const TENANT = uuidV4(systemRandom);
const COPY_NAME = '00000000000000aa';
const COPY = `t_${COPY_NAME}`;
const BULK_ROWS = 5000;

interface Guarded {
  /** Where the rows are, `schema.table`. */
  readonly table: string;
  readonly kind: string;
  readonly idColumn: string;
  readonly columns: readonly { name: string; type: string }[];
  readonly key: readonly string[];
}

let database: TestDatabase;
let admin: Client;
let tables: readonly Guarded[];

/** Numbers are never given twice: some tables have keys of them. */
let last = 0;

/** Any value of a type; a sealed column wants the form of a sealed value. */
const VALUES: Readonly<Record<string, () => unknown>> = {
  uuid: () => uuidV4(systemRandom),
  text: () => 'x',
  bytea: () => Buffer.concat([Buffer.of(0xa7, 1, 0, 0, 0, 1), systemRandom.bytes(42)]),
  integer: () => (last += 1),
  bigint: () => (last += 1),
  boolean: () => false,
  smallint: () => 1,
  date: () => '2026-01-01',
  'timestamp with time zone': () => '2026-01-01',
  'uuid[]': () => [],
  'text[]': () => [],
  jsonb: () => '{}',
};

async function readGuarded(): Promise<Guarded[]> {
  const { rows } = await admin.query<Guarded>(
    `select n.nspname || '.' || c.relname as table, g.kind, g.id_column as "idColumn",
       (select jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, null)) order by a.attnum)
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          and a.attgenerated = '' and a.attidentity = '' and a.atttypid <> 'xid8'::regtype) as columns,
       array(select a.attname::text from pg_index i join pg_attribute a on a.attrelid = i.indrelid
         and a.attnum = any (i.indkey::smallint[]) where i.indrelid = c.oid and i.indisprimary order by a.attnum) as key
     from audit.guarded_table g
     join pg_class c on c.relname = split_part(g.relation, '.', 2)
     join pg_namespace n on n.oid = c.relnamespace
       and (n.nspname = split_part(g.relation, '.', 1) or (n.nspname = $1 and g.relation like 'app.%'))
     order by 1`,
    [COPY],
  );
  return rows;
}

/** Rules of the content would refuse made-up rows before the guard sees them: foreign keys, checks, other triggers. */
async function dropOtherRules(table: string): Promise<void> {
  const { rows } = await admin.query<{ text: string }>(
    `select format('alter table %s drop constraint %I', conrelid::regclass, conname) as text from pg_constraint
     where conrelid = $1::regclass and contype in ('f', 'c')
     union all
     select format('alter table %s disable trigger %I', tgrelid::regclass, tgname) from pg_trigger
     where tgrelid = $1::regclass and not tgisinternal and tgname not like 'audit\\_guard%'`,
    [table],
  );
  for (const { text } of rows) await admin.query(text);
}

beforeAll(async () => {
  database = await startTestDatabase();
  admin = await superuser(database);
  await setBeat(database, 'running');
  await admin.query(`create role ax_t_${COPY_NAME} nologin`);
  await admin.query('begin; set local role ax_owner');
  await copyAppSchema(admin, COPY, `ax_t_${COPY_NAME}`);
  await admin.query('commit');
  tables = await readGuarded();
  // References first: a table's key is needed by those that refer to it.
  for (let round = 0; round < 2; round += 1) {
    for (const { table } of tables) await dropOtherRules(table).catch((error: Error) => round === 1 && fail(error));
  }
});
afterAll(async () => {
  await admin?.end();
  await database?.stop();
});

function fail(error: Error): never {
  throw error;
}

type Row = Record<string, unknown>;

function newRow({ columns }: Guarded): Row {
  return Object.fromEntries(
    columns.map(({ name, type }) => [name, name === 'tenant_id' ? TENANT : VALUES[type]!()] as const),
  );
}

function insertText({ table, columns }: Guarded): string {
  const names = columns.map(({ name }) => `"${name}"`).join(', ');
  return `insert into ${table} (${names}) values (${columns.map((_, at) => `$${at + 1}`).join(', ')})`;
}

async function writeEntry(kind: string, id: unknown): Promise<void> {
  const entry = uuidV4(systemRandom);
  const leaf = {
    id: entry,
    time: 1,
    type: 'a.b',
    actor: ['service', 'workspace'],
    resource: [kind, id],
    outcome: 'allowed',
  };
  await admin.query('insert into audit.entry (tenant_id, id, leaf) values ($1, $2, $3)', [
    TENANT,
    entry,
    Buffer.from(JSON.stringify(leaf)),
  ]);
}

/** Code of the refusal, or `committed`. */
async function attempt(work: () => Promise<unknown>): Promise<string> {
  await admin.query('begin');
  try {
    await work();
    await admin.query('commit');
    return 'committed';
  } catch (error) {
    await admin.query('rollback');
    return (error as { code?: string }).code ?? String(error);
  }
}

async function committedRow(guarded: Guarded): Promise<Row> {
  const row = newRow(guarded);
  const outcome = await attempt(async () => {
    await writeEntry(guarded.kind, row[guarded.idColumn]);
    await admin.query(insertText(guarded), Object.values(row));
  });
  expect(outcome, guarded.table).toBe('committed');
  return row;
}

/** Every way to change rows: gives what to do, and the id that an entry has to be about. */
type Way = (guarded: Guarded) => Promise<{ readonly id: unknown; readonly run: () => Promise<unknown> }>;

const where = ({ key }: Guarded, row: Row): string =>
  key.map((name) => `t."${name}" = '${String(row[name])}'`).join(' and ');

const WAYS: Readonly<Record<string, Way>> = {
  INSERT: async (guarded) => {
    const row = newRow(guarded);
    return { id: row[guarded.idColumn], run: () => admin.query(insertText(guarded), Object.values(row)) };
  },
  'INSERT ON CONFLICT': async (guarded) => {
    const row = await committedRow(guarded);
    const text = `${insertText(guarded)} on conflict (${guarded.key.join(', ')}) do update set tenant_id = excluded.tenant_id`;
    return { id: row[guarded.idColumn], run: () => admin.query(text, Object.values(row)) };
  },
  UPDATE: async (guarded) => {
    const row = await committedRow(guarded);
    const run = () => admin.query(`update ${guarded.table} t set tenant_id = tenant_id where ${where(guarded, row)}`);
    return { id: row[guarded.idColumn], run };
  },
  DELETE: async (guarded) => {
    const row = await committedRow(guarded);
    return {
      id: row[guarded.idColumn],
      run: () => admin.query(`delete from ${guarded.table} t where ${where(guarded, row)}`),
    };
  },
  'MERGE that updates': async (guarded) => {
    const row = await committedRow(guarded);
    const text = `merge into ${guarded.table} t using (select 1) s on ${where(guarded, row)}
      when matched then update set tenant_id = t.tenant_id`;
    return { id: row[guarded.idColumn], run: () => admin.query(text) };
  },
  'MERGE that deletes': async (guarded) => {
    const row = await committedRow(guarded);
    const text = `merge into ${guarded.table} t using (select 1) s on ${where(guarded, row)} when matched then delete`;
    return { id: row[guarded.idColumn], run: () => admin.query(text) };
  },
  COPY: async (guarded) => {
    const row = await committedRow(guarded);
    const names = guarded.columns.map(({ name }) => `"${name}"`).join(', ');
    const file = `${database.launched.dataDirectory}/copied`;
    await admin.query(`copy (select ${names} from ${guarded.table} t where ${where(guarded, row)}) to '${file}'`);
    const removed = await attempt(async () => {
      await writeEntry(guarded.kind, row[guarded.idColumn]);
      await admin.query(`delete from ${guarded.table} t where ${where(guarded, row)}`);
    });
    expect(removed).toBe('committed');
    return { id: row[guarded.idColumn], run: () => admin.query(`copy ${guarded.table} (${names}) from '${file}'`) };
  },
};

describe('A16: no privileged table changes without its entries, whatever the statement', () => {
  it('has every table of the register under the guard, here and in the copy', async () => {
    expect(tables.length).toBeGreaterThan(20);
    for (const { table } of tables) {
      const { rows } = await admin.query<{ name: string }>(
        `select tgname as name from pg_trigger where tgrelid = $1::regclass and tgname like 'audit\\_guard%' and tgenabled = 'O' order by 1`,
        [table],
      );
      expect(
        rows.map(({ name }) => name),
        table,
      ).toEqual(['audit_guard_delete', 'audit_guard_insert', 'audit_guard_truncate', 'audit_guard_update']);
    }
  });

  it.each(Object.keys(WAYS))('%s: refused without, committed with the entry, on every table', async (name) => {
    for (const guarded of tables) {
      const { id, run } = await WAYS[name]!(guarded);
      expect(await attempt(run), `${name} on ${guarded.table} without`).toBe('AX101');
      const aboutAnother = await attempt(async () => {
        await run();
        await writeEntry(guarded.kind, uuidV4(systemRandom));
      });
      expect(aboutAnother, `${name} on ${guarded.table} with another's`).toBe('AX101');
      const covered = await attempt(async () => {
        await run();
        await writeEntry(guarded.kind, id);
      });
      expect(covered, `${name} on ${guarded.table} with`).toBe('committed');
    }
    expect((await admin.query('select from audit.guard_note')).rowCount, 'notes left behind').toBe(0);
  });

  it('TRUNCATE is refused on every table, cascading or not', async () => {
    for (const { table } of tables) {
      expect(await attempt(() => admin.query(`truncate ${table} cascade`)), table).toBe('AX101');
    }
  });

  it('a commit after the heartbeat grew old is refused, however early its statement was', async () => {
    const outcomes = [];
    for (const guarded of tables) {
      const { id, run } = await WAYS['INSERT']!(guarded);
      await setBeat(database, 'running');
      outcomes.push(
        await attempt(async () => {
          await writeEntry(guarded.kind, id);
          await run();
          await setBeat(database, 'stopped');
        }),
      );
    }
    await setBeat(database, 'running');
    expect(new Set(outcomes)).toEqual(new Set(['AX102']));
  });
});

describe('A17: one statement, one look', () => {
  beforeAll(async () => {
    await admin.query(`
      set role ax_owner;
      create table app.bulk_old (tenant_id uuid not null, id uuid not null, n int, primary key (tenant_id, id));
      create table app.bulk_new (like app.bulk_old including all);
      create table app.bulk_part (tenant_id uuid not null, id uuid not null, primary key (tenant_id, id)) partition by hash (tenant_id);
      create table app.bulk_child (tenant_id uuid not null, id uuid not null, parent uuid not null, primary key (tenant_id, id),
        foreign key (tenant_id, parent) references app.bulk_new (tenant_id, id) on delete cascade);
      select audit.guard_table('app.bulk_new', 'thing'), audit.guard_table('app.bulk_child', 'child');
      create constraint trigger audit_guard after insert or update or delete on app.bulk_old deferrable initially deferred
        for each row execute function audit.guard_row('thing', 'id');
      reset role`);
  });

  const ids = Array.from({ length: BULK_ROWS }, () => uuidV4(systemRandom));

  function entriesFor(some: readonly Uuid[]): Promise<unknown> {
    return admin.query(
      `insert into audit.entry (tenant_id, id, leaf)
       select $1::uuid, e, convert_to(json_build_object('id', e, 'time', 1, 'type', 'a.b', 'actor', json_build_array('service', 'workspace'),
         'resource', json_build_array('thing', i), 'outcome', 'allowed')::text, 'UTF8')
       from (select gen_random_uuid() as e, i from unnest($2::uuid[]) i) s`,
      [TENANT, some],
    );
  }

  const fill = (table: string, some: readonly Uuid[]) =>
    admin.query(`insert into ${table} select $1, unnest($2::uuid[]), 1`, [TENANT, some]);

  it('its cost stays what it is while the log grows: a plan that was kept never reads a tenant’s other entries', async () => {
    const read = async (): Promise<number> => {
      await admin.query('select pg_stat_force_next_flush()');
      const { rows } = await admin.query<{ n: string }>(
        `select sum(idx_tup_read) + (select seq_tup_read from pg_stat_user_tables where relid = 'audit.entry'::regclass) as n
         from pg_stat_user_indexes where relid = 'audit.entry'::regclass`,
      );
      return Number(rows[0]!.n);
    };
    const writeSome = async (count: number) => {
      const before = await read();
      for (let at = 0; at < count; at += 1) {
        const id = uuidV4(systemRandom);
        const outcome = await attempt(async () => {
          await fill('app.bulk_new', [id]);
          await writeEntry('thing', id);
        });
        expect(outcome).toBe('committed');
      }
      return (await read()) - before;
    };
    // PostgreSQL keeps a plan after five executions: here with a log of hardly anything.
    const few = await writeSome(10);
    await attempt(() => entriesFor(ids));
    expect(await writeSome(10)).toBeLessThanOrEqual(2 * few + 20);
  });

  it('one row of a bulk without its entry refuses all of it', async () => {
    await attempt(async () => {
      await entriesFor(ids);
      await fill('app.bulk_new', ids);
    });
    for (const short of [ids.slice(1), ids.slice(0, -1)]) {
      expect(
        await attempt(async () => {
          await admin.query('update app.bulk_new set n = n + 1');
          await entriesFor(short);
        }),
      ).toBe('AX101');
    }
    expect((await admin.query('select from app.bulk_new where n <> 1')).rowCount).toBe(0);
  });

  it('a row that moves to another id needs an entry about both', async () => {
    const [from, to] = [ids[0]!, uuidV4(systemRandom)];
    const move = (covered: Uuid[]) =>
      attempt(async () => {
        await admin.query('update app.bulk_new set id = $2 where id = $1', [from, to]);
        await entriesFor(covered);
      });
    expect(await move([to])).toBe('AX101');
    expect(await move([from])).toBe('AX101');
    expect(await move([from, to])).toBe('committed');
  });

  it('what a cascade takes along is noted like what a statement names', async () => {
    const [parent, child] = [ids[1]!, uuidV4(systemRandom)];
    await attempt(async () => {
      await writeEntry('child', child);
      await admin.query('insert into app.bulk_child values ($1, $2, $3)', [TENANT, child, parent]);
    });
    const remove = (entries: () => Promise<unknown>) =>
      attempt(async () => {
        await admin.query('delete from app.bulk_new where id = $1', [parent]);
        await entries();
      });
    expect(await remove(() => writeEntry('thing', parent))).toBe('AX101');
    expect(
      await remove(async () => {
        await writeEntry('thing', parent);
        await writeEntry('child', child);
      }),
    ).toBe('committed');
  });

  it('a partitioned table or one with children is not put under the guard, which would not see its children', async () => {
    await expect(admin.query(`select audit.guard_table('app.bulk_part', 'x')`)).rejects.toThrow(/plain table/);
  });

  it('an entry that is taken back with its savepoint covers nothing; a change that is taken back needs none', async () => {
    const id = ids[2]!;
    const change = () => admin.query('update app.bulk_new set n = n + 1 where id = $1', [id]);
    expect(
      await attempt(async () => {
        await change();
        await admin.query('savepoint s');
        await writeEntry('thing', id);
        await admin.query('rollback to s');
      }),
    ).toBe('AX101');
    expect(
      await attempt(async () => {
        await admin.query('savepoint s');
        await change();
        await admin.query('rollback to s');
      }),
    ).toBe('committed');
    expect(
      await attempt(async () => {
        await admin.query('set constraints all immediate');
        await writeEntry('thing', id);
        await change();
        await admin.query('update app.bulk_new set n = n + 1 where id = $1', [ids[3]!]);
      }),
    ).toBe('AX101');
  });

  it('5000 rows cost at most half of what they cost row by row', async () => {
    await attempt(async () => {
      await entriesFor(ids);
      await fill('app.bulk_old', ids);
    });
    const took = { 'app.bulk_old': [] as number[], 'app.bulk_new': [] as number[] };
    const { rows } = await admin.query<{ id: Uuid }>('select id from app.bulk_new union select id from app.bulk_old');
    for (let round = 0; round < 3; round += 1) {
      await admin.query('begin');
      await entriesFor(rows.map(({ id }) => id));
      for (const table of ['app.bulk_old', 'app.bulk_new'] as const) {
        const from = performance.now();
        await admin.query(`update ${table} set n = n + 1`);
        await admin.query('set constraints all immediate; set constraints all deferred');
        took[table].push(performance.now() - from);
      }
      await admin.query('rollback');
    }
    const median = (values: number[]) => values.toSorted((a, b) => a - b)[1]!;
    const [byRow, byStatement] = [median(took['app.bulk_old']), median(took['app.bulk_new'])];
    expect(byStatement / byRow, `${byStatement.toFixed(0)} ms against ${byRow.toFixed(0)} ms`).toBeLessThan(0.5);
  });
});
