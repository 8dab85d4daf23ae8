import { createHash } from 'node:crypto';
import { AppError, canonicalJson, type Json } from '@auditrax/base';

/**
 * A strict reader of OSCAL 1.x catalogues in JSON. It accepts exactly the fields of the published model (extension goes
 * through `props` and `links`, as the model intends), resolves parameters to readable text and returns a flat list of
 * criteria. It never recurses before the depth of the document has been measured.
 *
 * Source: NIST OSCAL catalogue model 1.x (pages.nist.gov/OSCAL), RFC 8259.
 */

/** The whole NIST SP 800-53 catalogue, pretty-printed, is a little over 10 MB; nothing published is larger. */
export const CATALOGUE_BYTES_MAX = 12 * 1024 * 1024;
/** The deepest published catalogue nests about 20 levels of JSON; a stack has room for far more than this. */
export const CATALOGUE_DEPTH_MAX = 64;
/** JSON values of every kind. The NIST moderate baseline has about 50,000. */
export const CATALOGUE_NODES_MAX = 500_000;
/** NIST SP 800-53 has 1,014 controls in force. They are inserted by one statement. */
export const CRITERIA_MAX = 1_500;
export const GROUPS_MAX = 500;
export const TITLE_CHARS_MAX = 500;
/** A statement with all its items and parameters resolved. The longest of NIST has about 5,000 characters. */
export const STATEMENT_CHARS_MAX = 30_000;
/** What one parameter may grow to; nested selections could double at every level. */
export const PARAMETER_CHARS_MAX = 4_000;
const TOKEN_CHARS_MAX = 200;
const PARAMETERS_PER_CRITERION_MAX = 200;

export type OscalCode = 'oscal_invalid' | 'oscal_too_large';

export interface CatalogueGroup {
  /** Position among the groups that hold controls, from 0. */
  readonly index: number;
  readonly id: string | null;
  /** Titles from the outermost group to this one; empty for controls that stand directly in the catalogue. */
  readonly path: readonly string[];
  readonly criteria: number;
}

export interface CriterionParameter {
  readonly id: string;
  readonly text: string;
}

export interface CatalogueCriterion {
  /** The control's id in the catalogue, such as `ac-2.1`. */
  readonly key: string;
  /** What people call it, such as `AC-2(1)`; the key when the catalogue gives no label. */
  readonly label: string;
  readonly title: string;
  readonly groupIndex: number;
  /** Group titles, then the titles of the controls that it refines. */
  readonly path: readonly string[];
  /** Plain text, one line an item, indented by two blanks a level; empty when the catalogue gives no statement. */
  readonly statement: string;
  readonly guidance: string;
  /** The parameters that the statement names, resolved. */
  readonly parameters: readonly CriterionParameter[];
}

export interface Catalogue {
  readonly uuid: string;
  readonly title: string;
  readonly version: string;
  readonly oscalVersion: string;
  /** Hex SHA-256 of the document in canonical JSON (RFC 8785). */
  readonly sha256: string;
  readonly groups: readonly CatalogueGroup[];
  readonly criteria: readonly CatalogueCriterion[];
  /** Controls that the publisher has withdrawn; they are no criteria. */
  readonly withdrawn: number;
}

function fault(path: string, problem: string): never {
  throw new AppError<OscalCode>('oscal_invalid', `${path}: ${problem}`, {
    field: path,
    publicDetail: `The catalogue is not valid OSCAL: ${path} ${problem}.`,
  });
}

function tooLarge(path: string, limit: string): never {
  throw new AppError<OscalCode>('oscal_too_large', `${path}: ${limit}`, {
    field: path,
    publicDetail: `The catalogue is over a limit: ${path} ${limit}.`,
  });
}

const IDENTIFIER = /^[A-Za-z_$][A-Za-z0-9_$]*$/;

