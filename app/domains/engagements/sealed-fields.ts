/** Stable numbers of this room's sealed fields; part of what each ciphertext is bound to, so never reused. */
export const sealedFields = {
  'app.engagement.title': 1001,
  'app.engagement.client_name': 1002,
  'app.engagement.catalogue': 1003,
  'app.criterion.content': 1004,
  'app.result.note': 1005,
} as const;

export type SealedEngagementField = keyof typeof sealedFields;
