/** Columns of this room that are stored in the clear, each with the reason. Read by the schema lint. */
export const plaintextColumns: readonly { readonly column: string; readonly reason: string }[] = [
  { column: 'identity.scim_token.token_hash', reason: 'SHA-256 of 256 random bits, looked up by equality' },
  { column: 'identity.scim_resource.kind', reason: 'enumeration' },
  {
    column: 'identity.scim_resource.external_hash',
    reason: 'hash of the provider’s immutable id, as identity.account.subject_hash; looked up by equality',
  },
];
