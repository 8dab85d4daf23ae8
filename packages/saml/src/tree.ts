import { checkText } from './bytes.ts';
import { quoted, refusal } from './errors.ts';
import { DEPTH_MAX, ELEMENTS_MAX } from './limits.ts';
import { XMLNS, XSI } from './names.ts';

/** An element with the prefix of this package's own table, whatever prefix the message chose. */
export interface XmlElement {
  /** `saml:NameID`, or `{namespace}local` where the caller lets foreign namespaces in. */
  readonly name: string;
  /** By `local`, `xsi:local` or `{namespace}local`; namespace declarations are not among them. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** Of the element itself, without its children's. */
  readonly text: string;
}

export interface TreeOptions {
  readonly namespaces: ReadonlyMap<string, string>;
  /** Elements of other namespaces become `{namespace}local` instead of being refused. */
  readonly foreign?: 'refuse' | 'keep';
}

const XML_NAMESPACE = 'http://www.w3.org/XML/1998/namespace';

const NAME = '[A-Za-z_][A-Za-z0-9_.-]*(?::[A-Za-z_][A-Za-z0-9_.-]*)?';
const BLANK = '[ \\t\\r\\n]';
const QUOTED = `"[^"<]*"|'[^'<]*'`;
const START_TAG = `<(${NAME})((?:${BLANK}+${NAME}${BLANK}*=${BLANK}*(?:${QUOTED}))*)${BLANK}*(/?)>`;
const END_TAG = `</(${NAME})${BLANK}*>`;
const TOKEN = `${START_TAG}|${END_TAG}|([^<]+)`;
const ATTRIBUTE = new RegExp(`(${NAME})${BLANK}*=${BLANK}*(?:"([^"]*)"|'([^']*)')`, 'g');

/** Prefix to URI; the empty prefix is the default namespace. */
type Scope = ReadonlyMap<string, string>;

interface OpenElement {
  readonly tag: string;
  readonly name: string;
  readonly scope: Scope;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: XmlElement[];
  text: string;
}

const OUTERMOST: Scope = new Map([['xml', XML_NAMESPACE]]);

/**
 * G3 to G6 and G8: reads text of the one dialect that is accepted here. It is a reader of its own on purpose: what the
 * verifier's parser has read comes back as signed bytes and must say the same (G19), so a trick has to fool both alike.
 */
export function parseTree(text: string, options: TreeOptions): XmlElement {
  const bodyStart = checkText(text);
  // Built for each call: a sticky expression carries its position.
  const token = new RegExp(TOKEN, 'y');
  token.lastIndex = bodyStart;
  const open: OpenElement[] = [];
  let root: XmlElement | undefined;
  let count = 0;
  const close = (element: OpenElement) => {
    const parent = open.at(-1);
    if (parent === undefined) root = element;
    else parent.children.push(element);
  };
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (match === null) throw refusal('saml_not_well_formed', quoted(text.slice(at, at + 40)));
    const [, started, attributes, empty, ended, between] = match;
    if (started !== undefined) {
      if (root !== undefined) throw refusal('saml_not_well_formed', 'a second root');
      count += 1;
      const element = openElement(started, attributes!, { parent: open.at(-1)?.scope ?? OUTERMOST, options });
      if (empty === '') open.push(element);
      else close(element);
    } else if (ended !== undefined) {
      const element = open.pop();
      if (element?.tag !== ended) throw refusal('saml_not_well_formed', `unbalanced ${quoted(ended)}`);
      close(element);
    } else addText(open.at(-1), between!);
    if (count > ELEMENTS_MAX || open.length > DEPTH_MAX) throw refusal('saml_too_complex');
  }
  if (root === undefined || open.length > 0) throw refusal('saml_not_well_formed', 'the root does not end');
  return root;
}

function addText(parent: OpenElement | undefined, text: string): void {
  if ((parent === undefined && /[^ \t\r\n]/.test(text)) || text.includes(']]>'))
    throw refusal('saml_not_well_formed', 'text outside of the root');
  if (parent !== undefined) parent.text += decode(text.includes('\r') ? text.replaceAll(/\r\n?/g, '\n') : text);
}

