/** A single value as it is kept. */
export type Simple = string | boolean;
export type Node = Simple | Branch | readonly Branch[];

/**
 * A resource, a complex value or an extension: frozen, without a prototype, and with names from the schema table only.
 * A resource has `id`, `externalId` and its attributes; extensions stand under the address of their schema.
 */
export interface Branch {
  readonly [name: string]: Node | undefined;
}
export type ScimResource = Branch;

export const isBranch = (node: Node | undefined): node is Branch =>
  typeof node === 'object' && node !== null && !Array.isArray(node);
export const isList = (node: Node | undefined): node is readonly Branch[] => Array.isArray(node);

/** Whether nothing is said: no value, an empty list, a value without parts. */
export const isUnassigned = (node: Node | undefined): node is undefined =>
  node === undefined || node === '' || (typeof node === 'object' && Object.keys(node).length === 0);

/** A frozen branch without a prototype; what is unassigned is left out. */
export function branchOf(entries: Iterable<readonly [string, Node | undefined]>): Branch {
  const made = Object.create(null) as Record<string, Node>;
  for (const [name, node] of entries) if (!isUnassigned(node)) made[name] = node;
  return Object.freeze(made);
}

export const EMPTY: Branch = branchOf([]);

/** The branch with one name set anew or taken away. */
export function withEntry(branch: Branch, name: string, node: Node | undefined): Branch {
  const entries = new Map<string, Node | undefined>(Object.entries(branch));
  entries.set(name, node);
  return branchOf(entries);
}

/** Equal in value; the order of names says nothing, the order of a list does. */
export function isSame(a: Node | undefined, b: Node | undefined): boolean {
  if (a === b) return true;
  if (isList(a) && isList(b)) return a.length === b.length && a.every((each, index) => isSame(each, b[index]));
  if (!isBranch(a) || !isBranch(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => isSame(a[name], b[name]));
}
