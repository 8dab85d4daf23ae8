import type { Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import { auditFromCall, type AuditInput } from '../../platform/audit/index.ts';
import type { Caller, StepUp } from '../../platform/http/handler.ts';
import { notFound } from './errors.ts';
import * as queries from './queries.ts';

/** Who changes something, and the confirmation that this process has verified. */
export interface Asker {
  readonly caller: Caller;
  readonly requestId: string;
  readonly stepUp: StepUp;
}

/** An entry about a connection, by whom it was asked for. */
export function entryOf(who: Asker, id: Uuid, deed: Pick<AuditInput, 'type' | 'public' | 'disclosures'>): AuditInput {
  const facts = { ...auditFromCall(who), stepUpHash: who.stepUp.assertionHash };
  return { ...facts, ...deed, resource: ['connection', id], outcome: 'allowed' };
}

/** The row, held until the transaction ends. Throws `not_found`. */
export async function forUpdate(tx: ScopedTransaction, id: Uuid): Promise<queries.ConnectionRow> {
  const [row] = await tx.query(queries.connectionForUpdate(tx.context, id));
  if (row === undefined) throw notFound();
  return row;
}