const PREDEFINED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** References were checked before (G5). */
function decode(text: string): string {
  if (!text.includes('&')) return text;
  return text.replaceAll(/&[^;]+;/g, (reference) => {
    const name = reference.slice(1, -1);
    if (!name.startsWith('#')) return PREDEFINED[name]!;
    return String.fromCodePoint(name.startsWith('#x') ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1)));
  });
}

function openElement(
  tag: string,
  attributeText: string,
  context: { readonly parent: Scope; readonly options: TreeOptions },
): OpenElement {
  const pairs = attributeText === '' ? [] : attributePairs(attributeText);
  const declared = pairs.filter(([name]) => name === 'xmlns' || name.startsWith('xmlns:'));
  const scope = declared.length === 0 ? context.parent : extended(context.parent, declared);
  const attributes = new Map<string, string>();
  for (const [name, value] of pairs) {
    if (name === 'xmlns' || name.startsWith('xmlns:')) continue;
    const key = attributeKey(name, scope);
    if (attributes.has(key)) throw refusal('saml_not_well_formed', `${quoted(key)} twice`);
    attributes.set(key, value);
  }
  return { tag, name: elementName(tag, scope, context.options), scope, attributes, children: [], text: '' };
}

function attributePairs(text: string): [name: string, value: string][] {
  const pairs = [...text.matchAll(ATTRIBUTE)].map(([, name, double, single]): [string, string] => [
    name!,
    // A reader of XML turns line ends and tabs in attributes into blanks; written as references they stay.
    decode((double ?? single)!.replaceAll(/\r\n|[\t\r\n]/g, ' ')),
  ]);
  if (new Set(pairs.map(([name]) => name)).size !== pairs.length)
    throw refusal('saml_not_well_formed', 'an attribute twice');
  return pairs;
}

/** G8: relative namespace URIs make canonicalizers fail in different ways, which attackers have used. */
function extended(parent: Scope, declared: readonly (readonly [name: string, uri: string])[]): Scope {
  const scope = new Map(parent);
  for (const [name, uri] of declared) {
    const isReserved = uri === XMLNS || uri === XML_NAMESPACE || name === 'xmlns:xml' || name === 'xmlns:xmlns';
    if (isReserved || !/^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>"{}|\\^`]+$/.test(uri))
      throw refusal('saml_namespace_declaration', `${quoted(name)} = ${quoted(uri)}`);
    scope.set(name.slice('xmlns:'.length), uri);
  }
  return scope;
}

function split(name: string): readonly [prefix: string, local: string] {
  const colon = name.indexOf(':');
  return [name.slice(0, Math.max(colon, 0)), name.slice(colon + 1)];
}

function elementName(tag: string, scope: Scope, { namespaces, foreign }: TreeOptions): string {
  const [prefix, local] = split(tag);
  const uri = scope.get(prefix);
  if (uri === undefined && prefix !== '') throw refusal('saml_not_well_formed', `prefix of ${quoted(tag)}`);
  const known = namespaces.get(uri ?? '');
  if (known !== undefined) return `${known}:${local}`;
  if (foreign !== 'keep') throw refusal('saml_namespace_foreign', quoted(tag));
  return `{${uri ?? ''}}${local}`;
}

function attributeKey(name: string, scope: Scope): string {
  const [prefix, local] = split(name);
  if (prefix === '') return local;
  const uri = scope.get(prefix);
  if (uri === undefined) throw refusal('saml_not_well_formed', `prefix of ${quoted(name)}`);
  if (uri === XSI) return `xsi:${local}`;
  return uri === XML_NAMESPACE ? `xml:${local}` : `{${uri}}${local}`;
}

export function childrenOf(element: XmlElement, name: string): XmlElement[] {
  return element.children.filter((child) => child.name === name);
}

export function firstChild(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find((child) => child.name === name);
}

/** The element at the end of a path of names, each the first of its kind. */
export function atPath(element: XmlElement, ...names: string[]): XmlElement | undefined {
  return names.reduce<XmlElement | undefined>((at, name) => at && firstChild(at, name), element);
}

/** All elements below and including this one. */
export function* descendants(element: XmlElement): Generator<XmlElement> {
  yield element;
  for (const child of element.children) yield* descendants(child);
}
