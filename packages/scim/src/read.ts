import { DIALECTS, type DialectRules, type ScimDialect } from './dialects.ts';
import { refusal } from './errors.ts';
import { isRawList, isRawObject, type Raw, type RawObject } from './json.ts';
import { IGNORED_MAX, KEY_CHARACTERS_MAX, MEMBERS_MAX, TEXT_CHARACTERS_MAX, VALUES_MAX } from './limits.ts';
import { findAttribute } from './path.ts';
import { branchOf, isSame, type Branch, type Node, type ScimResource, type Simple } from './resource.ts';
import { isNotKept, KINDS, subAttributesOf, type Attribute, type AttributeTable, type ResourceKind } from './schema.ts';
import { speaksOfLeaving } from './standing.ts';
import { hasImpostors, hasInvisible } from './text.ts';

/** How a message is read. `unknown: 'left-out'` for whole resources, `'refused'` for a PATCH, which means each word. */
export interface Reading {
  readonly rules: DialectRules;
  readonly unknown: 'left-out' | 'refused';
  /** Names of what was left out; never values. */
  readonly ignored: Set<string>;
  /** Whether the resource is a person, who could be leaving. */
  readonly isPerson: boolean;
}

export const readingOf = (
  { kind, dialect }: { readonly kind: ResourceKind; readonly dialect: ScimDialect },
  unknown: Reading['unknown'],
): Reading => ({ rules: DIALECTS[dialect], unknown, ignored: new Set(), isPerson: kind === 'User' });

/** P5 P17: nothing that speaks of a leaver is left out: it is an error, which suspends. */
export function leaveOut(reading: Reading, name: string, value: Raw | undefined): void {
  if (reading.isPerson && value !== undefined && speaksOfLeaving(new Map([[name, value]])))
    throw refusal('scim_leaving_unread', { field: name });
  if (reading.ignored.size < IGNORED_MAX) reading.ignored.add(name);
}

/** Texts that are stored under an index or compared as ids. */
const KEYS: ReadonlySet<string> = new Set(['userName', 'externalId', 'value']);
/** Texts with line breaks of their own. */
const LINES: ReadonlySet<string> = new Set(['formatted', 'streetAddress']);

function readText(attribute: Attribute, text: string, field: string): string {
  const isKey = KEYS.has(attribute.name) && attribute.caseExact;
  const characters_max = isKey || attribute.name === 'userName' ? KEY_CHARACTERS_MAX : TEXT_CHARACTERS_MAX;
  const plain = LINES.has(attribute.name) ? text.replace(/[\t\n\r]/g, '') : text;
  if (text.length > characters_max || /\p{Cc}/u.test(plain)) throw refusal('scim_value_bounds', { field });
  const isPlain = attribute.name !== 'userName' || (text === text.trim() && !hasInvisible(text) && !hasImpostors(text));
  if (!isPlain) throw refusal('scim_user_name', { field });
  return text;
}

function readSimple(attribute: Attribute, raw: Raw, at: { reading: Reading; field: string }): Simple {
  const { rules } = at.reading;
  if (attribute.type === 'boolean') {
    if (typeof raw === 'boolean') return raw;
    const isText = rules.booleanTexts && typeof raw === 'string' && /^(?:true|false)$/i.test(raw);
    if (isText) return raw.toLowerCase() === 'true';
  } else if (typeof raw === 'string') return readText(attribute, raw, at.field);
  throw refusal('scim_value_type', { field: at.field });
}

/** The one value within `[{"value": x}]`, where the dialect wraps single values. */
function unwrapped(attribute: Attribute, raw: Raw, { rules }: Reading): Raw {
  if (!rules.looseValues || attribute.type === 'complex' || !isRawList(raw) || raw.length !== 1) return raw;
  const [only] = raw;
  if (!isRawObject(only)) return raw;
  const values = [...only].filter(([name]) => name.toLowerCase() === 'value');
  return values.length === 1 ? values[0]![1] : raw;
}

function readComplex(attribute: Attribute, raw: Raw, at: { reading: Reading; field: string }): Branch {
  const table = subAttributesOf(attribute);
  if (isRawObject(raw)) return readEntries(table, raw, { ...at, isPart: true });
  const value = table.get('value');
  if (!at.reading.rules.looseValues || value === undefined || typeof raw !== 'string')
    throw refusal('scim_value_type', { field: at.field });
  return branchOf([[value.name, readSimple(value, raw, at)]]);
}

/** Values of a list, each once: members by their id, others by all that they say. */
export function distinct(attribute: Attribute, values: Iterable<Branch>): readonly Branch[] {
  if (attribute.name !== 'members') {
    const found: Branch[] = [];
    for (const value of values) if (!found.some((each) => isSame(each, value))) found.push(value);
    return checkList(attribute, found);
  }
  const found = new Map<Node | undefined, Branch>();
  for (const value of values) if (!found.has(value['value'])) found.set(value['value'], value);
  return checkList(attribute, [...found.values()]);
}

function checkList(attribute: Attribute, values: readonly Branch[]): readonly Branch[] {
  const field = attribute.name;
  if (values.length > (field === 'members' ? MEMBERS_MAX : VALUES_MAX)) throw refusal('scim_value_bounds', { field });
  if (values.filter((each) => each['primary'] === true).length > 1) throw refusal('scim_primary', { field });
  if (field === 'members' && values.some((each) => each['value'] === undefined))
    throw refusal('scim_value_required', { field: 'members.value' });
  return Object.freeze(values);
}

