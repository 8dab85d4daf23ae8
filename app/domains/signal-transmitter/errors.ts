import { AppError } from '@auditrax/base';

export type TransmitterCode =
  | 'signal_stream_invalid'
  | 'signal_streams_full'
  | 'signal_stream_state'
  | 'signal_verification_early'
  | 'signal_receiver_refused';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<TransmitterCode, { status: number; title: string }>> = {
  signal_stream_invalid: { status: 422, title: 'A setting of the stream is not valid' },
  signal_streams_full: { status: 422, title: 'There are too many streams' },
  signal_stream_state: { status: 409, title: 'The stream is not in a state for that' },
  signal_verification_early: { status: 429, title: 'A test event was sent less than a minute ago' },
  signal_receiver_refused: { status: 401, title: 'The token of the receiver was refused' },
};

/** `detail` is shown to the administrator. */
export function refuse(code: TransmitterCode, detail: string, field?: string): AppError<TransmitterCode> {
  return new AppError<TransmitterCode>(code, detail, {
    publicDetail: detail,
    ...(field === undefined ? {} : { field }),
  });
}

/** Outward always the same: whether tenant, stream or token is another one is nobody's business. */
export function receiverRefused(why: string): AppError<'signal_receiver_refused'> {
  return new AppError<'signal_receiver_refused'>('signal_receiver_refused', why);
}

export function notFound(): AppError<'not_found'> {
  return new AppError('not_found', 'no such stream or event');
}
