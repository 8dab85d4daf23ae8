/** Numbers of this room's sealed fields; part of what a ciphertext is bound to, so a number is never reused. */
export const sealedFields = {
  'identity.signal_stream.settings': 2180,
  'identity.signal_event.token': 2181,
  'identity.signal_key.private_key': 2182,
  'identity.signal_name.name': 2183,
} as const;

const at = { purpose: 'fields', service: 'issuer', key: 'id', row: 'id' } as const;

/** Where those values are stored, for re-encryption; the issuer alone may read them. */
export const sealedColumns = [
  { column: 'identity.signal_stream.settings', field: 2180, ...at },
  { column: 'identity.signal_event.token', field: 2181, ...at },
  { column: 'identity.signal_key.private_key', field: 2182, ...at },
  { column: 'identity.signal_name.name', field: 2183, ...at },
] as const;
