import type { Client } from 'pg';
import { CopyRefused, copyStatements, rightsStatements } from '@auditrax/tenancy/copy';
import { PINNED_OBJECTS, type CatalogueQuery } from '@auditrax/tenancy/posture';
import { readRights, readShapes, shapeDifferences, type Right, type RightsScope } from '@auditrax/tenancy/shape';
import { databaseError } from './errors.ts';
import { WORKSPACE_ROLE } from './roles.ts';

/** The schema that copies are made of. */
const MODEL = { schema: 'app', role: WORKSPACE_ROLE, notOf: /^ax_t_[0-9a-f]{16}$/ } as const;
/** Policies change hands under a short lock; a busy house must not wait for it longer than this. */
const POLICY_LOCK_MS = 10_000;

function asking(client: Client): CatalogueQuery {
  return async (text, values) => (await client.query(text, values as unknown[])).rows as Record<string, unknown>[];
}

/**
 * Makes the tables of `schema` what those of `app` are, for `role`, inside the caller's transaction as the owner. Works
 * from nothing, from an older state and on a finished one. Throws `migration_placement_behind` when that would lose rows
 * or when something remains different; the caller's transaction must then end.
 */
export async function copyAppSchema(client: Client, schema: string, role: string): Promise<void> {
  const query = asking(client);
  // The catalogue's texts name every schema only when none is searched; the caller's transaction ends this.
  await client.query('set local search_path = pg_catalog');
  const both = [MODEL, { schema, role }];
  const before = await readShapes(query, both);
  const statements = statementsFor(before.get(MODEL.schema)!, before.get(schema)!, { schema, role });
  if (statements.length > 0) await client.query(statements.join(';\n'));
  const after = await readShapes(query, both);
  const [first] = shapeDifferences(after.get(MODEL.schema)!, after.get(schema)!);
  if (first !== undefined)
    throw databaseError('migration_placement_behind', `schema ${schema}: ${first.part} ${first.detail}`);
  await client.query(
    `insert into platform.table_rule (table_name, kind, reason)
     select $1 || substr(r.table_name, 4), r.kind, r.reason from platform.table_rule r where r.table_name like 'app.%'
     on conflict (table_name) do nothing`,
    [schema],
  );
  await pinCopy(client, schema);
}

function statementsFor(...[model, copy, target]: Parameters<typeof copyStatements>): string[] {
  try {
    return copyStatements(model, copy, target);
  } catch (error) {
    if (!(error instanceof CopyRefused)) throw error;
    throw databaseError('migration_placement_behind', `schema ${target.schema}: ${error.message}`, error);
  }
}

/** The triggers of the copy are from now on what they are now; nothing else is looked at anew. */
async function pinCopy(client: Client, schema: string): Promise<void> {
  const own = `trigger % on ${schema.replaceAll('_', '\\_')}.%`;
  await client.query('delete from platform.pinned_object where identity like $1', [own]);
  await client.query(
    `insert into platform.pinned_object (identity, sha256)
     select p.identity, p.sha256 from (${PINNED_OBJECTS}) p where p.identity like $1`,
    [own],
  );
}

/**
 * Gives `role` what the workspace's role has within the scope, and takes everything else; inside the caller's
 * transaction as the owner. The rights of the workspace's role are what migrations grant, so they are the model.
 */
export async function mirrorWorkspaceRights(client: Client, role: string, scope: RightsScope): Promise<void> {
  const query = asking(client);
  await client.query(`set local search_path = pg_catalog; set local lock_timeout = ${POLICY_LOCK_MS}`);
  const rights = await readRights(query, [WORKSPACE_ROLE, role], scope);
  const policies = await query(
    `select format('%I.%I', schemaname, tablename) as object, format('%I', policyname) as part, roles::text[] as roles
     from pg_policies where $1 = any (roles)`,
    [WORKSPACE_ROLE],
  );
  const policyRoles = ({ object, part }: Right): readonly string[] =>
    (policies.find((row) => row['object'] === object && row['part'] === part)?.['roles'] ?? []) as string[];
  const statements = rightsStatements({ role, policyRoles }, rights.get(WORKSPACE_ROLE)!, rights.get(role)!);
  if (statements.length > 0) await client.query(statements.join(';\n'));
}
