import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { actionMatches, Unsupported } from './compile.ts';
import type { Attribute, AttributeType, PolicySchema } from './schema.ts';

/** What a compiled policy is asked about: plain values that were checked against the schema before. */
export interface Question {
  readonly principalId: string;
  readonly principal: Readonly<Record<string, unknown>>;
  readonly resourceId: string;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly context: Readonly<Record<string, unknown>>;
}

type Evaluate = (question: Question) => unknown;
type Test = (question: Question) => boolean;
/** Cedar's JSON form: an object with exactly one key, the operator. */
export type Node = Readonly<Record<string, unknown>>;

/** One condition that must hold for a policy to apply; `node` is its JSON form, for naming it. */
export interface Part {
  readonly clause: 'principal' | 'resource' | 'when' | 'unless';
  readonly node: Node | undefined;
  readonly test: Test;
}

/** For which question a policy is compiled. */
export interface QuestionScope {
  readonly schema: PolicySchema;
  readonly action: string;
  readonly principalType: string;
  readonly resourceType: string;
}

interface Typed {
  readonly type: AttributeType;
  readonly evaluate: Evaluate;
  /** Set for a variable and what hangs on it; other values have no attributes here. */
  readonly path?: { readonly root: 'principal' | 'resource' | 'context'; readonly names: readonly string[] };
}
interface Pair {
  readonly left: Node;
  readonly right: Node;
}

const BOOLEAN: AttributeType = { kind: 'boolean' };
const always: Test = () => true;
const never: Test = () => false;

function sameType(left: AttributeType, right: AttributeType): boolean {
  if (left.kind === 'set' && right.kind === 'set') return sameType(left.element, right.element);
  if (left.kind === 'entity' && right.kind === 'entity') return left.name === right.name;
  return left.kind === right.kind;
}

/** The values that SQL can compare are the ones compared here, so that both engines know the same language. */
function comparable({ kind, ...type }: AttributeType): boolean {
  if (kind === 'set') {
    const { element } = type as { element: AttributeType };
    return element.kind !== 'set' && comparable(element);
  }
  return kind !== 'record' && kind !== 'other';
}

function own(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name] ?? undefined;
}

function reader(root: 'principal' | 'resource' | 'context', names: readonly string[]): Evaluate {
  const [first, second] = names;
  if (first === undefined) {
    if (root === 'context') throw new Unsupported('the whole context');
    return root === 'principal' ? ({ principalId }) => principalId : ({ resourceId }) => resourceId;
  }
  if (second === undefined) return (question) => own(question[root], first);
  return (question) => names.reduce<unknown>((value, name) => own(value, name), question[root]);
}

function literal(value: unknown): Typed {
  const kinds = { string: 'string', number: 'long', boolean: 'boolean' } as const;
  const kind = kinds[typeof value as keyof typeof kinds];
  if (kind !== undefined) return { type: { kind }, evaluate: () => value };
  if (typeof value === 'object' && value !== null && '__entity' in value) {
    const { type, id } = value.__entity as { type: string; id: string };
    return { type: { kind: 'entity', name: type }, evaluate: () => id };
  }
  throw new Unsupported('this literal');
}

function variable(name: unknown, scope: QuestionScope): Typed {
  const types: Readonly<Record<string, AttributeType | undefined>> = {
    principal: { kind: 'entity', name: scope.principalType },
    resource: { kind: 'entity', name: scope.resourceType },
    context: scope.schema.actions.get(scope.action)?.context,
  };
  if (name === 'action') return { type: { kind: 'entity', name: 'Action' }, evaluate: () => scope.action };
  const root = name as 'principal' | 'resource' | 'context';
  const type = types[root];
  if (type === undefined) throw new Unsupported(`variable ${String(name)}`);
  return {
    type,
    path: { root, names: [] },
    evaluate: root === 'context' ? ({ context }) => context : reader(root, []),
  };
}

