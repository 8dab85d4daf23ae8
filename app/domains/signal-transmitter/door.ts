import type { Readable } from 'node:stream';
import { isAppError, parseUuid, uuidV7 } from '@auditrax/base';
import {
  answerPoll,
  answerVerification,
  configurationDocument,
  DELIVERY_METHODS,
  EVENT_RULES,
  SIGNALS_CHECKS,
} from '@auditrax/signals';
import type { TenantContext } from '@auditrax/tenancy';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { CLIENT_HEADER, DOOR_HEADER } from '../../platform/http/headers.ts';
import { createAttemptLimit, findTenant } from '../identity/index.ts';
import { addressesOf, issuerOf, pollAddressOf, type TransmitterDeps } from './deps.ts';
import { notFound, receiverRefused } from './errors.ts';
import { openSigner, publishedKeys } from './keys.ts';
import { lockQueue, openStream, POLL_WINDOW, saveStream, signEvent, transmitterOf } from './outbox.ts';
import * as queries from './queries.ts';
import { receiverRoutes } from './receiver-contract.ts';
import { receiverHash } from './receiver-token.ts';
import { openSettings } from './settings.ts';
import { EVENTS_OF, TOPICS } from './words.ts';

/** A receiver whose token was changed goes on polling; a script that guesses asks more. */
const REFUSALS_PER_MINUTE_MAX = 60;
/** Of SSF 1.0, in seconds; `packages/signals` holds to it. */
const VERIFICATION_INTERVAL_SECONDS = 60;
const TYPE = { 'content-type': 'application/json' } as const;
/** Receivers ask for it once an hour; a proxy in between may keep it for minutes. */
const SHARED = { ...TYPE, 'cache-control': 'public, max-age=300' } as const;

interface Call {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly requestId: string;
  readonly params: { readonly organisation: string; readonly stream?: string };
}

const told = <S extends number>(status: S, body: object, headers: Readonly<Record<string, string>> = TYPE) => ({
  status,
  body: Buffer.from(JSON.stringify(body)),
  headers,
});

/** RFC 8935 2.3: a code and a word about it, no more. */
const refusedAs = <S extends number>(status: S, err: string, description: string) => told(status, { err, description });

async function textOf(body: Readable): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
}

/** Whose transmitter an address names; of the gateway's edge alone. Undefined: nobody's. */
async function tenantOf(deps: TransmitterDeps, call: Call): Promise<TenantContext | undefined> {
  const tenantId = parseUuid(call.params.organisation);
  if (call.headers[DOOR_HEADER] !== 'edge' || tenantId === undefined) return undefined;
  return (await findTenant(deps, tenantId, call.requestId))?.context;
}

/** An organisation that tells nobody anything has no transmitter. */
async function issuerPlace(deps: TransmitterDeps, call: Call): Promise<TenantContext> {
  const context = await tenantOf(deps, call);
  const streams = context === undefined ? [] : await deps.tenant.scoped(context, queries.streamsOf(context));
  if (context === undefined || streams.length === 0) throw notFound();
  return context;
}

interface Place {
  readonly context: TenantContext;
  readonly row: queries.StreamRow;
}

/**
 * The stream that a token is of, in the organisation of the address. Throws `signal_receiver_refused`, always the same,
 * whether organisation, stream or token is another one.
 */
async function recognise(deps: TransmitterDeps, call: Call): Promise<Place> {
  const hash = receiverHash(call.headers['authorization']);
  const context = hash === undefined ? undefined : await tenantOf(deps, call);
  if (hash === undefined || context === undefined) throw receiverRefused('no token, or no organisation');
  const [row] = await deps.tenant.scoped(context, queries.streamByToken(context, hash));
  if (row === undefined) throw receiverRefused('no stream of this token');
  return { context, row };
}

function isSignals(error: unknown) {
  return isAppError(error) && Object.hasOwn(SIGNALS_CHECKS, error.code);
}

/** RFC 8936: what a receiver has taken or refused, and what waits for it. Stored before it is answered. */
async function poll(deps: TransmitterDeps, { context, row }: Place, text: string) {
  try {
    const body = await deps.tenant.transaction(context, async (tx) => {
      const opened = await openStream(deps, tx, { row, limit: POLL_WINDOW });
      if (opened === undefined) throw receiverRefused('the stream is gone');
      const step = answerPoll(text, opened.outbox, deps.clock);
      await saveStream(deps, tx, { before: opened, after: step.outbox, trouble: null });
      return step.body;
    });
    return told(200, body);
  } catch (error) {
    if (!isSignals(error)) throw error;
    return refusedAs(400, 'invalid_request', 'The request is not one of RFC 8936.');
  }
}

