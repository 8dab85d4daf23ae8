import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { superuser } from './tenancy-fixture.ts';
import { startTestDatabase, type TestDatabase } from './testing.ts';

const PLATFORM = dirname(fileURLToPath(import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'ax-migrate-'));
const directory = join(root, 'room', 'migrations');
let database: TestDatabase;
let admin: Client;
beforeAll(async () => {
  mkdirSync(directory, { recursive: true });
  database = await startTestDatabase({ roots: [PLATFORM] });
  admin = await superuser(database);
});
afterAll(async () => {
  await admin?.end();
  await database?.stop();
  rmSync(root, { recursive: true, force: true });
});

const put = (name: string, text: string): void => writeFileSync(join(directory, `${name}.sql`), text);
const exists = async (name: string): Promise<boolean> =>
  (await admin.query<{ there: boolean }>('select to_regclass($1) is not null as there', [name])).rows[0]!.there;
const run = () => database.migrate([PLATFORM, root]);

describe('D5: migrate', () => {
  test('applies a file once, as the owner, also when two programs start at once', async () => {
    put(
      '20261201000000_one',
      "create table app.one (tenant_id uuid not null, id uuid, primary key (tenant_id, id)); select platform.protect_tenant_table('app.one');",
    );
    const results = await Promise.all([run(), run(), run()]);
    expect(results.flatMap((result) => result.applied)).toEqual(['20261201000000_one']);
    expect((await admin.query(`select tableowner from pg_tables where tablename = 'one'`)).rows).toEqual([
      { tableowner: 'ax_owner' },
    ]);
  });

  test('leaves nothing of a file that fails, says where, and works once it is mended', async () => {
    put('20261201000001_two', 'create table app.two (id int);\nselect 1 +;\n');
    await expect(run()).rejects.toMatchObject({
      code: 'migration_failed',
      message: expect.stringContaining('(line 2)') as string,
    });
    expect(await exists('app.two')).toBe(false);
    put('20261201000001_two', 'create table app.two (id int);');
    expect((await run()).applied).toEqual(['20261201000001_two']);
  });

  test('refuses a file that ends its own transaction', async () => {
    put('20261201000002_three', 'create table app.three (id int); commit; begin;');
    await expect(run()).rejects.toMatchObject({ code: 'migration_invalid' });
    rmSync(join(directory, '20261201000002_three.sql'));
    await admin.query('drop table app.three');
  });

  test('refuses a changed file, a newer database and a file that comes too early, and touches nothing', async () => {
    put('20261201000001_two', 'create table app.two (id bigint);');
    await expect(run()).rejects.toMatchObject({ code: 'migration_changed' });
    put('20261201000001_two', 'create table app.two (id int);');
    put('20261130000000_early', 'create table app.early (id int);');
    await expect(run()).rejects.toMatchObject({ code: 'migration_out_of_order' });
    rmSync(join(directory, '20261130000000_early.sql'));
    expect(await exists('app.early')).toBe(false);
    await expect(database.migrate([PLATFORM])).rejects.toMatchObject({ code: 'migration_database_newer' });
    expect((await run()).applied).toEqual([]);
  });

  test('never runs as a role that could leave the owner', async () => {
    put('20261201000003_escape', 'create role mallory superuser;');
    await expect(run()).rejects.toMatchObject({ code: 'migration_failed' });
    rmSync(join(directory, '20261201000003_escape.sql'));
  });
});
