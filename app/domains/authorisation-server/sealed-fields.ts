/** Numbers of this room's sealed fields; part of what a ciphertext is bound to, so a number is never reused. */
export const sealedFields = { 'identity.api_client.content': 2160 } as const;

/** Where those values are stored, for re-encryption; the issuer alone may read them. */
export const sealedColumns = [
  {
    column: 'identity.api_client.content',
    field: 2160,
    purpose: 'fields',
    service: 'issuer',
    key: 'id',
    row: 'id',
  },
] as const;