/** SSF 1.0: an event with the receiver's own state, at most once a minute. */
async function verify(deps: TransmitterDeps, { context, row }: Place, text: string) {
  try {
    await deps.tenant.transaction(context, async (tx) => {
      const queue = await lockQueue(deps, tx, row.id);
      if (queue === undefined) throw receiverRefused('the stream is gone');
      const settings = await openSettings(deps, { context, tx }, row);
      const to = transmitterOf(deps, context, { row, settings });
      const lastAsked_ms = queue.asked_at?.getTime();
      const event = answerVerification(text, { stream: to, lastAsked_ms }, deps.clock);
      const at = new Date(deps.clock.nowMs());
      await tx.query(queries.noteAsked(context, row.id, at));
      if (queue.status === 'disabled') return;
      const id = uuidV7(deps.clock, deps.random);
      const facts = { event: 'verification', member_id: null, session_id: null, cause: 'receiver' } as const;
      const made = { id, stream_id: row.id, rank: 0, noted_at: at, cause_id: id, ...facts };
      await tx.query(queries.insertEvent(context, made));
      const unsigned = { ...made, token_id: null, token: null, issued_at: null, attempts: 0 };
      // At once: what the receiver says beside it is written nowhere else.
      await signEvent(deps, tx, { row: unsigned, to, signer: await openSigner(deps, tx), event });
      tx.afterCommit(() => deps.sender.wake(context.tenantId));
    });
    return { status: 204 as const, body: Buffer.alloc(0), headers: {} };
  } catch (error) {
    if (isAppError(error, 'signals_verification_early'))
      return refusedAs(429, 'invalid_request', 'At most one verification a minute.');
    if (isAppError(error, 'signals_stream_unknown')) return refusedAs(404, 'invalid_request', 'No such stream.');
    if (!isSignals(error)) throw error;
    return refusedAs(400, 'invalid_request', 'The request is not one of SSF 1.0.');
  }
}

async function describe(deps: TransmitterDeps, { context, row }: Place) {
  const settings = await openSettings(deps, { context }, row);
  const uris = TOPICS.flatMap((topic) => (row[`tells_${topic}`] ? EVENTS_OF[topic] : [])).map(
    (event) => EVENT_RULES[event].uri,
  );
  return {
    stream_id: row.id,
    iss: issuerOf(deps, context.tenantId),
    aud: settings.audience,
    events_supported: TOPICS.flatMap((topic) => EVENTS_OF[topic]).map((event) => EVENT_RULES[event].uri),
    events_requested: uris,
    events_delivered: uris,
    delivery: {
      method: DELIVERY_METHODS[row.method],
      endpoint_url: settings.push?.url ?? pollAddressOf(deps, context.tenantId, row.id),
    },
    min_verification_interval: VERIFICATION_INTERVAL_SECONDS,
  };
}

async function statusOf(deps: TransmitterDeps, { context, row }: Place) {
  const queues = await deps.tenant.scoped(context, queries.queuesOf(context));
  const queue = queues.find(({ stream_id }) => stream_id === row.id);
  if (queue === undefined) throw receiverRefused('the stream is gone');
  return { stream_id: row.id, status: queue.status };
}

/** The door of receivers, as routes of the issuer. */
export function transmitterRoutes(deps: TransmitterDeps): RoomRoutes {
  const limit = createAttemptLimit(deps.clock, deps.refusals_perMinute_max ?? REFUSALS_PER_MINUTE_MAX);
  const enter = async (call: Call): Promise<Place> => {
    try {
      return await recognise(deps, call);
    } catch (error) {
      if (isAppError(error, 'signal_receiver_refused')) limit(call.headers[CLIENT_HEADER] ?? 'unknown');
      throw error;
    }
  };
  const isOther = (asked: string | undefined, { row }: Place) => asked !== undefined && asked !== row.id;
  return bindRoutes(receiverRoutes, {
    async configuration(call) {
      const { tenantId } = await issuerPlace(deps, call);
      return told(200, configurationDocument(addressesOf(deps, tenantId)), SHARED);
    },
    async keys(call) {
      return told(200, await publishedKeys(deps, await issuerPlace(deps, call)), SHARED);
    },
    async describe(call) {
      const place = await enter(call);
      if (isOther(call.query.stream_id, place)) return refusedAs(404, 'invalid_request', 'No such stream.');
      const one = await describe(deps, place);
      // Without an id a receiver asks for all of its streams; a token has one.
      return told(200, call.query.stream_id === undefined ? [one] : one);
    },
    async status(call) {
      const place = await enter(call);
      if (isOther(call.query.stream_id, place)) return refusedAs(404, 'invalid_request', 'No such stream.');
      return told(200, await statusOf(deps, place));
    },
    async verify(call) {
      return verify(deps, await enter(call), await textOf(call.body));
    },
    async poll(call) {
      const place = await enter(call);
      if (isOther(call.params.stream, place)) throw receiverRefused('the token of another stream');
      if (place.row.method !== 'poll')
        return refusedAs(400, 'invalid_request', 'The events of this stream are pushed.');
      return poll(deps, place, await textOf(call.body));
    },
  });
}
