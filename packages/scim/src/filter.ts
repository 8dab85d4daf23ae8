import { readQuoted } from '@auditrax/base/strict-json';
import { isAppError } from '@auditrax/base';
import { DIALECTS, type ScimDialect } from './dialects.ts';
import { refusal, type ScimError } from './errors.ts';
import { FILTER_CHARACTERS_MAX, FILTER_COMPARISONS_MAX, FILTER_DEPTH_MAX, PATH_CHARACTERS_MAX } from './limits.ts';
import { findAttribute, resolvePath, type AttributePath, type ExtensionPath } from './path.ts';
import { subAttributesOf, type Attribute, type ResourceKind } from './schema.ts';
import { foldCase } from './text.ts';

export type Operator = 'eq' | 'ne' | 'co' | 'sw' | 'ew' | 'gt' | 'ge' | 'lt' | 'le';

/** One comparison. `key` is the value as it is compared: in small letters where case does not matter. */
export interface Comparison {
  readonly kind: 'compare';
  readonly op: Operator;
  readonly path: AttributePath;
  readonly value: string | boolean | null;
  readonly key: string | boolean | null;
}

/** A filter of RFC 7644 3.4.2.2, with every name resolved in the schema table. */
export type Filter =
  | Comparison
  | { readonly kind: 'present'; readonly path: AttributePath }
  | { readonly kind: 'each'; readonly path: AttributePath; readonly filter: Filter }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Filter[] }
  | { readonly kind: 'not'; readonly filter: Filter };

export interface Grammar {
  readonly kind: ResourceKind;
  readonly dialect: ScimDialect;
}

/** The path of a PATCH: an attribute, perhaps one of its values by a filter, perhaps a part of these. */
export type PatchPath =
  | (ExtensionPath & { readonly filter: undefined })
  | (AttributePath & { readonly filter: Filter | undefined });

const WORD = /[A-Za-z][A-Za-z0-9_$:.-]*/y;
const OPERATOR = /(?:eq|ne|co|sw|ew|gt|ge|lt|le|pr)(?![A-Za-z0-9_$:.-])/iy;
const LITERAL = /(?:true|false|null)(?![A-Za-z0-9_$:.-])/y;
const SUB = /\.([A-Za-z][A-Za-z0-9_$-]*)/y;
const BLANKS = / +/y;

const ORDERED: ReadonlySet<Operator> = new Set(['gt', 'ge', 'lt', 'le']);
const PARTIAL: ReadonlySet<Operator> = new Set(['co', 'sw', 'ew']);

/** Recursive descent; `not` binds before `and`, `and` before `or`. */
class Parser {
  readonly #text: string;
  readonly #grammar: Grammar;
  #at = 0;
  #comparisons = 0;

  constructor(text: string, grammar: Grammar) {
    this.#text = text;
    this.#grammar = grammar;
  }

  filter(): Filter {
    this.#take(BLANKS);
    const found = this.#or(0, undefined);
    this.#take(BLANKS);
    this.#end();
    return found;
  }

