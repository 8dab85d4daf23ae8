/** Numbers of this room's sealed fields; part of what a ciphertext is bound to, so a number is never reused. */
export const sealedFields = {
  'identity.received_stream.settings': 2170,
  'identity.received_event.content': 2171,
  'identity.received_refusal.report': 2172,
  'identity.received_pulse.progress': 2173,
} as const;

const at = { purpose: 'fields', service: 'issuer', key: 'id', row: 'id' } as const;

/** Where those values are stored, for re-encryption; the issuer alone may read them. */
export const sealedColumns = [
  { column: 'identity.received_stream.settings', field: 2170, ...at },
  { column: 'identity.received_event.content', field: 2171, ...at },
  { column: 'identity.received_refusal.report', field: 2172, ...at },
  { column: 'identity.received_pulse.progress', field: 2173, ...at },
] as const;
