import type { Uuid } from '@auditrax/base';
import type { TenantContext, TenantDoor } from '@auditrax/tenancy';
import type { AuditInput } from './leaf.ts';
import { recordAudit, type RecordAudit } from './record.ts';

/** Type of the entry about an attempt across tenants; its fact `layer` says where it was stopped. */
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
