import { isSame, type Part, type Right, type SchemaAndRole, type Shape } from './shape.ts';

interface ColumnFacts {
  readonly type: string;
  readonly required: boolean;
  readonly generated: boolean;
  readonly fallback: string | null;
}

/** What a copy would lose if it followed its model: rows. A person says what becomes of them, in a migration. */
export class CopyRefused extends Error {
  readonly part: string;
  constructor(part: string, why: string) {
    super(`${part} ${why}`);
    this.name = 'CopyRefused';
    this.part = part;
  }
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * The statements that make `copy` what `model` is, in order; none when it is already. Nothing that holds rows is ever
 * dropped: a table or a column that the model has not (or not any more) throws CopyRefused.
 */
export function copyStatements(model: Shape, copy: Shape, target: SchemaAndRole): string[] {
  const finish = (text: string): string => text.replaceAll('@schema', target.schema).replaceAll('@role', target.role);
  const statements = copy.size === 0 ? [`create schema ${target.schema}`] : [];
  statements.push(...extras(model, copy));
  for (const [key, part] of model) {
    const found = copy.get(key);
    if (found !== undefined && isSame(part, found)) continue;
    statements.push(...(found === undefined ? make(part, model, copy) : change(key, part, found)));
  }
  return statements.map((text) => finish(text));
}

/** What only the copy has and is no row: it goes. */
function extras(model: Shape, copy: Shape): string[] {
  return [...copy].flatMap(([key, part]) => {
    if (model.has(key)) return [];
    if (part.kind === 'relation' || part.kind === 'column')
      throw new CopyRefused(key, 'is not in the model: say in a migration what becomes of its rows');
    return [unmake(part)];
  });
}

function table(part: Part): string {
  return `@schema.${quote(part.relation)}`;
}

function unmake(part: Part): string {
  const [role] = part.roles;
  const to = role === 'public' ? 'public' : quote(role ?? '');
  switch (part.kind) {
    case 'constraint':
      return `alter table ${table(part)} drop constraint ${quote(part.name)}`;
    case 'index':
      return `drop index @schema.${quote(part.name)}`;
    case 'grant':
      return `revoke ${privilege(part)} on ${table(part)} from ${to}`;
    case 'usage':
      return `revoke ${privilege(part)} on schema @schema from ${to}`;
    case 'trigger':
    case 'policy':
      return `drop ${part.kind} ${quote(part.name)} on ${table(part)}`;
    case 'relation':
    case 'column':
      throw new CopyRefused(`${part.kind} ${part.relation} ${part.name}`, 'holds rows');
  }
}

function privilege({ definition, name, kind }: Part): string {
  const bare = definition.replace(/ with grant option$/, '');
  return kind === 'grant' && name !== '' ? `${bare} (${quote(name)})` : bare;
}

function make(part: Part, model: Shape, copy: Shape): string[] {
  const [role] = part.roles;
  switch (part.kind) {
    case 'relation':
      return makeTable(part, model);
    case 'column':
      // A new table came with its columns.
      return copy.has(`relation ${part.relation}`)
        ? [`alter table ${table(part)} add column ${quote(part.name)} ${part.definition}`]
        : [];
    case 'constraint':
      return [`alter table ${table(part)} add constraint ${quote(part.name)} ${part.definition}`];
    case 'policy':
      return [makePolicy(part)];
    case 'grant':
      return [`grant ${privilege(part)} on ${table(part)} to ${quote(role!)}`];
    case 'usage':
      return [`grant ${privilege(part)} on schema @schema to ${quote(role!)}`];
    case 'index':
    case 'trigger':
      return [part.definition];
  }
}

function makeTable(part: Part, model: Shape): string[] {
  if (!/^r p( rls)?( forced)?$/.test(part.definition))
    throw new CopyRefused(`relation ${part.relation}`, `is of a kind that is not copied (${part.definition})`);
  const columns = [...model.values()]
    .filter(({ kind, relation }) => kind === 'column' && relation === part.relation)
    .map(({ name, definition }) => `${quote(name)} ${definition}`);
  return [`create table ${table(part)} (${columns.join(', ')})`, ...rowSecurity(part)];
}

function rowSecurity(part: Part): string[] {
  return [
    `alter table ${table(part)} ${part.definition.includes('rls') ? 'enable' : 'disable'} row level security`,
    `alter table ${table(part)} ${part.definition.includes('forced') ? '' : 'no '}force row level security`,
  ];
}

function makePolicy(part: Part): string {
  const { using, check } = part.facts as { using: string | null; check: string | null };
  const roles = part.roles.map((role) => (role === 'public' ? role : quote(role))).join(', ');
  return [
    `create policy ${quote(part.name)} on ${table(part)} ${part.definition} to ${roles}`,
    ...(using === null ? [] : [`using (${using})`]),
    ...(check === null ? [] : [`with check (${check})`]),
  ].join(' ');
}

function change(key: string, part: Part, found: Part): string[] {
  if (part.kind === 'relation') return rowSecurity(part);
  if (part.kind === 'column') return changeColumn(key, part, found);
  return [unmake(found), ...make(part, new Map(), new Map())];
}

function changeColumn(key: string, part: Part, found: Part): string[] {
  const wanted = part.facts as ColumnFacts;
  const present = found.facts as ColumnFacts;
  if (wanted.generated || present.generated)
    throw new CopyRefused(key, 'is computed in another way: say in a migration how it changes');
  const column = `alter table ${table(part)} alter column ${quote(part.name)}`;
  return [
    ...(wanted.type === present.type ? [] : [`${column} type ${wanted.type}`]),
    ...(wanted.fallback === present.fallback
      ? []
      : [wanted.fallback === null ? `${column} drop default` : `${column} set default ${wanted.fallback}`]),
    ...(wanted.required === present.required ? [] : [`${column} ${wanted.required ? 'set' : 'drop'} not null`]),
  ];
}

type Rights = ReadonlyMap<string, Right>;

/**
 * The statements that give `role` the rights that `wanted` has and take away what it has beyond them (`present`).
 * `policyRoles` says whom a policy names now.
 */
export function rightsStatements(
  { role, policyRoles }: { readonly role: string; readonly policyRoles: (right: Right) => readonly string[] },
  wanted: Rights,
  present: Rights,
): string[] {
  const write = (right: Right, give: boolean): string => {
    const { kind, object, part, privilege: what } = right;
    if (kind === 'policy') {
      const others = policyRoles(right).filter((name) => name !== role);
      const names = (give ? [...others, role] : others).map((name) => quote(name));
      return `alter policy ${part} on ${object} to ${names.join(', ')}`;
    }
    const [verb, to] = give ? ['grant', 'to'] : ['revoke', 'from'];
    return `${verb} ${part === '' ? what : `${what} (${part})`} on ${kind} ${object} ${to} ${quote(role)}`;
  };
  const missing = [...wanted].filter(([key]) => !present.has(key)).map(([, right]) => write(right, true));
  const beyond = [...present].filter(([key]) => !wanted.has(key)).map(([, right]) => write(right, false));
  return [...missing, ...beyond];
}
