/** Stable numbers of this room's sealed fields; part of what each ciphertext is bound to, so never reused. */
export const sealedFields = { 'app.stream.config': 1301 } as const;

/** Where those values are stored, for re-encryption. */
export const sealedColumns = [
  { column: 'app.stream.config', field: 1301, purpose: 'fields', service: 'workspace', key: 'id', row: 'id' },
] as const;
