/** Stable numbers of this room's sealed fields; part of what each ciphertext is bound to, so never reused. */
export const sealedFields = {
  'app.evidence_upload.description': 1101,
  'app.evidence.description': 1102,
  'app.evidence.manifest': 1103,
} as const;
