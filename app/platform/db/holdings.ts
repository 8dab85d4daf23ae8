import { Client, type ClientConfig } from 'pg';
import { databaseError } from './errors.ts';

/** What the database holds that a lost key would make worthless: with any of it, no key may be made anew. */
export interface Holdings {
  readonly tenants: number;
  readonly wrappedKeys: number;
  readonly logs: number;
}

/** Counts as the superuser, whom no tenant wall stops. Throws `roles_failed` when the database does not answer. */
export async function countHoldings(connection: ClientConfig): Promise<Holdings> {
  const client = new Client(connection);
  try {
    await client.connect();
    const { rows } = await client.query<Record<keyof Holdings, string>>(
      `select (select count(*) from platform.tenant) as tenants,
              (select count(*) from app.dek) as "wrappedKeys",
              (select count(*) from audit.log) as logs`,
    );
    const { tenants, wrappedKeys, logs } = rows[0]!;
    return { tenants: Number(tenants), wrappedKeys: Number(wrappedKeys), logs: Number(logs) };
  } catch (error) {
    throw databaseError('roles_failed', `the database could not be looked into: ${(error as Error).message}`, error);
  } finally {
    await client.end();
  }
}
