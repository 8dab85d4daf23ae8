import type { Clock } from '@auditrax/base';
import { DELIVERY_METHODS } from './configuration.ts';
import { refusal } from './errors.ts';
import { isObject, isPlainText, memberOf, parseObject, type JsonObject } from './json.ts';
import {
  CLOCK_SKEW_MS,
  POLL_ACKS_MAX,
  POLL_SETS_MAX,
  REQUEST_CHARACTERS_MAX,
  STATE_CHARACTERS_MAX,
  VERIFICATION_INTERVAL_SECONDS_MIN,
} from './limits.ts';
import { afterPoll, expire, type Outbox } from './outbox.ts';
import { verificationEvent, type OutgoingEvent, type TransmitterStream } from './build.ts';

const malformed = (field: string) => refusal('signals_request_form', field, { field });

function requestOf(text: string): JsonObject {
  const value = text.length > REQUEST_CHARACTERS_MAX ? undefined : parseObject(text);
  if (value === undefined) throw malformed('body');
  return value;
}

function eventsMax(value: unknown): number {
  if (value === undefined) return POLL_SETS_MAX;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw malformed('maxEvents');
  return Math.min(value, POLL_SETS_MAX);
}

function acksOf(value: unknown): readonly string[] {
  const list: unknown = value ?? [];
  if (!Array.isArray(list) || list.length > POLL_ACKS_MAX) throw malformed('ack');
  if (!list.every((id): id is string => typeof id === 'string')) throw malformed('ack');
  return list;
}

function errorsOf(value: unknown): ReadonlyMap<string, string> {
  const errors: unknown = value ?? {};
  if (!isObject(errors)) throw malformed('setErrs');
  const entries = Object.entries(errors);
  if (entries.length > POLL_ACKS_MAX) throw malformed('setErrs');
  return new Map(
    entries.map(([id, error]) => {
      const err = isObject(error) ? memberOf(error, 'err') : undefined;
      if (!isPlainText(err, 64)) throw malformed('setErrs');
      return [id, err];
    }),
  );
}

/**
 * E42: answers one poll of the receiver of this stream, whom the caller has authorized (RFC 8936). It always answers at
 * once. The caller stores the outbox before it sends the body. Throws `signals_request_form`: answer 400.
 */
export function answerPoll(
  text: string,
  outbox: Outbox,
  clock: Clock,
): { readonly outbox: Outbox; readonly body: JsonObject } {
  const request = requestOf(text);
  const events_max = eventsMax(memberOf(request, 'maxEvents'));
  const told = { acks: acksOf(memberOf(request, 'ack')), errors: errorsOf(memberOf(request, 'setErrs')) };
  const now_ms = clock.nowMs();
  const next = expire(afterPoll(outbox, told, now_ms), now_ms);
  const sendable = next.status === 'enabled' ? next.waiting : [];
  const sets = Object.fromEntries(sendable.slice(0, events_max).map(({ tokenId, token }) => [tokenId, token]));
  return { outbox: next, body: { sets, moreAvailable: sendable.length > events_max } };
}

/**
 * E45: the event for a receiver's request to verify its stream. Throws `signals_request_form` (answer 400),
 * `signals_stream_unknown` (404) or `signals_verification_early` (429); else answer 204.
 */
export function answerVerification(
  text: string,
  { stream, lastAsked_ms }: { readonly stream: TransmitterStream; readonly lastAsked_ms: number | undefined },
  clock: Clock,
): OutgoingEvent {
  const request = requestOf(text);
  if (memberOf(request, 'stream_id') !== stream.streamId) throw refusal('signals_stream_unknown');
  const state = memberOf(request, 'state');
  if (state !== undefined && !isPlainText(state, STATE_CHARACTERS_MAX)) throw malformed('state');
  const age_ms = clock.nowMs() - (lastAsked_ms ?? -Infinity);
  // A clock that was put back must not lock a receiver out.
  if (age_ms > -CLOCK_SKEW_MS && age_ms < VERIFICATION_INTERVAL_SECONDS_MIN * 1000)
    throw refusal('signals_verification_early');
  return verificationEvent(stream, state);
}

/** Addresses of our transmitter. */
export interface TransmitterAddresses {
  readonly issuer: string;
  readonly jwksUri: string;
  readonly configurationEndpoint?: string;
  readonly statusEndpoint?: string;
  readonly verificationEndpoint?: string;
}

/** E44: the document to publish at `configurationAddress(issuer)`. */
export function configurationDocument(addresses: TransmitterAddresses): JsonObject {
  const { issuer, jwksUri, configurationEndpoint, statusEndpoint, verificationEndpoint } = addresses;
  return {
    spec_version: '1_0',
    issuer,
    jwks_uri: jwksUri,
    delivery_methods_supported: Object.values(DELIVERY_METHODS),
    ...(configurationEndpoint === undefined ? {} : { configuration_endpoint: configurationEndpoint }),
    ...(statusEndpoint === undefined ? {} : { status_endpoint: statusEndpoint }),
    ...(verificationEndpoint === undefined ? {} : { verification_endpoint: verificationEndpoint }),
    authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:6750' }],
    default_subjects: 'ALL',
  };
}
