export type SiemCode =
  | 'stream_settings_invalid'
  | 'streams_full'
  | 'stream_changed'
  | 'stream_address_refused'
  | 'stream_failed'
  | 'log_gap';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<SiemCode, { status: number; title: string }>> = {
  stream_settings_invalid: { status: 422, title: 'The destination’s settings are not valid' },
  streams_full: { status: 422, title: 'Too many destinations' },
  stream_changed: { status: 409, title: 'Somebody else changed this destination in the meantime' },
  stream_address_refused: { status: 422, title: 'This address is not one that the house may dial' },
  stream_failed: { status: 502, title: 'The destination did not take the events' },
  log_gap: { status: 500, title: 'The log has a gap' },
};
