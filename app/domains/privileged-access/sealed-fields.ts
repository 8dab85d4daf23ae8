/** Numbers of this room's sealed fields; part of what a ciphertext is bound to, so a number is never reused. */
export const sealedFields = {
  'identity.production_grant.reason': 2601,
  'identity.production_grant.ticket': 2602,
} as const;

/** Where those values are stored, for re-encryption; the issuer alone may read them. */
export const sealedColumns = [
  {
    column: 'identity.production_grant.reason',
    field: 2601,
    purpose: 'fields',
    service: 'issuer',
    key: 'id',
    row: 'id',
  },
  {
    column: 'identity.production_grant.ticket',
    field: 2602,
    purpose: 'fields',
    service: 'issuer',
    key: 'id',
    row: 'id',
  },
] as const;
