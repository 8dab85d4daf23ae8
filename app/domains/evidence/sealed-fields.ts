/** Stable numbers of this room's sealed fields; part of what each ciphertext is bound to, so never reused. */
export const sealedFields = {
  'app.evidence_upload.description': 1101,
  'app.evidence.description': 1102,
  'app.evidence.manifest': 1103,
} as const;

/** Where those values, and the keys of stored objects, are kept; a key is bound to the upload that made its object. */
export const sealedColumns = [
  {
    column: 'app.evidence_upload.description',
    field: 1101,
    purpose: 'fields',
    service: 'workspace',
    key: 'id',
    row: 'id',
  },
  { column: 'app.evidence.description', field: 1102, purpose: 'fields', service: 'workspace', key: 'id', row: 'id' },
  { column: 'app.evidence.manifest', field: 1103, purpose: 'fields', service: 'workspace', key: 'id', row: 'id' },
  {
    column: 'app.evidence_upload.object_key',
    field: 1,
    purpose: 'objects',
    service: 'workspace',
    key: 'id',
    row: 'id',
  },
  {
    column: 'app.evidence.object_key',
    field: 1,
    purpose: 'objects',
    service: 'workspace',
    key: 'id',
    row: 'upload_id',
  },
] as const;
