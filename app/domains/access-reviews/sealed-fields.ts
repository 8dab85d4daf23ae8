/** Numbers of this room's sealed fields; part of what a ciphertext is bound to, so a number is never reused. */
export const sealedFields = {
  'identity.access_review.snapshot': 2501,
  'identity.access_review_item.reason': 2502,
} as const;

const at = { purpose: 'fields', service: 'issuer', key: 'id', row: 'id' } as const;

/** Where those values are stored, for re-encryption; the issuer alone may read them. */
export const sealedColumns = [
  { column: 'identity.access_review.snapshot', field: 2501, ...at },
  { column: 'identity.access_review_item.reason', field: 2502, ...at },
] as const;
