import { escapeIdentifier, Client, type ClientConfig } from 'pg';
import { systemRandom } from '@auditrax/base';
import { IDLE_TRANSACTION_TIMEOUT_MS, LOCK_TIMEOUT_MS, STATEMENT_TIMEOUT_MS } from '@auditrax/tenancy';
import { scramVerifier } from './cluster.ts';
import { databaseError } from './errors.ts';

/** Owns every schema and table; nobody logs in as it. */
export const OWNER_ROLE = 'ax_owner';
/** Logs in for migrations only and steps into the owner's shoes by SET ROLE. */
export const MIGRATE_ROLE = 'ax_migrate';
/** What the workspace logs in as for tenants in the shared tables. */
export const WORKSPACE_ROLE = 'ax_workspace';
/** One login role per process that has a database; the other processes have none. */
export const SERVICE_ROLES = ['ax_issuer', 'ax_workspace', 'ax_ledger', 'ax_sentinel'] as const;
export type ServiceRole = (typeof SERVICE_ROLES)[number];
export type LoginRole = ServiceRole | typeof MIGRATE_ROLE;
export const LOGIN_ROLES: readonly LoginRole[] = [MIGRATE_ROLE, ...SERVICE_ROLES];

/** Connections a service may hold; together below the server's `max_connections`. */
const ROLE_CONNECTIONS_MAX: Record<LoginRole, number> = {
  ax_migrate: 4,
  ax_issuer: 24,
  ax_workspace: 48,
  ax_ledger: 16,
  ax_sentinel: 16,
};

/** The driver asks for the same at start-up; behind a pooler, where it cannot, these hold. */
const ROLE_LIMITS_MS = {
  statement_timeout: STATEMENT_TIMEOUT_MS,
  lock_timeout: LOCK_TIMEOUT_MS,
  idle_in_transaction_session_timeout: IDLE_TRANSACTION_TIMEOUT_MS,
} as const;

export interface RolesInput {
  /** A superuser's connection to the maintenance database `postgres`. */
  readonly connection: ClientConfig;
  readonly database: string;
  /** A password for each login role (stored as SCRAM verifiers), or `peer`: then no role has a password at all. */
  readonly logins: 'peer' | Readonly<Record<LoginRole, string>>;
  /** Who may connect to it. Default: every login role. */
  readonly connect?: readonly string[];
}

/** Connections the workspace may hold for one tenant with a role of its own. */
const DEDICATED_CONNECTIONS_MAX = 12;
const COMMON_ATTRIBUTES = 'nosuperuser nocreatedb nocreaterole noinherit noreplication nobypassrls';

/**
 * Creates the roles and the database, or brings them back to what they must be; safe to run at every start. Every login
 * role is NOSUPERUSER, NOBYPASSRLS, NOINHERIT and a member of nothing, but `ax_migrate`, which may SET ROLE to the
 * owner. Throws `roles_failed`.
 */
export async function setUpRoles(input: RolesInput): Promise<void> {
  const maintenance = new Client(input.connection);
  try {
    await maintenance.connect();
    await createRoles(maintenance, input.logins);
    await createDatabase(maintenance, input);
  } catch (error) {
    throw databaseError('roles_failed', `the database roles could not be set up: ${(error as Error).message}`, error);
  } finally {
    await maintenance.end();
  }
  const inside = new Client({ ...input.connection, database: input.database });
  try {
    await inside.connect();
    await lockDown(inside);
  } catch (error) {
    throw databaseError('roles_failed', `the database could not be locked down: ${(error as Error).message}`, error);
  } finally {
    await inside.end();
  }
}

/** The owner, the migrate role and the login roles of a server. */
export async function createRoles(client: Client, logins: RolesInput['logins']): Promise<void> {
  const present = await client.query<{ rolname: string }>('select rolname from pg_catalog.pg_roles');
  const names = new Set(present.rows.map((row) => row.rolname));
  for (const role of [OWNER_ROLE, ...LOGIN_ROLES]) {
    const verb = names.has(role) ? 'alter role' : 'create role';
    await client.query(`${verb} ${escapeIdentifier(role)} ${COMMON_ATTRIBUTES}`);
  }
  await client.query(`alter role ${OWNER_ROLE} nologin password null`);
  for (const role of LOGIN_ROLES) {
    const password = logins === 'peer' ? 'null' : `'${scramVerifier(logins[role], systemRandom)}'`;
    await client.query(`alter role ${role} login password ${password} connection limit ${ROLE_CONNECTIONS_MAX[role]}`);
    // Unqualified names then mean the system's own, never something a later schema slipped in.
    await client.query(`alter role ${role} set search_path = pg_catalog`);
  }
  for (const role of SERVICE_ROLES) {
    for (const [name, limit_ms] of Object.entries(ROLE_LIMITS_MS))
      await client.query(`alter role ${role} set ${name} = ${limit_ms}`);
  }
  await client.query(`grant ${OWNER_ROLE} to ${MIGRATE_ROLE} with inherit false, set true, admin false`);
}

/** Makes or mends the role of one tenant: it may log in, is a member of nothing and owns nothing. Peer: no password. */
export async function createDedicatedRole(client: Client, role: string, secret: string | undefined): Promise<void> {
  const name = escapeIdentifier(role);
  const found = await client.query('select 1 from pg_catalog.pg_roles where rolname = $1', [role]);
  const password = secret === undefined ? 'null' : `'${scramVerifier(secret, systemRandom)}'`;
  await client.query(
    `${found.rowCount === 0 ? 'create' : 'alter'} role ${name} ${COMMON_ATTRIBUTES} login password ${password}
     connection limit ${DEDICATED_CONNECTIONS_MAX}`,
  );
  await client.query(`alter role ${name} set search_path = pg_catalog`);
}

async function createDatabase(client: Client, { database, connect = LOGIN_ROLES }: RolesInput): Promise<void> {
  const name = escapeIdentifier(database);
  const found = await client.query('select 1 from pg_catalog.pg_database where datname = $1', [database]);
  if (found.rowCount === 0) await client.query(`create database ${name} owner ${OWNER_ROLE}`);
  for (const other of ['postgres', 'template1']) {
    await client.query(`revoke all on database ${escapeIdentifier(other)} from public`);
  }
  await allowConnect(client, database, connect);
}

/** Exactly these roles may connect, nobody may create temporary tables. */
export async function allowConnect(client: Client, database: string, roles: readonly string[]): Promise<void> {
  const name = escapeIdentifier(database);
  await client.query(`revoke all on database ${name} from public`);
  await client.query(`grant connect on database ${name} to ${roles.map((role) => escapeIdentifier(role)).join(', ')}`);
}

/** What only the superuser can take away. */
async function lockDown(client: Client): Promise<void> {
  const setConfig = 'pg_catalog.set_config(text, text, boolean)';
  await client.query(`revoke all on function ${setConfig} from public`);
  await client.query(`grant execute on function ${setConfig} to ${OWNER_ROLE}`);
  await client.query('revoke all on schema public from public');
  // Large objects have no tenant and no row-level security.
  const largeObjects = await client.query<{ signature: string }>(
    `select p.oid::regprocedure::text as signature from pg_catalog.pg_proc p
     where p.pronamespace = 'pg_catalog'::regnamespace and (p.proname like 'lo\\_%' or p.proname in ('loread', 'lowrite'))`,
  );
  for (const { signature } of largeObjects.rows) {
    await client.query(`revoke execute on function pg_catalog.${signature} from public`);
  }
}
