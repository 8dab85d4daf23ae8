import type { Statement } from './context.ts';

/** Every statement that `sql` made: only these may be put inside another one, so that text never becomes SQL. */
const made = new WeakSet<object>();

/**
 * A statement with bound parameters: ``sql<{id: Uuid}>`select id from app.t where tenant_id = ${tenantId}` ``. A value
 * becomes a parameter; a statement made by `sql` is put in place with its own parameters renumbered. Throws TypeError
 * on `undefined`, which the driver would silently turn into NULL.
 */
export function sql<Row = unknown>(strings: TemplateStringsArray, ...values: readonly unknown[]): Statement<Row> {
  const parameters: unknown[] = [];
  let text = strings[0]!;
  for (const [index, value] of values.entries()) {
    if (value === undefined) throw new TypeError(`parameter ${index + 1} of a statement is undefined`);
    text += isMade(value) ? splice(value, parameters) : `$${parameters.push(value)}`;
    text += strings[index + 1]!;
  }
  const statement: Statement<Row> = Object.freeze({ sql: text, parameters: Object.freeze(parameters) });
  made.add(statement);
  return statement;
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
