import { AppError } from '@auditrax/base';

/**
 * - `tenant_statement_refused`: the guard does not let the statement through (no database access).
 * - `tenant_foreign_parameter`: a tenant parameter is not the context's tenant (no database access).
 * - `tenant_tripwire`: the database met a row of another tenant.
 * - `tenant_scope_missing`, `tenant_scope_twice`: a statement ran without a tenant, or tried to set a second one.
 * - `tenant_role_foreign`: the connection's role was made for another tenant.
 * - `tenant_grant_refused`: the role has no right to do this.
 * - `tenant_read_only`: the tenant is on the move; reading goes on, writing will in a moment.
 * - `tenant_moved`: the tenant is no longer where it was looked for, and not yet anywhere else; worth another try.
 * - `tenant_refusal_unrecorded`: one of the above, and its record could not be written either.
 * - `tenant_transaction_ended`: the transaction is over; the first error says why.
 * - `database_unavailable`: no connection, or it was lost; a commit that was under way is done entirely or not at all.
 * - `database_timeout`, `database_conflict` (worth another try), `database_unique`, `database_reference`,
 *   `database_check`, `database_input_invalid`, `database_rule` (AX1xx, raised by the application's own guards; see
 *   `sqlState`), `database_full`, `database_failed`.
 */
export type TenancyCode =
  | 'tenant_statement_refused'
  | 'tenant_foreign_parameter'
  | 'tenant_tripwire'
  | 'tenant_scope_missing'
  | 'tenant_scope_twice'
  | 'tenant_role_foreign'
  | 'tenant_grant_refused'
  | 'tenant_read_only'
  | 'tenant_moved'
  | 'tenant_refusal_unrecorded'
  | 'tenant_transaction_ended'
  | 'database_unavailable'
  | 'database_timeout'
  | 'database_conflict'
  | 'database_unique'
  | 'database_reference'
  | 'database_check'
  | 'database_input_invalid'
  | 'database_rule'
  | 'database_full'
  | 'database_failed';

/** Which of the walls spoke. */
export type RefusalLayer = 'guard' | 'tripwire' | 'scope' | 'grant' | 'role';

/** Never carries what the server said in DETAIL, HINT or the statement's values: those name other tenants' rows. */
export class TenancyError extends AppError<TenancyCode> {
  /** SQLSTATE, when the database spoke. */
  readonly sqlState: string | undefined;
  /** Name of the violated constraint, so that a room can tell its own rules apart. */
  readonly constraint: string | undefined;
  /** Why the guard refused; one of its reasons. */
  readonly reason: string | undefined;

  constructor(
    code: TenancyCode,
    message: string,
    facts: { sqlState?: string; constraint?: string; reason?: string; cause?: unknown } = {},
  ) {
    super(code, message, facts.cause === undefined ? {} : { cause: facts.cause });
    this.name = 'TenancyError';
    this.sqlState = facts.sqlState;
    this.constraint = facts.constraint;
    this.reason = facts.reason;
  }
}

/** The walls' own SQLSTATEs, raised by the functions that the policies and the scope step call. */
export const SQLSTATE_TRIPWIRE = 'AX001';
export const SQLSTATE_SCOPE_TWICE = 'AX002';
export const SQLSTATE_SCOPE_NULL = 'AX003';
export const SQLSTATE_ROLE_FOREIGN = 'AX004';
export const SQLSTATE_MOVED = 'AX005';

const LAYERS: Partial<Record<TenancyCode, RefusalLayer>> = {
  tenant_statement_refused: 'guard',
  tenant_foreign_parameter: 'guard',
  tenant_tripwire: 'tripwire',
  tenant_scope_missing: 'scope',
  tenant_scope_twice: 'scope',
  tenant_role_foreign: 'role',
  tenant_grant_refused: 'grant',
};

/** The wall behind a code; undefined when the code is not a refusal. */
export function refusalLayer(code: TenancyCode): RefusalLayer | undefined {
  return LAYERS[code];
}

