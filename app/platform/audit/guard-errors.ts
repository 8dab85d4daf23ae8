import { AppError } from '@auditrax/base';
import type { TenantDoor } from '@auditrax/tenancy';
import type { AuditCode } from './errors.ts';

/**
 * Turns the commit guard's refusals into this floor's codes: AX101 a row without its entry (a fault of ours), AX102 the
 * log is not running, AX105 the log is on its way to another cell (503). Undefined for any other error.
 */
export function guardError(error: unknown): AppError<AuditCode> | undefined {
  const sqlState = sqlStateOf(error);
  if (sqlState === 'AX102') {
    return new AppError<AuditCode>('audit_log_down', 'the audit log is not running', {
      publicDetail: 'Nothing was changed: an action that cannot be recorded is not carried out. Try again shortly.',
      cause: error,
    });
  }
  if (sqlState === 'AX105') {
    return new AppError<AuditCode>('audit_log_elsewhere', 'the audit log of this tenant is in another cell', {
      publicDetail: 'Nothing was changed: the workspace is being moved. Try again shortly.',
      cause: error,
    });
  }
  if (sqlState === 'AX101') {
    return new AppError<AuditCode>('audit_unlogged_commit', 'a row changed without its audit entry', { cause: error });
  }
  return undefined;
}

/** The driver may wrap the server's error; its SQLSTATE stays somewhere in the chain of causes. */
function sqlStateOf(error: unknown): string | undefined {
  const DEPTH_MAX = 5;
  let current: unknown = error;
  for (let depth = 0; depth < DEPTH_MAX && typeof current === 'object' && current !== null; depth += 1) {
    const { code, sqlState } = current as { code?: unknown; sqlState?: unknown };
    const found = [sqlState, code].find((value) => typeof value === 'string' && /^AX\d{3}$/.test(value));
    if (found !== undefined) return found as string;
    current = (current as { cause?: unknown }).cause;
  }
  return undefined;
}

async function named<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw guardError(error) ?? error;
  }
}

/** The same door, with the commit guard's refusals under their own names: `audit_log_down` becomes a clear 503. */
export function withGuardErrors(door: TenantDoor): TenantDoor {
  return {
    scoped: (context, statement) => named(door.scoped(context, statement)),
    transaction: (context, work) => named(door.transaction(context, work)),
    // Reads only: the commit guard has nothing to say there.
    stream: (context, statement, options) => door.stream(context, statement, options),
  };
}
