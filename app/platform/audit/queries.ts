import type { Uuid } from '@auditrax/base';
import type { Statement } from '@auditrax/tenancy';

/** Statements of the writers. Those of the sequencer stand in ledger-queries.ts. */
export function insertEntry(row: { tenantId: Uuid; entryId: Uuid; leaf: Uint8Array }): Statement {
  return {
    sql: 'insert into audit.entry (tenant_id, id, leaf) values ($1, $2, $3)',
    parameters: [row.tenantId, row.entryId, row.leaf],
  };
}

export function insertDisclosure(row: {
  tenantId: Uuid;
  entryId: Uuid;
  digest: string;
  sealed: Uint8Array;
}): Statement {
  return {
    sql: 'insert into audit.disclosure (tenant_id, entry_id, digest, sealed) values ($1, $2, $3, $4)',
    parameters: [row.tenantId, row.entryId, row.digest, row.sealed],
  };
}

export function appendObservation(leaf: Uint8Array): Statement<{ id: Uuid }> {
  return { sql: 'select audit.append_observation($1) as id', parameters: [leaf] };
}
