import { quoted, refusal } from './errors.ts';
import { JSON_DEPTH_MAX, JSON_VALUES_MAX, MESSAGE_BYTES_MAX, NAME_CHARACTERS_MAX } from './limits.ts';
import { readQuoted } from './text.ts';

/** JSON as it arrived. Objects are Maps: a name like `__proto__` is a key like any other and touches nothing. */
export type Raw = null | boolean | number | string | readonly Raw[] | RawObject;
export type RawObject = ReadonlyMap<string, Raw>;

export const isRawObject = (value: Raw | undefined): value is RawObject => value instanceof Map;
export const isRawList = (value: Raw | undefined): value is readonly Raw[] => Array.isArray(value);

const BLANK = /[\t\n\r ]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;

/**
 * A reader of its own, because `JSON.parse` takes the last of two equal names: a provider's log would show
 * `active: false` where we read the `true` behind it.
 */
class Reader {
  readonly #text: string;
  #at = 0;
  #values = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Raw {
    const value = this.#value(0);
    this.#take(BLANK);
    if (this.#at !== this.#text.length) throw this.#malformed();
    return value;
  }

  #malformed() {
    return refusal('scim_message_json', { detail: `character ${this.#at}` });
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
    if (depth > JSON_DEPTH_MAX || this.#values > JSON_VALUES_MAX) throw refusal('scim_message_depth');
    const next = this.#next();
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
      const name = this.#string();
      if (name.length > NAME_CHARACTERS_MAX) throw refusal('scim_message_depth', { detail: `name ${quoted(name)}` });
      if (found.has(name)) throw refusal('scim_name_repeated', { field: name });
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

/** P1: one JSON object, strictly UTF-8, bounded, each name once. Throws `scim_message_*` and `scim_name_repeated`. */
export function readMessage(bytes: Uint8Array): RawObject {
  if (bytes.byteLength > MESSAGE_BYTES_MAX)
    throw refusal('scim_message_too_large', { detail: `${bytes.byteLength} bytes` });
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch (cause) {
    throw refusal('scim_message_json', { cause });
  }
  const value = new Reader(text).document();
  if (!isRawObject(value)) throw refusal('scim_message_json', { detail: 'not an object' });
  return value;
}