function attributesOf({ type, path }: Typed, scope: QuestionScope): Readonly<Record<string, Attribute>> {
  if (path === undefined) throw new Unsupported('an attribute of a computed value');
  if (type.kind === 'record') return type.attributes;
  const shape = type.kind === 'entity' && path.names.length === 0 ? scope.schema.entities.get(type.name) : undefined;
  // Those of an entity that an attribute points to are not at hand: the caller hands over principal and row only.
  if (shape?.kind !== 'record') throw new Unsupported('an attribute of another entity');
  return shape.attributes;
}

function child(target: Typed, name: string, scope: QuestionScope): Typed & { required: boolean } {
  const attributes = attributesOf(target, scope);
  const found = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  if (found === undefined || target.path === undefined) throw new Unsupported(`attribute ${name}`);
  const path = { root: target.path.root, names: [...target.path.names, name] };
  return { type: found.type, required: found.required, path, evaluate: reader(path.root, path.names) };
}

function has(argument: { left: Node; attr: string | string[] }, scope: QuestionScope): Test {
  let target = expression(argument.left, scope);
  const present: Evaluate[] = [];
  for (const name of Array.isArray(argument.attr) ? argument.attr : [argument.attr]) {
    if (!Object.hasOwn(attributesOf(target, scope), name)) return never;
    const next = child(target, name, scope);
    if (!next.required) {
      if (next.path?.root === 'resource' && next.type.kind === 'record') throw new Unsupported('presence of a record');
      present.push(next.evaluate);
    }
    target = next;
  }
  return (question) => present.every((evaluate) => evaluate(question) !== undefined);
}

function value(node: Node, scope: QuestionScope): Typed {
  const typed = expression(node, scope);
  if (!comparable(typed.type)) throw new Unsupported(`a value of type ${typed.type.kind}`);
  return typed;
}

function both({ left, right }: Pair, scope: QuestionScope): { left: Typed; right: Typed } {
  return { left: value(left, scope), right: value(right, scope) };
}

function includesAll(set: unknown, items: unknown): boolean {
  return Array.isArray(set) && Array.isArray(items) && items.every((item) => set.includes(item));
}

function equal(pair: Pair, scope: QuestionScope): Test {
  const { left, right } = both(pair, scope);
  const [a, b] = [left.evaluate, right.evaluate];
  if (!sameType(left.type, right.type)) return never;
  if (left.type.kind !== 'set') return (question) => a(question) === b(question);
  return (question) => includesAll(a(question), b(question)) && includesAll(b(question), a(question));
}

function member(set: Typed, item: Typed): Test {
  if (set.type.kind !== 'set') throw new Unsupported('contains on other than a set');
  if (!sameType(set.type.element, item.type)) return never;
  const [a, b] = [set.evaluate, item.evaluate];
  return (question) => (a(question) as readonly unknown[]).includes(b(question));
}

/** Entities are flat here (SPEC P3), so `in` is equality, or membership when the right side is a set. */
function inside(pair: Pair, scope: QuestionScope): Test {
  const { left, right } = both(pair, scope);
  if (left.type.kind === 'entity' && left.type.name === 'Action') throw new Unsupported('action in a condition');
  return right.type.kind === 'set' ? member(right, left) : equal(pair, scope);
}

function order(pair: Pair, operator: '<' | '<=' | '>' | '>=', scope: QuestionScope): Test {
  const { left, right } = both(pair, scope);
  if (left.type.kind !== 'long' || right.type.kind !== 'long') throw new Unsupported(`${operator} on other than Long`);
  const a = left.evaluate as (question: Question) => number;
  const b = right.evaluate as (question: Question) => number;
  switch (operator) {
    case '<':
      return (question) => a(question) < b(question);
    case '<=':
      return (question) => a(question) <= b(question);
    case '>':
      return (question) => a(question) > b(question);
    case '>=':
      return (question) => a(question) >= b(question);
  }
}

