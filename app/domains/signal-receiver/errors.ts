import { AppError } from '@auditrax/base';
import { SIGNALS_CHECKS, type SignalsCode } from '@auditrax/signals';

/** What an administrator may be told about streams. A transmitter is told what stands in packages/signals. */
export type SignalReceiverCode =
  | 'provider_streams_full'
  | 'provider_stream_state'
  | 'provider_stream_invalid'
  | 'provider_stream_asked'
  | 'transmitter_refused';

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<SignalReceiverCode, { status: number; title: string }>> = {
  provider_streams_full: { status: 409, title: 'Two streams are in use already; end one first' },
  provider_stream_state: { status: 409, title: 'The stream is not in a state for that' },
  provider_stream_invalid: { status: 422, title: 'A setting of the stream is not valid' },
  provider_stream_asked: { status: 429, title: 'A sign of life was asked for less than a minute ago' },
  transmitter_refused: { status: 422, title: 'The provider’s transmitter did not answer as it must' },
};

export const refuse = (code: SignalReceiverCode, detail: string, field?: string): AppError<SignalReceiverCode> =>
  new AppError<SignalReceiverCode>(code, detail, {
    publicDetail: detail,
    ...(field === undefined ? {} : { field }),
  });

export const notFound = (): AppError<'not_found'> => new AppError('not_found', 'no such stream or event');

/** True for every error of packages/signals. */
export function isSignalsError(error: unknown): error is AppError<SignalsCode> {
  return error instanceof AppError && Object.hasOwn(SIGNALS_CHECKS, error.code);
}

/** What the library refused while a stream is set up, in the words of its check: for the administrator who does it. */
export function asSetupFault(error: unknown): unknown {
  if (!isSignalsError(error)) return error;
  const [check, sentence] = SIGNALS_CHECKS[error.code];
  const isSetting = error.code === 'signals_setting_invalid';
  const text = `${check}: ${sentence}${isSetting && error.field !== undefined ? ` (${error.field})` : ''}`;
  return refuse(isSetting ? 'provider_stream_invalid' : 'transmitter_refused', text, error.field);
}
