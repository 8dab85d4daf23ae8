import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { platformPlaintextColumns } from './plaintext-columns.ts';
import {
  CONTENT_COLUMNS_SQL,
  lintSealedColumns,
  lintSealedRegistry,
  REGISTERED_COLUMNS_SQL,
  SEALED_SCHEMAS,
} from './sealed-columns.ts';
import type { ContentColumn } from './sealed-columns.ts';
import { discoverPlaintextColumns, discoverSealedColumns, discoverSealedFields } from './sealed-fields.ts';
import type { SealedColumn } from './sealed-fields.ts';
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
    sealed: Object.fromEntries((await discoverSealedColumns(APP)).map((one) => [one.column, one])),
    plaintext: [...platformPlaintextColumns, ...(await discoverPlaintextColumns(APP))],
  });
}

async function registryFindings(): Promise<string[]> {
  const { rows } = await client.query<SealedColumn>(REGISTERED_COLUMNS_SQL);
  expect(rows.length, 'the database knows sealed columns').toBeGreaterThan(10);
  const [fields, columns] = [await discoverSealedFields(APP), await discoverSealedColumns(APP)];
  return lintSealedRegistry({ fields, columns, registered: rows });
}

describe('rotation reaches every sealed column', () => {
  it('rooms and database have the same registry', async () => {
    expect(await registryFindings()).toEqual([]);
  });

  it.each([
    [`delete from platform.sealed_column where column_name = 'note'`, 'app.result.note: no migration registers it'],
    [`update platform.sealed_column set row_column = 'id'`, 'app.evidence.object_key: registered as'],
    [
      `insert into platform.sealed_column select 'app.ghost', 'body', 9, 'fields', 'id', 'id', 'workspace', false`,
      'app.ghost.body: registered in the database, but in no sealedColumns',
    ],
  ])('%s is noticed', async (sabotage, finding) => {
    await client.query('begin');
    try {
      await client.query(sabotage);
      expect((await registryFindings()).join('\n')).toContain(finding);
    } finally {
      await client.query('rollback');
    }
  });

  it.each(['\\x', '\\x706c61696e', `\\x${'61'.repeat(64)}`])(
    'bytes that are not sealed (%s) get into no column',
    async (bytes) => {
      const { rows } = await client.query<SealedColumn>(REGISTERED_COLUMNS_SQL);
      for (const { column } of rows) {
        const [schema, table, name] = column.split('.');
        const { rows: checks } = await client.query<{ text: string }>(
          `select pg_get_expr(conbin, conrelid) as text from pg_constraint
         where conrelid = $1::regclass and conname = $2 and convalidated`,
          [`${schema}.${table}`, `${name}_sealed`],
        );
        const { rows: answers } = await client.query<{ passes: boolean }>(
          `select ${checks[0]!.text} as passes from (select $1::bytea as ${name}) as given`,
          [bytes],
        );
        expect(answers[0]!.passes, column).toBe(false);
      }
    },
  );
});

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
