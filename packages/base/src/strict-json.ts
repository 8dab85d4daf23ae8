/** JSON as it arrived. Objects are Maps: a name like `__proto__` is a key like any other and touches nothing. */
export type Raw = null | boolean | number | string | readonly Raw[] | RawObject;
export type RawObject = ReadonlyMap<string, Raw>;

/** Absent: as far as the text goes, which the caller has bounded. */
export interface JsonBounds {
  /** Objects and lists inside of each other. */
  readonly depth_max: number;
  readonly values_max?: number;
  readonly name_characters_max?: number;
}

export type JsonFault = 'malformed' | 'too_deep' | 'too_many' | 'name_too_long' | 'name_repeated';
/** The caller's own error; `detail` is the place, or the name. */
export type JsonRefusal = (fault: JsonFault, detail: string) => unknown;

const BLANK = /[\t\n\r ]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;

/** A JSON string that begins at `at`, and where it ends; undefined for anything else and for lone surrogates. */
export function readQuoted(text: string, at: number): { readonly text: string; readonly end: number } | undefined {
  if (text[at] !== '"') return undefined;
  let end = at + 1;
  while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
  try {
    const read = JSON.parse(text.slice(at, end + 1)) as string;
    return read.isWellFormed() ? { text: read, end: end + 1 } : undefined;
  } catch {
    return undefined;
  }
}

class Reader {
  readonly #text: string;
  readonly #bounds: JsonBounds;
  readonly #refuse: JsonRefusal;
  #at = 0;
  #values = 0;

  constructor(text: string, bounds: JsonBounds, refuse: JsonRefusal) {
    this.#text = text;
    this.#bounds = bounds;
    this.#refuse = refuse;
  }

  document(): Raw {
    const value = this.#value(0);
    this.#take(BLANK);
    if (this.#at !== this.#text.length) throw this.#malformed();
    return value;
  }

  #malformed() {
    return this.#refuse('malformed', `character ${this.#at}`);
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  /** The next character that is not blank, left where it is. */
  #next(): string {
    this.#take(BLANK);
    return this.#text[this.#at] ?? '';
  }

  #is(character: string): boolean {
    if (this.#next() !== character) return false;
    this.#at += 1;
    return true;
  }

  #value(depth: number): Raw {
    this.#values += 1;
    const { depth_max, values_max = Infinity } = this.#bounds;
    if (this.#values > values_max) throw this.#refuse('too_many', `more than ${values_max} values`);
    const next = this.#next();
    if ((next === '{' || next === '[') && depth >= depth_max) throw this.#refuse('too_deep', `character ${this.#at}`);
    if (next === '{') return this.#object(depth);
    if (next === '[') return this.#list(depth);
    if (next === '"') return this.#string();
    const word = this.#take(WORD);
    if (word !== undefined) return word === 'null' ? null : word === 'true';
    const number = this.#take(NUMBER);
    if (number === undefined || !Number.isFinite(Number(number))) throw this.#malformed();
    return Number(number);
  }

  #string(): string {
    const found = readQuoted(this.#text, this.#at);
    if (found === undefined) throw this.#malformed();
    this.#at = found.end;
    return found.text;
  }

  #object(depth: number): RawObject {
    const found = new Map<string, Raw>();
    this.#at += 1;
    if (this.#is('}')) return found;
    do {
      if (this.#next() !== '"') throw this.#malformed();
      // Unescaped: "iss" and "\u0069ss" are one name.
      const name = this.#string();
      if (name.length > (this.#bounds.name_characters_max ?? Infinity)) throw this.#refuse('name_too_long', name);
      if (found.has(name)) throw this.#refuse('name_repeated', name);
      if (!this.#is(':')) throw this.#malformed();
      found.set(name, this.#value(depth + 1));
    } while (this.#is(','));
    if (!this.#is('}')) throw this.#malformed();
    return found;
  }

  #list(depth: number): readonly Raw[] {
    const found: Raw[] = [];
    this.#at += 1;
    if (this.#is(']')) return found;
    do found.push(this.#value(depth + 1));
    while (this.#is(','));
    if (!this.#is(']')) throw this.#malformed();
    return found;
  }
}

/**
 * B9: one JSON value, bounded, each name once, without lone surrogates. `JSON.parse` takes the last of two equal names: another
 * reader's log would show `active: false` where we read the `true` behind it. Throws what `refuse` makes of the fault.
 */
export function readStrictJson(text: string, bounds: JsonBounds, refuse: JsonRefusal): Raw {
  return new Reader(text, bounds, refuse).document();
}

/** As `JSON.parse` would have made it. */
export function plainJson(raw: Raw): unknown {
  if (raw instanceof Map)
    return Object.fromEntries([...(raw as RawObject)].map(([name, value]) => [name, plainJson(value)]));
  return Array.isArray(raw) ? raw.map((value) => plainJson(value as Raw)) : raw;
}
