/** Columns of this room that are stored in the clear, each with the reason. Read by the schema lint. */
export const plaintextColumns: readonly { readonly column: string; readonly reason: string }[] = [
  { column: 'platform.tenant.kind', reason: 'enumeration' },
  { column: 'platform.tenant.tier', reason: 'enumeration' },
  { column: 'platform.tenant.slug', reason: 'public short name, part of addresses' },
  { column: 'platform.tenant.display_name', reason: 'public name of the organisation, shown before sign-in' },
  { column: 'app.tenant_deletion.state', reason: 'enumeration' },
  { column: 'app.tenant_deletion.inventory', reason: 'counts and sizes of what a deletion destroys' },
  {
    column: 'app.tenant_deletion.canary_fields',
    reason: 'ciphertext already, under the key that the deletion destroys: it is there to open no more',
  },
  {
    column: 'app.tenant_deletion.canary_objects',
    reason: 'ciphertext already, under the key that the deletion destroys: it is there to open no more',
  },
  { column: 'app.tenant_deletion.evidence', reason: 'ids and commitments of destroyed keys, codes of errors' },
  { column: 'app.tenant_deletion.certificate', reason: 'handed out: ids, commitments, counts, codes of errors' },
  { column: 'app.tenant_move.state', reason: 'enumeration' },
  { column: 'app.tenant_move.from_kind', reason: 'enumeration' },
  { column: 'app.tenant_move.from_region', reason: 'name of a cluster in the configuration' },
  { column: 'app.tenant_move.to_kind', reason: 'enumeration' },
  { column: 'app.tenant_move.to_region', reason: 'name of a cluster in the configuration' },
  { column: 'app.tenant_move.proof', reason: 'counts and digests of tables' },
  { column: 'app.tenant_move.failure', reason: 'message of this program about tables and numbers' },
  { column: 'platform.move_progress.stage', reason: 'enumeration' },
  { column: 'platform.move_progress.proof', reason: 'counts and digests of tables' },
];