  path(): PatchPath {
    const name = this.#take(WORD) ?? '';
    const found = resolvePath(this.#grammar.kind, name);
    if (found === undefined) throw refusal('scim_path', { field: this.#text });
    if (this.#at === this.#text.length) return { ...found, filter: undefined };
    if (found.attribute === undefined || !found.attribute.multiValued || found.sub !== undefined)
      throw this.#malformed();
    this.#expect('[');
    const filter = this.#or(1, found.attribute);
    this.#take(BLANKS);
    this.#expect(']');
    const sub = this.#sub(found.attribute);
    this.#end();
    return { ...found, sub, filter };
  }

  #sub(attribute: Attribute): Attribute | undefined {
    if (this.#at === this.#text.length) return undefined;
    const name = this.#take(SUB)?.slice(1);
    const sub = name === undefined ? undefined : findAttribute(subAttributesOf(attribute), name);
    if (sub === undefined) throw refusal('scim_path', { field: this.#text });
    return sub;
  }

  #malformed(): ScimError {
    return refusal('scim_filter', { detail: `character ${this.#at}` });
  }

  #end(): void {
    if (this.#at !== this.#text.length) throw this.#malformed();
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #expect(character: string): void {
    if (this.#text[this.#at] !== character) throw this.#malformed();
    this.#at += 1;
  }

  /** A joining word, apart from what stands beside it; left where it is when it is another one. */
  #joins(word: 'and' | 'or' | 'not'): boolean {
    const start = this.#at;
    const isApart = this.#take(BLANKS) !== undefined || /[\])]/.test(this.#text[start - 1] ?? '') || word === 'not';
    const isWord = isApart && this.#take(WORD)?.toLowerCase() === word;
    if (isWord && /[ (]/.test(this.#text[this.#at] ?? '')) return true;
    this.#at = start;
    return false;
  }

  #or(depth: number, parent: Attribute | undefined): Filter {
    const parts = [this.#and(depth, parent)];
    while (this.#joins('or')) parts.push(this.#and(depth, parent));
    return parts.length === 1 ? parts[0]! : { kind: 'or', parts };
  }

  #and(depth: number, parent: Attribute | undefined): Filter {
    const parts = [this.#term(depth, parent)];
    while (this.#joins('and')) parts.push(this.#term(depth, parent));
    return parts.length === 1 ? parts[0]! : { kind: 'and', parts };
  }

  #term(depth: number, parent: Attribute | undefined): Filter {
    if (depth > FILTER_DEPTH_MAX) throw this.#malformed();
    const isNegated = this.#joins('not');
    this.#take(BLANKS);
    if (this.#text[this.#at] === '(') {
      this.#at += 1;
      const filter = this.#or(depth + 1, parent);
      this.#take(BLANKS);
      this.#expect(')');
      return isNegated ? { kind: 'not', filter } : filter;
    }
    if (isNegated) throw this.#malformed();
    return this.#expression(depth, parent);
  }

  /** `parent` is the attribute whose values are looked at, within brackets. */
  #name(parent: Attribute | undefined): AttributePath {
    const name = this.#take(WORD);
    if (name === undefined) throw this.#malformed();
    const unknown = () => refusal('scim_filter_attribute', { field: name });
    if (parent !== undefined) {
      const attribute = findAttribute(subAttributesOf(parent), name);
      if (attribute === undefined) throw unknown();
      return { extension: undefined, attribute, sub: undefined };
    }
    const found = resolvePath(this.#grammar.kind, name);
    if (found?.attribute === undefined) throw unknown();
    return found;
  }

  #expression(depth: number, parent: Attribute | undefined): Filter {
    const path = this.#name(parent);
    if (this.#text[this.#at] === '[') {
      if (parent !== undefined || path.sub !== undefined || !path.attribute.multiValued) throw this.#malformed();
      this.#at += 1;
      const filter = this.#or(depth + 1, path.attribute);
      this.#take(BLANKS);
      this.#expect(']');
      return { kind: 'each', path, filter };
    }
    this.#comparisons += 1;
    if (this.#comparisons > FILTER_COMPARISONS_MAX || this.#take(BLANKS) === undefined) throw this.#malformed();
    const op = this.#take(OPERATOR)?.toLowerCase() as Operator | 'pr' | undefined;
    if (op === 'pr') return { kind: 'present', path };
    if (op === undefined || this.#take(BLANKS) === undefined) throw this.#malformed();
    return this.#comparison(op, path);
  }

  #comparison(op: Operator, named: AttributePath): Comparison {
    // A list or a complex value is compared by its `value` (RFC 7644 3.4.2.2).
    const isComplex = named.sub === undefined && named.attribute.type === 'complex';
    const path = isComplex ? { ...named, sub: subAttributesOf(named.attribute).get('value') } : named;
    const target = path.sub ?? path.attribute;
    const value = this.#operand(target);
    const isOrder = ORDERED.has(op);
    const isFitting =
      value === null
        ? op === 'eq' || op === 'ne'
        : target.type === 'boolean'
          ? typeof value === 'boolean' && !isOrder && !PARTIAL.has(op)
          : target.type === 'dateTime'
            ? typeof value === 'string' && !PARTIAL.has(op) && Number.isFinite(Date.parse(value))
            : typeof value === 'string' && target.type !== 'complex';
    if (!isFitting) throw this.#malformed();
    const key = typeof value === 'string' && !target.caseExact ? foldCase(value) : value;
    return { kind: 'compare', op, path, value, key };
  }

  #operand(target: Attribute): string | boolean | null {
    const word = this.#take(LITERAL);
    if (word !== undefined) return word === 'null' ? null : word === 'true';
    const found = readQuoted(this.#text, this.#at);
    if (found === undefined) throw this.#malformed();
    this.#at = found.end;
    const { text } = found;
    if (text.includes('\0')) throw this.#malformed();
    const isTextual = target.type === 'boolean' && DIALECTS[this.#grammar.dialect].booleanTexts;
    if (isTextual && /^(?:true|false)$/i.test(text)) return text.toLowerCase() === 'true';
    return text;
  }
}

/** P20: a filter within bounds of length, depth and number. Throws `scim_filter` and `scim_filter_attribute`. */
export function parseFilter(text: string, grammar: Grammar): Filter {
  if (text.length > FILTER_CHARACTERS_MAX) throw refusal('scim_filter', { detail: `${text.length} characters` });
  return new Parser(text, grammar).filter();
}

/** P9: the path of a PATCH. Throws `scim_path`, whatever is wrong in it. */
export function parsePatchPath(text: string, grammar: Grammar): PatchPath {
  if (text.length > PATH_CHARACTERS_MAX) throw refusal('scim_path', { detail: `${text.length} characters` });
  try {
    return new Parser(text, grammar).path();
  } catch (cause) {
    if (isAppError(cause, 'scim_path')) throw cause;
    throw refusal('scim_path', { field: text, cause });
  }
}
