/** Columns of this room that are not sealed, and why. Uuids, numbers, dates and times need no entry. */
export const plaintextColumns = [
  { column: 'app.evidence_upload.state', reason: 'enumeration: state of the upload, filtered by the sweep' },
] as const;
