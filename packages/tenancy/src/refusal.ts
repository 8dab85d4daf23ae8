import { createHash } from 'node:crypto';
import type { TenantContext } from './context.ts';
import { refusalLayer, TenancyError, type RefusalLayer, type TenancyCode } from './errors.ts';

/** What is told about a refused statement: who tried, at which wall. Neither values nor the foreign row's tenant. */
export interface Refusal {
  readonly layer: RefusalLayer;
  readonly code: TenancyCode;
  /** The guard's reason, or the SQLSTATE of a wall in the database. */
  readonly reason: string;
  readonly door: 'tenant' | 'system';
  /** Absent at the system door. */
  readonly context?: TenantContext;
  /** Hex SHA-256 of the statement's text, so that the same attempt is recognised without its text. */
  readonly statementHash: string;
  readonly atMs: number;
}

export interface RefusalSink {
  readonly nowMs: () => number;
  /** Resolves when the refusal is recorded durably. */
  readonly onRefusal: (event: Refusal) => Promise<void>;
}

/** A refusal that `work` of a transaction lets through comes by twice; it is one event. */
const recorded = new WeakSet<TenancyError>();

/**
 * Gives the error that the caller must throw. A refusal is recorded first, so that no refused statement returns to a
 * caller unseen; when it cannot be recorded the caller learns `tenant_refusal_unrecorded` instead.
 */
export async function recordRefusal(
  error: TenancyError,
  where: { door: 'tenant' | 'system'; text: string; context?: TenantContext },
  sink: RefusalSink,
): Promise<TenancyError> {
  const layer = refusalLayer(error.code);
  if (layer === undefined || recorded.has(error)) return error;
  try {
    await sink.onRefusal({
      layer,
      code: error.code,
      reason: error.reason ?? error.sqlState ?? error.code,
      door: where.door,
      ...(where.context === undefined ? {} : { context: where.context }),
      statementHash: createHash('sha256').update(where.text).digest('hex'),
      atMs: sink.nowMs(),
    });
  } catch {
    return new TenancyError('tenant_refusal_unrecorded', `${error.code} could not be recorded`, { cause: error });
  }
  recorded.add(error);
  return error;
}
