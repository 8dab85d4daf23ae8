import type { Uuid } from '@auditrax/base';
import type { TenantContext, TenantDoor } from '@auditrax/tenancy';
import type { AuditInput } from './leaf.ts';
import { recordAudit, type RecordAudit } from './record.ts';

/** Where the attempt was stopped. */
export type RefusalLayer = 'gateway' | 'parser' | 'guard' | 'tripwire' | 'grant';
export const ATTEMPT_REFUSED = 'tenant.attempt.refused';

export interface AttemptRecorder {
  /** Durable when it resolves. */
  record(context: TenantContext, input: AuditInput): Promise<{ entryId: Uuid }>;
}

/**
 * Denied and failed attempts get a connection and a transaction of their own: in the transaction that fails, the
 * rollback would delete the evidence.
 */
export function attemptRecorder(door: TenantDoor, record: RecordAudit = recordAudit): AttemptRecorder {
  return {
    record: (context, input) => door.transaction(context, (tx) => record(tx, input)),
  };
}
