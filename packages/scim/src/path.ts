import { KINDS, subAttributesOf, type Attribute, type AttributeTable, type ResourceKind } from './schema.ts';

/** Where a value is: in which extension, which attribute, which part of it. Names as the schema table has them. */
export interface AttributePath {
  /** Address of the extension; undefined for the core. */
  readonly extension: string | undefined;
  readonly attribute: Attribute;
  readonly sub: Attribute | undefined;
}

/** A whole extension, as in a path that ends with its address. */
export interface ExtensionPath {
  readonly extension: string;
  readonly attribute: undefined;
  readonly sub: undefined;
}

/** The key of a name in a table: small ASCII letters. A Kelvin sign is no `k` here either. */
const nameKey = (name: string): string => (/^[\u0021-\u007e]+$/.test(name) ? name.toLowerCase() : '');

export const findAttribute = (table: AttributeTable, name: string): Attribute | undefined => table.get(nameKey(name));

/** An attribute and, after a point, one of its parts; undefined where the table has no such thing. */
function within(table: AttributeTable, name: string, extension: string | undefined): AttributePath | undefined {
  const [first = '', second, ...more] = name.split('.');
  const attribute = findAttribute(table, first);
  if (attribute === undefined || more.length > 0) return undefined;
  if (second === undefined) return { extension, attribute, sub: undefined };
  const sub = findAttribute(subAttributesOf(attribute), second);
  return sub === undefined ? undefined : { extension, attribute, sub };
}

/** P9: `attr`, `attr.sub`, or either behind the address of a schema; case does not matter. */
export function resolvePath(kind: ResourceKind, name: string): AttributePath | ExtensionPath | undefined {
  const { core, attributes, extensions } = KINDS[kind];
  const key = nameKey(name);
  if (!key.startsWith('urn:')) return within(attributes, name, undefined);
  const whole = extensions.get(key);
  if (whole !== undefined) return { extension: whole.schema.id, attribute: undefined, sub: undefined };
  const inside = (schema: string) => key.startsWith(`${schema.toLowerCase()}:`);
  if (inside(core.id)) return within(attributes, name.slice(core.id.length + 1), undefined);
  for (const { schema, attributes: table } of extensions.values())
    if (inside(schema.id)) return within(table, name.slice(schema.id.length + 1), schema.id);
  return undefined;
}

/** The one spelling of a path, for changes and errors. */
export function spell({ extension, attribute, sub }: AttributePath | ExtensionPath): string {
  if (attribute === undefined) return extension;
  return `${extension === undefined ? '' : `${extension}:`}${attribute.name}${sub === undefined ? '' : `.${sub.name}`}`;
}
