import type { ScimDialect } from './dialects.ts';
import { refusal } from './errors.ts';
import { matches } from './evaluate.ts';
import { parsePatchPath, type Filter, type Grammar, type PatchPath } from './filter.ts';
import { isRawList, isRawObject, type Raw, type RawObject } from './json.ts';
import { OPERATIONS_MAX, PATCH_COMPARISONS_MAX } from './limits.ts';
import { spell } from './path.ts';
import {
  checkRequired,
  distinct,
  leaveOut,
  readExtension,
  readingOf,
  readNode,
  readValues,
  schemasOf,
  type Reading,
} from './read.ts';
import {
  branchOf,
  EMPTY,
  isBranch,
  isList,
  isSame,
  withEntry,
  type Branch,
  type Node,
  type ScimResource,
} from './resource.ts';
import { isNotKept, KINDS, type Attribute, type ResourceKind } from './schema.ts';

export const PATCH_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';

type Op = 'add' | 'replace' | 'remove';
const OPS: ReadonlySet<string> = new Set<Op>(['add', 'replace', 'remove']);

/** One operation with one target. */
interface Step {
  readonly op: Op;
  readonly path: PatchPath;
  readonly value: Raw | undefined;
  readonly field: string;
}

interface Patching {
  readonly grammar: Grammar;
  readonly reading: Reading;
  readonly current: ScimResource;
  /** Counts up over all operations. */
  readonly work: { comparisons: number };
}

/** The members of an object by their names in small letters; `scim_patch_form` for any that is not allowed. */
function fieldsOf(raw: Raw, allowed: readonly string[]): RawObject {
  if (!isRawObject(raw)) throw refusal('scim_patch_form');
  const found = new Map<string, Raw>();
  for (const [name, value] of raw) {
    const key = name.toLowerCase();
    // A word that nobody knows could be the one that mattered.
    if (!allowed.includes(key)) throw refusal('scim_patch_form', { field: name });
    if (found.has(key)) throw refusal('scim_name_repeated', { field: name });
    found.set(key, value);
  }
  return found;
}

/** P16: whether a target may be changed at all. True when it is there but says nothing: left out, and listed. */
function isLeftOut(path: PatchPath, patching: Patching, step: { value: Raw | undefined; isNamed: boolean }): boolean {
  const { attribute } = path;
  if (attribute === undefined || attribute.mutability !== 'readOnly') {
    if (path.sub?.mutability === 'readOnly' || (path.sub?.mutability === 'immutable' && path.filter !== undefined))
      throw refusal('scim_mutability', { field: spell(path) });
    return false;
  }
  const isSameId = attribute.name === 'id' && step.value === patching.current['id'];
  const isHarmless = step.isNamed && (attribute.name === 'id' ? isSameId : true);
  if (!isHarmless) throw refusal('scim_mutability', { field: spell(path) });
  leaveOut(patching.reading, attribute.name, step.value);
  return true;
}

function stepOf(
  op: Op,
  target: { name: string; value: Raw | undefined; isNamed: boolean },
  patching: Patching,
): Step[] {
  const { name, value, isNamed } = target;
  if (isNotKept(name)) {
    leaveOut(patching.reading, name.toLowerCase(), value);
    return [];
  }
  const path = parsePatchPath(name, patching.grammar);
  const isPlain = path.filter === undefined && path.sub === undefined;
  if (isNamed && !isPlain && !patching.reading.rules.pathsAsNames) throw refusal('scim_path', { field: name });
  return isLeftOut(path, patching, target) ? [] : [{ op, path, value, field: name }];
}

/** An operation without a path: each name of its object is one. */
function stepsOf(op: Op, value: Raw | undefined, patching: Patching): Step[] {
  if (op === 'remove') throw refusal('scim_no_target');
  if (!isRawObject(value)) throw refusal('scim_patch_form', { field: 'value' });
  const seen = new Set<string>();
  return [...value].flatMap(([name, inner]) => {
    if (name.toLowerCase() === 'schemas') return [];
    const steps = stepOf(op, { name, value: inner, isNamed: true }, patching);
    for (const { path } of steps) {
      const key = `${spell(path)} ${JSON.stringify(path.filter) ?? ''}`;
      if (seen.has(key)) throw refusal('scim_name_repeated', { field: name });
      seen.add(key);
    }
    return steps;
  });
}

