/** Stable numbers of the sealed columns of this schema; never reused. */
export const sealedFields = {
  'audit.disclosure.sealed': 3001,
  'audit.subject_key.sealed': 3002,
  'audit.late_key.sealed': 3003,
} as const;

/** Where they are stored, for re-encryption. An entry may withhold several values, all bound to the entry. */
export const sealedColumns = [
  {
    column: 'audit.disclosure.sealed',
    field: 3001,
    purpose: 'fields',
    service: 'workspace',
    key: 'entry_id',
    row: 'entry_id',
  },
  {
    column: 'audit.subject_key.sealed',
    field: 3002,
    purpose: 'fields',
    service: 'workspace',
    key: 'subject',
    row: 'subject',
  },
  { column: 'audit.late_key.sealed', field: 3003, purpose: 'fields', service: 'workspace', key: 'id', row: 'id' },
] as const;
