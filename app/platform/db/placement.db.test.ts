import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatabase, type Database } from '@auditrax/tenancy';
import { startTestDatabase, type TestDatabase } from './testing.ts';

const ONE = '018f0000-0000-7000-8000-000000000001';
const TWO = '018f0000-0000-7000-8000-000000000002';
const DEDICATED = `ax_t_${'0'.repeat(16)}`;

let database: TestDatabase;
let superuser: Client;
let doors: Database;

beforeAll(async () => {
  database = await startTestDatabase();
  superuser = new Client(database.connectionFor('superuser'));
  await superuser.connect();
  await superuser.query(
    `insert into platform.tenant (id, part, kind, slug, display_name)
     values ($1, 1, 'customer', 'one', 'One'), ($2, 2, 'customer', 'two', 'Two')`,
    [ONE, TWO],
  );
  doors = openDatabase({
    connection: database.connectionFor('ax_workspace'),
    poolSize: 2,
    clock: { nowMs: Date.now },
    onRefusal: async () => undefined,
    systemTables: [],
  });
});

afterAll(async () => {
  await doors.close();
  await superuser.end();
  await database.stop();
});

const context = (tenantId: string) => ({ tenantId, tenantPart: 1 }) as never;
const progress = (tenantId: string) => ({
  sql: `insert into app.reseal_progress (tenant_id, relation, column_name, version, walked, done, unreadable, updated_at)
        values ($1, $2, 'c', 1, null, 0, 0, now())`,
  parameters: [tenantId, `r${Math.random()}`],
});
const count = (tenantId: string) => ({
  sql: 'select count(*) as n from app.reseal_progress where tenant_id = $1',
  parameters: [tenantId],
});

describe('a tenant on hold', () => {
  test('D9 can be read and not written, the others can be written all the same', async () => {
    await superuser.query(`insert into platform.hold (tenant_id, reason) values ($1, 'test')`, [ONE]);
    try {
      await expect(doors.tenant.scoped(context(ONE), count(ONE))).resolves.toHaveLength(1);
      await expect(doors.tenant.scoped(context(ONE), progress(ONE))).rejects.toMatchObject({
        code: 'tenant_read_only',
      });
      await expect(doors.tenant.transaction(context(ONE), (tx) => tx.query(progress(ONE)))).rejects.toMatchObject({
        code: 'tenant_read_only',
      });
      await doors.tenant.scoped(context(TWO), progress(TWO));
    } finally {
      await superuser.query('delete from platform.hold');
    }
    // The connection that was read-only a moment ago is not any more.
    for (let round = 0; round < 3; round += 1) await doors.tenant.scoped(context(ONE), progress(ONE));
  });

  test('D9 the read-only state of a transaction cannot be taken back', async () => {
    await superuser.query(`insert into platform.hold (tenant_id, reason) values ($1, 'test')`, [ONE]);
    const client = new Client(database.connectionFor('ax_workspace'));
    await client.connect();
    try {
      await client.query('begin');
      await client.query('select app.enter($1)', [ONE]);
      await expect(client.query('set transaction read write')).rejects.toMatchObject({ code: '25001' });
    } finally {
      await client.end();
      await superuser.query('delete from platform.hold');
    }
  });
});

describe('T32 a connection that has entered a tenant before', () => {
  const enter = (client: Client) => client.query('select app.enter($1)', [TWO]);
  const writable = async (client: Client) => {
    await client.query('begin');
    await enter(client);
    const { rows } = await client.query<{ off: string }>(`select current_setting('transaction_read_only') as off`);
    await client.query('rollback');
    return rows[0]!.off === 'off';
  };

  test('meets the first hold of its tenant also when whoever holds it carries rows as a replica does', async () => {
    const client = new Client(database.connectionFor('ax_workspace'));
    await client.connect();
    try {
      expect(await writable(client)).toBe(true);
      await superuser.query('set session_replication_role = replica');
      await superuser.query(`insert into platform.hold (tenant_id, reason) values ($1, 'test')`, [TWO]);
      expect(await writable(client)).toBe(false);
    } finally {
      await client.end();
      await superuser.query('delete from platform.hold; set session_replication_role = origin');
      // As it was: no mark yet.
      await superuser.query(`drop schema if exists "moved_${TWO}"`);
    }
  });

  test('meets a hold and a departure with the first transaction after their commit, and neither if they were taken back', async () => {
    const client = new Client(database.connectionFor('ax_workspace'));
    await client.connect();
    try {
      expect(await writable(client)).toBe(true);
      await superuser.query('begin');
      await superuser.query(`insert into platform.hold (tenant_id, reason) values ($1, 'test')`, [TWO]);
      await superuser.query('insert into platform.departure (tenant_id, version) values ($1, 1)', [TWO]);
      expect(await writable(client)).toBe(true);
      await superuser.query('rollback');
      expect(await writable(client)).toBe(true);
      await superuser.query(`insert into platform.hold (tenant_id, reason) values ($1, 'test')`, [TWO]);
      expect(await writable(client)).toBe(false);
      await superuser.query('delete from platform.hold');
      expect(await writable(client)).toBe(true);
      await superuser.query('insert into platform.departure (tenant_id, version) values ($1, 1)', [TWO]);
      await expect(enter(client)).rejects.toMatchObject({ code: 'AX005' });
      await client.query('select app.enter($1, 1)', [TWO]);
      await superuser.query('update platform.departure set version = 2');
      await expect(client.query('select app.enter($1, 1)', [TWO])).rejects.toMatchObject({ code: 'AX005' });
    } finally {
      await client.end();
      await superuser.query('delete from platform.hold; delete from platform.departure');
    }
  });

  test('D9 the mark stays and decides nothing: with the tables empty the tenant is as free as any', async () => {
    const { rows } = await superuser.query<{ marked: boolean }>(
      'select to_regnamespace(platform.mark_of($1)) is not null as marked',
      [TWO],
    );
    expect(rows).toEqual([{ marked: true }]);
    await doors.tenant.scoped(context(TWO), progress(TWO));
  });
});

describe('a role made for one tenant', () => {
  test('D10 enters that tenant and no other', async () => {
    await superuser.query(`create role ${DEDICATED} login noinherit`);
    await superuser.query(
      `insert into platform.place (name, tenant_id, kind, region) values ($1, $2, 'schema', 'north')`,
      [DEDICATED.slice(5), ONE],
    );
    await superuser.query(`grant usage on schema app to ${DEDICATED}`);
    await superuser.query(`grant execute on function app.enter(uuid, integer) to ${DEDICATED}`);
    await superuser.query(`set session authorization ${DEDICATED}`);
    try {
      await superuser.query('select app.enter($1)', [ONE]);
      await expect(superuser.query('select app.enter($1)', [TWO])).rejects.toMatchObject({ code: 'AX004' });
    } finally {
      await superuser.query('reset session authorization');
    }
  });
});
