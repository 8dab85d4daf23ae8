import { parseSync } from 'libpg-query';
import { TenancyError } from './errors.ts';
import type { Decision } from './guard.ts';
import { names, type Node } from './grammar.ts';

/** The schema that statements are written for; a tenant with a schema of its own has the same tables there. */
export const SHARED_SCHEMA = 'app';
/** Names that need no quotes and are no word of the grammar: a fixed beginning and an opaque rest. */
const SCHEMA_NAME = /^[a-z]{1,8}_[0-9a-f]{4,48}$/;
/** Any such name does for the proof: the pieces around it are the same for all. */
const PROBE_SCHEMA = 't_0000000000000000';
/** Spellings that a schema has in statements; any other is not replaced, and then the statement is not sent. */
const SPELLINGS: readonly Buffer[] = [Buffer.from('app.'), Buffer.from('"app".')];
/** Where something stands in the text, by the grammar's names; everything else must be equal before and after. */
const POSITIONS: ReadonlySet<string> = new Set([
  'location',
  'stmt_location',
  'stmt_len',
  'list_start',
  'list_end',
  'rexpr_list_start',
  'rexpr_list_end',
]);

/** A statement's text around each mention of the shared schema. */
type Pieces = readonly string[];

/** By the guard's decision, which is kept for a text as long as it is used: each text is taken apart once. */
const takenApart = new WeakMap<Decision, Pieces | 'not_located'>();

/** True for a name that `placeText` would write into a statement. */
export function isPlaceSchema(schema: string): boolean {
  return schema === SHARED_SCHEMA || SCHEMA_NAME.test(schema);
}

/**
 * The text with every relation of the shared schema replaced by the same relation of `schema`; functions stay. `decision`
 * is the guard's on the text as it was written. Throws `tenant_statement_refused` (`relation_not_located`) when one of
 * the mentions cannot be found in the text, or the result does not read as the same statement.
 */
export function placeText(text: string, decision: Decision, schema: string): string {
  if (schema === SHARED_SCHEMA) return text;
  let pieces = takenApart.get(decision);
  if (pieces === undefined) takenApart.set(decision, (pieces = takeApart(text)));
  if (pieces === 'not_located' || !SCHEMA_NAME.test(schema)) {
    const facts = { reason: 'relation_not_located' };
    throw new TenancyError('tenant_statement_refused', 'a relation of the statement cannot be placed', facts);
  }
  return pieces.join(schema);
}

function takeApart(text: string): Pieces | 'not_located' {
  try {
    const before = parseSync(text);
    const offsets = new Set<number>();
    collect(before, offsets);
    const pieces = cut(
      Buffer.from(text),
      [...offsets].toSorted((a, b) => a - b),
    );
    // What was meant is in the grammar, not in the text: read again, only the schema may differ.
    const after = parseSync(pieces.join(PROBE_SCHEMA));
    return canonical(after, undefined) === canonical(before, PROBE_SCHEMA) ? pieces : 'not_located';
  } catch {
    return 'not_located';
  }
}

function cut(bytes: Buffer, offsets: readonly number[]): Pieces {
  const pieces: string[] = [];
  let from = 0;
  for (const offset of offsets) {
    const spelling = SPELLINGS.find((one) => bytes.subarray(offset, offset + one.length).equals(one));
    if (spelling === undefined) throw new RangeError('the schema is spelled in another way');
    pieces.push(bytes.subarray(from, offset).toString());
    from = offset + spelling.length - 1;
  }
  return [...pieces, bytes.subarray(from).toString()];
}

/** Byte offsets of every mention of the shared schema, wherever the grammar allows a relation. */
function collect(node: unknown, offsets: Set<number>): void {
  if (Array.isArray(node)) {
    for (const part of node) collect(part, offsets);
    return;
  }
  if (typeof node !== 'object' || node === null) return;
  const body = node as Node;
  if (isMention(body)) {
    const offset = body['location'];
    if (typeof offset !== 'number') throw new RangeError('the grammar does not say where');
    offsets.add(offset);
  }
  for (const part of Object.values(body)) collect(part, offsets);
}

/** A relation (FROM, or what is written to) or a column by its full name `schema.table.column`. */
function isMention(body: Node): boolean {
  if (typeof body['relname'] === 'string') {
    if (body['catalogname'] !== undefined) throw new RangeError('a relation of a named database');
    return body['schemaname'] === SHARED_SCHEMA;
  }
  return isColumnMention(body);
}

function isColumnMention(body: Node): boolean {
  const fields = body['fields'];
  if (!Array.isArray(fields) || fields.length < 3) return false;
  if (fields.length > 3) throw new RangeError('a column of a named database');
  return names(fields)[0] === SHARED_SCHEMA;
}

/** The statement without positions, and with the shared schema's mentions under another name. */
function canonical(tree: unknown, schema: string | undefined): string {
  return JSON.stringify(tree, function replace(this: unknown, key: string, value: unknown): unknown {
    if (POSITIONS.has(key)) return undefined;
    if (schema === undefined || typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    const body = value as Node;
    if (!isMention(body)) return value;
    if (body['relname'] !== undefined) return { ...body, schemaname: schema };
    const [, ...rest] = body['fields'] as readonly unknown[];
    return { ...body, fields: [{ String: { sval: schema } }, ...rest] };
  });
}
