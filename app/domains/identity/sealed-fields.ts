/** Numbers of this room's sealed fields; part of what a ciphertext is bound to, so a number is never reused. */
export const sealedFields = {
  'identity.member.label': 2001,
  'identity.invitation.label': 2002,
  'identity.invitation.name': 2003,
} as const;

/** Where those values are stored, for re-encryption; the issuer alone may read them. */
export const sealedColumns = [
  { column: 'identity.member.label', field: 2001, purpose: 'fields', service: 'issuer', key: 'id', row: 'id' },
  { column: 'identity.invitation.label', field: 2002, purpose: 'fields', service: 'issuer', key: 'id', row: 'id' },
  { column: 'identity.invitation.name', field: 2003, purpose: 'fields', service: 'issuer', key: 'id', row: 'id' },
] as const;
