import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { platformPlaintextColumns } from './plaintext-columns.ts';
import { CONTENT_COLUMNS_SQL, lintSealedColumns, SEALED_SCHEMAS } from './sealed-columns.ts';
import type { ContentColumn } from './sealed-columns.ts';
import { discoverPlaintextColumns, discoverSealedFields } from './sealed-fields.ts';
import { startTestDatabase } from './testing.ts';
import type { TestDatabase } from './testing.ts';

const APP = fileURLToPath(new URL('../..', import.meta.url));

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await startTestDatabase();
  client = new Client(database.connectionFor('superuser'));
  await client.connect();
});
afterAll(async () => {
  await client?.end();
  await database?.stop();
});

async function findings(): Promise<string[]> {
  const { rows } = await client.query<ContentColumn>(CONTENT_COLUMNS_SQL, [SEALED_SCHEMAS]);
  expect(rows.length, 'the schema has content columns to look at').toBeGreaterThan(4);
  return lintSealedColumns({
    columns: rows,
    sealed: await discoverSealedFields(APP),
    plaintext: [...platformPlaintextColumns, ...(await discoverPlaintextColumns(APP))],
  });
}

describe('no tenant content is stored in the clear', () => {
  it('every text, JSON and bytes column of the migrated schema is sealed, or listed with a reason', async () => {
    expect(await findings()).toEqual([]);
  });

  it.each(['text', 'jsonb', 'bytea', 'text[]', 'varchar(20)', 'name'])(
    'a new %s column is noticed by name',
    async (type) => {
      await client.query('begin');
      try {
        await client.query(`create table app.lint_sample (tenant_id uuid, sneaky ${type})`);
        expect(await findings()).toContain(
          'app.lint_sample.sneaky: neither sealed nor listed as plaintext with a reason',
        );
      } finally {
        await client.query('rollback');
      }
    },
  );
});
