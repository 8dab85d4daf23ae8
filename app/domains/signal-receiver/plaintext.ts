/** Columns of this room that are stored in the clear, each with the reason. Read by the schema lint. */
export const plaintextColumns: readonly { readonly column: string; readonly reason: string }[] = [
  { column: 'identity.received_stream.state', reason: 'enumeration' },
  { column: 'identity.received_stream.delivery', reason: 'enumeration' },
  { column: 'identity.received_stream.push_hash', reason: 'SHA-256 of 256 random bits, compared' },
  { column: 'identity.received_event.token_hash', reason: 'hash of a token’s id, looked up by equality' },
  { column: 'identity.received_event.verdict', reason: 'enumeration' },
  { column: 'identity.received_event.state', reason: 'enumeration' },
  { column: 'identity.received_event.outcome', reason: 'enumeration' },
  { column: 'identity.received_event.effects', reason: 'names of kinds of things, numbers and instants' },
  { column: 'identity.received_pulse.asked_hash', reason: 'SHA-256 of 256 random bits, compared' },
  { column: 'identity.received_pulse.trouble', reason: 'enumeration: the code of a check' },
];