/** The values of a list as they are sent: a list, or one value that stands for a list of one. */
export function readValues(attribute: Attribute, raw: Raw, at: { reading: Reading; field: string }): readonly Branch[] {
  const raws = isRawList(raw) ? raw : [raw];
  if (raws.length > (attribute.name === 'members' ? MEMBERS_MAX : VALUES_MAX))
    throw refusal('scim_value_bounds', { field: at.field });
  const values = raws.map((each) => readComplex(attribute, each, at)).filter((each) => Object.keys(each).length > 0);
  return distinct(attribute, values);
}

/**
 * P4: one attribute. Undefined where nothing is said: null, an empty text, an empty list (RFC 7643 2.5). Throws
 * `scim_value_*`, `scim_primary`, `scim_user_name`; `scim_path` for an unknown part of it in a PATCH.
 */
export function readNode(
  attribute: Attribute,
  raw: Raw,
  at: { readonly reading: Reading; readonly field: string },
): Node | undefined {
  const value = unwrapped(attribute, raw, at.reading);
  if (value === null || value === '') {
    // Nobody's standing is ever unsaid: `active: null` is a value of the wrong type.
    if (attribute.name === 'active') throw refusal('scim_value_type', { field: at.field });
    return undefined;
  }
  if (attribute.type !== 'complex') return readSimple(attribute, value, at);
  if (!attribute.multiValued) return readComplex(attribute, value, at);
  if (!isRawList(value) && at.reading.unknown === 'left-out') throw refusal('scim_value_type', { field: at.field });
  return readValues(attribute, value, at);
}

/** P2 P3: names from the table in any case, each once. What else is there is left out or refused. */
function readEntries(
  table: AttributeTable,
  raw: RawObject,
  at: { readonly reading: Reading; readonly field: string; readonly isPart?: boolean },
): Branch {
  const found = new Map<string, Node | undefined>();
  for (const [name, value] of raw) {
    const field = at.field === '' ? name : `${at.field}.${name}`;
    const attribute = findAttribute(table, name);
    if (attribute === undefined || attribute.mutability === 'readOnly') {
      // An address of the value is made by this server.
      if (at.reading.unknown === 'refused' && attribute === undefined && name.toLowerCase() !== '$ref')
        throw refusal('scim_path', { field });
      // A part of a value is about that value: an address that is not active is nobody who left.
      leaveOut(at.reading, field, at.isPart === true ? undefined : value);
    } else if (found.has(attribute.name)) throw refusal('scim_name_repeated', { field });
    else found.set(attribute.name, readNode(attribute, value, { reading: at.reading, field }));
  }
  return branchOf(found);
}

export function readExtension(table: AttributeTable, raw: Raw, at: { reading: Reading; field: string }): Branch {
  if (!isRawObject(raw)) throw refusal('scim_value_type', { field: at.field });
  return readEntries(table, raw, at);
}

/** The schemas that a message says it is of, in small letters. */
export function schemasOf(raw: RawObject): ReadonlySet<string> {
  const found = [...raw].filter(([name]) => name.toLowerCase() === 'schemas');
  if (found.length > 1) throw refusal('scim_name_repeated', { field: 'schemas' });
  const list = found[0]?.[1];
  if (!isRawList(list) || !list.every((each) => typeof each === 'string'))
    throw refusal('scim_schemas', { field: 'schemas' });
  return new Set(list.map((each) => each.toLowerCase()));
}

/** What a whole resource says: its attributes without `id` and `meta`, and the id that it claims to have. */
export interface ReadResource {
  readonly attributes: ScimResource;
  readonly id: string | undefined;
}

/** P2 to P6: a whole resource, as in POST and PUT. Read-only, unknown and never kept attributes are left out. */
export function readResource(kind: ResourceKind, raw: RawObject, reading: Reading): ReadResource {
  const { core, attributes, extensions } = KINDS[kind];
  if (!schemasOf(raw).has(core.id.toLowerCase())) throw refusal('scim_schemas', { field: 'schemas' });
  const own = new Map<string, Raw>();
  const outside = new Map<string, Node | undefined>();
  let id: string | undefined;
  for (const [name, value] of raw) {
    const key = name.toLowerCase();
    const extension = extensions.get(key);
    if (key === 'schemas') continue;
    if (key === 'id' && typeof value === 'string') id = value;
    if (isNotKept(name)) leaveOut(reading, key, value);
    else if (extension === undefined) own.set(name, value);
    else if (outside.has(extension.schema.id)) throw refusal('scim_name_repeated', { field: name });
    else outside.set(extension.schema.id, readExtension(extension.attributes, value, { reading, field: name }));
  }
  const read = readEntries(attributes, own, { reading, field: '' });
  return { attributes: branchOf([...Object.entries(read), ...outside]), id };
}

/** P4: whether everything is there that must be. */
export function checkRequired(kind: ResourceKind, resource: ScimResource): void {
  for (const { name, required } of KINDS[kind].attributes.values())
    if (required && resource[name] === undefined) throw refusal('scim_value_required', { field: name });
}
