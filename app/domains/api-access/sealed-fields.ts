/** Numbers of this room's sealed fields; part of what a ciphertext is bound to, so a number is never reused. */
export const sealedFields = { 'identity.api_key.name': 2401 } as const;

/** Where those values are stored, for re-encryption; the issuer alone may read them. */
export const sealedColumns = [
  { column: 'identity.api_key.name', field: 2401, purpose: 'fields', service: 'issuer', key: 'id', row: 'id' },
] as const;
