/** A node of libpg-query's JSON: `{ SelectStmt: {…} }`. */
export type Node = Readonly<Record<string, unknown>>;

/** Every reason the guard gives; tests and pages name them. */
export type RefusalReason =
  | 'too_long'
  | 'syntax'
  | 'statement_count'
  | 'statement_kind'
  | 'clause'
  | 'expression'
  | 'operator'
  | 'type'
  | 'function'
  | 'relation_unqualified'
  | 'relation_catalogue'
  | 'relation_not_listed'
  | 'relation_unrestricted'
  | 'relation_form'
  | 'join_form'
  | 'tenant_compared'
  | 'tenant_updated'
  | 'tenant_not_inserted'
  | 'conflict_target';

/** Thrown inside the analysis only; `checkStatement` turns it into a decision. */
export class Refused extends Error {
  readonly reason: RefusalReason;
  readonly subject: string;
  constructor(reason: RefusalReason, subject: string) {
    super(reason);
    this.reason = reason;
    this.subject = subject;
  }
}

export function refuse(reason: RefusalReason, subject: string): never {
  throw new Refused(reason, subject);
}

/** The kind and body of `{ Kind: body }`. */
export function unwrap(node: unknown): [kind: string, body: Node] {
  const entry = Object.entries((node ?? {}) as Node)[0];
  if (entry === undefined) return refuse('expression', 'an empty node');
  return [entry[0], (entry[1] ?? {}) as Node];
}

/** Refuses a body with a clause that is not named: what a new grammar adds is refused until somebody has thought about it. */
export function only(body: Node, kind: string, ...allowed: readonly string[]): void {
  for (const key of Object.keys(body)) {
    if (key === 'location' || key === 'stmt_len' || key === 'stmt_location' || allowed.includes(key)) continue;
    refuse('clause', `${kind}.${key}`);
  }
}

export function list(value: unknown): readonly Node[] {
  return Array.isArray(value) ? (value as Node[]) : [];
}

/** `[{String:{sval:'a'}}, {A_Star:{}}]` -> `['a', '*']`. */
export function names(value: unknown): string[] {
  return list(value).map((part) => {
    const [kind, body] = unwrap(part);
    if (kind === 'A_Star') return '*';
    return kind === 'String' && typeof body['sval'] === 'string' ? body['sval'] : refuse('expression', kind);
  });
}

/** Casts that read no catalogue and run no code of ours (`regclass` would look a name up). */
export const TYPES: ReadonlySet<string> = new Set([
  'uuid',
  'text',
  'varchar',
  'bpchar',
  'bool',
  'int2',
  'int4',
  'int8',
  'float4',
  'float8',
  'numeric',
  'json',
  'jsonb',
  'bytea',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'interval',
  'tstzrange',
  'daterange',
]);

/** Functions that only look at their arguments. Everything else is refused, most of all what takes SQL text or a name. */
export const FUNCTIONS: ReadonlySet<string> = new Set([
  // aggregates and windows
  'count',
  'sum',
  'min',
  'max',
  'avg',
  'bool_and',
  'bool_or',
  'every',
  'any_value',
  'array_agg',
  'string_agg',
  'jsonb_agg',
  'jsonb_object_agg',
  'json_agg',
  'percentile_cont',
  'percentile_disc',
  'mode',
  'row_number',
  'rank',
  'dense_rank',
  'lag',
  'lead',
  'first_value',
  'last_value',
  'ntile',
  // time
  'now',
  'clock_timestamp',
  'statement_timestamp',
  'transaction_timestamp',
  'date_trunc',
  'date_part',
  'date_bin',
  'extract',
  'age',
  'timezone',
  'make_interval',
  'make_date',
  'to_timestamp',
  'to_char',
  'isfinite',
  'overlaps',
  'tstzrange',
  'daterange',
  'lower_inc',
  'upper_inc',
  'isempty',
  // text and bytes
  'length',
  'char_length',
  'character_length',
  'octet_length',
  'lower',
  'upper',
  'btrim',
  'ltrim',
  'rtrim',
  'left',
  'right',
  'substr',
  'substring',
  'position',
  'strpos',
  'starts_with',
  'replace',
  'concat',
  'concat_ws',
  'encode',
  'decode',
  'sha256',
  'like_escape',
  // numbers
  'abs',
  'ceil',
  'ceiling',
  'floor',
  'round',
  'trunc',
  'mod',
  'num_nulls',
  'num_nonnulls',
  // arrays and JSON
  'unnest',
  'cardinality',
  'array_length',
  'array_position',
  'array_remove',
  'array_append',
  'generate_series',
  'to_jsonb',
  'jsonb_build_object',
  'jsonb_build_array',
  'jsonb_typeof',
  'jsonb_array_length',
  'jsonb_array_elements',
  'jsonb_array_elements_text',
  'jsonb_object_keys',
  'jsonb_each',
  'jsonb_each_text',
  'jsonb_to_recordset',
  'jsonb_to_record',
  'jsonb_set',
  'jsonb_strip_nulls',
]);

/** Further functions for global tables: the one sequencer of a log takes a lock that ends with its transaction. */
export const SYSTEM_FUNCTIONS: ReadonlySet<string> = new Set(['pg_advisory_xact_lock', 'pg_try_advisory_xact_lock']);

export const VALUE_FUNCTIONS: ReadonlySet<string> = new Set([
  'SVFOP_CURRENT_DATE',
  'SVFOP_CURRENT_TIME',
  'SVFOP_CURRENT_TIMESTAMP',
  'SVFOP_CURRENT_TIMESTAMP_N',
  'SVFOP_LOCALTIMESTAMP',
  'SVFOP_LOCALTIMESTAMP_N',
]);

export const EXPRESSION_KINDS: ReadonlySet<string> = new Set([
  'AEXPR_OP',
  'AEXPR_OP_ANY',
  'AEXPR_OP_ALL',
  'AEXPR_DISTINCT',
  'AEXPR_NOT_DISTINCT',
  'AEXPR_NULLIF',
  'AEXPR_IN',
  'AEXPR_LIKE',
  'AEXPR_ILIKE',
  'AEXPR_BETWEEN',
  'AEXPR_NOT_BETWEEN',
  'AEXPR_BETWEEN_SYM',
  'AEXPR_NOT_BETWEEN_SYM',
]);
