/** Stable numbers of this room's sealed fields; part of what each ciphertext is bound to, so never reused. */
export const sealedFields = {
  'app.access_rules.text': 1201,
  'app.office.label': 1202,
} as const;

/** Where those values are stored, for re-encryption. */
export const sealedColumns = [
  { column: 'app.access_rules.text', field: 1201, purpose: 'fields', service: 'workspace', key: 'id', row: 'id' },
  { column: 'app.office.label', field: 1202, purpose: 'fields', service: 'workspace', key: 'id', row: 'id' },
] as const;
