import { isSecureAddress } from '@auditrax/base/remote';
import { DELIVERY_METHODS, type DeliveryMethod, type TransmitterConfiguration } from './configuration.ts';
import { quoted, refusal } from './errors.ts';
import { EVENT_RULES, type EventName } from './events.ts';
import { ask, objectOf, type Answer, type Asked, type ReachPorts } from './http.ts';
import { isPlainText, memberOf, type JsonObject } from './json.ts';
import {
  AUTHORIZATION_CHARACTERS_MAX,
  AUDIENCE_CHARACTERS_MAX,
  DESCRIPTION_CHARACTERS_MAX,
  EVENT_TYPES_MAX,
  EVENT_URI_CHARACTERS_MAX,
  ID_CHARACTERS_MAX,
  STATE_CHARACTERS_MAX,
  STREAM_BYTES_MAX,
  URL_CHARACTERS_MAX,
} from './limits.ts';

/** What a stream is to be like. */
export interface StreamOrder {
  readonly events: readonly EventName[];
  /** `authorization` is the whole value of a header that the transmitter is to send; secret. */
  readonly delivery:
    | { readonly method: 'push'; readonly url: string; readonly authorization?: string }
    | { readonly method: 'poll' };
  readonly description?: string;
  /** Who we are to be; without it what the transmitter says is taken. */
  readonly audience?: string;
}

/** A stream as its transmitter describes it. */
export interface StreamDescription {
  readonly streamId: string;
  readonly audience: string;
  readonly delivery: { readonly method: DeliveryMethod; readonly url: string };
  /** URIs of what will come. */
  readonly eventsDelivered: readonly string[];
  /** Asked for, and not going to come: an administrator should know. */
  readonly eventsMissing: readonly EventName[];
}

export type StreamStatus = 'enabled' | 'paused' | 'disabled';
export const STREAM_STATUSES: readonly StreamStatus[] = ['enabled', 'paused', 'disabled'];

const invalid = (field: string, detail: string) => refusal('signals_setting_invalid', `${field}: ${detail}`, { field });
const malformed = (field: string, detail?: unknown) =>
  refusal('signals_stream_form', detail === undefined ? field : `${field} ${quoted(detail)}`, { field });

function orderBody(order: StreamOrder, isRehearsal: boolean): JsonObject {
  const { events, delivery, description } = order;
  if (events.length === 0) throw invalid('events', 'none');
  if (description !== undefined && !isPlainText(description, DESCRIPTION_CHARACTERS_MAX))
    throw invalid('description', 'not plain');
  if (
    delivery.method === 'push' &&
    !(URL.canParse(delivery.url) && isSecureAddress(new URL(delivery.url), isRehearsal))
  )
    throw invalid('delivery.url', 'not https');
  const header = delivery.method === 'push' ? delivery.authorization : undefined;
  if (header !== undefined && !isPlainText(header, AUTHORIZATION_CHARACTERS_MAX))
    throw invalid('delivery.authorization', 'not a header');
  return {
    events_requested: events.map((name) => EVENT_RULES[name].uri),
    delivery: {
      method: DELIVERY_METHODS[delivery.method],
      ...(delivery.method === 'push' ? { endpoint_url: delivery.url } : {}),
      ...(header === undefined ? {} : { authorization_header: header }),
    },
    ...(description === undefined ? {} : { description }),
  };
}

function deliveryOf(value: JsonObject, order: StreamOrder, isRehearsal: boolean): StreamDescription['delivery'] {
  const delivery = memberOf(value, 'delivery');
  const given = typeof delivery === 'object' && delivery !== null ? (delivery as JsonObject) : {};
  const { method } = order.delivery;
  if (memberOf(given, 'method') !== DELIVERY_METHODS[method]) throw malformed('delivery.method', given['method']);
  const url = memberOf(given, 'endpoint_url');
  if (!isPlainText(url, URL_CHARACTERS_MAX) || !URL.canParse(url) || !isSecureAddress(new URL(url), isRehearsal))
    throw malformed('delivery.endpoint_url', url);
  // Events that went to another address would be somebody else's to read.
  if (order.delivery.method === 'push' && url !== order.delivery.url) throw malformed('delivery.endpoint_url', url);
  return { method, url };
}

