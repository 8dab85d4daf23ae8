/** A column of a tenant schema that is stored in the clear, and why that is right. */
export interface PlaintextColumn {
  /** `schema.table.column` */
  readonly column: string;
  /** Accepted: enumerations, ids, times, hashes, public keys, ciphertext of another kind, public facts. Never "small". */
  readonly reason: string;
}

/**
 * Columns that no room owns. A room lists its own in a `plaintext.ts` beside its migrations; the lint
 * (`sealed-columns.db.test.ts`) reads both and fails on a column that is in neither and not sealed.
 */
export const platformPlaintextColumns: readonly PlaintextColumn[] = [];
