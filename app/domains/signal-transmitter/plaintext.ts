/** Columns of this room that are stored in the clear, each with the reason. Read by the schema lint. */
export const plaintextColumns: readonly { readonly column: string; readonly reason: string }[] = [
  { column: 'identity.signal_stream.method', reason: 'enumeration' },
  { column: 'identity.signal_stream.subjects', reason: 'enumeration' },
  { column: 'identity.signal_stream.status', reason: 'enumeration' },
  { column: 'identity.signal_stream.token_hash', reason: 'SHA-256 of 256 random bits' },
  { column: 'identity.signal_queue.method', reason: 'enumeration' },
  { column: 'identity.signal_queue.status', reason: 'enumeration' },
  { column: 'identity.signal_queue.pending_status', reason: 'enumeration' },
  { column: 'identity.signal_queue.trouble', reason: 'code of this product, or a status of HTTP' },
  { column: 'identity.signal_event.event', reason: 'enumeration' },
  { column: 'identity.signal_event.cause', reason: 'enumeration: a word of one table in the program' },
  { column: 'identity.signal_event.state', reason: 'enumeration' },
  { column: 'identity.signal_event.token_id', reason: '128 random bits' },
  { column: 'identity.signal_event.dead_reason', reason: 'enumeration' },
  { column: 'identity.signal_event.dead_error', reason: 'a code of RFC 8935, or of this product' },
  { column: 'identity.signal_key.state', reason: 'enumeration' },
  { column: 'identity.signal_key.public_key', reason: 'published' },
];
