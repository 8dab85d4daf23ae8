import type {
  ActionConstraint,
  Clause,
  EntityUidJson,
  PolicyJson,
  PrincipalConstraint,
} from '@cedar-policy/cedar-wasm/nodejs';
import { AppError } from '@auditrax/base';
import type { PolicyErrorCode } from './errors.ts';
import type { Bind, FilterRequest, Fragment } from './fragment.ts';
import { fragment, joined } from './fragment.ts';
import type { AttributeType, PolicySchema } from './schema.ts';

/** Thrown inside the compiler only: this expression has no SQL form that is equal to Cedar's meaning. */
export class Unsupported extends Error {}

/** For which question a policy is compiled. `columns` maps an attribute (dots for nested records) to a SQL column. */
export interface CompileScope {
  readonly schema: PolicySchema;
  readonly action: string;
  readonly principalType: string;
  readonly resourceType: string;
  readonly columns: Readonly<Record<string, string>>;
  readonly idColumn: string | undefined;
}

type Root = 'principal' | 'resource' | 'context';
type Compiled =
  | { readonly kind: 'sql'; readonly type: AttributeType; readonly sql: Fragment }
  | { readonly kind: 'path'; readonly root: Root; readonly path: readonly string[]; readonly type: AttributeType };
/** Cedar's JSON form: an object with exactly one key, the operator. */
type Node = Readonly<Record<string, unknown>>;
interface Pair {
  readonly left: Node;
  readonly right: Node;
}

const BOOLEAN: AttributeType = { kind: 'boolean' };
const STRING: AttributeType = { kind: 'string' };
const LONG: AttributeType = { kind: 'long' };
// A column name comes from this program, never from a request; the pattern makes that a fact instead of a habit.
const COLUMN_PATTERN = /^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/;

function bool(sql: Fragment): Compiled {
  return { kind: 'sql', type: BOOLEAN, sql };
}

/** SQL type of a value; entities are compared by id, as text. */
function sqlType(type: AttributeType): string {
  switch (type.kind) {
    case 'string':
    case 'entity':
      return 'text';
    case 'long':
      return 'bigint';
    case 'boolean':
      return 'boolean';
    case 'set':
      if (type.element.kind === 'set') throw new Unsupported('a set of sets');
      return `${sqlType(type.element)}[]`;
    case 'record':
    case 'other':
      throw new Unsupported(`a value of type ${type.kind}`);
  }
}

function sameType(left: AttributeType, right: AttributeType): boolean {
  if (left.kind === 'set' && right.kind === 'set') return sameType(left.element, right.element);
  if (left.kind === 'entity' && right.kind === 'entity') return left.name === right.name;
  return left.kind === right.kind;
}

function walk(value: unknown, path: readonly string[]): unknown {
  let current = value;
  for (const name of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, name)) return undefined;
    current = (current as Record<string, unknown>)[name];
  }
  return current;
}

function readFrom(root: 'principal' | 'context', path: readonly string[]): Bind['bind'] {
  return (request: FilterRequest) => {
    if (root === 'principal' && path.length === 0) return request.principalId;
    return walk(root === 'principal' ? request.principal : request.context, path) ?? null;
  };
}

function column(scope: CompileScope, path: readonly string[]): string {
  const name = path.length === 0 ? scope.idColumn : scope.columns[path.join('.')];
  if (name === undefined) {
    const attribute = path.length === 0 ? 'id' : path.join('.');
    throw new AppError<PolicyErrorCode>('policy_column_missing', `${scope.resourceType}.${attribute} has no column`);
  }
  if (!COLUMN_PATTERN.test(name)) {
    throw new AppError<PolicyErrorCode>('policy_column_missing', `${name} is not a plain column name`);
  }
  return name;
}

/** The value of an expression as SQL with its type. */
function scalar(compiled: Compiled, scope: CompileScope): { type: AttributeType; sql: Fragment } {
  if (compiled.kind === 'sql') return compiled;
  const type = sqlType(compiled.type);
  if (compiled.root === 'resource') return { type: compiled.type, sql: [`(${column(scope, compiled.path)})::${type}`] };
  return { type: compiled.type, sql: [{ bind: readFrom(compiled.root, compiled.path) }, `::${type}`] };
}

