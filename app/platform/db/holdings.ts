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

/** Counts as the superuser, whom no tenant wall stops. Throws `roles_failed` when the database does not answer. */
export async function countHoldings(connection: ClientConfig): Promise<Holdings> {
  const client = new Client(connection);
  try {
    await client.connect();
    const { rows } = await client.query<Record<'tenants' | 'wrappedKeys' | 'logs', string> & { kekRefs: string[] }>(
      `select (select count(*) from platform.tenant) as tenants,
              (select count(*) from app.dek) as "wrappedKeys",
              -- Not of tenants that are being deleted: their keys are meant to be gone. The column may be younger than
              -- this database, which is looked into before it is migrated.
              array(select distinct d.kek_ref from app.dek d join platform.tenant t on t.id = d.tenant_id
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
