import { AppError, isAppError } from '@auditrax/base';
import { z } from 'zod';

export interface ProblemKind {
  readonly status: number;
  readonly title: string;
}

/** Code to outward status. A room exports one for its own codes; `bin/` merges them. */
export type ProblemTable = Readonly<Record<string, ProblemKind>>;

/** What the floor itself answers. Rooms may throw these codes too; they must not define them again. */
export const coreProblems = {
  input_invalid: { status: 400, title: 'The request is not valid' },
  body_unreadable: { status: 400, title: 'The body cannot be read' },
  session_required: { status: 401, title: 'Sign in first' },
  session_ended: { status: 401, title: 'Your session was ended' },
  company_sign_in_required: { status: 401, title: 'Sign in by your company again' },
  token_refused: { status: 401, title: 'The transaction token was refused' },
  peer_refused: { status: 403, title: 'This service may not call here' },
  production_access_required: { status: 403, title: 'This needs production access' },
  operation_refused: { status: 403, title: 'Your role does not include this' },
  origin_refused: { status: 403, title: 'The request did not come from this site' },
  step_up_required: { status: 403, title: 'Confirm this with your passkey' },
  step_up_refused: { status: 403, title: 'The confirmation was refused' },
  not_found: { status: 404, title: 'Not found' },
  body_too_large: { status: 413, title: 'The body is too large' },
  content_type_refused: { status: 415, title: 'This content type is not accepted here' },
  host_refused: { status: 421, title: 'This host is not served here' },
  rate_limited: { status: 429, title: 'Too many requests' },
  balancer_misconfigured: { status: 502, title: 'The load balancer does not say whose request this is' },
  internal: { status: 500, title: 'Something failed here' },
  service_unavailable: { status: 503, title: 'A part of the system is not available' },
  database_unavailable: { status: 503, title: 'The database is not available' },
  database_timeout: { status: 503, title: 'The database took too long' },
  database_conflict: { status: 503, title: 'Somebody changed the same thing; try again' },
  tenant_read_only: { status: 503, title: 'Your organisation is being moved; try again in a few seconds' },
  tenant_moved: { status: 503, title: 'Your organisation has just been moved; try again in a few seconds' },
  database_full: { status: 507, title: 'There is no room left to store this' },
  disk_full: { status: 507, title: 'There is no room left to store this' },
  attempt_not_recorded: { status: 503, title: 'The request could not be recorded' },
} as const satisfies ProblemTable;

export type CoreCode = keyof typeof coreProblems;

/** RFC 9457 body, the only form in which any service reports an error. */
export const problemSchema = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.string(),
  requestId: z.string(),
  detail: z.string().optional(),
  field: z.string().optional(),
  /** What would have to be held: for `production_access_required` the scope. */
  needs: z.string().optional(),
});
export type Problem = z.output<typeof problemSchema>;

export const PROBLEM_MEDIA_TYPE = 'application/problem+json; charset=utf-8';

/** One table out of many. Throws when two tables define a code, or a status is not an error's. */
export function mergeProblems(...tables: readonly ProblemTable[]): ProblemTable {
  const merged: Record<string, ProblemKind> = { ...coreProblems };
  for (const [code, kind] of tables.flatMap((table) => Object.entries(table))) {
    if (Object.hasOwn(merged, code)) throw new Error(`problem code ${code} is defined twice`);
    if (!Number.isInteger(kind.status) || kind.status < 400 || kind.status > 599)
      throw new Error(`problem code ${code} has no error status`);
    merged[code] = kind;
  }
  return merged;
}

/** The problem of a core code. */
export function coreProblem(
  code: CoreCode,
  requestId: string,
  extra: { detail?: string; field?: string } = {},
): Problem {
  return { type: `urn:auditrax:problem:${code}`, ...coreProblems[code], code, requestId, ...extra };
}

/** Refusals of the tenant walls, recorded by then: outward, what was asked for does not exist. */
const MASKED: ReadonlySet<string> = new Set([
  'tenant_statement_refused',
  'tenant_foreign_parameter',
  'tenant_tripwire',
  'tenant_scope_missing',
  'tenant_scope_twice',
  'tenant_role_foreign',
  'tenant_grant_refused',
]);

/**
 * What a caller may know of `error`. Everything across tenants is the same 404 as something that never existed; an
 * error nobody foresaw is a 500 without a word of it, since its text may hold anything.
 */
export function toProblem(error: unknown, requestId: string, table: ProblemTable): Problem {
  const known = error instanceof AppError ? error : fromFramework(error);
  if (known === undefined) return coreProblem('internal', requestId);
  if (known.code === 'not_found' || MASKED.has(known.code)) return coreProblem('not_found', requestId);
  if (known.code === 'tenant_refusal_unrecorded') return coreProblem('attempt_not_recorded', requestId);
  const kind = Object.hasOwn(table, known.code) ? table[known.code] : undefined;
  if (kind === undefined) return coreProblem('internal', requestId);
  return {
    type: `urn:auditrax:problem:${known.code}`,
    title: kind.title,
    status: kind.status,
    code: known.code,
    requestId,
    ...(known.publicDetail === undefined ? {} : { detail: known.publicDetail }),
    ...(known.field === undefined ? {} : { field: known.field }),
    ...(known.needs === undefined ? {} : { needs: known.needs }),
  };
}

interface FrameworkError {
  readonly code?: unknown;
  readonly statusCode?: unknown;
  readonly validation?: readonly {
    readonly instancePath?: string;
    readonly message?: string;
    readonly keyword?: string;
  }[];
  readonly validationContext?: string;
}

/** Errors of Fastify that a client causes; all others stay unknown. */
function fromFramework(error: unknown): AppError<CoreCode> | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, statusCode, validation, validationContext } = error as FrameworkError;
  const first = validation?.[0];
  if (first !== undefined) {
    const place =
      { body: 'body', querystring: 'query', params: 'params', headers: 'headers' }[validationContext ?? 'body'] ??
      'body';
    const field = `${place}${(first.instancePath ?? '').replaceAll('/', '.')}`.replace(/\.$/, '');
    return new AppError<CoreCode>('input_invalid', `invalid ${field}`, {
      field,
      publicDetail: first.message ?? 'not valid',
    });
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new AppError<CoreCode>('body_too_large', 'body too large');
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return new AppError<CoreCode>('content_type_refused', 'media type refused');
  if (statusCode === 400) return new AppError<CoreCode>('body_unreadable', 'body unreadable');
  return undefined;
}

/** True for errors that an operator should see: everything answered with 500. */
export function isUnforeseen(error: unknown, table: ProblemTable): boolean {
  if (isAppError(error)) return !Object.hasOwn(table, error.code) && !MASKED.has(error.code);
  return fromFramework(error) === undefined;
}
