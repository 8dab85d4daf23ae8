import type { PlaintextColumn } from './plaintext-columns.ts';
import type { SealedFieldRegistry } from './sealed-fields.ts';

/** The schemas whose columns hold something of a tenant, or about one. */
export const SEALED_SCHEMAS = ['app', 'identity', 'oncall', 'claims'] as const;
/** A reason of fewer characters is no reason. */
const REASON_CHARS_MIN = 4;

/** Columns that could hold free content: texts, JSON, bytes, arrays of them, and types made from them. */
export const CONTENT_COLUMNS_SQL = `
  select n.nspname || '.' || c.relname || '.' || a.attname as column, format_type(a.atttypid, null) as type
  from pg_catalog.pg_attribute a
  join pg_catalog.pg_class c on c.oid = a.attrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_type t on t.oid = a.atttypid
  left join pg_catalog.pg_type element on element.oid = t.typelem and t.typcategory = 'A'
  left join pg_catalog.pg_type base on base.oid = t.typbasetype
  where n.nspname = any ($1) and c.relkind in ('r', 'p', 'm', 'f') and a.attnum > 0 and not a.attisdropped
    and (coalesce(element.typname, base.typname, t.typname) in ('text', 'varchar', 'bpchar', 'json', 'jsonb', 'xml', 'bytea', 'hstore', 'name', 'citext', 'tsvector'))
  order by 1`;

/** A column of the live schema that may hold content. */
export interface ContentColumn {
  readonly column: string;
  readonly type: string;
}

/**
 * Compares the live schema with what the rooms declare; each finding names its column. Empty means: every content column
 * is sealed (registered, and bytea) or in the clear for a written reason, never both, and no list names a ghost.
 */
export function lintSealedColumns(input: {
  readonly columns: readonly ContentColumn[];
  readonly sealed: SealedFieldRegistry;
  readonly plaintext: readonly PlaintextColumn[];
}): string[] {
  const findings: string[] = [];
  const reasons = new Map<string, string>();
  for (const { column, reason } of input.plaintext) {
    if (reasons.has(column)) findings.push(`${column}: listed as plaintext twice`);
    if (reason.trim().length < REASON_CHARS_MIN) findings.push(`${column}: listed as plaintext without a reason`);
    reasons.set(column, reason);
  }
  const live = new Set<string>();
  for (const { column, type } of input.columns) {
    live.add(column);
    const isSealed = Object.hasOwn(input.sealed, column);
    if (isSealed && type !== 'bytea') findings.push(`${column}: registered as sealed but of type ${type}, not bytea`);
    if (isSealed && reasons.has(column)) findings.push(`${column}: both sealed and listed as plaintext`);
    if (!isSealed && !reasons.has(column))
      findings.push(`${column}: neither sealed nor listed as plaintext with a reason`);
  }
  const checked = (column: string): boolean => (SEALED_SCHEMAS as readonly string[]).includes(column.split('.')[0]!);
  for (const column of [...Object.keys(input.sealed), ...reasons.keys()]) {
    if (checked(column) && !live.has(column)) findings.push(`${column}: listed, but there is no such content column`);
  }
  return findings;
}
