// The guard's corpus, sent past the guard: what it refuses, the wall in the database must not let through either.
import { readFileSync } from 'node:fs';
import { checkStatement, wallStatements, type WallForm } from '@auditrax/tenancy';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { numberedUuid, superuser } from './tenancy-fixture.ts';
import { startTestDatabase, type TestDatabase } from './testing.ts';

interface Vector {
  readonly name: string;
  readonly sql: string;
}
const vectors = (name: string): Vector[] =>
  JSON.parse(
    readFileSync(new URL(`../../../packages/tenancy/vectors/${name}.json`, import.meta.url), 'utf8'),
  ) as Vector[];

/** Every table that the corpus names. */
const TABLES = ['a', 'b', 'engagement', 'criterion', 'result', 'upload', 'node'];
const [OWN, OTHER] = [numberedUuid(1), numberedUuid(2)];
/** In every text of the other tenant's rows; must come out of no statement. */
const SECRET = 'of-the-other';

let database: TestDatabase;
let admin: Client;
let app: Client;
/** What went out by COPY since the last statement. */
let copied = '';

/** A statement that waits would wait for the server's own limits. */
const LIMITS = 'set statement_timeout = 200; set lock_timeout = 100';
/** What a statement may leave behind on its session; the doors let none of these through. */
const CLEAN = `rollback; reset session authorization; reset all; deallocate all; close all; unlisten *; ${LIMITS}`;

async function connectApp(): Promise<Client> {
  const client = new Client(database.connectionFor('ax_workspace'));
  client.on('error', () => undefined);
  await client.connect();
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
  connection.on('copyData', (message: { chunk: Buffer }) => (copied += message.chunk.toString('latin1')));
  await client.query(LIMITS);
  return client;
}

async function createTables(form: WallForm): Promise<void> {
  for (const table of TABLES.map((name) => `app.${name}`)) {
    await admin.query(`drop table if exists ${table} cascade`);
    await admin.query(`create table ${table} (tenant_id uuid not null, id uuid not null, n integer, title text,
      state text, created_at timestamptz default now(), revision integer default 1, data jsonb, body text,
      parent_id uuid, engagement_id uuid, position integer, primary key (tenant_id, id))`);
    await admin.query(`alter table ${table} owner to ax_owner`);
    await admin.query(`grant select, insert, delete, update on ${table} to ax_workspace`);
    for (const statement of wallStatements(table, form)) await admin.query(statement);
  }
}

/** Three rows of each tenant in each table; the same ids nowhere twice. */
async function fill(): Promise<void> {
  const texts = TABLES.map(
    (name, index) => `truncate app.${name};
      insert into app.${name} (tenant_id, id, n, title, state, data, body, engagement_id, position)
      select ('00000000-0000-7000-8000-' || lpad(to_hex(t), 12, '0'))::uuid,
        ('00000000-0000-7000-8000-' || lpad(to_hex(t * 1000 + ${index} * 10 + i), 12, '0'))::uuid, i, word || i, word,
        jsonb_build_object('a', word), word,
        ('00000000-0000-7000-8000-' || lpad(to_hex(t * 1000 + 10 + i), 12, '0'))::uuid, i
      from (values (1, 'own'), (2, '${SECRET}')) owner(t, word), generate_series(1, 3) i;`,
  );
  await admin.query(texts.join('\n'));
}

/** Digests of the other tenant's rows (with any whose tenant is not ours), and of our own. */
async function digests(): Promise<{ foreign: string; own: string }> {
  const parts = TABLES.map(
    (name) => `select '${name}' as k, tenant_id = '${OWN}' as own, x::text as v from app.${name} x`,
  );
  const { rows } = await admin.query<{ foreign: string; own: string }>(
    `select md5(string_agg(k || v, ',' order by k, v) filter (where not own)) as foreign,
       md5(string_agg(k || v, ',' order by k, v) filter (where own)) as own from (${parts.join(' union all ')}) all_rows`,
  );
  return rows[0]!;
}

const VALUES: Readonly<Record<string, unknown>> = {
  text: 'own%',
  integer: 1,
  bigint: 1,
  boolean: true,
  bytea: Buffer.from('x'),
  jsonb: '[{"a":1,"b":"x"}]',
  json: '[{"a":1}]',
  'timestamp with time zone': '2020-01-01T00:00:00Z',
  'double precision': 1,
  'text[]': ['x'],
  'integer[]': [1],
};

