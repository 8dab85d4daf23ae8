import { setTimeout as sleep } from 'node:timers/promises';
import { sql, TenancyError, type Database, type Refusal, type ScopedTransaction } from '@auditrax/tenancy';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { contextOf, createNotes, numberedUuid, openAsWorkspace, superuser } from './tenancy-fixture.ts';
import { startTestDatabase, type TestDatabase } from './testing.ts';

let database: TestDatabase;
let admin: Client;
let doors: Database;
let refusals: Refusal[];
beforeAll(async () => {
  database = await startTestDatabase();
  admin = await superuser(database);
  await createNotes(admin, { tenants: 20, rows: 10 });
  ({ doors, refusals } = openAsWorkspace(database));
});
beforeEach(() => void refusals.splice(0));
afterAll(async () => {
  await doors?.close();
  await admin?.end();
  await database?.stop();
});

const [one, two] = [contextOf(1), contextOf(2)];
const note = numberedUuid(1001);
const code = (expected: string): object => expect.objectContaining({ code: expected }) as object;

describe('T7: the tenant door', () => {
  test('gives the rows of its own tenant, typed as pg does', async () => {
    const rows = await doors.tenant.scoped(
      one,
      sql<{ n: number; body: string; data: unknown; at: Date; bytes: Buffer }>`
      select n, body, jsonb_build_object('a', n) as data, ${new Date(5)}::timestamptz as at, ${Buffer.from([1, 2])}::bytea as bytes
      from app.note where tenant_id = ${one.tenantId} and id = ${note}`,
    );
    expect(rows).toEqual([{ n: 1, body: 'note 1/1', data: { a: 1 }, at: new Date(5), bytes: Buffer.from([1, 2]) }]);
  });

  test('reads a statement that comes again by the columns it was described with, or not at all', async () => {
    const alone = openAsWorkspace(database, { poolSize: 1 });
    await admin.query(`create table app.wide (tenant_id uuid not null, id uuid not null, a text, primary key (tenant_id, id));
      grant select, insert on app.wide to ax_workspace; select platform.protect_tenant_table('app.wide')`);
    const read = () => alone.doors.tenant.scoped(one, sql`select * from app.wide where tenant_id = ${one.tenantId}`);
    const write = (id: number) =>
      alone.doors.tenant.scoped(
        one,
        sql`insert into app.wide (tenant_id, id, a) values (${one.tenantId}, ${numberedUuid(id)}, ${'x'})`,
      );
    try {
      expect([await write(1), await write(2), await write(3)]).toEqual([[], [], []]);
      const row = { tenant_id: one.tenantId, id: numberedUuid(1), a: 'x' };
      for (let round = 0; round < 3; round += 1) expect((await read())[0]).toEqual(row);
      await admin.query(`alter table app.wide add column b integer default 7`);
      await expect(read()).rejects.toThrow(code('database_failed'));
      for (let round = 0; round < 3; round += 1) expect((await read())[0]).toEqual({ ...row, b: 7 });
    } finally {
      await alone.doors.close();
      await admin.query('drop table app.wide');
      await admin.query(`delete from platform.table_rule where table_name = 'app.wide'`);
    }
  });

  test('T8: a foreign parameter is refused before the database is asked, and recorded before the error', async () => {
    const log: string[] = [];
    const slow = openAsWorkspace(database, {
      record: async (event) => {
        await sleep(30);
        log.push(event.code);
      },
    });
    const before = await xacts();
    await expect(
      slow.doors.tenant
        .scoped(one, sql`select * from app.note where tenant_id = ${two.tenantId}`)
        .catch((error: unknown) => {
          log.push('thrown');
          throw error;
        }),
    ).rejects.toThrow(code('tenant_foreign_parameter'));
    expect(log).toEqual(['tenant_foreign_parameter', 'thrown']);
    expect(slow.refusals[0]).toMatchObject({
      layer: 'guard',
      door: 'tenant',
      context: one,
      reason: 'foreign_parameter',
      atMs: 1_000,
    });
    expect(JSON.stringify(slow.refusals)).not.toContain(two.tenantId);
    expect(await xacts()).toBe(before);
    await slow.doors.close();
  });

  test('T8: when the record fails, so does the call, with a code of its own', async () => {
    const deaf = openAsWorkspace(database, { record: () => Promise.reject(new Error('no log')) });
    await expect(deaf.doors.tenant.scoped(one, sql`select * from app.note`)).rejects.toThrow(
      code('tenant_refusal_unrecorded'),
    );
    await deaf.doors.close();
  });

  test('T8: an unscoped statement is refused', async () => {
    await expect(doors.tenant.scoped(one, sql`select * from app.note where id = ${note}`)).rejects.toThrow(
      code('tenant_statement_refused'),
    );
    await expect(doors.system.system(sql`select * from app.note`)).rejects.toThrow(code('tenant_statement_refused'));
    expect(refusals.map((event) => event.door)).toEqual(['tenant', 'system']);
  });

  test('T8: a right that the role does not have is a refusal', async () => {
    await expect(
      doors.tenant.scoped(
        one,
        sql`insert into audit.disclosure (tenant_id, entry_id, digest, sealed) values (${one.tenantId}, ${note}, 'x', ${Buffer.alloc(1)}) returning sealed, tableoid`,
      ),
    ).rejects.toThrow(TenancyError);
    await expect(
      doors.system.system(
        sql`insert into platform.tenant (id, part, kind, slug, display_name) values (${note}, 1, 'sample', 'x', 'X')`,
      ),
    ).rejects.toThrow(code('tenant_grant_refused'));
    expect(refusals.at(-1)).toMatchObject({ layer: 'grant', reason: '42501' });
  });

  test('T9: an ordinary error has its code, names the constraint, and repeats no value', async () => {
    const insert = doors.tenant.scoped(
      one,
      sql`insert into app.note (tenant_id, id, n, body) values (${one.tenantId}, ${numberedUuid(1)}, 1, 'note 1/2')`,
    );
    const error = await insert.catch((caught: unknown) => caught as TenancyError);
    expect(error).toMatchObject({ code: 'database_unique', constraint: 'note_tenant_id_body_key', sqlState: '23505' });
    expect(`${String(error)} ${JSON.stringify(error)} ${String((error as TenancyError).cause)}`).not.toContain(
      'note 1/2',
    );
    expect(refusals).toEqual([]);
    await expect(
      doors.tenant.scoped(one, sql`select * from app.note where tenant_id = ${one.tenantId} and id = ${'nonsense'}`),
    ).rejects.toThrow(code('database_input_invalid'));
    await expect(
      doors.tenant.scoped(one, sql`select * from app.note where tenant_id = ${one.tenantId} and id = ${''}`),
    ).rejects.toThrow(code('database_input_invalid'));
    await expect(
      doors.tenant.scoped(one, sql`select * from app.nothing where tenant_id = ${one.tenantId}`),
    ).rejects.toThrow(code('database_failed'));
  });

  test('T9: a value that cannot be sent leaves the connection whole', async () => {
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = cyclic;
    await expect(doors.tenant.scoped(one, sql`select ${cyclic}::jsonb`)).rejects.toThrow(TypeError);
    await expect(doors.tenant.transaction(one, (tx) => tx.query(sql`select ${cyclic}::jsonb`))).rejects.toThrow(
      TypeError,
    );
    expect(
      await doors.tenant.scoped(one, sql`select n from app.note where tenant_id = ${one.tenantId} and id = ${note}`),
    ).toEqual([{ n: 1 }]);
  });
});

