/** Columns of this room that are stored in the clear, each with the reason. Read by the schema lint. */
export const plaintextColumns: readonly { readonly column: string; readonly reason: string }[] = [
  { column: 'identity.api_client.kind', reason: 'enumeration' },
  { column: 'identity.api_client.access', reason: 'enumeration' },
  { column: 'identity.api_grant.access', reason: 'enumeration' },
  { column: 'identity.api_grant.ended_reason', reason: 'enumeration' },
  { column: 'identity.api_artifact.value_hash', reason: 'SHA-256 of at least 120 random bits, looked up by equality' },
  { column: 'identity.api_artifact.kind', reason: 'enumeration' },
  {
    column: 'identity.api_artifact.payload',
    reason: 'encrypted under a key that only the value gives, which is not kept',
  },
];