/** Values that the server's own types of the parameters ask for; every uuid is `uuid`. Undefined when it parses not. */
async function valuesFor(text: string, uuid: string): Promise<unknown[] | undefined> {
  if (!known.has(text)) known.set(text, await parameterTypes(text));
  return known.get(text)?.map((type) => (type === 'uuid' ? uuid : type === 'uuid[]' ? [uuid] : (VALUES[type] ?? 'x')));
}

const known = new Map<string, readonly string[] | undefined>();

async function parameterTypes(text: string): Promise<readonly string[] | undefined> {
  if (!/\$\d/.test(text)) return [];
  try {
    await app.query(`prepare corpus as ${text}`);
    const { rows } = await app.query<{ types: string[] }>(
      `select parameter_types::text[] as types from pg_catalog.pg_prepared_statements where name = 'corpus'`,
    );
    return rows[0]!.types;
  } catch {
    return undefined;
  } finally {
    await app.query('deallocate all');
  }
}

/** Two rows of one statement may be given one id here. */
const UNIQUE = '23505';

interface Outcome {
  /** SQLSTATE, or nothing when the statement went through. */
  readonly code: string | undefined;
  /** Everything that came back, as text. */
  readonly answer: string;
}

/** Runs it as tenant OWN, with every parameter of type uuid set to `uuid`, and commits. */
async function run(text: string, uuid: string): Promise<Outcome> {
  copied = '';
  const values = await valuesFor(text, uuid);
  if (values === undefined) return { code: 'syntax', answer: '' };
  try {
    await app.query('begin');
    await app.query('select app.enter($1)', [OWN]);
    const result = await app.query(text, values);
    return { code: undefined, answer: JSON.stringify(result) + copied };
  } catch (error) {
    return { code: String((error as { code?: string }).code), answer: copied };
  } finally {
    await app.query('commit').catch(() => undefined);
    await app.query(CLEAN);
  }
}

beforeAll(async () => {
  database = await startTestDatabase();
  admin = await superuser(database);
  app = await connectApp();
});
afterAll(async () => {
  await app?.end();
  await admin?.end();
  await database?.stop();
});

describe.each(['direct', 'initplan'] as const)('the corpus past the guard, wall in its %s form', (form) => {
  // What stops a statement is the same in both forms, but for how the setting is read.
  const stride = form === 'direct' || process.env['AUDITRAX_FUZZ'] === 'whole' ? 1 : 4;
  let before: { foreign: string; own: string };
  beforeAll(async () => {
    await createTables(form);
    await fill();
    before = await digests();
  });

  /** Runs it; says what it did to the other tenant's rows, and brings our own back. */
  async function attempt(text: string, uuid: string): Promise<Outcome & { readonly harm: string | undefined }> {
    const outcome = await run(text, uuid);
    // A statement that failed has changed nothing.
    const after = outcome.code === undefined ? await digests() : before;
    const harm = after.foreign === before.foreign ? undefined : 'changed rows of the other tenant';
    if (after.own !== before.own || harm !== undefined) {
      await fill();
      before = await digests();
    }
    return { ...outcome, harm: outcome.answer.includes(SECRET) ? `gave ${outcome.answer.slice(0, 200)}` : harm };
  }

  test('T19: no refused statement gives out or changes a row of another tenant', async () => {
    const codes = new Map<string, number>();
    const faults: string[] = [];
    for (const { name, sql } of vectors('bad').filter((_vector, index) => index % stride === 0)) {
      expect(checkStatement(sql).allowed, name).toBe(false);
      for (const uuid of [OWN, OTHER]) {
        const { code = 'nothing foreign met', harm } = await attempt(sql, uuid);
        if (harm !== undefined) faults.push(`${name} (${code}): ${sql}: ${harm}`);
        codes.set(code, 1 + (codes.get(code) ?? 0));
      }
    }
    expect(faults).toEqual([]);
    // Most of them do meet a foreign row, and are stopped by nothing but the tripwire.
    expect(codes.get('AX001') ?? 0).toBeGreaterThan(150 / stride);
    expect(codes.get('42501') ?? 0).toBeGreaterThan(50 / stride);
  }, 120_000);

  test('T19: every good statement runs on own rows without a false alarm, and raises with another tenant', async () => {
    const faults: string[] = [];
    for (const { name, sql } of vectors('good')) {
      const own = await attempt(sql, OWN);
      if (own.code !== undefined && own.code !== UNIQUE) faults.push(`${name}: ${own.code}`);
      const foreign = await attempt(sql, OTHER);
      for (const harm of [own.harm, foreign.harm]) if (harm !== undefined) faults.push(`${name}: ${harm}`);
    }
    expect(faults).toEqual([]);
  }, 60_000);
});