/** One step of a JSON path: `.title` or `['last-modified']`. A hostile key is cut, so that it cannot flood an error. */
function step(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`;
  const short = key.length > 80 ? `${key.slice(0, 80)}…` : key;
  return IDENTIFIER.test(short) ? `${path}.${short}` : `${path}[${JSON.stringify(short)}]`;
}

/** Measures with a stack of its own, so that a document nested a million levels deep ends in an error, not in a crash. */
function measure(document: unknown): void {
  const pending: { value: unknown; path: string; depth: number }[] = [{ value: document, path: '$', depth: 0 }];
  let nodes = 0;
  let weight_bytes = 0;
  const weigh = (text: string, path: string): void => {
    weight_bytes += text.length;
    if (!text.isWellFormed() || text.includes('\0')) fault(path, 'holds text that is not valid Unicode');
  };
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { value, path, depth } = next;
    nodes += 1;
    if (depth > CATALOGUE_DEPTH_MAX)
      tooLarge(path.slice(0, 200), `is nested deeper than ${CATALOGUE_DEPTH_MAX} levels`);
    if (nodes > CATALOGUE_NODES_MAX) tooLarge('$', `has more than ${CATALOGUE_NODES_MAX} values`);
    if (weight_bytes > CATALOGUE_BYTES_MAX) tooLarge('$', `is larger than ${CATALOGUE_BYTES_MAX} bytes`);
    if (typeof value === 'string') weigh(value, path);
    else if (typeof value === 'number' && !Number.isFinite(value)) fault(path, 'is not a finite number');
    else if (Array.isArray(value)) {
      for (let i = value.length - 1; i >= 0; i -= 1)
        pending.push({ value: value[i], path: step(path, i), depth: depth + 1 });
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value).reverse()) {
        const at = step(path, key);
        weigh(key, at);
        pending.push({ value: item, path: at, depth: depth + 1 });
      }
    }
  }
}

type Fields = Readonly<Record<string, unknown>>;

function readObject(value: unknown, path: string, allowed: ReadonlySet<string> | undefined): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return fault(path, 'must be an object');
  if (allowed !== undefined) {
    for (const key of Object.keys(value)) {
      if (!allowed.has(key)) fault(step(path, key), 'is not a field of the OSCAL model (extend with props or links)');
    }
  }
  return value as Fields;
}

/** An absent array is an empty one; OSCAL forbids arrays that are present and empty. */
function readArray(fields: Fields, key: string, path: string): readonly unknown[] {
  const value = fields[key];
  if (value === undefined) return [];
  if (!Array.isArray(value)) return fault(step(path, key), 'must be an array');
  if (value.length === 0) fault(step(path, key), 'must not be an empty array (leave the field out)');
  return value;
}

interface TextRule {
  readonly chars_max: number;
  readonly pattern?: RegExp;
  readonly what?: string;
}

const TOKEN: TextRule = { chars_max: TOKEN_CHARS_MAX, pattern: /^[\p{L}_][\p{L}\p{N}.\-_]*$/u, what: 'an OSCAL token' };
const UUID: TextRule = {
  chars_max: 36,
  pattern: /^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[45][0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}$/,
  what: 'a UUID of version 4 or 5',
};
const INSTANT: TextRule = {
  chars_max: 40,
  pattern: /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/,
  what: 'a date and time with its offset',
};
const OSCAL_VERSION: TextRule = {
  chars_max: 40,
  pattern: /^1\.\d{1,3}(\.\d{1,3})?(-[\w.]{1,20})?$/,
  what: 'an OSCAL version 1.x',
};
const TITLE: TextRule = { chars_max: TITLE_CHARS_MAX, pattern: /\S/, what: 'a title' };
const LINE: TextRule = { chars_max: TITLE_CHARS_MAX, pattern: /\S/, what: 'some text' };
const PROSE: TextRule = { chars_max: STATEMENT_CHARS_MAX };

function readOptionalText(fields: Fields, key: string, at: { path: string; rule: TextRule }): string | undefined {
  const value = fields[key];
  const path = step(at.path, key);
  if (value === undefined) return undefined;
  if (typeof value !== 'string') return fault(path, 'must be a string');
  if (value.length > at.rule.chars_max) tooLarge(path, `is longer than ${at.rule.chars_max} characters`);
  if (at.rule.pattern !== undefined && !at.rule.pattern.test(value)) fault(path, `must be ${at.rule.what}`);
  return value;
}

function readText(fields: Fields, key: string, at: { path: string; rule: TextRule }): string {
  return readOptionalText(fields, key, at) ?? fault(step(at.path, key), 'is required');
}

const ROOT_FIELDS = new Set(['catalog', '$schema']);
const CATALOGUE_FIELDS = new Set(['uuid', 'metadata', 'params', 'controls', 'groups', 'back-matter']);
const METADATA_FIELDS = new Set(
  (
    'title published last-modified version oscal-version revisions document-ids props links roles locations parties ' +
    'responsible-parties actions remarks'
  ).split(' '),
);
const GROUP_FIELDS = new Set('id class title params props links parts groups controls'.split(' '));
const CONTROL_FIELDS = new Set('id class title params props links parts controls'.split(' '));
const PARAM_FIELDS = new Set(
  'id class depends-on props links label usage constraints guidelines values select remarks'.split(' '),
);
const SELECT_FIELDS = new Set(['how-many', 'choice']);
const PART_FIELDS = new Set('id name ns class title props prose parts links'.split(' '));
const PROP_FIELDS = new Set('name uuid ns value class group remarks'.split(' '));
const LINK_FIELDS = new Set('href rel media-type resource-fragment text'.split(' '));

interface Prop {
  readonly name: string;
  readonly value: string;
  readonly class: string | undefined;
}

function readProps(fields: Fields, path: string): Prop[] {
  for (const [i, item] of readArray(fields, 'links', path).entries()) {
    const at = step(step(path, 'links'), i);
    readText(readObject(item, at, LINK_FIELDS), 'href', { path: at, rule: LINE });
  }
  return readArray(fields, 'props', path).map((item, i) => {
    const at = step(step(path, 'props'), i);
    const prop = readObject(item, at, PROP_FIELDS);
    return {
      name: readText(prop, 'name', { path: at, rule: TOKEN }),
      value: readText(prop, 'value', { path: at, rule: PROSE }),
      class: readOptionalText(prop, 'class', { path: at, rule: TOKEN }),
    };
  });
}

/** The label without a class is the one that people use; a publisher's variants carry a class. */
function labelOf(props: readonly Prop[]): string | undefined {
  const labels = props.filter((prop) => prop.name === 'label');
  return (labels.find((prop) => prop.class === undefined) ?? labels[0])?.value;
}

interface Parameter {
  readonly path: string;
  readonly label: string | undefined;
  readonly values: readonly string[];
  readonly choices: readonly string[];
  readonly many: boolean;
}

interface Part {
  readonly path: string;
  readonly name: string;
  readonly label: string | undefined;
  readonly title: string | undefined;
  readonly prose: string | undefined;
  readonly parts: readonly Part[];
}

interface Control {
  readonly path: string;
  readonly key: string;
  readonly label: string;
  readonly title: string;
  readonly groupIndex: number;
  readonly trail: readonly string[];
  readonly parts: readonly Part[];
}

/** One reading of one document. */
interface Reading {
  readonly ids: ReadonlyMap<'control' | 'param' | 'group' | 'part', Map<string, string>>;
  readonly parameters: Map<string, Parameter>;
  readonly groups: { index: number; id: string | null; path: readonly string[]; criteria: number }[];
  readonly controls: Control[];
  withdrawn: number;
}

function claimId(
  reading: Reading,
  kind: 'control' | 'param' | 'group' | 'part',
  at: { id: string; path: string },
): void {
  const known = reading.ids.get(kind)!;
  const first = known.get(at.id);
  if (first !== undefined) fault(step(at.path, 'id'), `repeats the ${kind} id of ${first}`);
  known.set(at.id, at.path);
}

function readStrings(fields: Fields, key: string, path: string): string[] {
  return readArray(fields, key, path).map((item, i) => {
    const at = step(path, key);
    return readText({ [i]: item }, String(i), { path: at, rule: LINE });
  });
}

function readParameters(reading: Reading, fields: Fields, path: string): void {
  for (const [i, item] of readArray(fields, 'params', path).entries()) {
    const at = step(step(path, 'params'), i);
    const param = readObject(item, at, PARAM_FIELDS);
    const id = readText(param, 'id', { path: at, rule: TOKEN });
    claimId(reading, 'param', { id, path: at });
    readProps(param, at);
    const selectAt = step(at, 'select');
    const select = param['select'] === undefined ? {} : readObject(param['select'], selectAt, SELECT_FIELDS);
    const howMany = readOptionalText(select, 'how-many', { path: selectAt, rule: TOKEN });
    if (howMany !== undefined && howMany !== 'one' && howMany !== 'one-or-more') {
      fault(step(selectAt, 'how-many'), 'must be "one" or "one-or-more"');
    }
    reading.parameters.set(id, {
      path: at,
      label: readOptionalText(param, 'label', { path: at, rule: LINE }),
      values: readStrings(param, 'values', at),
      choices: readStrings(select, 'choice', selectAt),
      many: howMany === 'one-or-more',
    });
  }
}

function readParts(reading: Reading, fields: Fields, path: string): Part[] {
  return readArray(fields, 'parts', path).map((item, i) => {
    const at = step(step(path, 'parts'), i);
    const part = readObject(item, at, PART_FIELDS);
    const id = readOptionalText(part, 'id', { path: at, rule: TOKEN });
    if (id !== undefined) claimId(reading, 'part', { id, path: at });
    return {
      path: at,
      name: readText(part, 'name', { path: at, rule: TOKEN }),
      label: labelOf(readProps(part, at)),
      title: readOptionalText(part, 'title', { path: at, rule: TITLE }),
      prose: readOptionalText(part, 'prose', { path: at, rule: PROSE }),
      parts: readParts(reading, part, at),
    };
  });
}

interface Place {
  readonly groupIndex: number;
  readonly trail: readonly string[];
}

function readControls(reading: Reading, fields: Fields, at: { path: string; place: Place }): void {
  for (const [i, item] of readArray(fields, 'controls', at.path).entries()) {
    const path = step(step(at.path, 'controls'), i);
    const control = readObject(item, path, CONTROL_FIELDS);
    const key = readText(control, 'id', { path, rule: TOKEN });
    claimId(reading, 'control', { id: key, path });
    const title = readText(control, 'title', { path, rule: TITLE });
    const props = readProps(control, path);
    readParameters(reading, control, path);
    const parts = readParts(reading, control, path);
    if (props.some((prop) => prop.name === 'status' && prop.value.toLowerCase() === 'withdrawn')) {
      reading.withdrawn += 1;
    } else {
      const { groupIndex, trail } = at.place;
      reading.controls.push({ path, key, label: labelOf(props) ?? key, title, groupIndex, trail, parts });
      reading.groups[groupIndex]!.criteria += 1;
      if (reading.controls.length > CRITERIA_MAX)
        tooLarge(path, `is control number ${CRITERIA_MAX + 1}; ${CRITERIA_MAX} are allowed`);
    }
    readControls(reading, control, {
      path,
      place: { groupIndex: at.place.groupIndex, trail: [...at.place.trail, title] },
    });
  }
}

/** Reads the parameters, controls and groups inside the catalogue or a group; `trail` are the titles so far. */
function readContainer(
  reading: Reading,
  fields: Fields,
  at: { path: string; id: string | null; trail: readonly string[] },
): void {
  readParameters(reading, fields, at.path);
  if (fields['controls'] !== undefined) {
    const groupIndex = reading.groups.length;
    if (groupIndex >= GROUPS_MAX) tooLarge(at.path, `is group number ${GROUPS_MAX + 1}; ${GROUPS_MAX} are allowed`);
    reading.groups.push({ index: groupIndex, id: at.id, path: at.trail, criteria: 0 });
    readControls(reading, fields, { path: at.path, place: { groupIndex, trail: at.trail } });
  }
  for (const [i, item] of readArray(fields, 'groups', at.path).entries()) {
    const path = step(step(at.path, 'groups'), i);
    const group = readObject(item, path, GROUP_FIELDS);
    const id = readOptionalText(group, 'id', { path, rule: TOKEN }) ?? null;
    if (id !== null) claimId(reading, 'group', { id, path });
    const title = readText(group, 'title', { path, rule: TITLE });
    readProps(group, path);
    readParts(reading, group, path);
    readContainer(reading, group, { path, id, trail: [...at.trail, title] });
  }
}

const INSERT = /\{\{\s{0,4}insert:\s{0,4}([a-z-]{1,20}),\s{0,4}([^\s{}]{1,200})\s{0,4}\}\}/g;

/** Resolves `{{ insert: param, … }}` to text: its value, else its choices, else its label. */
function textResolver(parameters: ReadonlyMap<string, Parameter>): {
  resolve(text: string, at: { path: string; seen?: Map<string, string> }): string;
} {
  const done = new Map<string, string>();
  const open = new Set<string>();
  const ofParameter = (id: string, path: string): string => {
    const ready = done.get(id);
    if (ready !== undefined) return ready;
    const parameter = parameters.get(id);
    if (parameter === undefined)
      return fault(path, `inserts the parameter "${id}", which the catalogue does not define`);
    if (open.has(id)) fault(parameter.path, 'refers to itself');
    open.add(id);
    let text: string;
    if (parameter.values.length > 0) text = parameter.values.join(', ');
    else if (parameter.choices.length > 0) {
      const choices = parameter.choices.map((choice, i) =>
        resolve(choice, { path: `${parameter.path}.select.choice[${i}]` }).trim(),
      );
      text = `[${parameter.many ? 'one or more of' : 'one of'}: ${choices.join('; ')}]`;
    } else text = `[${parameter.label ?? id}]`;
    if (text.length > PARAMETER_CHARS_MAX)
      tooLarge(parameter.path, `resolves to more than ${PARAMETER_CHARS_MAX} characters`);
    open.delete(id);
    done.set(id, text);
    return text;
  };
  const resolve = (text: string, at: { path: string; seen?: Map<string, string> }): string => {
    let length_chars = text.length;
    return text.replace(INSERT, (_all, kind: string, id: string) => {
      if (kind !== 'param') fault(at.path, `inserts a "${kind}"; only parameters can be inserted`);
      const value = ofParameter(id, at.path);
      length_chars += value.length;
      if (length_chars > STATEMENT_CHARS_MAX)
        tooLarge(at.path, `resolves to more than ${STATEMENT_CHARS_MAX} characters`);
      at.seen?.set(id, value);
      return value;
    });
  };
  return { resolve };
}

type Resolver = ReturnType<typeof textResolver>;

function renderParts(parts: readonly Part[], resolver: Resolver, seen: Map<string, string>): string {
  const lines: string[] = [];
  let length_chars = 0;
  const walk = (part: Part, level: number): void => {
    const words = [
      part.label,
      part.title,
      part.prose === undefined ? undefined : resolver.resolve(part.prose, { path: `${part.path}.prose`, seen }),
    ];
    const line = words
      .map((word) => word?.trim() ?? '')
      .filter((word) => word !== '')
      .join(' ')
      .replace(/\] (?=[;,.\]])/g, ']'); // publishers put a blank after an insert
    if (line !== '') lines.push('  '.repeat(level) + line);
    length_chars += line.length;
    if (length_chars > STATEMENT_CHARS_MAX)
      tooLarge(part.path, `makes a text of more than ${STATEMENT_CHARS_MAX} characters`);
    for (const child of part.parts) walk(child, line === '' ? level : level + 1);
  };
  for (const part of parts) walk(part, 0);
  return lines.join('\n');
}

function toCriterion(control: Control, resolver: Resolver): CatalogueCriterion {
  const seen = new Map<string, string>();
  const named = (name: string): Part[] => control.parts.filter((part) => part.name === name);
  const statement = renderParts(named('statement'), resolver, seen);
  const guidance = renderParts(named('guidance'), resolver, new Map());
  if (seen.size > PARAMETERS_PER_CRITERION_MAX)
    tooLarge(control.path, `names more than ${PARAMETERS_PER_CRITERION_MAX} parameters`);
  const { key, label, title, groupIndex, trail } = control;
  const parameters = [...seen].map(([id, text]) => ({ id, text }));
  return { key, label, title, groupIndex, path: trail, statement, guidance, parameters };
}

/** Other OSCAL documents that people pick by mistake. */
const OTHER_MODELS: Readonly<Record<string, string>> = {
  profile: 'is an OSCAL profile: resolve it to a catalogue first',
  'component-definition': 'is an OSCAL component definition, not a catalogue',
  'system-security-plan': 'is an OSCAL system security plan, not a catalogue',
  'assessment-plan': 'is an OSCAL assessment plan, not a catalogue',
  'assessment-results': 'are OSCAL assessment results, not a catalogue',
};

/**
 * Reads a parsed OSCAL catalogue. Throws `oscal_invalid` or `oscal_too_large`, whose `field` is the JSON path (from `$`)
 * of the first fault. Nothing outside the returned value is changed; the document itself is not kept.
 */
export function parseCatalogue(document: unknown): Catalogue {
  measure(document);
  for (const [key, problem] of Object.entries(OTHER_MODELS)) {
    if (Object.hasOwn(readObject(document, '$', undefined), key)) fault(step('$', key), problem);
  }
  const root = readObject(document, '$', ROOT_FIELDS);
  if (root['catalog'] === undefined) fault('$.catalog', 'is required');
  const catalogue = readObject(root['catalog'], '$.catalog', CATALOGUE_FIELDS);
  const uuid = readText(catalogue, 'uuid', { path: '$.catalog', rule: UUID });
  if (catalogue['metadata'] === undefined) fault('$.catalog.metadata', 'is required');
  const path = '$.catalog.metadata';
  const metadata = readObject(catalogue['metadata'], path, METADATA_FIELDS);
  const title = readText(metadata, 'title', { path, rule: TITLE });
  readText(metadata, 'last-modified', { path, rule: INSTANT });
  const version = readText(metadata, 'version', { path, rule: LINE });
  const oscalVersion = readText(metadata, 'oscal-version', { path, rule: OSCAL_VERSION });
  const reading: Reading = {
    ids: new Map((['control', 'param', 'group', 'part'] as const).map((kind) => [kind, new Map<string, string>()])),
    parameters: new Map(),
    groups: [],
    controls: [],
    withdrawn: 0,
  };
  readContainer(reading, catalogue, { path: '$.catalog', id: null, trail: [] });
  if (reading.controls.length === 0) fault('$.catalog', 'has no control in force');
  const resolver = textResolver(reading.parameters);
  return {
    uuid: uuid.toLowerCase(),
    title,
    version,
    oscalVersion,
    sha256: createHash('sha256')
      .update(canonicalJson(document as Json))
      .digest('hex'),
    groups: reading.groups,
    criteria: reading.controls.map((control) => toCriterion(control, resolver)),
    withdrawn: reading.withdrawn,
  };
}

/** Reads the bytes of a file: at most `CATALOGUE_BYTES_MAX`, strict UTF-8 (a leading byte order mark is allowed), JSON. */
export function parseCatalogueBytes(bytes: Uint8Array): Catalogue {
  if (bytes.byteLength > CATALOGUE_BYTES_MAX) tooLarge('$', `is larger than ${CATALOGUE_BYTES_MAX} bytes`);
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new AppError<OscalCode>('oscal_invalid', 'the file is not JSON in UTF-8', {
      field: '$',
      publicDetail: 'The catalogue is not JSON in UTF-8.',
      cause,
    });
  }
  return parseCatalogue(document);
}
