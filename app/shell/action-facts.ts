/** One line of what a passkey is asked for: a name in plain words and a value, or several of one list. */
export interface ActionFact {
  readonly name: string;
  readonly values: readonly string[];
}

/** Everything that is signed, once. */
export interface ActionFacts {
  /** What the records say now of what will change; empty where the action makes something new. */
  readonly now: readonly ActionFact[];
  readonly asked: readonly ActionFact[];
  /** The operation and the ids, which say little to a person and everything to a verifier. */
  readonly ids: readonly ActionFact[];
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Sealed ids, digests and tokens: no words, no spaces, longer than any name of ours. */
const OPAQUE = /^[A-Za-z0-9_-]{32,}$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z$/;

/** Names of the contracts that a reader would not guess. */
const WORDS: Readonly<Record<string, string>> = {
  operation: 'Operation',
  tenant: 'Organisation',
  person: 'Approved by',
  'subject.label': 'Name',
  'input.label': 'Name',
  'input.to': 'To',
  'input.clientId': 'Program id',
  'input.apiClientId': 'Program id',
  'input.redirectUris': 'Answered at',
  'subject.redirectUris': 'Answered at',
  'input.handsTo': 'May hand work on to',
  'subject.handsTo': 'May hand work on to',
};

/** `input.recoveryId` reads "Recovery id", `subject.leadsTo` "Leads to"; a place in a list counts from one. */
function nameOf(path: string): string {
  const known = WORDS[path];
  if (known !== undefined) return known;
  const words = path
    .replace(/^(?:input|subject)\./, '')
    .replace(/\.(\d+)/g, (_, place: string) => ` ${Number(place) + 1}`)
    .replace(/[._-]+/g, ' ')
    .replace(/([a-z\d])([A-Z])/g, (_, before: string, after: string) => `${before} ${after.toLowerCase()}`);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Instants as the rest of the app writes them, to the millisecond, because the signature has it. */
function textOf(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (value === null) return 'nothing';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return INSTANT.test(text) ? text.replace('T', ' ').replace('Z', ' UTC') : text;
}

function isId(path: string, values: readonly string[]): boolean {
  return path === 'operation' || values.every((value) => UUID.test(value) || OPAQUE.test(value));
}

type Leaf = readonly [path: string, values: readonly string[]];

function leaves(value: unknown, path: string): readonly Leaf[] {
  if (value === null || typeof value !== 'object') return [[path, [textOf(value)]]];
  const isList = Array.isArray(value) && value.every((item) => item === null || typeof item !== 'object');
  if (isList) return [[path, value.length === 0 ? ['none'] : value.map(textOf)]];
  const inside = Object.entries(value);
  // What is empty is asked for as well: a list that was taken away must not vanish from what is approved.
  if (inside.length === 0) return [[path, ['none']]];
  return inside.flatMap(([name, inner]) => leaves(inner, path === '' ? name : `${path}.${name}`));
}

/**
 * An action as a person reads it, complete: nothing of it is left out, so that a change which somebody slipped in is on the
 * screen before the touch.
 */
export function actionFacts(action: unknown): ActionFacts {
  const all = leaves(action, '');
  const chosen = (wanted: (leaf: Leaf) => boolean): readonly ActionFact[] =>
    all.filter(wanted).map(([path, values]) => ({ name: nameOf(path) || 'Action', values }));
  const isNow = ([path]: Leaf): boolean => path.startsWith('subject.');
  const isMachine = (leaf: Leaf): boolean => !isNow(leaf) && isId(...leaf);
  return {
    now: chosen(isNow),
    asked: chosen((leaf) => !isNow(leaf) && !isMachine(leaf)),
    ids: chosen(isMachine),
  };
}
