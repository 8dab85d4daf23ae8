import { uuidFromBytes, type Uuid } from '@auditrax/base';
import type { Refusal, TenantContext } from '@auditrax/tenancy';
import { openDatabase, wallStatements, type Database, type DatabaseOptions } from '@auditrax/tenancy';
import { Client } from 'pg';
import type { TestDatabase } from './testing.ts';

/** A UUID that a test can read: the number in its last bytes. */
export function numberedUuid(number: number): Uuid {
  const bytes = Buffer.alloc(16);
  bytes[6] = 0x70;
  bytes[8] = 0x80;
  bytes.writeUInt32BE(number, 12);
  return uuidFromBytes(bytes);
}

export function contextOf(tenant: number): TenantContext {
  return { tenantId: numberedUuid(tenant), tenantPart: tenant, requestId: `request-${tenant}` };
}

/** A superuser's client, which row-level security does not bind: the oracle of the tests, and the saboteur. */
export async function superuser(database: TestDatabase): Promise<Client> {
  const client = new Client(database.connectionFor('superuser'));
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/**
 * Two tables with rows of `tenants` tenants: `app.note` behind the `direct` form of the wall, `app.note_initplan` behind
 * the one that migrations make. Row ids are `tenant * 1000 + n`.
 */
export async function createNotes(admin: Client, size: { tenants: number; rows: number }): Promise<void> {
  for (const table of ['app.note', 'app.note_initplan']) {
    await admin.query(`create table ${table} (tenant_id uuid not null, id uuid not null, n integer not null, body text not null,
      primary key (tenant_id, id), unique (tenant_id, body))`);
    await admin.query(`create index on ${table} (tenant_id, n)`);
    await admin.query(`alter table ${table} owner to ax_owner`);
    await admin.query(`insert into ${table} select ('00000000-0000-7000-8000-' || lpad(to_hex(t), 12, '0'))::uuid,
      ('00000000-0000-7000-8000-' || lpad(to_hex(t * 1000 + i), 12, '0'))::uuid, i, 'note ' || t || '/' || i
      from generate_series(1, ${size.tenants}) t, generate_series(1, ${size.rows}) i`);
    await admin.query(`grant select, insert, delete, update (n, body) on ${table} to ax_workspace`);
  }
  for (const statement of wallStatements('app.note', 'direct')) await admin.query(statement);
  await admin.query(`select platform.protect_tenant_table('app.note_initplan')`);
  await admin.query('analyze');
}

/** Both doors as the workspace role, and everything that was refused. */
export function openAsWorkspace(
  database: TestDatabase,
  options: {
    poolSize?: number;
    record?: (event: Refusal) => Promise<void>;
    connection?: DatabaseOptions['connection'];
  } = {},
): { doors: Database; refusals: Refusal[] } {
  const refusals: Refusal[] = [];
  const doors = openDatabase({
    connection: options.connection ?? database.connectionFor('ax_workspace'),
    poolSize: options.poolSize ?? 4,
    clock: { nowMs: () => 1_000 },
    onRefusal: async (event) => {
      await options.record?.(event);
      refusals.push(event);
    },
    systemTables: ['platform.tenant'],
  });
  return { doors, refusals };
}