function constant(value: unknown, type: AttributeType): Compiled {
  return { kind: 'sql', type, sql: [{ bind: () => value }, `::${sqlType(type)}`] };
}

function entityOf(uid: EntityUidJson): { type: string; id: string } {
  return '__entity' in uid ? uid.__entity : uid;
}

function literal(value: unknown): Compiled {
  if (typeof value === 'string') return constant(value, STRING);
  if (typeof value === 'boolean') return bool([value ? 'true' : 'false']);
  if (typeof value === 'number') return constant(value, LONG);
  if (typeof value === 'object' && value !== null && '__entity' in value) {
    const { type, id } = entityOf(value as EntityUidJson);
    return constant(id, { kind: 'entity', name: type });
  }
  throw new Unsupported('this literal');
}

function variable(name: unknown, scope: CompileScope): Compiled {
  if (name === 'principal')
    return { kind: 'path', root: 'principal', path: [], type: { kind: 'entity', name: scope.principalType } };
  if (name === 'resource')
    return { kind: 'path', root: 'resource', path: [], type: { kind: 'entity', name: scope.resourceType } };
  if (name === 'action') return constant(scope.action, { kind: 'entity', name: 'Action' });
  const declaration = scope.schema.actions.get(scope.action);
  if (name === 'context' && declaration !== undefined) {
    return { kind: 'path', root: 'context', path: [], type: declaration.context };
  }
  throw new Unsupported(`variable ${String(name)}`);
}

function attributesOf(
  target: Compiled,
  scope: CompileScope,
): Readonly<Record<string, { type: AttributeType; required: boolean }>> {
  if (target.kind !== 'path') throw new Unsupported('an attribute of a computed value');
  if (target.type.kind === 'record') return target.type.attributes;
  // Only the principal and the row themselves carry attributes here; those of an entity they point to would be a join.
  const shape =
    target.type.kind === 'entity' && target.path.length === 0 ? scope.schema.entities.get(target.type.name) : undefined;
  if (shape?.kind !== 'record') throw new Unsupported('an attribute of another entity');
  return shape.attributes;
}

function attribute(argument: { left: Node; attr: string }, scope: CompileScope): Compiled {
  const target = expression(argument.left, scope);
  const found = attributesOf(target, scope)[argument.attr];
  if (found === undefined || target.kind !== 'path') throw new Unsupported(`attribute ${argument.attr}`);
  return { kind: 'path', root: target.root, path: [...target.path, argument.attr], type: found.type };
}

function has(argument: { left: Node; attr: string | string[] }, scope: CompileScope): Compiled {
  let target = expression(argument.left, scope);
  const conditions: Fragment[] = [];
  for (const name of Array.isArray(argument.attr) ? argument.attr : [argument.attr]) {
    const found = attributesOf(target, scope)[name];
    if (found === undefined || target.kind !== 'path') return bool(['false']);
    const path = [...target.path, name];
    if (!found.required) {
      if (target.root === 'resource') {
        // A record has no column of its own, so its presence has no SQL form.
        if (found.type.kind === 'record') throw new Unsupported('presence of a record');
        conditions.push([`(${column(scope, path)}) is not null`]);
      } else {
        const read = readFrom(target.root, path);
        conditions.push([{ bind: (request: FilterRequest) => read(request) !== null }, '::boolean']);
      }
    }
    target = { kind: 'path', root: target.root, path, type: found.type };
  }
  return bool(joined(conditions, ' and ', 'true'));
}

function both(pair: Pair, scope: CompileScope): { left: ReturnType<typeof scalar>; right: ReturnType<typeof scalar> } {
  return { left: scalar(expression(pair.left, scope), scope), right: scalar(expression(pair.right, scope), scope) };
}

function equal(pair: Pair, scope: CompileScope): Fragment {
  const { left, right } = both(pair, scope);
  if (!sameType(left.type, right.type)) return ['false'];
  if (left.type.kind === 'set') return fragment`(${left.sql} @> ${right.sql} and ${left.sql} <@ ${right.sql})`;
  return fragment`(${left.sql} = ${right.sql})`;
}

