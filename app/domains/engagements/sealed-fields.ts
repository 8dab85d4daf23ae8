/** Stable numbers of this room's sealed fields; part of what each ciphertext is bound to, so never reused. */
export const sealedFields = {
  'app.engagement.title': 1001,
  'app.engagement.client_name': 1002,
  'app.engagement.catalogue': 1003,
  'app.criterion.content': 1004,
  'app.result.note': 1005,
} as const;

export type SealedEngagementField = keyof typeof sealedFields;

/** Where those values are stored, for re-encryption. */
export const sealedColumns = [
  { column: 'app.engagement.title', field: 1001, purpose: 'fields', service: 'workspace', key: 'id', row: 'id' },
  { column: 'app.engagement.client_name', field: 1002, purpose: 'fields', service: 'workspace', key: 'id', row: 'id' },
  { column: 'app.engagement.catalogue', field: 1003, purpose: 'fields', service: 'workspace', key: 'id', row: 'id' },
  { column: 'app.criterion.content', field: 1004, purpose: 'fields', service: 'workspace', key: 'id', row: 'id' },
  { column: 'app.result.note', field: 1005, purpose: 'fields', service: 'workspace', key: 'id', row: 'id' },
] as const;
