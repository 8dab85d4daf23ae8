import type { CatalogueQuery, Finding } from './posture.ts';
import { readRights, readShapes, shapeDifferences, type Right, type RightsScope } from './shape.ts';

/** What is expected of the schemas and databases that were made for one tenant each. */
export interface CopyExpectations {
  /** The schema that copies are made of, and the role that dedicated ones stand in for. */
  readonly model: { readonly schema: string; readonly role: string };
  /** Patterns of the names of copies and of dedicated roles; nothing else may be named so. */
  readonly schemaPattern: string;
  readonly rolePattern: string;
  /**
   * SQL that gives a row for each place in this database: `role`, `schema` (null: this whole database is the tenant's),
   * `complete`.
   */
  readonly placesQuery: string;
  /** Tables outside a copy that its role has the model role's rights on: all but those in these schemas. */
  readonly besideCopies: RightsScope;
  readonly wholeDatabase: RightsScope;
}

/** One place in this database. */
export interface CopyPlace {
  readonly role: string;
  readonly schema: string | null;
  readonly complete: boolean;
  readonly hasRole: boolean;
}

export async function readCopies(query: CatalogueQuery, expected: CopyExpectations): Promise<CopyPlace[]> {
  const rows = await query(
    `select p.role, p.schema, p.complete, exists (select from pg_roles r where r.rolname = p.role) as present
     from (${expected.placesQuery}) p`,
    [],
  );
  return rows.map((row) => ({
    role: String(row['role']),
    schema: row['schema'] as string | null,
    complete: row['complete'] === true,
    // One that is being made may lack its role; of a complete one the role must be there, which the role check sees to.
    hasRole: row['present'] === true || row['complete'] === true,
  }));
}

/** Every fault of the copies and of their roles; the general checks look at their tables and walls as at any other. */
export async function checkCopies(
  query: CatalogueQuery,
  expected: CopyExpectations,
  places: readonly CopyPlace[],
): Promise<Finding[]> {
  const complete = places.filter((place) => place.complete);
  return [
    ...(await checkShapes(query, expected, complete)),
    ...(await checkRights(query, expected, complete)),
    ...(await checkUnlisted(query, expected, places)),
    ...(await checkConnect(query, expected, places)),
  ];
}

async function checkShapes(
  query: CatalogueQuery,
  { model, rolePattern }: CopyExpectations,
  places: readonly CopyPlace[],
): Promise<Finding[]> {
  const copies = places.flatMap(({ schema, role }) => (schema === null ? [] : [{ schema, role }]));
  if (copies.length === 0) return [];
  const shapes = await readShapes(query, [{ ...model, notOf: new RegExp(rolePattern) }, ...copies]);
  return copies.flatMap(({ schema }) =>
    shapeDifferences(shapes.get(model.schema)!, shapes.get(schema)!).map(({ part, detail }) => ({
      code: 'copy_changed' as const,
      object: `${schema}: ${part}`,
      detail,
    })),
  );
}

async function checkRights(
  query: CatalogueQuery,
  { model, besideCopies, wholeDatabase }: CopyExpectations,
  places: readonly CopyPlace[],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [scope, own] of [
    [besideCopies, places.filter(({ schema }) => schema !== null)],
    [wholeDatabase, places.filter(({ schema }) => schema === null)],
  ] as const) {
    if (own.length === 0) continue;
    const rights = await readRights(query, [model.role, ...own.map(({ role }) => role)], scope);
    const wanted = rights.get(model.role)!;
    for (const { role } of own) findings.push(...compareRights(role, wanted, rights.get(role)!));
  }
  return findings;
}

type Rights = ReadonlyMap<string, Right>;

function compareRights(role: string, wanted: Rights, present: Rights): Finding[] {
  const finding = (right: string, detail: string): Finding => ({
    code: 'copy_rights',
    object: `${role}: ${right}`,
    detail,
  });
  return [
    ...[...wanted.keys()].filter((right) => !present.has(right)).map((right) => finding(right, 'is missing')),
    ...[...present.keys()].filter((right) => !wanted.has(right)).map((right) => finding(right, 'is one too many')),
  ];
}

/** Schemas named like copies that nobody wrote down, and rights of a dedicated role on tables that are not its own. */
async function checkUnlisted(
  query: CatalogueQuery,
  { model, schemaPattern, rolePattern }: CopyExpectations,
  places: readonly CopyPlace[],
): Promise<Finding[]> {
  const own = places.map(({ schema, role }) => ({ schema: schema ?? model.schema, role }));
  const rows = await query(
    `with own as (select e ->> 'schema' as schema, e ->> 'role' as role from jsonb_array_elements($1::jsonb) e),
       copies as (
         select n.oid, n.nspname from pg_namespace n where n.nspname ~ $2 or n.nspname = $4)
     select 'copy_unlisted' as code, c.nspname::text as object, 'no place was written down for it' as detail
     from copies c where c.nspname <> $4 and c.nspname not in (select schema from own)
     union all
     select distinct 'copy_rights', n.nspname || '.' || t.relname, r.rolname || ' is not its role'
     from copies n join pg_class t on t.relnamespace = n.oid and t.relkind in ('r', 'p', 'v', 'm', 'f')
     cross join pg_roles r
     where (r.rolname ~ $3 or (r.rolname = $5 and n.nspname <> $4))
       and not exists (select from own where own.schema = n.nspname and own.role = r.rolname)
       and (has_table_privilege(r.oid, t.oid, 'select, insert, update, delete')
            or has_any_column_privilege(r.oid, t.oid, 'select, insert, update'))`,
    [JSON.stringify(own), schemaPattern, rolePattern, model.schema, model.role],
  );
  return rows as unknown as Finding[];
}

/** A database of one tenant's own: the shared role must not get in, and no other tenant's role may. */
async function checkConnect(
  query: CatalogueQuery,
  { model, rolePattern }: CopyExpectations,
  places: readonly CopyPlace[],
): Promise<Finding[]> {
  const isWhole = places.some(({ schema, complete }) => schema === null && complete);
  const rows = await query(
    `select 'copy_connect' as code, r.rolname::text as object, 'may connect to ' || current_database() as detail
     from pg_roles r
     where ((r.rolname = $1 and $2) or (r.rolname ~ $3 and not r.rolname = any ($4)))
       and has_database_privilege(r.oid, current_database(), 'connect')`,
    [model.role, isWhole, rolePattern, places.map(({ role }) => role)],
  );
  return rows as unknown as Finding[];
}