/** Entities are flat here (SPEC P3), so `in` is equality, or membership when the right side is a set. */
function inside(pair: Pair, scope: CompileScope): Fragment {
  const { left, right } = both(pair, scope);
  if (left.type.kind === 'entity' && left.type.name === 'Action') throw new Unsupported('action in a condition');
  if (right.type.kind === 'set') {
    return sameType(left.type, right.type.element) ? fragment`(${left.sql} = any(${right.sql}))` : ['false'];
  }
  return sameType(left.type, right.type) ? fragment`(${left.sql} = ${right.sql})` : ['false'];
}

function order(pair: Pair, operator: '<' | '<=' | '>' | '>=', scope: CompileScope): Fragment {
  const { left, right } = both(pair, scope);
  if (left.type.kind !== 'long' || right.type.kind !== 'long') throw new Unsupported(`${operator} on other than Long`);
  return ['(', ...left.sql, ` ${operator} `, ...right.sql, ')'];
}

function contains(pair: Pair, scope: CompileScope): Fragment {
  const { left, right } = both(pair, scope);
  if (left.type.kind !== 'set') throw new Unsupported('contains on other than a set');
  return sameType(left.type.element, right.type) ? fragment`(${right.sql} = any(${left.sql}))` : ['false'];
}

function overlap(pair: Pair, operator: '@>' | '&&', scope: CompileScope): Fragment {
  const { left, right } = both(pair, scope);
  if (left.type.kind !== 'set' || !sameType(left.type, right.type)) throw new Unsupported('sets of different types');
  return ['(', ...left.sql, ` ${operator} `, ...right.sql, ')'];
}

function setOf(items: readonly Node[], scope: CompileScope): Compiled {
  const compiled = items.map((item) => scalar(expression(item, scope), scope));
  const first = compiled[0];
  if (first === undefined || !compiled.every((item) => sameType(item.type, first.type))) {
    throw new Unsupported('an empty or mixed set');
  }
  const type: AttributeType = { kind: 'set', element: first.type };
  const list = compiled.flatMap((item, index) => (index === 0 ? item.sql : [', ', ...item.sql]));
  return { kind: 'sql', type, sql: ['array[', ...list, `]::${sqlType(type)}`] };
}

function like(
  argument: { left: Node; pattern: readonly ('Wildcard' | { Literal: string })[] },
  scope: CompileScope,
): Fragment {
  const left = scalar(expression(argument.left, scope), scope);
  const pattern = argument.pattern
    .map((element) =>
      element === 'Wildcard' ? '%' : element.Literal.replaceAll(/[\\%_]/g, (character) => `\\${character}`),
    )
    .join('');
  return fragment`(${left.sql} like ${{ bind: () => pattern }}::text)`;
}

function is(argument: { left: Node; entity_type: string; in?: Node }, scope: CompileScope): Fragment {
  const left = expression(argument.left, scope);
  if (left.type.kind !== 'entity' || left.type.name !== argument.entity_type) return ['false'];
  return argument.in === undefined ? ['true'] : inside({ left: argument.left, right: argument.in }, scope);
}

function truth(node: Node, scope: CompileScope): Fragment {
  const compiled = scalar(expression(node, scope), scope);
  if (compiled.type.kind !== 'boolean') throw new Unsupported('a condition that is not a boolean');
  return compiled.sql;
}

function branch(argument: { if: Node; then: Node; else: Node }, scope: CompileScope): Compiled {
  const yes = scalar(expression(argument.then, scope), scope);
  const no = scalar(expression(argument.else, scope), scope);
  if (!sameType(yes.type, no.type)) throw new Unsupported('branches of different types');
  const sql = fragment`(case when ${truth(argument.if, scope)} then ${yes.sql} else ${no.sql} end)`;
  return { kind: 'sql', type: yes.type, sql };
}

