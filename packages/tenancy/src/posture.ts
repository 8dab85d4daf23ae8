import {
  FUNCTION_CHECKS,
  PINNED_OBJECTS,
  ROLE_CHECKS,
  SERVER_CHECKS,
  TABLE_CHECKS,
  WALL_POLICIES,
} from './posture-queries.ts';
import { checkCopies, readCopies, type CopyExpectations } from './posture-copies.ts';
import { wallDeparsed } from './wall.ts';

/** What may be wrong with the walls in the database. */
export type FindingCode =
  | 'role_missing'
  | 'role_attribute'
  | 'role_member'
  | 'role_unknown'
  | 'role_setting'
  | 'role_session'
  | 'table_unwalled'
  | 'table_wall_changed'
  | 'table_tenant_column'
  | 'table_key'
  | 'table_owner'
  | 'table_grant'
  | 'table_kind'
  | 'table_inheritance'
  | 'table_rule'
  | 'table_unlogged'
  | 'view_definer'
  | 'object_changed'
  | 'object_unlisted'
  | 'object_missing'
  | 'trigger_disabled'
  | 'function_search_path'
  | 'function_set_config'
  | 'schema_create'
  | 'database_create'
  | 'copy_changed'
  | 'copy_unlisted'
  | 'copy_rights'
  | 'copy_connect'
  | 'scope_mark_missing'
  | 'extension_unknown'
  | 'foreign_server'
  | 'publication'
  | 'event_trigger'
  | 'setting';

/** One fault. `object` is a name from the catalogue, never a row's content. */
export interface Finding {
  readonly code: FindingCode;
  readonly object: string;
  readonly detail: string;
}

export interface PostureExpectations {
  /** Roles the processes log in as. */
  readonly loginRoles: readonly string[];
  readonly migrateRole: string;
  readonly ownerRole: string;
  /** Every table in these schemas is walled, or declared to be global. */
  readonly tenantSchemas: readonly string[];
  /** Schemas whose secondary unique keys are chosen by the log itself and need not begin with the tenant. */
  readonly logSchemas: readonly string[];
  /** Roles that stand outside the wall of a schema's tables, by their task; their grants are the wall then. */
  readonly outsideWall: readonly { readonly schema: string; readonly role: string }[];
  /** `schema.table` of tables without tenant rows, beside those that `globalTablesQuery` gives. */
  readonly globalTables: readonly string[];
  /** SQL that gives rows `{ name }` of further global tables. */
  readonly globalTablesQuery: string;
  /** SQL that gives rows `{ identity, sha256 }`: `PINNED_OBJECTS` as it was when the migrations ended. */
  readonly pinnedQuery: string;
  /** SQL that gives rows `{ schema }`: the marks by which the scope step knows for whom it has to look further. */
  readonly marksQuery: string;
  /** Schemas and databases that were made for one tenant each; absent where there are none. */
  readonly copies?: CopyExpectations;
  readonly extensions: readonly string[];
  /** False only for throw-away data. */
  readonly durable: boolean;
}

export type { CopyExpectations } from './posture-copies.ts';
export { PINNED_OBJECTS } from './posture-queries.ts';

/** Runs one statement and gives its rows. */
export type CatalogueQuery = (text: string, values: readonly unknown[]) => Promise<Record<string, unknown>[]>;

/**
 * Compares the catalogue with what the walls need and lists every difference; an empty list is green. Any role may run
 * it. Errors of the connection pass through.
 */
export async function checkPosture(query: CatalogueQuery, expected: PostureExpectations): Promise<Finding[]> {
  const globals = [
    ...expected.globalTables,
    ...(await query(expected.globalTablesQuery, [])).map((row) => String(row['name'])),
  ];
  const copies = expected.copies === undefined ? [] : await readCopies(query, expected.copies);
  const input = JSON.stringify({
    ...expected,
    globalTables: globals,
    loginRoles: [...expected.loginRoles, ...copies.filter(({ hasRole }) => hasRole).map(({ role }) => role)],
    tenantSchemas: [...expected.tenantSchemas, ...copies.flatMap(({ schema }) => (schema === null ? [] : [schema]))],
  });
  const findings: Finding[] = expected.copies === undefined ? [] : await checkCopies(query, expected.copies, copies);
  for (const text of [ROLE_CHECKS, TABLE_CHECKS, FUNCTION_CHECKS, SERVER_CHECKS]) {
    for (const row of await query(text, [input])) {
      findings.push({ code: row['code'] as FindingCode, object: String(row['object']), detail: String(row['detail']) });
    }
  }
  findings.push(...(await checkWalls(query, input)), ...(await checkPins(query, expected.pinnedQuery)));
  findings.push(...(await checkMarks(query, expected.marksQuery)));
  return findings;
}

/** Every role that can touch a walled table must meet the wall, word for word. */
async function checkWalls(query: CatalogueQuery, input: string): Promise<Finding[]> {
  const accepted: ReadonlySet<string> = new Set([wallDeparsed('direct'), wallDeparsed('initplan')]);
  const squeeze = (value: unknown): string => ((value ?? '') as string).replace(/\s+/g, ' ').trim();
  const rows = await query(WALL_POLICIES, [input]);
  const met = new Map<string, boolean>();
  for (const row of rows) {
    const pair = `${String(row['table_name'])} for ${String(row['role_name'])}`;
    const same = accepted.has(squeeze(row['using_text'])) && squeeze(row['using_text']) === squeeze(row['check_text']);
    met.set(pair, (met.get(pair) ?? false) || same);
  }
  return [...met]
    .filter(([, ok]) => !ok)
    .map(([object]) => ({
      code: 'table_wall_changed',
      object,
      detail: 'no restrictive policy with exactly the text of the wall applies',
    }));
}

/** Without its mark a tenant that is held may be written to, and one that has left is answered from its old place. */
async function checkMarks(query: CatalogueQuery, marksQuery: string): Promise<Finding[]> {
  const rows = await query(
    `select m.schema from (${marksQuery}) m where not exists (select from pg_namespace n where n.nspname = m.schema)`,
    [],
  );
  return rows.map((row) => ({
    code: 'scope_mark_missing',
    object: String(row['schema']),
    detail: 'this mark of a tenant that is held or has left is gone: the scope step lets it in as if it were here',
  }));
}

/** Functions and triggers must be what the migrations left. */
async function checkPins(query: CatalogueQuery, pinnedQuery: string): Promise<Finding[]> {
  const toMap = (rows: Record<string, unknown>[]): Map<string, string> =>
    new Map(rows.map((row) => [String(row['identity']), String(row['sha256'])]));
  const pinned = toMap(await query(pinnedQuery, []));
  const present = toMap(await query(PINNED_OBJECTS, []));
  const findings: Finding[] = [];
  for (const [object, sha256] of present) {
    const known = pinned.get(object);
    if (known === undefined) findings.push({ code: 'object_unlisted', object, detail: 'no migration made it' });
    else if (known !== sha256)
      findings.push({ code: 'object_changed', object, detail: 'it is not what the migrations made' });
  }
  for (const object of pinned.keys()) {
    if (!present.has(object))
      findings.push({ code: 'object_missing', object, detail: 'the migrations made it, and it is gone' });
  }
  return findings;
}
