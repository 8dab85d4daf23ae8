/** Columns of this room that are stored in the clear, each with the reason. Read by the schema lint. */
export const plaintextColumns: readonly { readonly column: string; readonly reason: string }[] = [
  { column: 'identity.production_grant.kind', reason: 'enumeration' },
  { column: 'identity.production_grant.scopes', reason: 'words of a closed list' },
  { column: 'identity.production_grant.vouched', reason: 'enumeration' },
  { column: 'identity.production_grant.ended_reason', reason: 'enumeration' },
  { column: 'identity.production_grant.review', reason: 'enumeration' },
];
