import type { Selection } from './list.ts';
import type { AttributePath, ExtensionPath } from './path.ts';
import { branchOf, isBranch, isList, type Branch, type Node, type ScimResource } from './resource.ts';
import { KINDS, type ResourceKind } from './schema.ts';
import { entityTag } from './version.ts';

/** What only the store knows of a resource. Times are RFC 3339 texts; `base` is the address that `/Users` follows. */
export interface Origin {
  readonly kind: ResourceKind;
  readonly base: string;
  readonly created: string;
  readonly lastModified: string;
}

/** The address of a resource; the id is escaped, whoever made it. */
export function locationOf(kind: ResourceKind, base: string, id: string): string {
  return `${base}/${kind}s/${encodeURIComponent(id)}`;
}

const ALL: Selection = { mode: 'all', paths: [] };

interface Place {
  readonly extension: string | undefined;
  readonly name: string;
}

const isAt = (path: AttributePath | ExtensionPath, { extension, name }: Place): boolean =>
  path.extension === extension && path.attribute?.name === name;

/** A value with some of its parts. */
function partsOf(node: Node, isShown: (name: string) => boolean): Node {
  const cut = (branch: Branch) => branchOf(Object.entries(branch).filter(([name]) => isShown(name)));
  return isList(node) ? node.map(cut) : isBranch(node) ? cut(node) : node;
}

/** P26: one attribute as the selection shows it; undefined where it does not. */
function shownNode(node: Node, place: Place, { mode, paths }: Selection): Node | undefined {
  const here = paths.filter((path) => isAt(path, place));
  const subs = new Set(here.map(({ sub }) => sub?.name));
  const isWhole = subs.has(undefined) && here.length > 0;
  if (mode === 'all') return node;
  if (mode === 'only') return isWhole ? node : here.length === 0 ? undefined : partsOf(node, (name) => subs.has(name));
  return isWhole ? undefined : partsOf(node, (name) => !subs.has(name));
}

function shownExtension(node: Branch, extension: string, selection: Selection): Branch {
  const isNamed = selection.paths.some((path) => path.extension === extension && path.attribute === undefined);
  if (selection.mode === 'without' && isNamed) return branchOf([]);
  if (selection.mode === 'all' || (selection.mode === 'only' && isNamed)) return node;
  return branchOf(
    Object.entries(node).map(([name, inner]) => [name, inner && shownNode(inner, { extension, name }, selection)]),
  );
}

function metaOf(resource: ScimResource, origin: Origin): Branch {
  const { id } = resource;
  const { kind, base, created, lastModified } = origin;
  return branchOf([
    ['resourceType', kind],
    ['created', created],
    ['lastModified', lastModified],
    ['location', typeof id === 'string' ? locationOf(kind, base, id) : undefined],
    ['version', entityTag(resource)],
  ]);
}

/** The resource with its `meta`, as filters see it. */
export function withMeta(resource: ScimResource, origin: Origin): ScimResource {
  return branchOf([
    ...Object.entries(resource).filter(([name]) => name !== 'meta'),
    ['meta', metaOf(resource, origin)],
  ]);
}

/** A resource as it is sent: JSON without a prototype, whose `schemas` name what it really has. */
export interface ShownResource {
  readonly schemas: readonly string[];
  readonly [name: string]: Node | readonly string[] | undefined;
}

/** P26: what goes out. `schemas` and `id` always do. The version is that of the whole resource, whatever is shown. */
export function present(resource: ScimResource, origin: Origin, selection: Selection = ALL): ShownResource {
  const { core, extensions } = KINDS[origin.kind];
  const shown = Object.entries(withMeta(resource, origin)).map(([name, node]): readonly [string, Node | undefined] => {
    if (node === undefined || name === 'id') return [name, node];
    const extension = extensions.get(name.toLowerCase())?.schema.id;
    if (extension !== undefined && isBranch(node)) return [name, shownExtension(node, extension, selection)];
    return [name, shownNode(node, { extension: undefined, name }, selection)];
  });
  const body = branchOf(shown);
  const used = [...extensions.values()].map(({ schema }) => schema.id).filter((id) => body[id] !== undefined);
  return Object.freeze(Object.assign(Object.create(null), { schemas: [core.id, ...used] }, body)) as ShownResource;
}