function overlap(pair: Pair, operator: 'containsAll' | 'containsAny', scope: QuestionScope): Test {
  const { left, right } = both(pair, scope);
  if (left.type.kind !== 'set' || !sameType(left.type, right.type)) throw new Unsupported('sets of different types');
  const a = left.evaluate as (question: Question) => readonly unknown[];
  const b = right.evaluate as (question: Question) => readonly unknown[];
  if (operator === 'containsAll') return (question) => includesAll(a(question), b(question));
  return (question) => {
    const items = a(question);
    return b(question).some((item) => items.includes(item));
  };
}

function setOf(items: readonly Node[], scope: QuestionScope): Typed {
  const typed = items.map((item) => value(item, scope));
  const first = typed[0];
  if (first === undefined || !typed.every(({ type }) => sameType(type, first.type))) {
    throw new Unsupported('an empty or mixed set');
  }
  if (first.type.kind === 'set') throw new Unsupported('a set of sets');
  const type: AttributeType = { kind: 'set', element: first.type };
  if (items.every((item) => Object.hasOwn(item, 'Value'))) {
    const fixed = typed.map(({ evaluate }) => evaluate(undefined as never));
    return { type, evaluate: () => fixed };
  }
  return { type, evaluate: (question) => typed.map(({ evaluate }) => evaluate(question)) };
}

/** Wildcards match any text; each literal is taken at its first place, which is enough when only `*` exists. */
function like(
  argument: { left: Node; pattern: readonly ('Wildcard' | { Literal: string })[] },
  scope: QuestionScope,
): Test {
  const { type, evaluate } = value(argument.left, scope);
  if (type.kind !== 'string') throw new Unsupported('like on other than a string');
  const segments = [''];
  for (const element of argument.pattern) {
    if (element === 'Wildcard') segments.push('');
    else segments[segments.length - 1] += element.Literal;
  }
  const head = segments[0] ?? '';
  const tail = segments.at(-1) ?? '';
  if (segments.length === 1) return (question) => evaluate(question) === head;
  const middle = segments.slice(1, -1);
  return (question) => {
    const text = evaluate(question) as string;
    if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
    let from = head.length;
    for (const segment of middle) {
      const found = text.indexOf(segment, from);
      if (found < 0) return false;
      from = found + segment.length;
    }
    return from <= text.length - tail.length;
  };
}

function is(argument: { left: Node; entity_type: string; in?: Node }, scope: QuestionScope): Test {
  const { type } = expression(argument.left, scope);
  if (type.kind !== 'entity' || type.name !== argument.entity_type) return never;
  return argument.in === undefined ? always : inside({ left: argument.left, right: argument.in }, scope);
}

function truth(node: Node, scope: QuestionScope): Test {
  const { type, evaluate } = expression(node, scope);
  if (type.kind !== 'boolean') throw new Unsupported('a condition that is not a boolean');
  return evaluate as Test;
}

function branch(argument: { if: Node; then: Node; else: Node }, scope: QuestionScope): Typed {
  const test = truth(argument.if, scope);
  const yes = value(argument.then, scope);
  const no = value(argument.else, scope);
  if (!sameType(yes.type, no.type)) throw new Unsupported('branches of different types');
  return {
    type: yes.type,
    evaluate: (question) => (test(question) ? yes.evaluate(question) : no.evaluate(question)),
  };
}

function empty(node: Node, scope: QuestionScope): Test {
  const { type, evaluate } = value(node, scope);
  if (type.kind !== 'set') throw new Unsupported('isEmpty on other than a set');
  return (question) => (evaluate(question) as readonly unknown[]).length === 0;
}

