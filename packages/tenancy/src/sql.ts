import type { Statement } from './context.ts';

/** Every statement that `sql` made: only these may be put inside another one, so that text never becomes SQL. */
const made = new WeakSet<object>();

/**
 * A statement with bound parameters: ``sql<{id: Uuid}>`select id from app.t where tenant_id = ${tenantId}` ``. A value
 * becomes a parameter; a statement made by `sql` is put in place with its own parameters renumbered. Throws TypeError
 * on `undefined`, which the driver would silently turn into NULL.
 */
export function sql<Row = unknown>(strings: TemplateStringsArray, ...values: readonly unknown[]): Statement<Row> {
  const parts = values.map((value, index) => {
    if (value === undefined) throw new TypeError(`parameter ${index + 1} of a statement is undefined`);
    return isMade(value) ? value : undefined;
  });
  const isWhole = parts.every((part) => part === undefined);
  const parameters: unknown[] = isWhole ? [...values] : [];
  const text = isWhole ? wholeText(strings) : composedText(strings, { values, parts, parameters });
  const statement: Statement<Row> = Object.freeze({ sql: text, parameters: Object.freeze(parameters) });
  made.add(statement);
  return statement;
}

/** A template in the source is one frozen object for all its uses; so is its text then, which caches know at once. */
const texts = new WeakMap<readonly string[], string>();

function wholeText(strings: readonly string[]): string {
  const known = texts.get(strings);
  if (known !== undefined) return known;
  const text = strings.map((piece, index) => (index === 0 ? piece : `$${index}${piece}`)).join('');
  if (Object.isFrozen(strings)) texts.set(strings, text);
  return text;
}

interface Composition {
  readonly values: readonly unknown[];
  readonly parts: readonly (Statement | undefined)[];
  /** Filled in the order of the text. */
  readonly parameters: unknown[];
}

function composedText(strings: readonly string[], { values, parts, parameters }: Composition): string {
  let text = strings[0]!;
  for (const [index, value] of values.entries()) {
    const part = parts[index];
    text += part === undefined ? `$${parameters.push(value)}` : splice(part, parameters);
    text += strings[index + 1]!;
  }
  return text;
}

function isMade(value: unknown): value is Statement {
  return typeof value === 'object' && value !== null && made.has(value);
}

function splice(part: Statement, parameters: unknown[]): string {
  const offset = parameters.length;
  parameters.push(...part.parameters);
  // `part.sql` was written by a programmer, and its only `$n` are the ones that `sql` put there.
  return part.sql.replace(/\$(\d+)/g, (_, number: string) => `$${Number(number) + offset}`);
}