function readOperation(raw: Raw, patching: Patching): Step[] {
  const named = patching.reading.rules.namedOperations ? ['name'] : [];
  const fields = fieldsOf(raw, ['op', 'path', 'value', ...named]);
  const said = fields.get('op');
  const op = typeof said === 'string' ? said.toLowerCase() : '';
  if (!OPS.has(op)) throw refusal('scim_patch_form', { field: 'op' });
  const path = fields.get('path');
  const value = fields.get('value');
  if (path === undefined || path === '' || path === null) return stepsOf(op as Op, value, patching);
  if (typeof path !== 'string') throw refusal('scim_path');
  if (op !== 'remove' && value === undefined) throw refusal('scim_patch_form', { field: 'value' });
  return stepOf(op as Op, { name: path, value, isNamed: false }, patching);
}

/** P8: the operations of a PATCH, in their order. */
function readOperations(message: RawObject, patching: Patching): Step[] {
  const fields = fieldsOf(message, ['schemas', 'operations']);
  if (!schemasOf(message).has(PATCH_SCHEMA.toLowerCase())) throw refusal('scim_schemas', { field: 'schemas' });
  const operations = fields.get('operations');
  if (!isRawList(operations) || operations.length === 0) throw refusal('scim_patch_form', { field: 'Operations' });
  if (operations.length > OPERATIONS_MAX) throw refusal('scim_patch_too_many');
  return operations.flatMap((each) => readOperation(each, patching));
}

function comparisonsOf(filter: Filter): number {
  if (filter.kind === 'and' || filter.kind === 'or')
    return filter.parts.reduce((sum, part) => sum + comparisonsOf(part), 0);
  return filter.kind === 'not' || filter.kind === 'each' ? comparisonsOf(filter.filter) : 1;
}

/** What a value must say to be selected by a filter of equalities; undefined where it cannot be told. */
function saidBy(filter: Filter): Branch | undefined {
  if (filter.kind === 'and') {
    const parts = filter.parts.map(saidBy);
    return parts.includes(undefined) ? undefined : branchOf(parts.flatMap((part) => Object.entries(part ?? EMPTY)));
  }
  if (filter.kind !== 'compare' || filter.op !== 'eq' || filter.value === null) return undefined;
  return branchOf([[filter.path.attribute.name, filter.value]]);
}

const merged = (before: Branch, after: Branch): Branch =>
  branchOf(new Map([...Object.entries(before), ...Object.entries(after)]));

/** P15: a value that becomes the primary one takes that from the others. */
function withOnePrimary(before: readonly Branch[], after: readonly Branch[]): readonly Branch[] {
  const primary = after.filter((each) => each['primary'] === true);
  if (primary.length < 2) return after;
  const young = primary.filter((each) => !before.some((old) => old['primary'] === true && isSame(old, each)));
  if (young.length !== 1) return after;
  return after.map((each) =>
    each['primary'] === true && each !== young[0] ? withEntry(each, 'primary', false) : each,
  );
}