/** One operator of Cedar's JSON form; anything not named here is `Unsupported`, arithmetic on purpose (SPEC P6). */
function expression(node: Node, scope: CompileScope): Compiled {
  const keys = Object.keys(node);
  const operator = keys[0];
  if (operator === undefined || keys.length !== 1) throw new Unsupported('a node that is no single operator');
  const argument = node[operator] as never;
  switch (operator) {
    case 'Value':
      return literal(argument);
    case 'Var':
      return variable(argument, scope);
    case '.':
      return attribute(argument, scope);
    case 'has':
      return has(argument, scope);
    case 'Set':
      return setOf(argument, scope);
    case 'if-then-else':
      return branch(argument, scope);
    case '!':
      return bool(fragment`(not ${truth((argument as { arg: Node }).arg, scope)})`);
    case '&&':
      return bool(fragment`(${truth((argument as Pair).left, scope)} and ${truth((argument as Pair).right, scope)})`);
    case '||':
      return bool(fragment`(${truth((argument as Pair).left, scope)} or ${truth((argument as Pair).right, scope)})`);
    case '==':
      return bool(equal(argument, scope));
    case '!=':
      return bool(fragment`(not ${equal(argument, scope)})`);
    case 'in':
      return bool(inside(argument, scope));
    case 'is':
      return bool(is(argument, scope));
    case 'like':
      return bool(like(argument, scope));
    case 'contains':
      return bool(contains(argument, scope));
    case 'containsAll':
      return bool(overlap(argument, '@>', scope));
    case 'containsAny':
      return bool(overlap(argument, '&&', scope));
    case 'isEmpty':
      return bool(empty((argument as { arg: Node }).arg, scope));
    case '<':
    case '<=':
    case '>':
    case '>=':
      return bool(order(argument, operator, scope));
    default:
      throw new Unsupported(`operator ${operator}`);
  }
}

function empty(node: Node, scope: CompileScope): Fragment {
  const set = scalar(expression(node, scope), scope);
  if (set.type.kind !== 'set') throw new Unsupported('isEmpty on other than a set');
  return fragment`(${set.sql} = ${[`'{}'::${sqlType(set.type)}`]})`;
}

/** Whether the action clause of a policy names this action or a group above it. Slots are refused at load. */
export function actionMatches(constraint: ActionConstraint, ancestors: ReadonlySet<string>, action: string): boolean {
  if (constraint.op === 'All') return true;
  if (constraint.op === '==') return 'entity' in constraint && entityOf(constraint.entity).id === action;
  const groups = 'entities' in constraint ? constraint.entities : [constraint.entity];
  return groups.some((group) => ancestors.has(entityOf(group).id));
}

/** The principal or resource clause as a condition. */
function headClause(constraint: PrincipalConstraint, name: 'principal' | 'resource', scope: CompileScope): Fragment {
  const left: Node = { Var: name };
  switch (constraint.op) {
    case 'All':
      return ['true'];
    case '==':
    case 'in': {
      if (!('entity' in constraint)) throw new Unsupported('a template slot');
      return inside({ left, right: { Value: { __entity: entityOf(constraint.entity) } } }, scope);
    }
    case 'is': {
      const type = is({ left, entity_type: constraint.entity_type }, scope);
      if (constraint.in === undefined) return type;
      if (!('entity' in constraint.in)) throw new Unsupported('a template slot');
      const within = inside({ left, right: { Value: { __entity: entityOf(constraint.in.entity) } } }, scope);
      return fragment`(${type} and ${within})`;
    }
  }
}

/** One policy as one SQL condition, or undefined when it can never apply to this question. Throws `Unsupported`. */
export function compilePolicy(policy: PolicyJson, scope: CompileScope): Fragment | undefined {
  const declaration = scope.schema.actions.get(scope.action);
  if (declaration === undefined || !actionMatches(policy.action, declaration.ancestors, scope.action)) return undefined;
  const head = [headClause(policy.principal, 'principal', scope), headClause(policy.resource, 'resource', scope)];
  if (head.some((part) => part.length === 1 && part[0] === 'false')) return undefined;
  const clauses = policy.conditions.map((clause: Clause) => {
    const condition = truth(clause.body, scope);
    return clause.kind === 'when' ? condition : fragment`(not ${condition})`;
  });
  return joined(
    [...head, ...clauses].filter((part) => !(part.length === 1 && part[0] === 'true')),
    ' and ',
    'true',
  );
}
