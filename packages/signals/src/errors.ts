import { AppError } from '@auditrax/base';

/**
 * Every reason for which something is refused, the number of its check in SPEC.md and one sentence for the
 * administrator of the stream. Nobody else is shown it: to an attacker it would say which wall he stands before.
 */
export const SIGNALS_CHECKS = {
  signals_setting_invalid: ['E1', 'A setting of the stream is not usable.'],
  signals_address_refused: ['E2', 'An address of the other side is not https.'],
  signals_redirected: ['E3', 'The other side answers with a redirect, which is not followed.'],
  signals_answer_too_large: ['E4', 'An answer is larger than any is.'],
  signals_answer_late: ['E4', 'The other side does not answer in time.'],
  signals_unreachable: ['E4', 'The other side cannot be reached.'],
  signals_answer_form: ['E5', 'An answer is not what is due.'],
  signals_denied: ['E5', 'The other side does not take our authorization.'],
  signals_metadata_issuer: ['E6', 'The configuration document names another issuer, in whatever small detail.'],
  signals_metadata_invalid: ['E7', 'The configuration document lacks something or is malformed.'],
  signals_keys_invalid: ['E8', 'The key set is malformed or shows private keys.'],
  signals_token_form: ['E9', 'A token is not one signed JWT of the usual size.'],
  signals_algorithm_refused: ['E10', 'A token is signed with another algorithm than the stream’s.'],
  signals_token_typ: ['E11', 'A token is not declared to be a security event.'],
  signals_key_unknown: ['E12', 'No key of the transmitter fits the token.'],
  signals_key_held_back: ['E12', 'No key that we know fits the token, and the set was read less than a minute ago.'],
  signals_key_ambiguous: ['E12', 'More than one key of the transmitter fits the token.'],
  signals_signature_invalid: ['E13', 'The signature of a token does not hold.'],
  signals_issuer: ['E14', 'A token is from another issuer.'],
  signals_audience: ['E15', 'The audience is not exactly this receiver.'],
  signals_issued_at: ['E16', 'A token has no usable time, is from the future, or is too old.'],
  signals_other_token: ['E17', 'A token carries what no security event has: it is of another kind.'],
  signals_token_id: ['E18', 'A token has no usable id.'],
  signals_events_form: ['E19', 'A token does not carry one to eight events, each an object.'],
  signals_subject_form: ['E20', 'The subject is missing or malformed.'],
  signals_stream_subject: ['E26', 'An event about a stream is about another stream.'],
  signals_state: ['E26', 'A verification answers something that nobody asked.'],
  signals_push_form: ['E28', 'A pushed request is not a POST of one security event.'],
  signals_push_authorization: ['E28', 'A pushed request has not the authorization that was agreed on.'],
  signals_poll_form: ['E33', 'An answer to a poll is malformed.'],
  signals_poll_id: ['E33', 'A polled token has another id than the one it is listed under.'],
  signals_stream_form: ['E35', 'The transmitter describes a stream that is not the one asked for.'],
  signals_set_invalid: ['E37', 'An event to be sent is not one that a receiver could take.'],
  signals_signing_key: ['E38', 'The signing key does not fit the algorithm.'],
  signals_outbox_full: ['E41', 'More events wait than a stream holds.'],
  signals_request_form: ['E42', 'A request of a receiver is malformed.'],
  signals_stream_unknown: ['E45', 'A receiver asks for another stream than its own.'],
  signals_verification_early: ['E45', 'A verification was asked for too soon after the last one.'],
} as const;

/** The exact check that refused; each has a row in {@link SIGNALS_CHECKS}. */
export type SignalsCode = keyof typeof SIGNALS_CHECKS;

/**
 * Refusals that say nothing about the token: our reach, our clock or the other side's weather. Whoever sent the token is
 * asked to send it again, so that an event is never lost to a moment.
 */
const PASSING: readonly SignalsCode[] = [
  'signals_address_refused',
  'signals_redirected',
  'signals_answer_too_large',
  'signals_answer_late',
  'signals_unreachable',
  'signals_answer_form',
  'signals_denied',
  'signals_keys_invalid',
  'signals_key_held_back',
];

export function isPassing(code: SignalsCode): boolean {
  return PASSING.includes(code);
}

/** True for every error of this package. */
export function isSignalsError(error: unknown): error is AppError<SignalsCode> {
  return error instanceof AppError && Object.hasOwn(SIGNALS_CHECKS, error.code);
}

/**
 * An error that names the failed check. `detail` may quote the other side and is for the log and for administrators; no
 * public detail is ever set, and no token, key or authorization is ever quoted.
 */
export function refusal(
  code: SignalsCode,
  detail?: string,
  options: { field?: string; cause?: unknown } = {},
): AppError<SignalsCode> {
  const [check, sentence] = SIGNALS_CHECKS[code];
  return new AppError(code, `${check}: ${sentence}${detail === undefined ? '' : ` (${detail})`}`, options);
}

/** Characters of foreign text that an error quotes. */
const QUOTED_CHARACTERS_MAX = 120;

/** Foreign text in an error: bounded, and without line breaks or control characters that could forge a log line. */
export function quoted(text: unknown): string {
  if (typeof text !== 'string') return text === undefined ? 'nothing' : `a ${typeof text}`;
  const short = text.length > QUOTED_CHARACTERS_MAX ? `${text.slice(0, QUOTED_CHARACTERS_MAX)}…` : text;
  return JSON.stringify(short.toWellFormed());
}
