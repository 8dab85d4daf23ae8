/** The first place where a text stops being JSON (RFC 8259). */
export interface JsonFault {
  /** Path of the value being read, such as `$.catalog.metadata`. */
  readonly path: string;
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Deeper than any published catalogue; a hostile file must not exhaust the stack. */
const DEPTH_MAX = 200;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// The grammar forbids raw control characters inside strings; that is what is looked for.
// oxlint-disable-next-line no-control-regex
const STRING = /"(?:[^"\\\u0000-\u001f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORDS = /true|false|null/y;
const BLANK = /[ \t\n\r]*/y;

class Stop extends Error {
  readonly at: number;
  readonly path: string;
  constructor(at: number, path: string, message: string) {
    super(message);
    this.at = at;
    this.path = path;
  }
}

interface Reader {
  readonly text: string;
  at: number;
}

function take(reader: Reader, pattern: RegExp): string | null {
  pattern.lastIndex = reader.at;
  const found = pattern.exec(reader.text)?.[0] ?? null;
  if (found !== null) reader.at += found.length;
  return found;
}

function seen(reader: Reader): string {
  const character = reader.text[reader.at];
  return character === undefined ? 'the file ends here' : `found ${JSON.stringify(character)}`;
}

function step(path: string, key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_-]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}

/** Reads `{…}` or `[…]` from its opening mark on. */
function readList(reader: Reader, path: string, depth: number): void {
  const isObject = reader.text[reader.at] === '{';
  const close = isObject ? '}' : ']';
  reader.at += 1;
  take(reader, BLANK);
  if (reader.text[reader.at] === close) {
    reader.at += 1;
    return;
  }
  for (let index = 0; ; index += 1) {
    let inner = `${path}[${index}]`;
    if (isObject) {
      take(reader, BLANK);
      const key = take(reader, STRING);
      if (key === null) throw new Stop(reader.at, path, `a name in double quotes is missing, ${seen(reader)}`);
      inner = step(path, JSON.parse(key) as string);
      take(reader, BLANK);
      if (reader.text[reader.at] !== ':') throw new Stop(reader.at, inner, `a colon is missing, ${seen(reader)}`);
      reader.at += 1;
    }
    readValue(reader, inner, depth + 1);
    take(reader, BLANK);
    const mark = reader.text[reader.at];
    if (mark !== ',' && mark !== close)
      throw new Stop(reader.at, inner, `a comma or ${close} is missing after it, ${seen(reader)}`);
    reader.at += 1;
    if (mark === close) return;
  }
}

function readValue(reader: Reader, path: string, depth: number): void {
  if (depth > DEPTH_MAX) throw new Stop(reader.at, path.slice(0, 200), `it is nested deeper than ${DEPTH_MAX} levels`);
  take(reader, BLANK);
  const first = reader.text[reader.at];
  if (first === '{' || first === '[') return readList(reader, path, depth);
  if (first === '"') {
    if (take(reader, STRING) === null)
      throw new Stop(reader.at, path, 'this text does not end, or holds a line break or a wrong escape');
    return;
  }
  if (take(reader, WORDS) === null && take(reader, NUMBER) === null)
    throw new Stop(reader.at, path, `a value is missing, ${seen(reader)}`);
}

/** Finds where a text stops being JSON; null when it is JSON. The engine's own message names neither path nor, always, place. */
export function firstJsonFault(text: string): JsonFault | null {
  const reader: Reader = { text, at: 0 };
  try {
    readValue(reader, '$', 0);
    take(reader, BLANK);
    if (reader.at < text.length) throw new Stop(reader.at, '$', 'something stands after the end of the document');
    return null;
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    const before = text.slice(0, error.at).split('\n');
    return { path: error.path, line: before.length, column: (before.at(-1) ?? '').length + 1, message: error.message };
  }
}
