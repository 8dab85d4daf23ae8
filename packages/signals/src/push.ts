import { createHash, timingSafeEqual } from 'node:crypto';
import { isPassing, isSignalsError, refusal, type SignalsCode } from './errors.ts';
import type { KeySource } from './keys.ts';
import { TOKEN_CHARACTERS_MAX } from './limits.ts';
import { receiveSet, type ReceivedSet, type SetPorts, type SetStore } from './set.ts';
import type { ReceiverStream } from './stream.ts';

/** Error codes of RFC 8935 2.4 and, for a verification, of SSF 1.0. */
export type DeliveryError =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed'
  | 'access_denied'
  | 'invalid_state';

/** Which refusals have a code of their own at the transmitter; all others are `invalid_request`. */
const DELIVERY_ERRORS: Partial<Readonly<Record<SignalsCode, DeliveryError>>> = {
  signals_algorithm_refused: 'invalid_key',
  signals_key_unknown: 'invalid_key',
  signals_key_ambiguous: 'invalid_key',
  signals_signature_invalid: 'invalid_key',
  signals_issuer: 'invalid_issuer',
  signals_audience: 'invalid_audience',
  signals_push_authorization: 'authentication_failed',
  signals_state: 'invalid_state',
};

/** One sentence each; it says no more than the code does. */
const SENTENCES: Readonly<Record<DeliveryError, string>> = {
  invalid_request: 'The request or the event could not be read.',
  invalid_key: 'The event is not signed with a key and algorithm of this stream.',
  invalid_issuer: 'The issuer is not that of this stream.',
  invalid_audience: 'The audience is not that of this stream.',
  authentication_failed: 'The request is not authorized as agreed.',
  access_denied: 'The request is not allowed.',
  invalid_state: 'The state is not one that was asked for.',
};

/** What a transmitter is told about a refused token. */
export function deliveryErrorOf(code: SignalsCode): { readonly err: DeliveryError; readonly description: string } {
  const err = DELIVERY_ERRORS[code] ?? 'invalid_request';
  return { err, description: SENTENCES[err] };
}

/** A token that is refused for good. */
export interface RefusedSet {
  readonly token: string;
  readonly code: SignalsCode;
  /** For administrators: names the failed check and may quote the token. */
  readonly message: string;
}

/** A request as it came in. The body was read within `TOKEN_CHARACTERS_MAX` bytes, or one more. */
export interface PushRequest {
  readonly method: string;
  readonly contentType: string | undefined;
  readonly authorization: string | undefined;
  readonly body: Uint8Array;
}

/** What to answer, and what to do. At most one of `received` and `refused` is there. */
export interface PushOutcome {
  readonly answer: {
    readonly status: 202 | 400 | 503;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  };
  /** A new event, kept already: act on its verdict. */
  readonly received: ReceivedSet | undefined;
  /** Note it within bounds and tell an administrator; anybody can provoke this who may post here. */
  readonly refused: RefusedSet | undefined;
}

export interface PushInput {
  readonly request: PushRequest;
  readonly stream: ReceiverStream;
  readonly keys: KeySource;
  /** SHA-256 of the whole value of the header that the transmitter was told to send; the value is not kept. */
  readonly authorizationHash: Uint8Array | undefined;
}

/** How long a transmitter waits that met a moment of ours. */
const RETRY_AFTER_SECONDS = 30;

function checkAuthorization(given: string | undefined, hash: Uint8Array | undefined): void {
  if (hash === undefined) return;
  const digest = createHash('sha256')
    .update(given ?? '')
    .digest();
  if (given === undefined || hash.length !== digest.length || !timingSafeEqual(digest, hash))
    throw refusal('signals_push_authorization');
}

/** E28: a POST of one token, within bounds. */
function tokenOf({ method, contentType, body }: PushRequest): string {
  if (method !== 'POST') throw refusal('signals_push_form', 'not a POST');
  if (!/^application\/secevent\+jwt$/i.test(contentType?.trim() ?? '')) throw refusal('signals_push_form', 'its type');
  if (body.byteLength === 0 || body.byteLength > TOKEN_CHARACTERS_MAX) throw refusal('signals_push_form', 'its size');
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1');
  if (!/^[A-Za-z0-9_.-]+$/.test(text)) throw refusal('signals_push_form', 'not a token');
  return text;
}

function refusedAnswer(code: SignalsCode): PushOutcome['answer'] {
  return {
    status: 400,
    headers: { 'content-type': 'application/json', 'content-language': 'en', 'cache-control': 'no-store' },
    body: JSON.stringify(deliveryErrorOf(code)),
  };
}

const LATER: PushOutcome['answer'] = {
  status: 503,
  headers: { 'retry-after': String(RETRY_AFTER_SECONDS), 'cache-control': 'no-store' },
  body: '',
};

/**
 * E28 to E30: answers a pushed event (RFC 8935). 202 only after it was kept, also for one that was kept before; 400 with
 * a registered code for what is refused for good; 503 where the fault may be ours, so that it comes again. What the
 * store throws is thrown on: answer 500, and the transmitter comes again as well.
 */
export async function answerPush(
  input: PushInput,
  ports: SetPorts & { readonly store: SetStore },
): Promise<PushOutcome> {
  let token = '';
  try {
    checkAuthorization(input.request.authorization, input.authorizationHash);
    token = tokenOf(input.request);
    const { set, isNew } = await receiveSet({ ...input, token }, ports);
    const answer = { status: 202 as const, headers: { 'cache-control': 'no-store' }, body: '' };
    return { answer, received: isNew ? set : undefined, refused: undefined };
  } catch (error) {
    if (!isSignalsError(error)) throw error;
    if (isPassing(error.code)) return { answer: LATER, received: undefined, refused: undefined };
    const refused = { token, code: error.code, message: error.message };
    return { answer: refusedAnswer(error.code), received: undefined, refused };
  }
}
