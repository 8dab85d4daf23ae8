/** Numbers of this room's sealed fields; part of what a ciphertext is bound to, so a number is never reused. */
export const sealedFields = {
  'identity.scim_resource.content': 2106,
  'identity.scim_refusal.report': 2107,
} as const;

const at = { purpose: 'fields', service: 'issuer', key: 'id', row: 'id' } as const;

/** Where those values are stored, for re-encryption; the issuer alone may read them. */
export const sealedColumns = [
  { column: 'identity.scim_resource.content', field: 2106, ...at },
  { column: 'identity.scim_refusal.report', field: 2107, ...at },
] as const;
