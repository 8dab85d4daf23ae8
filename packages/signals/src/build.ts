import { toBase64Url, type Clock, type Random } from '@auditrax/base';
import { parseIssuer } from './address.ts';
import { isSignalsError, refusal } from './errors.ts';
import { EVENT_RULES, parseEvents, STREAM_EVENTS, type EventName } from './events.ts';
import { isPlainText, parseObject, type JsonObject } from './json.ts';
import { AUDIENCE_CHARACTERS_MAX, ID_CHARACTERS_MAX, STATE_CHARACTERS_MAX, TOKEN_CHARACTERS_MAX } from './limits.ts';
import type { StreamStatus } from './management.ts';
import type { SetSigner } from './signer.ts';
import { parseSubject } from './subject.ts';

/** A stream that we send on. */
export interface TransmitterStream {
  readonly issuer: string;
  /** The receiver's alone, and another one for each of its streams. */
  readonly audience: string;
  readonly streamId: string;
}

/** An event to be sent. */
export interface OutgoingEvent {
  readonly name: EventName;
  readonly detail: JsonObject;
  /** As RFC 9493 writes it. */
  readonly subject: JsonObject;
  /** One name for all events of one cause. */
  readonly transactionId?: string;
}

/** A token on its way. */
export interface BuiltSet {
  readonly tokenId: string;
  readonly token: string;
  readonly issuedAt_ms: number;
}

/** 128 random bits: no two tokens of an issuer have one id. */
const TOKEN_ID_BYTES = 16;

/** E37: settings of a stream that we send on. Throws `signals_setting_invalid`. */
export function parseTransmitterStream(
  input: TransmitterStream,
  options: { readonly rehearsal?: boolean } = {},
): TransmitterStream {
  const { audience, streamId } = input;
  const issuer = parseIssuer(input.issuer, 'issuer', options.rehearsal ?? false);
  if (!isPlainText(audience, AUDIENCE_CHARACTERS_MAX))
    throw refusal('signals_setting_invalid', 'audience', { field: 'audience' });
  if (!isPlainText(streamId, ID_CHARACTERS_MAX) || !/^[\w.~-]+$/.test(streamId))
    throw refusal('signals_setting_invalid', 'streamId', { field: 'streamId' });
  return { issuer, audience, streamId };
}

/** The event of a verification; `state` is the receiver's, and absent where nobody asked. */
export function verificationEvent(stream: TransmitterStream, state?: string): OutgoingEvent {
  return {
    name: 'verification',
    detail: state === undefined ? {} : { state },
    subject: { format: 'opaque', id: stream.streamId },
  };
}

/** The event that tells a receiver of a status that we chose. */
export function streamUpdatedEvent(stream: TransmitterStream, status: StreamStatus, reason?: string): OutgoingEvent {
  return {
    name: 'stream-updated',
    detail: { status, ...(reason === undefined ? {} : { reason }) },
    subject: { format: 'opaque', id: stream.streamId },
  };
}

function checkEvent({ name, detail, subject, transactionId }: OutgoingEvent, stream: TransmitterStream): void {
  const parsed = parseSubject(subject);
  const [event] = parseEvents({ [EVENT_RULES[name].uri]: detail });
  if (event!.isUnreadable) throw refusal('signals_set_invalid', `the detail of ${name}`);
  const named = parsed.kind === 'simple' && parsed.subject.format === 'opaque' ? parsed.subject.parts['id'] : undefined;
  if (STREAM_EVENTS.includes(name) && named !== stream.streamId) throw refusal('signals_set_invalid', 'another stream');
  const state = name === 'verification' ? detail['state'] : undefined;
  if (state !== undefined && !isPlainText(state, STATE_CHARACTERS_MAX)) throw refusal('signals_set_invalid', 'state');
  if (transactionId !== undefined && !isPlainText(transactionId, ID_CHARACTERS_MAX))
    throw refusal('signals_set_invalid', 'transactionId');
}

/**
 * E37: a signed token of one event, with nothing in it that the checks of a receiver here would refuse. Throws
 * `signals_set_invalid`.
 */
export async function buildSet(
  event: OutgoingEvent,
  { stream, signer }: { readonly stream: TransmitterStream; readonly signer: SetSigner },
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<BuiltSet> {
  try {
    checkEvent(event, stream);
  } catch (cause) {
    if (!isSignalsError(cause) || cause.code === 'signals_set_invalid') throw cause;
    throw refusal('signals_set_invalid', cause.message, { cause });
  }
  const seconds = Math.floor(clock.nowMs() / 1000);
  const tokenId = toBase64Url(random.bytes(TOKEN_ID_BYTES));
  const claims = {
    iss: stream.issuer,
    aud: stream.audience,
    jti: tokenId,
    iat: seconds,
    ...(event.transactionId === undefined ? {} : { txn: event.transactionId }),
    sub_id: event.subject,
    events: { [EVENT_RULES[event.name].uri]: event.detail },
  };
  if (parseObject(JSON.stringify(claims)) === undefined) throw refusal('signals_set_invalid', 'too deep');
  const token = await signer.sign(claims);
  if (token.length > TOKEN_CHARACTERS_MAX) throw refusal('signals_set_invalid', 'too large');
  return { tokenId, token, issuedAt_ms: seconds * 1000 };
}