/** P10 P11 P13: add or replace those values of a list that a filter selects, or a part of each of them. */
function selectedValues(
  step: Step,
  filter: Filter,
  at: { values: readonly Branch[]; reading: Reading },
): readonly Branch[] {
  const { op, value, field, path } = step;
  const { values, reading } = at;
  const { attribute, sub } = path as { attribute: Attribute; sub: Attribute | undefined };
  const isSelected = values.map((each) => matches(filter, each));
  if (op === 'remove') {
    if (value !== undefined && value !== null) throw refusal('scim_remove_value', { field });
    const left = values.map((each, index) =>
      isSelected[index] && sub !== undefined ? withEntry(each, sub.name, undefined) : each,
    );
    return left.filter((each, index) => Object.keys(each).length > 0 && !(isSelected[index] && sub === undefined));
  }
  if (sub?.name === 'primary' && isSelected.indexOf(true) !== isSelected.lastIndexOf(true))
    throw refusal('scim_primary', { field });
  const said = sub === undefined ? readValues(attribute, value ?? null, { reading, field }) : [];
  if (sub === undefined && said.length !== 1) throw refusal('scim_value_type', { field });
  const node = sub === undefined ? undefined : readNode(sub, value ?? null, { reading, field });
  const change = (old: Branch): Branch => {
    if (sub !== undefined) return withEntry(old, sub.name, node);
    return op === 'add' ? merged(old, said[0]!) : said[0]!;
  };
  if (isSelected.includes(true)) {
    const changed = values.map((each, index) => (isSelected[index] ? change(each) : each));
    return changed.filter((each) => Object.keys(each).length > 0);
  }
  const seed = saidBy(filter);
  if (seed === undefined || (op === 'replace' && !reading.rules.replaceCreates))
    throw refusal('scim_no_target', { field });
  // Nothing to say about nobody: an empty value creates nothing.
  if (sub !== undefined && node === undefined) return values;
  return [...values, sub === undefined ? merged(seed, said[0]!) : withEntry(seed, sub.name, node)];
}

/** P12: the values that a remove names, each by its `value` or by all that it says. */
function withoutNamed(values: readonly Branch[], named: readonly Branch[]): readonly Branch[] {
  const ids = new Set<Node | undefined>(named.map((each) => each['value']).filter((each) => each !== undefined));
  const others = named.filter((each) => each['value'] === undefined);
  return values.filter(
    (value) =>
      !ids.has(value['value']) &&
      !others.some((each) => Object.keys(each).every((name) => isSame(each[name], value[name]))),
  );
}

/** The values that an add or a replace says; none where it says nothing. */
function saidValues({ value, field }: Step, attribute: Attribute, reading: Reading): readonly Branch[] {
  const isEmpty = value === undefined || value === null || value === '';
  return isEmpty ? [] : readValues(attribute, value, { reading, field });
}

function changedList(step: Step, before: readonly Branch[], reading: Reading): readonly Branch[] {
  const { op, value, field, path } = step;
  const attribute = path.attribute as Attribute;
  if (path.sub !== undefined && path.filter === undefined) throw refusal('scim_path', { field });
  if (path.filter !== undefined) return selectedValues(step, path.filter, { values: before, reading });
  if (op === 'remove') {
    if (value === undefined || value === null) return [];
    if (!reading.rules.removeByValue) throw refusal('scim_remove_value', { field });
    return withoutNamed(before, readValues(attribute, value, { reading, field }));
  }
  const said = saidValues(step, attribute, reading);
  return op === 'add' ? [...before, ...said] : said;
}

/** The attribute of one step as it is afterwards. */
function changedNode(step: Step, before: Node | undefined, { reading, work }: Patching): Node | undefined {
  const { op, value, field, path } = step;
  const { sub } = path;
  const attribute = path.attribute as Attribute;
  if (attribute.multiValued) {
    const values = isList(before) ? before : [];
    work.comparisons += values.length * (path.filter === undefined ? 1 : comparisonsOf(path.filter));
    if (work.comparisons > PATCH_COMPARISONS_MAX) throw refusal('scim_patch_too_many', { field });
    const after = changedList(step, values, reading);
    // What is only shorter needs no second look: it would cost each of many removals the whole list.
    if (op === 'remove' && sub === undefined) return Object.freeze(after);
    return distinct(attribute, withOnePrimary(values, after));
  }
  if (op === 'remove') {
    // The standing of a person is said, not unsaid.
    if (attribute.required || attribute.type === 'boolean') throw refusal('scim_mutability', { field });
    if (value !== undefined && value !== null && !reading.rules.removeByValue)
      throw refusal('scim_remove_value', { field });
    return sub === undefined || !isBranch(before) ? undefined : withEntry(before, sub.name, undefined);
  }
  const said = readNode(sub ?? attribute, value ?? null, { reading, field });
  if (sub !== undefined) return withEntry(isBranch(before) ? before : EMPTY, sub.name, said);
  // Both add and replace leave the parts that they do not name (RFC 7644 3.5.2.1 and 3.5.2.3).
  return isBranch(said) && isBranch(before) ? merged(before, said) : said;
}

