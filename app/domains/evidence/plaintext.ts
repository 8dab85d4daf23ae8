/** Columns of this room that are not sealed, and why. Uuids, numbers, dates and times need no entry. */
export const plaintextColumns = [
  { column: 'app.evidence_upload.state', reason: 'enumeration: state of the upload, filtered by the sweep' },
  {
    column: 'app.evidence_upload.object_key',
    reason: 'ciphertext already: the key of the object under the key of the tenant',
  },
  {
    column: 'app.evidence.object_key',
    reason: 'ciphertext already: the key of the object under the key of the tenant',
  },
] as const;