function condition(operator: string, argument: never, scope: QuestionScope): Test {
  switch (operator) {
    case 'has':
      return has(argument, scope);
    case '!': {
      const test = truth((argument as { arg: Node }).arg, scope);
      return (question) => !test(question);
    }
    case '&&':
    case '||': {
      const [a, b] = [truth((argument as Pair).left, scope), truth((argument as Pair).right, scope)];
      return operator === '&&' ? (question) => a(question) && b(question) : (question) => a(question) || b(question);
    }
    case '==':
      return equal(argument, scope);
    case '!=': {
      const test = equal(argument, scope);
      return (question) => !test(question);
    }
    case 'in':
      return inside(argument, scope);
    case 'is':
      return is(argument, scope);
    case 'like':
      return like(argument, scope);
    case 'contains': {
      const { left, right } = both(argument, scope);
      return member(left, right);
    }
    case 'containsAll':
    case 'containsAny':
      return overlap(argument, operator, scope);
    case 'isEmpty':
      return empty((argument as { arg: Node }).arg, scope);
    case '<':
    case '<=':
    case '>':
    case '>=':
      return order(argument, operator, scope);
    default:
      throw new Unsupported(`operator ${operator}`);
  }
}

/** One operator of Cedar's JSON form; what is not named here has no SQL form either, and is `Unsupported`. */
function expression(node: Node, scope: QuestionScope): Typed {
  const keys = Object.keys(node);
  const operator = keys[0];
  if (operator === undefined || keys.length !== 1) throw new Unsupported('a node that is no single operator');
  const argument = node[operator] as never;
  switch (operator) {
    case 'Value':
      return literal(argument);
    case 'Var':
      return variable(argument, scope);
    case '.': {
      const { left, attr } = argument as { left: Node; attr: string };
      return child(expression(left, scope), attr, scope);
    }
    case 'Set':
      return setOf(argument, scope);
    case 'if-then-else':
      return branch(argument, scope);
    default:
      return { type: BOOLEAN, evaluate: condition(operator, argument, scope) };
  }
}

type Head = PolicyJson['principal'] | PolicyJson['resource'];

function headPart(constraint: Head, name: 'principal' | 'resource', scope: QuestionScope): Part | undefined {
  if (constraint.op === 'All') return undefined;
  const left: Node = { Var: name };
  const entity = (of: object): Node => {
    if (!('entity' in of)) throw new Unsupported('a template slot');
    const uid = of.entity as object;
    return { Value: { __entity: '__entity' in uid ? uid.__entity : uid } };
  };
  if (constraint.op === 'is') {
    const within = constraint.in === undefined ? {} : { in: entity(constraint.in) };
    const argument = { left, entity_type: constraint.entity_type, ...within };
    const test = is(argument, scope);
    return test === always ? undefined : { clause: name, node: { is: argument }, test };
  }
  const pair = { left, right: entity(constraint) };
  return { clause: name, node: { '==': pair }, test: inside(pair, scope) };
}

/** `a && b && c` of a `when`, `a || b` of an `unless`: each must hold, or must not, on its own. */
function split(node: Node, operator: '&&' | '||'): Node[] {
  const pair = node[operator] as Pair | undefined;
  return pair === undefined ? [node] : [...split(pair.left, operator), ...split(pair.right, operator)];
}

/**
 * One policy as the conditions that must all hold, in order, or undefined when it can never apply to this question.
 * Throws `Unsupported` for what Cedar knows and SQL does not. The conditions are pure and do not throw.
 */
export function compileRule(policy: PolicyJson, scope: QuestionScope): Part[] | undefined {
  const declaration = scope.schema.actions.get(scope.action);
  if (declaration === undefined || !actionMatches(policy.action, declaration.ancestors, scope.action)) return undefined;
  const head = [headPart(policy.principal, 'principal', scope), headPart(policy.resource, 'resource', scope)];
  const parts = head.filter((part) => part !== undefined);
  if (parts.some(({ test }) => test === never)) return undefined;
  for (const { kind, body } of policy.conditions) {
    for (const node of split(body, kind === 'when' ? '&&' : '||')) {
      const test = truth(node, scope);
      parts.push({ clause: kind, node, test: kind === 'when' ? test : (question) => !test(question) });
    }
  }
  return parts;
}
