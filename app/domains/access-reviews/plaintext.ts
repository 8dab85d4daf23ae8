/** Columns of this room that are stored in the clear, each with the reason. Read by the schema lint. */
export const plaintextColumns: readonly { readonly column: string; readonly reason: string }[] = [
  { column: 'identity.access_review.state', reason: 'enumeration' },
  { column: 'identity.access_review.snapshot_hash', reason: 'SHA-256 of ids and instants, which the log has as well' },
  { column: 'identity.access_review_item.kind', reason: 'enumeration' },
  { column: 'identity.access_review_item.decision', reason: 'enumeration' },
  { column: 'identity.access_review_item.decided_because', reason: 'enumeration' },
  { column: 'identity.access_review_item.new_role', reason: 'enumeration' },
  { column: 'identity.access_review_item.grown_hash', reason: 'SHA-256 of names of operations and ids' },
  { column: 'identity.access_review_item.proof', reason: 'enumeration' },
];
