import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, type Dirent } from 'node:fs';
import { basename, join } from 'node:path';
import { Client, type ClientConfig } from 'pg';
import { PINNED_OBJECTS } from '@auditrax/tenancy/posture';
import { databaseError } from './errors.ts';
import { OWNER_ROLE } from './roles.ts';

/** Any fixed number: two migrating programs must choose the same one. Held while places are made as well. */
export const MIGRATION_LOCK = 7_318_264_501;
/** Another program may be migrating; when it takes longer than this, somebody should look. */
export const LOCK_TIMEOUT_MS = 120_000;
/** A migration that needs longer must be cut into pieces. */
export const STATEMENT_TIMEOUT_MS = 300_000;
const NAME_PATTERN = /^\d{14}_[a-z0-9_]+\.sql$/;

export interface Migration {
  /** File name without `.sql`; the order is its order. */
  readonly name: string;
  readonly path: string;
  readonly sql: string;
  /** Hex SHA-256 of the file's bytes. */
  readonly sha256: string;
}

export interface MigrateOptions {
  /** The migrate role's connection. */
  readonly connection: ClientConfig;
  /** Folders that are searched for folders named `migrations`. */
  readonly roots: readonly string[];
  readonly log: (message: string) => void;
}

/** All migrations below the roots in the order of their timestamps. Throws `migration_invalid`. */
export function readMigrations(roots: readonly string[]): Migration[] {
  const found = roots.flatMap((root) => migrationFiles(root)).map((path) => readMigration(path));
  found.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const [index, migration] of found.entries()) {
    const previous = found[index - 1];
    if (previous !== undefined && previous.name.slice(0, 14) === migration.name.slice(0, 14)) {
      throw databaseError('migration_invalid', `${previous.name} and ${migration.name} have the same timestamp`);
    }
  }
  return found;
}

function migrationFiles(directory: string): string[] {
  const inside = basename(directory) === 'migrations';
  const entries: Dirent[] = readdirSync(directory, { withFileTypes: true });
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : migrationFiles(path);
    return inside && entry.name.endsWith('.sql') ? [path] : [];
  });
}

function readMigration(path: string): Migration {
  const file = basename(path);
  if (!NAME_PATTERN.test(file)) {
    throw databaseError('migration_invalid', `${path}: the name must be <14 digit timestamp>_<lower_case_name>.sql`);
  }
  const bytes = readFileSync(path);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { name: file.slice(0, -'.sql'.length), path, sql: bytes.toString('utf8'), sha256 };
}

/**
 * Brings the database to the program's schema: forward only, once, under a lock that a second program waits for, each
 * file in one transaction as the owner. Returns the names that were applied now.
 *
 * Refuses, without touching anything: `migration_changed` (a file that was applied has other bytes),
 * `migration_database_newer` (the database knows a migration that this program does not), `migration_out_of_order` (a
 * new file would have to run before an applied one), `migration_invalid` (name, or a file that ends its transaction).
 * `migration_failed`: a file raised an error; it left nothing behind.
 */
export async function migrate(options: MigrateOptions): Promise<{ applied: string[] }> {
  const migrations = readMigrations(options.roots);
  const client = new Client({ ...options.connection, statement_timeout: STATEMENT_TIMEOUT_MS });
  await client.connect();
  client.on('error', () => undefined); // a lost connection also fails the query that is running
  try {
    await client.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`);
    await client.query('select pg_catalog.pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await createBookkeeping(client);
    const pending = planMigrations(migrations, await readApplied(client));
    for (const migration of pending) {
      await applyOne(client, migration);
      options.log(`migrated: ${migration.name}`);
    }
    if (pending.length > 0) await pinObjects(client);
    return { applied: pending.map((migration) => migration.name) };
  } finally {
    await client.end();
  }
}

interface Applied {
  readonly name: string;
  readonly sha256: string;
}

/** Decides what is left to do; pure, so that every refusal can be tested without a database. */
export function planMigrations(known: readonly Migration[], applied: readonly Applied[]): Migration[] {
  const byName = new Map(known.map((migration) => [migration.name, migration]));
  for (const done of applied) {
    const migration = byName.get(done.name);
    if (migration === undefined) {
      throw databaseError(
        'migration_database_newer',
        `the database has the migration ${done.name}, which this program does not know: start the newer program`,
      );
    }
    if (migration.sha256 !== done.sha256) {
      throw databaseError(
        'migration_changed',
        `${done.name} was changed after it had been applied: add a new file instead`,
      );
    }
  }
  const doneNames = new Set(applied.map((done) => done.name));
  const last = [...doneNames].sort().at(-1) ?? '';
  const pending = known.filter((migration) => !doneNames.has(migration.name));
  const early = pending.find((migration) => migration.name < last);
  if (early !== undefined) {
    throw databaseError(
      'migration_out_of_order',
      `${early.name} is older than ${last}, which is already applied: give it a later timestamp`,
    );
  }
  return pending;
}

async function createBookkeeping(client: Client): Promise<void> {
  await inOwnerTransaction(client, async () => {
    const found = await client.query<{ present: boolean }>(
      `select to_regclass('platform.migration') is not null as present`,
    );
    if (found.rows[0]!.present) return;
    await client.query('create schema platform');
    await client.query(
      'create table platform.migration (name text primary key, sha256 text not null, applied_at timestamptz not null default now())',
    );
    // What functions and triggers were when the migrations had made them; the posture check compares.
    await client.query('create table platform.pinned_object (identity text primary key, sha256 text not null)');
  });
}

async function readApplied(client: Client): Promise<Applied[]> {
  return inOwnerTransaction(client, async () => {
    const result = await client.query<Applied>('select name, sha256 from platform.migration order by name');
    return result.rows;
  });
}

async function applyOne(client: Client, migration: Migration): Promise<void> {
  try {
    await inOwnerTransaction(client, async () => {
      const before = await transactionId(client);
      await client.query(migration.sql);
      if ((await transactionId(client)) !== before) {
        throw databaseError('migration_invalid', `${migration.name} ends its own transaction; a migration must not`);
      }
      await client.query('insert into platform.migration (name, sha256) values ($1, $2)', [
        migration.name,
        migration.sha256,
      ]);
    });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'migration_invalid') throw error;
    throw databaseError(
      'migration_failed',
      `${migration.name}: ${(error as Error).message}${position(error, migration)}`,
      error,
    );
  }
}

function position(error: unknown, migration: Migration): string {
  const offset = Number((error as { position?: string }).position);
  if (!Number.isInteger(offset) || offset < 1) return '';
  return ` (line ${migration.sql.slice(0, offset - 1).split('\n').length})`;
}

async function transactionId(client: Client): Promise<string> {
  const result = await client.query<{ id: string }>('select pg_catalog.pg_current_xact_id()::text as id');
  return result.rows[0]!.id;
}

async function pinObjects(client: Client): Promise<void> {
  await inOwnerTransaction(client, async () => {
    await client.query('delete from platform.pinned_object');
    await client.query(`insert into platform.pinned_object (identity, sha256) ${PINNED_OBJECTS}`);
  });
}

/** Runs `work` in one transaction as the owner of everything. The client is the migrate role's. */
export async function inOwnerTransaction<T>(client: Client, work: () => Promise<T>): Promise<T> {
  await client.query(`begin; set local role ${OWNER_ROLE}`);
  try {
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => undefined); // the connection may be gone; the server rolls back then
    throw error;
  }
}