describe('T10: a transaction', () => {
  const insert = (id: number) =>
    sql`insert into app.note (tenant_id, id, n, body) values (${one.tenantId}, ${numberedUuid(id)}, 0, ${`t${id}`})`;
  const count = async (): Promise<number> =>
    (await admin.query<{ n: number }>(`select count(*)::int as n from app.note where body like 't%'`)).rows[0]!.n;

  test('commits everything', async () => {
    await doors.tenant.transaction(one, async (tx) => {
      await Promise.all([tx.query(insert(90)), tx.query(insert(91))]);
    });
    expect(await count()).toBe(2);
    await admin.query(`delete from app.note where body like 't%'`);
  });

  test('commits nothing when the work throws, when a statement failed and its error was swallowed, or at a refusal', async () => {
    await expect(
      doors.tenant.transaction(one, async (tx) => {
        await tx.query(insert(90));
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    await expect(
      doors.tenant.transaction(one, async (tx) => {
        await tx.query(insert(90));
        await tx.query(insert(90)).catch(() => undefined);
      }),
    ).rejects.toThrow(code('database_unique'));
    await expect(
      doors.tenant.transaction(one, async (tx) => {
        await tx.query(insert(90));
        await tx.query(sql`delete from app.note where tenant_id = ${two.tenantId}`).catch(() => undefined);
      }),
    ).rejects.toThrow(code('tenant_foreign_parameter'));
    expect(refusals).toHaveLength(1);
    expect(await count()).toBe(0);
  });

  test('is over after its first failure', async () => {
    await expect(
      doors.tenant.transaction(one, async (tx) => {
        await tx.query(sql`select 1 / 0`).catch(() => undefined);
        await tx.query(insert(90));
      }),
    ).rejects.toThrow(code('tenant_transaction_ended'));
    expect(await count()).toBe(0);
  });

  test('frees its connection before a refusal is recorded, so that the recorder may use the same pool', async () => {
    let inner: unknown[] = [];
    const single = openAsWorkspace(database, {
      poolSize: 1,
      record: async () => {
        inner = await single.doors.tenant.scoped(two, sql`select 1 as n`);
      },
    });
    await expect(
      single.doors.tenant.transaction(one, async (tx) => {
        await tx.query(insert(90));
        await tx.query(sql`select * from app.note`);
      }),
    ).rejects.toThrow(code('tenant_statement_refused'));
    expect(inner).toEqual([{ n: 1 }]);
    await single.doors.close();
  });

  test('without a statement does nothing', async () => {
    expect(await doors.tenant.transaction(one, () => Promise.resolve(5))).toBe(5);
  });
});

describe('T37: what waits for the commit', () => {
  const put = (id: number) =>
    sql`insert into app.note (tenant_id, id, n, body) values (${one.tenantId}, ${numberedUuid(id)}, 0, 'after')`;
  const stored = async (): Promise<number> =>
    (await admin.query<{ n: number }>(`select count(*)::int as n from app.note where body = 'after'`)).rows[0]!.n;
  afterEach(() => admin.query(`delete from app.note where body = 'after'`));

  test('runs once, in order, when the rows are there, and before the transaction resolves', async () => {
    const seen: unknown[] = [];
    const looks: Promise<number>[] = [];
    await doors.tenant.transaction(one, async (tx) => {
      await tx.query(put(910_001));
      tx.afterCommit((outcome) => void seen.push(outcome, looks.push(stored())));
      tx.afterCommit(() => void seen.push('second'));
      expect(await stored()).toBe(0);
      expect(seen).toEqual([]);
    });
    expect(seen).toEqual(['committed', 1, 'second']);
    expect(await Promise.all(looks)).toEqual([1]);
  });

  test('never runs after a rollback, a failed statement, or a refusal', async () => {
    const seen: unknown[] = [];
    const failing = [
      () => Promise.reject(new Error('no')),
      (tx: ScopedTransaction) => tx.query(put(910_002)),
      (tx: ScopedTransaction) => tx.defer(put(910_002)),
      (tx: ScopedTransaction) => tx.query(sql`delete from app.note where tenant_id = ${two.tenantId}`),
    ];
    for (const fail of failing) {
      const failed = doors.tenant.transaction(one, async (tx) => {
        await tx.query(put(910_002));
        tx.afterCommit((outcome) => void seen.push(outcome));
        await fail(tx);
      });
      await expect(failed).rejects.toThrow();
    }
    expect(seen).toEqual([]);
    expect(await stored()).toBe(0);
  });

  test('runs with the outcome unknown when the connection is lost with the COMMIT on it', async () => {
    const alone = openAsWorkspace(database, { poolSize: 1 });
    const seen: unknown[] = [];
    try {
      const lost = alone.doors.tenant.transaction(one, async (tx) => {
        await tx.query(put(910_003));
        tx.afterCommit((outcome) => void seen.push(outcome));
        const { rowCount } = await admin.query(`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and state = 'idle in transaction' and pid <> pg_backend_pid()`);
        expect(rowCount).toBe(1);
      });
      await expect(lost).rejects.toThrow(code('database_unavailable'));
    } finally {
      await alone.doors.close();
    }
    expect(seen).toEqual(['unknown']);
  });
});

describe('T36: a deferred statement', () => {
  afterAll(() => admin.query(`delete from app.note where body like 'late %'`));

  const put = (id: number, n: number) =>
    sql`insert into app.note (tenant_id, id, n, body) values (${one.tenantId}, ${numberedUuid(id)}, ${n}, ${`late ${n}`})`;
  const late = () =>
    doors.tenant.scoped(
      one,
      sql<{ n: number }>`select n from app.note where tenant_id = ${one.tenantId} and body like ${'late %'}`,
    );

  test('travels with the next statement, in its order, and with the commit', async () => {
    const seen = await doors.tenant.transaction(one, async (tx) => {
      await tx.defer(put(900_001, 1));
      await tx.defer(put(900_002, 2));
      await tx.defer(put(900_003, 3));
      const rows = await tx.query(
        sql<{
          n: number;
        }>`select n from app.note where tenant_id = ${one.tenantId} and body like ${'late %'} order by n`,
      );
      await tx.defer(put(900_004, 4));
      return rows.map(({ n }) => n);
    });
    expect(seen).toEqual([1, 2, 3]);
    expect(await late()).toHaveLength(4);
  });

  test('alone is committed like any other', async () => {
    const before = await late();
    await doors.tenant.transaction(one, (tx) => tx.defer(put(900_005, 5)));
    expect(await late()).toHaveLength(before.length + 1);
  });

  test('that fails takes everything with it, at the commit or at the next statement, and leaves a clean connection', async () => {
    const alone = openAsWorkspace(database, { poolSize: 1 });
    try {
      const before = await late();
      const twice = (after: boolean) =>
        alone.doors.tenant.transaction(one, async (tx) => {
          await tx.query(put(900_010, 10));
          await tx.defer(put(900_010, 11));
          if (after)
            await tx.query(sql`select n from app.note where tenant_id = ${one.tenantId}`).catch(() => undefined);
        });
      for (const after of [false, true, false]) {
        await expect(twice(after)).rejects.toThrow(code('database_unique'));
        expect(
          await alone.doors.tenant.scoped(
            one,
            sql`select n from app.note where tenant_id = ${one.tenantId} and id = ${note}`,
          ),
        ).toHaveLength(1);
      }
      expect(await late()).toEqual(before);
    } finally {
      await alone.doors.close();
    }
  });

  test('of another tenant is refused and recorded before anything is sent', async () => {
    const before = await late();
    const foreign = doors.tenant.transaction(one, async (tx) => {
      await tx.query(put(900_020, 20));
      await tx.defer(sql`delete from app.note where tenant_id = ${two.tenantId}`);
    });
    await expect(foreign).rejects.toThrow(code('tenant_foreign_parameter'));
    expect(refusals.map((refusal) => refusal.code)).toEqual(['tenant_foreign_parameter']);
    expect(await late()).toEqual(before);
  });
});

describe('T11: a database that goes away', () => {
  test('in the middle of statements gives database_unavailable, and the next statement works again', async () => {
    const broken = openAsWorkspace(database, { poolSize: 2 });
    await broken.doors.ping();
    const kill = `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ax_workspace'`;
    const work = broken.doors.tenant.transaction(one, async (tx) => {
      await tx.query(
        sql`insert into app.note (tenant_id, id, n, body) values (${one.tenantId}, ${numberedUuid(95)}, 0, 'gone')`,
      );
      await admin.query(kill);
      await sleep(50);
      await tx.query(sql`select 1`);
    });
    await expect(work).rejects.toThrow(code('database_unavailable'));
    expect((await admin.query(`select 1 from app.note where body = 'gone'`)).rowCount).toBe(0);
    await broken.doors.ping().catch(() => undefined);
    await broken.doors.ping();
    await broken.doors.close();
  });

  test('that is not there gives database_unavailable', async () => {
    const { openDatabase } = await import('@auditrax/tenancy');
    const nowhere = openDatabase({
      connection: { ...database.connectionFor('ax_workspace'), port: 1 },
      poolSize: 1,
      clock: { nowMs: () => 0 },
      onRefusal: () => Promise.resolve(),
      systemTables: [],
    });
    await expect(nowhere.ping()).rejects.toThrow(code('database_unavailable'));
    await nowhere.close();
  });
});

describe('T12: one pool, many tenants', () => {
  test('gives no wrong row among reads, writes, errors, cancels, refusals and lost connections', async () => {
    const crowd = openAsWorkspace(database, { poolSize: 3 });
    let wrong = 0;
    let refused = 0;
    let answered = 0;
    let seed = 42;
    const random = (below: number): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
    const step = async (): Promise<void> => {
      const context = contextOf(1 + random(20));
      const check = (rows: { tenant_id: string }[]): void => {
        answered += 1;
        wrong += rows.length === 10 && rows.every((row) => row.tenant_id === context.tenantId) ? 0 : 1;
      };
      const all = sql<{
        tenant_id: string;
      }>`select tenant_id, body from app.note where tenant_id = ${context.tenantId}`;
      const choice = random(12);
      try {
        if (choice < 5) check(await doors.tenant.scoped(context, all));
        else if (choice < 7)
          await crowd.doors.tenant.transaction(context, async (tx) => {
            check(await tx.query(all));
            check(await tx.query(all));
          });
        else if (choice === 7) await crowd.doors.tenant.scoped(context, sql`select 1 / ${0}::int4`);
        else if (choice === 8)
          await crowd.doors.tenant.scoped(
            context,
            sql`select * from app.note where tenant_id = ${contextOf(21).tenantId}`,
          );
        else if (choice === 9) await crowd.doors.tenant.scoped(context, sql`select * from app.note`);
        else if (choice === 10)
          await crowd.doors.tenant.transaction(context, async (tx) => {
            await tx.query(all);
            throw new Error('given up');
          });
        else
          await admin.query(
            random(10) === 0
              ? `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ax_workspace' limit 1`
              : `select pg_cancel_backend(pid) from pg_stat_activity where usename = 'ax_workspace' and state = 'active'`,
          );
      } catch (error) {
        if (error instanceof TenancyError && error.code.startsWith('tenant_')) refused += 1;
      }
    };
    for (let batch = 0; batch < 150; batch += 1) await Promise.all(Array.from({ length: 20 }, step));
    expect(wrong).toBe(0);
    expect(answered).toBeGreaterThan(1_000);
    expect(refused).toBe(crowd.refusals.length + refusals.length);
    await crowd.doors.close();
  });

  test('leaves no tenant behind on a connection', async () => {
    await doors.tenant.scoped(one, sql`select 1`);
    await expect(doors.system.system(sql`select * from platform.tenant`)).resolves.toEqual([]);
    const raw = new Client(database.connectionFor('ax_workspace'));
    await raw.connect();
    await raw.query('begin');
    await raw.query('select app.enter($1)', [one.tenantId]);
    await raw.query('commit');
    // Deny by default, and loudly: an empty setting is not a tenant.
    await expect(raw.query('select * from app.note')).rejects.toMatchObject({ code: '22P02' });
    await raw.end();
  });
});

async function xacts(): Promise<number> {
  const result = await admin.query<{ n: number }>(
    `select count(*)::int as n from pg_stat_activity where usename = 'ax_workspace' and query like '%app.note where tenant_id = $1'`,
  );
  return result.rows[0]!.n;
}
