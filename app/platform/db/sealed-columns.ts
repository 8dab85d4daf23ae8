import type { PlaintextColumn } from './plaintext-columns.ts';
import type { SealedColumn, SealedFieldRegistry } from './sealed-fields.ts';

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

/** The registry as the migrations wrote it; the database itself works by it. */
export const REGISTERED_COLUMNS_SQL = `
  select relation || '.' || column_name as column, field::int8::float8 as field, purpose, service, key_column as key,
         row_column as row from platform.sealed_column order by 1`;

/**
 * Compares what the rooms call sealed, where they say it is stored, and what the database was told. Empty means: every
 * sealed field has its column in both registries with the same facts, and neither names one more. A column that only one
 * side knew would be left behind by a rotation, and its key retired under it.
 */
export function lintSealedRegistry(input: {
  readonly fields: SealedFieldRegistry;
  readonly columns: readonly SealedColumn[];
  readonly registered: readonly SealedColumn[];
}): string[] {
  const findings: string[] = [];
  const facts = (one: SealedColumn): string =>
    [one.field, one.purpose, one.service, one.key, one.row].map(String).join(' ');
  const declared = new Map(input.columns.map((one) => [one.column, one]));
  const registered = new Map(input.registered.map((one) => [one.column, one]));
  for (const [column, number] of Object.entries(input.fields)) {
    if (declared.get(column)?.field !== number)
      findings.push(`${column}: sealed, but not in sealedColumns as ${number}`);
  }
  for (const one of declared.values()) {
    const inDatabase = registered.get(one.column);
    if (one.purpose === 'fields' && !Object.hasOwn(input.fields, one.column))
      findings.push(`${one.column}: in sealedColumns, but no sealed field`);
    if (inDatabase === undefined) findings.push(`${one.column}: no migration registers it (platform.seal_column)`);
    else if (facts(inDatabase) !== facts(one))
      findings.push(`${one.column}: registered as ${facts(inDatabase)}, declared as ${facts(one)}`);
  }
  for (const column of registered.keys())
    if (!declared.has(column)) findings.push(`${column}: registered in the database, but in no sealedColumns`);
  return findings;
}

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
  /** By name; the value does not matter here. */
  readonly sealed: Readonly<Record<string, unknown>>;
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
