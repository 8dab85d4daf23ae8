import type { CatalogueQuery } from './posture.ts';
import { RIGHTS_ROWS, SHAPE_ROWS } from './shape-queries.ts';

/** A schema whose tables are a copy of another's, for one role that stands where the model's role stands. */
export interface SchemaAndRole {
  readonly schema: string;
  readonly role: string;
  /** Roles whose right to name things in this schema is no part of its shape: of the model, those of the copies. */
  readonly notOf?: RegExp;
}

const KINDS = ['relation', 'column', 'constraint', 'index', 'trigger', 'policy', 'grant', 'usage'] as const;
type PartKind = (typeof KINDS)[number];

/** One part of a schema, written with `@schema` and `@role` instead of its own names, so that two can be compared. */
export interface Part {
  readonly kind: PartKind;
  readonly relation: string;
  readonly name: string;
  readonly definition: string;
  /** Sorted; `public` for everybody. Of policies and rights. */
  readonly roles: readonly string[];
  readonly facts: unknown;
}

/** Names of the parts, in the order in which they can be made. */
export type Shape = ReadonlyMap<string, Part>;

/** Where a part and its counterpart are found. */
function keyOf({ kind, relation, name, definition, roles }: Part): string {
  const isRight = kind === 'grant' || kind === 'usage';
  return [kind, relation, name, ...(isRight ? [definition, ...roles] : [])].join(' ').replace(/ +/g, ' ').trim();
}

/** Rewrites `own.table` to `@schema.table`; neither a setting in quotes nor a function of that schema is touched. */
function neutral(text: string, own: string, tables: readonly string[]): string {
  if (tables.length === 0) return text;
  return text.replaceAll(new RegExp(`(?<!['\\w.])${own}\\.(${tables.join('|')})\\b`, 'g'), '@schema.$1');
}

function neutralFacts(facts: unknown, rewrite: (text: string) => string): unknown {
  return facts === null || facts === undefined ? null : JSON.parse(rewrite(JSON.stringify(facts)));
}

/** Reads the shape of each schema. One that does not exist has no parts. */
export async function readShapes(
  query: CatalogueQuery,
  schemas: readonly SchemaAndRole[],
): Promise<ReadonlyMap<string, Shape>> {
  const rows = await query(SHAPE_ROWS, [schemas.map(({ schema }) => schema)]);
  return new Map(
    schemas.map(({ schema, role, notOf }) => {
      const isLeftOut = (row: Record<string, unknown>): boolean =>
        row['kind'] === 'usage' && notOf?.test(String((row['roles'] as string[])[0])) === true;
      const own = rows.filter((row) => row['schema'] === schema && !isLeftOut(row));
      const tables = own.filter((row) => row['kind'] === 'relation').map((row) => String(row['relation']));
      const rewrite = (text: string): string => neutral(text, schema, tables);
      const parts = own.map((row): Part => {
        const roles = ((row['roles'] ?? []) as string[]).map((name) => (name === role ? '@role' : name));
        return {
          kind: row['kind'] as PartKind,
          relation: String(row['relation']),
          name: String(row['name']),
          definition: rewrite(String(row['definition'])),
          roles: roles.sort(),
          facts: neutralFacts(row['facts'], rewrite),
        };
      });
      return [schema, new Map(parts.map((part) => [keyOf(part), part]))] as const;
    }),
  );
}

/** How a copy differs from its model; empty when it does not. */
export function shapeDifferences(model: Shape, copy: Shape): { readonly part: string; readonly detail: string }[] {
  const differences: { part: string; detail: string }[] = [];
  for (const [key, wanted] of model) {
    const found = copy.get(key);
    if (found === undefined) differences.push({ part: key, detail: 'is missing' });
    else if (!isSame(wanted, found)) differences.push({ part: key, detail: 'is not like the model’s' });
  }
  for (const key of copy.keys()) if (!model.has(key)) differences.push({ part: key, detail: 'the model has no such' });
  return differences;
}

export function isSame(one: Part, other: Part): boolean {
  const text = ({ definition, roles, facts }: Part): string => JSON.stringify([definition, roles, facts]);
  return text(one) === text(other);
}

/** One right of a role, or a policy that names it. */
export interface Right {
  readonly kind: 'schema' | 'table' | 'function' | 'policy';
  /** Quoted as needed, with its schema. */
  readonly object: string;
  /** Column or policy; empty else. */
  readonly part: string;
  readonly privilege: string;
}

/** What to leave out of a comparison of two roles' rights: patterns of schema names. */
export interface RightsScope {
  /** Relations in schemas that match are not looked at. */
  readonly relationsNotIn: string;
  /** Rights on the matching schemas themselves are not looked at. */
  readonly schemasNot: string;
}

/** The rights of each role. */
export async function readRights(
  query: CatalogueQuery,
  roles: readonly string[],
  scope: RightsScope,
): Promise<ReadonlyMap<string, ReadonlyMap<string, Right>>> {
  const rows = await query(RIGHTS_ROWS, [roles, scope.relationsNotIn, scope.schemasNot]);
  const byRole = new Map<string, Map<string, Right>>(roles.map((role) => [role, new Map()]));
  for (const row of rows) {
    const right = {
      kind: row['kind'] as Right['kind'],
      object: String(row['object']),
      part: String(row['part']),
      privilege: String(row['privilege']),
    };
    byRole.get(String(row['role']))?.set(Object.values(right).join(' '), right);
  }
  return byRole;
}
