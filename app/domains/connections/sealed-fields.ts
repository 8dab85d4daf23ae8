/** Numbers of this room's sealed fields; part of what a ciphertext is bound to, so a number is never reused. */
export const sealedFields = {
  'identity.connection.settings': 2101,
  'identity.connection.own_keys': 2102,
  'identity.connection_certificate.pem': 2103,
  'identity.connection_group.content': 2104,
  'identity.connection_attempt.report': 2105,
} as const;

const at = { purpose: 'fields', service: 'issuer', key: 'id', row: 'id' } as const;

/** Where those values are stored, for re-encryption; the issuer alone may read them. */
export const sealedColumns = [
  { column: 'identity.connection.settings', field: 2101, ...at },
  { column: 'identity.connection.own_keys', field: 2102, ...at },
  { column: 'identity.connection_certificate.pem', field: 2103, ...at },
  { column: 'identity.connection_group.content', field: 2104, ...at },
  { column: 'identity.connection_attempt.report', field: 2105, ...at },
] as const;