/** E35: reads what a transmitter says about the stream that was ordered. Throws `signals_stream_form`. */
export function parseStreamDescription(
  value: JsonObject,
  order: StreamOrder,
  {
    issuer,
    streamId,
    isRehearsal,
  }: { readonly issuer: string; readonly streamId?: string; readonly isRehearsal: boolean },
): StreamDescription {
  const id = memberOf(value, 'stream_id');
  if (!isPlainText(id, ID_CHARACTERS_MAX) || (streamId !== undefined && id !== streamId))
    throw malformed('stream_id', id);
  if (memberOf(value, 'iss') !== issuer) throw malformed('iss', value['iss']);
  const aud = memberOf(value, 'aud');
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  const [audience] = audiences;
  if (audiences.length !== 1 || !isPlainText(audience, AUDIENCE_CHARACTERS_MAX)) throw malformed('aud', audience);
  if (order.audience !== undefined && audience !== order.audience) throw malformed('aud', audience);
  const delivered = memberOf(value, 'events_delivered');
  const isList = Array.isArray(delivered) && delivered.length <= EVENT_TYPES_MAX;
  if (!isList || !delivered.every((uri): uri is string => isPlainText(uri, EVENT_URI_CHARACTERS_MAX)))
    throw malformed('events_delivered');
  return {
    streamId: id,
    audience,
    delivery: deliveryOf(value, order, isRehearsal),
    eventsDelivered: delivered,
    eventsMissing: order.events.filter((name) => !delivered.includes(EVENT_RULES[name].uri)),
  };
}

function statusOf(value: JsonObject, streamId: string): StreamStatus {
  const id = memberOf(value, 'stream_id');
  if (id !== streamId) throw malformed('stream_id', id);
  const status = STREAM_STATUSES.find((one) => one === memberOf(value, 'status'));
  if (status === undefined) throw malformed('status', value['status']);
  return status;
}

/** The streams that we have at one transmitter. */
export interface StreamManager {
  create(order: StreamOrder): Promise<StreamDescription>;
  read(streamId: string, order: StreamOrder): Promise<StreamDescription>;
  update(streamId: string, order: StreamOrder): Promise<StreamDescription>;
  remove(streamId: string): Promise<void>;
  status(streamId: string): Promise<StreamStatus>;
  /** What it is afterwards; `undefined` where the transmitter has not decided yet. */
  setStatus(streamId: string, status: StreamStatus): Promise<StreamStatus | undefined>;
  /** Asks for a verification event; `state` is kept by the caller until it comes. */
  verify(streamId: string, state: string): Promise<void>;
}

/**
 * E35 and E36: the requests of SSF 1.0's management. `authorization` is the whole value of the header; it goes to the
 * endpoints of the configuration only, and into no error. Throws `signals_stream_form`, `signals_denied`,
 * `signals_metadata_invalid` where the transmitter has no such endpoint, and E2 to E5.
 */
export function manageStreams(
  configuration: TransmitterConfiguration,
  authorization: string,
  ports: ReachPorts,
): StreamManager {
  const isRehearsal = ports.isRehearsal ?? false;
  const { issuer } = configuration;
  type Endpoint = 'configurationEndpoint' | 'statusEndpoint' | 'verificationEndpoint';
  const send = async (
    endpoint: Endpoint,
    method: Asked['method'],
    { query, body }: { readonly query?: string; readonly body?: JsonObject },
  ): Promise<Answer> => {
    const base = configuration[endpoint];
    if (base === undefined) throw refusal('signals_metadata_invalid', endpoint, { field: endpoint });
    const url = new URL(base);
    if (query !== undefined) url.searchParams.set('stream_id', query);
    const headers = { accept: 'application/json', 'content-type': 'application/json', authorization };
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    return await ask({ url: url.href, method, headers, ...text, bytes_max: STREAM_BYTES_MAX }, ports);
  };
  const expectEmpty = (answer: Answer) => {
    if (answer.status !== 204) objectOf(answer, [204]);
  };
  return {
    async create(order) {
      const answer = await send('configurationEndpoint', 'POST', { body: orderBody(order, isRehearsal) });
      return parseStreamDescription(objectOf(answer, [201]), order, { issuer, isRehearsal });
    },
    async read(streamId, order) {
      const answer = await send('configurationEndpoint', 'GET', { query: streamId });
      return parseStreamDescription(objectOf(answer, [200]), order, { issuer, streamId, isRehearsal });
    },
    async update(streamId, order) {
      const body = { stream_id: streamId, ...orderBody(order, isRehearsal) };
      const answer = await send('configurationEndpoint', 'PATCH', { body });
      return parseStreamDescription(objectOf(answer, [200]), order, { issuer, streamId, isRehearsal });
    },
    async remove(streamId) {
      expectEmpty(await send('configurationEndpoint', 'DELETE', { query: streamId }));
    },
    async status(streamId) {
      return statusOf(objectOf(await send('statusEndpoint', 'GET', { query: streamId }), [200]), streamId);
    },
    async setStatus(streamId, status) {
      const answer = await send('statusEndpoint', 'POST', { body: { stream_id: streamId, status } });
      return answer.status === 202 ? undefined : statusOf(objectOf(answer, [200]), streamId);
    },
    async verify(streamId, state) {
      if (!isPlainText(state, STATE_CHARACTERS_MAX)) throw invalid('state', 'not plain');
      expectEmpty(await send('verificationEndpoint', 'POST', { body: { stream_id: streamId, state } }));
    },
  };
}
