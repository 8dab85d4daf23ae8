/** Columns of this room that are stored in the clear, each with the reason. Read by the schema lint. */
export const plaintextColumns: readonly { readonly column: string; readonly reason: string }[] = [
  { column: 'identity.api_key.secret_hash', reason: 'SHA-256 of 256 random bits' },
  { column: 'identity.api_key.scope', reason: 'enumeration' },
  { column: 'identity.api_key.ended_reason', reason: 'enumeration' },
];
