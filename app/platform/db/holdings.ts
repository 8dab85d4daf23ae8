import { Client, type ClientConfig } from 'pg';
import { databaseError } from './errors.ts';

/** One per tenant; a ring that lacks all of these is not the one of this database. */
const KEK_REFS_MAX = 100;

/** What the database holds that a lost key would make worthless: with any of it, no key may be made anew. */
export interface Holdings {
  readonly tenants: number;
  readonly wrappedKeys: number;
  /** The key-encryption keys that wrapped them, as `provider:id`; the first few are enough to tell a wrong ring. */
  readonly kekRefs: readonly string[];
  readonly logs: number;
}

/** Every table of data keys: that of the shared tables and those of tenants with a schema of their own. */
async function keyTables(client: Client): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relname = 'dek' and c.relkind = 'r' and n.nspname ~ '^(app|t_[0-9a-f]{16})$'`,
  );
  return rows.map(({ name }) => `select tenant_id, kek_ref from ${name}`).join(' union all ');
}

/** What several databases hold together. Every tenant is known at home, the first of them. */
export function sumHoldings(all: readonly Holdings[]): Holdings {
  const total = (count: (one: Holdings) => number): number => all.reduce((sum, one) => sum + count(one), 0);
  return {
    tenants: all[0]?.tenants ?? 0,
    wrappedKeys: total(({ wrappedKeys }) => wrappedKeys),
    kekRefs: [...new Set(all.flatMap(({ kekRefs }) => kekRefs))].slice(0, KEK_REFS_MAX),
    logs: total(({ logs }) => logs),
  };
}

/** Counts as the superuser, whom no tenant wall stops. Throws `roles_failed` when the database does not answer. */
export async function countHoldings(connection: ClientConfig): Promise<Holdings> {
  const client = new Client(connection);
  try {
    await client.connect();
    const { rows } = await client.query<Record<'tenants' | 'wrappedKeys' | 'logs', string> & { kekRefs: string[] }>(
      `with dek as (${await keyTables(client)})
       select (select count(*) from platform.tenant) as tenants,
              (select count(*) from dek) as "wrappedKeys",
              -- Not of tenants that are being deleted: their keys are meant to be gone. The column may be younger than
              -- this database, which is looked into before it is migrated.
              array(select distinct d.kek_ref from dek d join platform.tenant t on t.id = d.tenant_id
                    where to_jsonb(t) ->> 'closed_at' is null order by 1 limit $1) as "kekRefs",
              (select count(*) from audit.log) as logs`,
      [KEK_REFS_MAX],
    );
    const { tenants, wrappedKeys, kekRefs, logs } = rows[0]!;
    return { tenants: Number(tenants), wrappedKeys: Number(wrappedKeys), kekRefs, logs: Number(logs) };
  } catch (error) {
    throw databaseError('roles_failed', `the database could not be looked into: ${(error as Error).message}`, error);
  } finally {
    await client.end();
  }
}
