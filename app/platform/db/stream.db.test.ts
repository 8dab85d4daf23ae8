import { sql, type Database, type Refusal } from '@auditrax/tenancy';
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { contextOf, createNotes, openAsWorkspace, superuser } from './tenancy-fixture.ts';
import { startTestDatabase, type TestDatabase } from './testing.ts';

let database: TestDatabase;
let admin: Client;
let doors: Database;
let refusals: Refusal[];
beforeAll(async () => {
  database = await startTestDatabase();
  admin = await superuser(database);
  await createNotes(admin, { tenants: 3, rows: 25 });
  // One connection: what a stream does not give back, the next statement misses.
  ({ doors, refusals } = openAsWorkspace(database, { poolSize: 1 }));
});
beforeEach(() => void refusals.splice(0));
afterAll(async () => {
  await doors?.close();
  await admin?.end();
  await database?.stop();
});

const [one, two] = [contextOf(1), contextOf(2)];
const code = (expected: string): object => expect.objectContaining({ code: expected }) as object;
const numbers = ({ tenantId } = one) =>
  sql<{ n: number }>`select n from app.note where tenant_id = ${tenantId} and n > ${0} order by n`;

async function collect<Row>(rows: AsyncIterable<Row[]>): Promise<Row[][]> {
  const batches: Row[][] = [];
  for await (const batch of rows) batches.push(batch);
  return batches;
}

const count = async (): Promise<number> =>
  (
    await doors.tenant.scoped(
      one,
      sql<{ n: number }>`select count(*)::int as n from app.note where tenant_id = ${one.tenantId}`,
    )
  )[0]!.n;

describe('T35: a stream', () => {
  test('gives every row once, in order, in batches, in one snapshot, and its connection back', async () => {
    const all = Array.from({ length: 25 }, (_, index) => index + 1);
    for (const batchRows of [1, 7, 25, 26]) {
      const batches = await collect(doors.tenant.stream(one, numbers(), { batchRows }));
      expect(batches.flat().map(({ n }) => n)).toEqual(all);
      expect(Math.max(...batches.map((batch) => batch.length))).toBeLessThanOrEqual(batchRows);
    }
    const seen: number[] = [];
    for await (const batch of doors.tenant.stream(one, numbers(), { batchRows: 10 })) {
      await admin.query('delete from app.note where tenant_id = $1 and n > 20', [one.tenantId]);
      seen.push(...batch.map(({ n }) => n));
    }
    expect(seen).toEqual(all);
    expect(await count()).toBe(20);
    // The same statement text for another tenant, on the same connection.
    expect((await collect(doors.tenant.stream(two, numbers(two)))).flat()).toHaveLength(25);
  });

  test('that is left early is over: no transaction, no cursor, no connection', async () => {
    for (let round = 0; round < 3; round += 1) {
      for await (const batch of doors.tenant.stream(one, numbers(), { batchRows: 2 })) if (batch[0]!.n > 2) break;
      await expect(
        (async () => {
          for await (const _batch of doors.tenant.stream(one, numbers(), { batchRows: 2 })) throw new Error('mine');
        })(),
      ).rejects.toThrow('mine');
    }
    expect(await count()).toBe(20);
    const { rows } = await admin.query(
      `select from pg_stat_activity where usename = 'ax_workspace' and xact_start is not null`,
    );
    expect(rows).toHaveLength(0);
  });

  test('fails in the middle with the code of its error, after the batches before it', async () => {
    const seen: unknown[] = [];
    const failing = sql<{
      n: number;
    }>`select 100 / (n - 9) as n from app.note where tenant_id = ${one.tenantId} order by app.note.n`;
    await expect(
      (async () => {
        for await (const batch of doors.tenant.stream(one, failing, { batchRows: 4 })) seen.push(...batch);
      })(),
    ).rejects.toThrow(code('database_input_invalid'));
    expect(seen).toHaveLength(8);
    expect(await count()).toBe(20);
  });

  test('is refused like any statement, recorded before the error, and reads only', async () => {
    await expect(collect(doors.tenant.stream(one, numbers(two)))).rejects.toThrow(code('tenant_foreign_parameter'));
    await expect(collect(doors.tenant.stream(one, sql`select n from app.note`))).rejects.toThrow(
      code('tenant_statement_refused'),
    );
    expect(refusals.map((event) => event.code)).toEqual(['tenant_foreign_parameter', 'tenant_statement_refused']);
    await expect(
      collect(doors.tenant.stream(one, sql`delete from app.note where tenant_id = ${one.tenantId} returning n`)),
    ).rejects.toThrow(code('database_failed'));
    expect(await count()).toBe(20);
    await expect(collect(doors.tenant.stream(one, numbers(), { batchRows: 0 }))).rejects.toThrow(RangeError);
  });
});
