import { createHash, timingSafeEqual } from 'node:crypto';
import type { Readable } from 'node:stream';
import { isAppError, parseUuid, type Uuid } from '@auditrax/base';
import { answerPush, deliveryErrorOf, type PushOutcome } from '@auditrax/signals';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { CLIENT_HEADER, DOOR_HEADER, SAID_TYPE_HEADER } from '../../platform/http/headers.ts';
import { createAttemptLimit } from '../identity/index.ts';
import { act } from './acting.ts';
import { routes } from './contract.ts';
import type { Place, SignalReceiverDeps } from './deps.ts';
import { expectsState, noteRefused, storeOf } from './keeping.ts';
import { connected, findStream, type ConnectedStream } from './settings.ts';

/**
 * Tokens of one stream, refused ones included. A day on which everybody is signed out is some hundred; what comes beyond
 * waits at the transmitter, which sends it again.
 */
const EVENTS_PER_MINUTE_MAX = 600;
/** Refusals that are written down; each costs a row, and the ones after it say nothing new. */
const REFUSALS_PER_MINUTE_MAX = 60;
/** From one address, without what was agreed on: a transmitter whose stream was ended goes on for a while. */
const UNKNOWN_PER_MINUTE_MAX = 60;
const RETRY_SECONDS = 30;

interface Call {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly requestId: string;
  readonly params: { readonly stream: string };
  readonly body: Readable;
}

const JSON_TYPE = { 'content-type': 'application/json' } as const;
const answer = <S extends 202 | 400 | 503>(status: S, body = '', headers: Readonly<Record<string, string>> = {}) => ({
  status,
  body: Buffer.from(body),
  headers: { ...JSON_TYPE, ...headers },
});

/** The same whether there is no such stream or its authorization is another one. */
const unknown = () => answer(400, JSON.stringify(deliveryErrorOf('signals_push_authorization')));
const later = () => answer(503, '', { 'retry-after': String(RETRY_SECONDS) });

async function bytesOf(body: Readable): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

export const authorizationHash = (header: string): Buffer => createHash('sha256').update(header).digest();

/** The stream of the address, when whoever calls has what was agreed on for it. */
async function placeOf(deps: SignalReceiverDeps, call: Call): Promise<Place | undefined> {
  const id = parseUuid(call.params.stream);
  const { authorization } = call.headers;
  if (id === undefined || authorization === undefined) return undefined;
  const place = await findStream(deps, id, call.requestId);
  const hash = place?.stream.row.push_hash;
  if (place === undefined || hash == null || !timingSafeEqual(hash, authorizationHash(authorization))) return undefined;
  return place;
}

async function push(
  deps: SignalReceiverDeps,
  call: Call,
  at: { readonly place: Place; readonly stream: ConnectedStream; readonly kept: (id: Uuid) => void },
): Promise<PushOutcome> {
  const { place, stream } = at;
  const { authorization } = call.headers;
  const body = await bytesOf(call.body);
  const request = { method: 'POST', contentType: call.headers[SAID_TYPE_HEADER], authorization, body };
  const hash = stream.row.push_hash!;
  return answerPush(
    { request, stream: stream.receiver, keys: deps.keysOfStreams.of(stream), authorizationHash: hash },
    {
      clock: deps.clock,
      store: storeOf(deps, place, at.kept),
      expectsState: (state) => expectsState(deps, place, state),
    },
  );
}

/** Carries out what was just kept. What fails is taken up again from its row, so the transmitter is not told. */
async function carryOut(deps: SignalReceiverDeps, place: Place, events: readonly Uuid[]): Promise<void> {
  for (const id of events)
    await act(deps, place, id).catch((error: unknown) => deps.log.warn('signal-not-carried-out', { error }));
}

function openDoor(deps: SignalReceiverDeps) {
  const limit = createAttemptLimit(deps.clock, deps.events_perMinute_max ?? EVENTS_PER_MINUTE_MAX);
  const limitNoted = createAttemptLimit(deps.clock, REFUSALS_PER_MINUTE_MAX);
  const limitUnknown = createAttemptLimit(deps.clock, UNKNOWN_PER_MINUTE_MAX);
  const isWithin = (one: typeof limit, key: string): boolean => {
    try {
      one(key);
      return true;
    } catch (error) {
      if (!isAppError(error, 'too_many_sign_in_attempts')) throw error;
      return false;
    }
  };
  return async (call: Call) => {
    // Of the gateway's edge, which alone reaches this service with these headers (mutual TLS).
    const place = call.headers[DOOR_HEADER] === 'edge' ? await placeOf(deps, call) : undefined;
    const state = place?.stream.row.state;
    if (place === undefined || state === 'off' || state === 'draft') {
      deps.counter.count('signals.token-unknown', 'signals');
      return isWithin(limitUnknown, call.headers[CLIENT_HEADER] ?? 'unknown') ? unknown() : later();
    }
    // Paused by an administrator: what comes waits at the transmitter.
    const stream = state === 'on' ? connected(deps, place) : undefined;
    if (stream === undefined || !isWithin(limit, stream.id)) return later();
    const kept: Uuid[] = [];
    const outcome = await push(deps, call, { place, stream, kept: (id) => kept.push(id) });
    if (outcome.refused !== undefined && isWithin(limitNoted, stream.id))
      await noteRefused(deps, place, outcome.refused);
    await carryOut(deps, place, kept);
    const { status, headers, body } = outcome.answer;
    return answer(status, body, headers);
  };
}

/** The address of pushes, as a route of the issuer. */
export function signalReceiverRoutes(deps: SignalReceiverDeps): RoomRoutes {
  return bindRoutes(routes, { push: openDoor(deps) });
}
