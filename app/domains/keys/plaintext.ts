/** Columns of this room that are stored in the clear, each with the reason. Read by the schema lint. */
export const plaintextColumns: readonly { readonly column: string; readonly reason: string }[] = [
  { column: 'app.dek.purpose', reason: 'enumeration' },
  { column: 'app.dek.kek_ref', reason: 'id of a key-encryption key' },
  { column: 'app.dek.wrapped', reason: 'ciphertext already: a data key under its key-encryption key' },
  { column: 'app.dek.commitment', reason: 'one-way commitment to a random key' },
  { column: 'app.dek.state', reason: 'enumeration' },
  { column: 'app.reseal_progress.relation', reason: 'name in the catalogue' },
  { column: 'app.reseal_progress.column_name', reason: 'name in the catalogue' },
];