const BY_STATE: Readonly<Record<string, readonly [TenancyCode, string]>> = {
  [SQLSTATE_TRIPWIRE]: ['tenant_tripwire', 'the statement met a row of another tenant'],
  [SQLSTATE_SCOPE_TWICE]: ['tenant_scope_twice', 'the tenant of the transaction was already set'],
  [SQLSTATE_SCOPE_NULL]: ['tenant_scope_missing', 'the transaction has no tenant'],
  [SQLSTATE_ROLE_FOREIGN]: ['tenant_role_foreign', 'the role of the connection was made for another tenant'],
  '25006': ['tenant_read_only', 'the tenant is being moved and takes no changes just now'],
  [SQLSTATE_MOVED]: ['tenant_moved', 'the tenant is being moved'],
  '42501': ['tenant_grant_refused', 'the database role has no right to do this'],
  '40001': ['database_conflict', "two transactions were in each other's way"],
  '40P01': ['database_conflict', "two transactions were in each other's way"],
  '55P03': ['database_timeout', 'a lock was not free in time'],
  '57014': ['database_timeout', 'the statement took too long'],
  '25P03': ['database_timeout', 'the transaction was idle for too long'],
  '25P04': ['database_timeout', 'the transaction took too long'],
  '23505': ['database_unique', 'a value that must be unique is there already'],
  '23503': ['database_reference', 'a row that is referred to is missing'],
  '23514': ['database_check', 'a value breaks a rule of its table'],
  '23502': ['database_check', 'a value that must be there is missing'],
  '53100': ['database_full', 'the database has no room left'],
};
/** Connection exceptions, operator intervention (but cancel), too many connections, failed log-in. */
const UNAVAILABLE = /^(08|57P|53300|53400|28)/;

/** What the server reports; only these fields are looked at. */
interface ServerReport {
  readonly code?: string;
  readonly message?: string;
  readonly constraint?: string;
  readonly where?: string;
}

/**
 * Turns whatever the driver threw into one of our codes. The original error is dropped on purpose when the server wrote
 * it: its DETAIL may name rows of other tenants.
 */
export function toTenancyError(error: unknown): TenancyError {
  if (error instanceof TenancyError) return error;
  const report = error as ServerReport;
  const sqlState = typeof report.code === 'string' && /^[0-9A-Z]{5}$/.test(report.code) ? report.code : undefined;
  // Socket errors carry codes such as ECONNREFUSED or EPIPE; some have none at all.
  if (sqlState === undefined || !('severity' in (error as object))) {
    return new TenancyError('database_unavailable', 'the database cannot be reached', { cause: error });
  }
  const facts = { sqlState, ...(report.constraint === undefined ? {} : { constraint: report.constraint }) };
  if (isScopeMissing(sqlState, report)) {
    return new TenancyError('tenant_scope_missing', 'the transaction has no tenant', facts);
  }
  const known = BY_STATE[sqlState];
  if (known !== undefined) return new TenancyError(known[0], known[1], facts);
  if (UNAVAILABLE.test(sqlState))
    return new TenancyError('database_unavailable', 'the database ended the connection', facts);
  if (sqlState.startsWith('AX')) return new TenancyError('database_rule', 'a rule of the database refused this', facts);
  if (sqlState.startsWith('22'))
    return new TenancyError('database_input_invalid', 'a value does not fit its column', facts);
  return new TenancyError('database_failed', `the database refused the statement (${sqlState})`, facts);
}

/** The wall reads a setting that nobody set: unknown before the first transaction, empty after one. */
function isScopeMissing(sqlState: string, report: ServerReport): boolean {
  if (sqlState === '42704') return report.message?.includes('"app.tenant"') ?? false;
  // An empty string bound by a caller gives the same message, but the server says which parameter it was.
  const byCaller = report.where?.includes('parameter $') ?? false;
  return sqlState === '22P02' && !byCaller && report.message === 'invalid input syntax for type uuid: ""';
}