function changedExtension(step: Step, before: Branch, { grammar, reading }: Patching): Branch {
  const { op, value, field, path } = step;
  const extension = path.extension!;
  const table = KINDS[grammar.kind].extensions.get(extension.toLowerCase())!.attributes;
  if (op === 'remove') return EMPTY;
  const said = value === null ? EMPTY : readExtension(table, value!, { reading, field });
  const deep = Object.entries(said).map(([name, node]): [string, Node | undefined] => {
    const old = before[name];
    return [name, isBranch(node) && isBranch(old) ? merged(old, node) : node];
  });
  return merged(before, branchOf(deep));
}

function apply(resource: ScimResource, step: Step, patching: Patching): ScimResource {
  const { extension, attribute } = step.path;
  const inside = extension === undefined ? resource : resource[extension];
  const container = isBranch(inside) ? inside : EMPTY;
  const changed =
    attribute === undefined
      ? changedExtension(step, container, patching)
      : withEntry(container, attribute.name, changedNode(step, container[attribute.name], patching));
  return extension === undefined ? changed : withEntry(resource, extension, changed);
}

/** The id that a step adds nobody twice by, or takes away by; undefined for steps that need a look at every value. */
function isById({ op, path, value }: Step): boolean {
  if (path.extension !== undefined || path.attribute?.name !== 'members' || path.sub !== undefined) return false;
  const { filter } = path;
  if (op === 'add') return filter === undefined;
  if (op !== 'remove' || filter?.kind !== 'compare' || filter.op !== 'eq') return false;
  return filter.path.attribute.name === 'value' && typeof filter.key === 'string' && value === undefined;
}

/**
 * Additions and removals of members by their id, one after the other, with one look at the list: hundreds of them in a
 * group of thousands would otherwise hold the process for seconds.
 */
function withMembers(resource: ScimResource, steps: readonly Step[], { reading }: Patching): ScimResource {
  const before = resource['members'];
  const byId = new Map((isList(before) ? before : []).map((each): [Node | undefined, Branch] => [each['value'], each]));
  const attribute = steps[0]!.path.attribute!;
  for (const step of steps) {
    const { filter } = step.path;
    if (step.op === 'remove') byId.delete(filter?.kind === 'compare' ? (filter.key ?? undefined) : undefined);
    else
      for (const value of saidValues(step, attribute, reading))
        if (!byId.has(value['value'])) byId.set(value['value'], value);
  }
  return withEntry(resource, 'members', distinct(attribute, byId.values()));
}

/** Steps in runs, so that those of one attribute stand together: what is done to one attribute says nothing of another. */
function runsOf(steps: readonly Step[]): readonly (readonly Step[])[] {
  const groups = Map.groupBy(steps, ({ path }) => path.extension ?? path.attribute?.name);
  return [...groups.values()].flatMap((group) =>
    group.reduce<Step[][]>((runs, step) => {
      const last = runs.at(-1);
      if (last !== undefined && isById(step) && isById(last[0]!)) last.push(step);
      else runs.push([step]);
      return runs;
    }, []),
  );
}

/**
 * P8 to P16: the resource after a PATCH; `current` is left as it was, also when a later operation is refused. Throws
 * `ScimError`.
 */
export function patched(
  message: RawObject,
  current: ScimResource,
  how: { readonly kind: ResourceKind; readonly dialect: ScimDialect },
): { readonly resource: ScimResource; readonly ignored: readonly string[] } {
  const reading = readingOf(how, 'refused');
  const patching: Patching = { grammar: how, reading, current, work: { comparisons: 0 } };
  const resource = runsOf(readOperations(message, patching)).reduce(
    (before, run) => (isById(run[0]!) ? withMembers(before, run, patching) : apply(before, run[0]!, patching)),
    current,
  );
  checkRequired(how.kind, resource);
  return { resource, ignored: [...reading.ignored] };
}
