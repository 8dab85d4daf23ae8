import type { Comparison, Filter } from './filter.ts';
import type { AttributePath } from './path.ts';
import { isBranch, isList, type Branch, type Node, type Simple } from './resource.ts';
import { foldCase } from './text.ts';

function nodeAt({ extension, attribute }: AttributePath, branch: Branch): Node | undefined {
  if (extension === undefined) return branch[attribute.name];
  const inside = branch[extension];
  return isBranch(inside) ? inside[attribute.name] : undefined;
}

/** All single values that a path with a part leads to. */
function valuesAt(path: AttributePath, branch: Branch): readonly Simple[] {
  const node = nodeAt(path, branch);
  const { sub } = path;
  if (typeof node !== 'object' || sub === undefined) return [];
  return (isList(node) ? node : [node])
    .map((each) => each[sub.name])
    .filter((each): each is Simple => typeof each === 'string' || typeof each === 'boolean');
}

function isOrdered(op: Comparison['op'], a: string | number, b: string | number): boolean {
  if (op === 'gt') return a > b;
  if (op === 'ge') return a >= b;
  if (op === 'lt') return a < b;
  return op === 'le' && a <= b;
}

function holds({ op, path, key }: Comparison, value: Simple): boolean {
  const target = path.sub ?? path.attribute;
  if (typeof value !== 'string' || typeof key !== 'string') return op === 'eq' && value === key;
  if (target.type === 'dateTime') {
    const [a, b] = [Date.parse(value), Date.parse(key)];
    return op === 'eq' ? a === b : isOrdered(op, a, b);
  }
  const text = target.caseExact ? value : foldCase(value);
  if (op === 'eq') return text === key;
  if (op === 'co') return text.includes(key);
  if (op === 'sw') return text.startsWith(key);
  if (op === 'ew') return text.endsWith(key);
  return isOrdered(op, text, key);
}

function compares(comparison: Comparison, branch: Branch): boolean {
  const { op, path, value } = comparison;
  // Whatever is not equal is `ne`, a missing value included; so that exactly one of the two holds.
  if (op === 'ne') return !compares({ ...comparison, op: 'eq' }, branch);
  if (path.sub === undefined) {
    const node = nodeAt(path, branch);
    const isSimple = typeof node === 'string' || typeof node === 'boolean';
    return value === null ? node === undefined : isSimple && holds(comparison, node);
  }
  const values = valuesAt(path, branch);
  return value === null ? values.length === 0 : values.some((each) => holds(comparison, each));
}

/**
 * P21: whether a filter selects a resource, or a value within brackets. Of several values one is enough; a missing one
 * is equal to `null` and to nothing else.
 */
export function matches(filter: Filter, branch: Branch): boolean {
  switch (filter.kind) {
    case 'compare':
      return compares(filter, branch);
    case 'present':
      return filter.path.sub === undefined
        ? nodeAt(filter.path, branch) !== undefined
        : valuesAt(filter.path, branch).length > 0;
    case 'each': {
      const values = nodeAt(filter.path, branch);
      return isList(values) && values.some((value) => matches(filter.filter, value));
    }
    case 'and':
      return filter.parts.every((part) => matches(part, branch));
    case 'or':
      return filter.parts.some((part) => matches(part, branch));
    case 'not':
      return !matches(filter.filter, branch);
  }
}

/** What a store may keep an index of. */
export type LookupName = 'id' | 'userName' | 'externalId' | 'members.value' | 'displayName';

/** The most selective first. */
const LOOKUPS: readonly LookupName[] = ['id', 'userName', 'externalId', 'members.value', 'displayName'];

/** Equality of one indexed attribute. `key` is `foldCase` of the value where case does not matter, else the value. */
export interface Lookup {
  readonly by: LookupName;
  readonly key: string;
}

/** How to find what a filter selects: by an index and then by the filter, or by the filter alone. */
export type FilterPlan =
  | { readonly kind: 'lookup'; readonly lookup: Lookup; readonly filter: Filter }
  | { readonly kind: 'scan'; readonly filter: Filter };

function lookupOf(filter: Filter, parent: string): Lookup | undefined {
  if (filter.kind !== 'compare' || filter.op !== 'eq' || typeof filter.key !== 'string') return undefined;
  const { extension, attribute, sub } = filter.path;
  const name = `${parent}${attribute.name}${sub === undefined ? '' : `.${sub.name}`}`;
  const by = extension === undefined ? LOOKUPS.find((each) => each === name) : undefined;
  return by === undefined ? undefined : { by, key: filter.key };
}

function lookupsOf(filter: Filter, parent = ''): readonly Lookup[] {
  if (filter.kind === 'and') return filter.parts.flatMap((part) => lookupsOf(part, parent));
  if (filter.kind === 'each') return lookupsOf(filter.filter, `${filter.path.attribute.name}.`);
  const found = lookupOf(filter, parent);
  return found === undefined ? [] : [found];
}

/**
 * P23: what every match must have, if the filter says so and the store has an index of it. A plan never selects: what
 * the index finds is still held against the filter with {@link matches}.
 */
export function planFilter(filter: Filter, indexes: ReadonlySet<LookupName>): FilterPlan {
  const found = lookupsOf(filter);
  for (const by of LOOKUPS) {
    const lookup = indexes.has(by) ? found.find((each) => each.by === by) : undefined;
    if (lookup !== undefined) return { kind: 'lookup', lookup, filter };
  }
  return { kind: 'scan', filter };
}
