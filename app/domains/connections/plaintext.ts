/** Columns of this room that are stored in the clear, each with the reason. Read by the schema lint. */
export const plaintextColumns: readonly { readonly column: string; readonly reason: string }[] = [
  { column: 'identity.connection.kind', reason: 'enumeration' },
  { column: 'identity.connection.profile', reason: 'enumeration' },
  { column: 'identity.connection.state', reason: 'enumeration' },
  { column: 'identity.connection_certificate.fingerprint', reason: 'hash of a public value, looked up by equality' },
  { column: 'identity.connection_certificate.vouched_by', reason: 'hash of a public value' },
  { column: 'identity.connection_certificate.state', reason: 'enumeration' },
  { column: 'identity.connection_certificate.source', reason: 'enumeration' },
  { column: 'identity.connection_group.role', reason: 'enumeration' },
  { column: 'identity.connection_attempt.purpose', reason: 'enumeration' },
  { column: 'identity.connection_attempt.outcome', reason: 'enumeration' },
  { column: 'identity.changeover.state', reason: 'enumeration' },
  { column: 'identity.connection_index.trouble', reason: 'enumeration: a code of ours' },
];
