import { checkStatement, sql, type Database, type Refusal } from '@auditrax/tenancy';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { contextOf, createNotes, openAsWorkspace, superuser } from './tenancy-fixture.ts';
import { startTestDatabase, type TestDatabase } from './testing.ts';

// This file is a composition root without the guard: product code has no switch for that.
vi.mock('../../../packages/tenancy/src/guard.ts', async (original) => ({
  ...(await original<object>()),
  checkStatement: () => ({ allowed: true, relations: [], tenantParameters: [] }),
}));

let database: TestDatabase;
let admin: Client;
let doors: Database;
let refusals: Refusal[];
beforeAll(async () => {
  database = await startTestDatabase();
  admin = await superuser(database);
  await createNotes(admin, { tenants: 2, rows: 2 });
  ({ doors, refusals } = openAsWorkspace(database));
});
afterAll(async () => {
  await doors?.close();
  await admin?.end();
  await database?.stop();
});

const [one, two] = [contextOf(1), contextOf(2)];

describe('T17: without the guard', () => {
  test('the mutation is in place', () => {
    expect(checkStatement('select * from app.note').allowed).toBe(true);
  });

  test('the tripwire still refuses and is still seen, at both calls, and its DETAIL goes nowhere', async () => {
    const attempts = [
      sql`select * from app.note where tenant_id = ${two.tenantId}`,
      sql`select * from app.note`,
      sql`update app.note set n = 1 where n = 1`,
      // The statement that a guard once let through: ON does not restrict the preserved side.
      sql`select a.id from app.note a left join app.note b on a.tenant_id = ${one.tenantId} and b.tenant_id = ${one.tenantId}`,
    ];
    for (const attempt of attempts) {
      for (const run of [
        () => doors.tenant.scoped(one, attempt),
        () => doors.tenant.transaction(one, (tx) => tx.query(attempt)),
      ]) {
        refusals.splice(0);
        const error = await run().then(
          () => undefined,
          (caught: unknown) => caught,
        );
        expect(error).toMatchObject({ code: 'tenant_tripwire', sqlState: 'AX001' });
        expect((error as Error).cause).toBeUndefined();
        expect(refusals).toMatchObject([{ layer: 'tripwire', reason: 'AX001', context: one }]);
        expect(JSON.stringify([error, refusals, String(error), (error as Error).stack])).not.toContain(two.tenantId);
      }
    }
  });

  test('T35: the tripwire ends a stream at the batch that meets a foreign row', async () => {
    refusals.splice(0);
    const batches: unknown[][] = [];
    const rows = doors.tenant.stream(
      one,
      sql`select n, body from app.note where n = 1 or tenant_id = ${one.tenantId} order by tenant_id`,
      { batchRows: 1 },
    );
    await expect(
      (async () => {
        for await (const batch of rows) batches.push(batch);
      })(),
    ).rejects.toMatchObject({ code: 'tenant_tripwire' });
    expect(JSON.stringify(batches)).not.toContain('note 2/');
    expect(refusals).toMatchObject([{ layer: 'tripwire', reason: 'AX001', context: one }]);
  });

  test('a second tenant cannot be entered', async () => {
    for (const text of [
      sql`select app.enter(${two.tenantId})`,
      sql`select id from app.note where tenant_id = ${one.tenantId} and app.enter(${two.tenantId}) is not null`,
    ]) {
      await expect(doors.tenant.scoped(one, text)).rejects.toMatchObject({ code: 'tenant_scope_twice' });
    }
    await expect(
      doors.tenant.scoped(one, sql`select set_config('app.tenant', ${two.tenantId}, true)`),
    ).rejects.toMatchObject({ code: 'tenant_grant_refused' });
  });

  test('the tenant door lets own rows through', async () => {
    expect(
      await doors.tenant.scoped(one, sql`select n from app.note where tenant_id = ${one.tenantId} order by n`),
    ).toEqual([{ n: 1 }, { n: 2 }]);
  });
});
