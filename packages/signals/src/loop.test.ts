import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock, systemRandom } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  answerPoll,
  answerPush,
  answerVerification,
  buildSet,
  configurationDocument,
  createKeySource,
  createSetSigner,
  EMPTY_OUTBOX,
  enqueue,
  EVENT_RULES,
  FIRST_POLL,
  manageStreams,
  parseReceiverStream,
  parseTransmitterStream,
  pollOnce,
  publicKeySet,
  pushOnce,
  readConfiguration,
  type DeliveryMethod,
  type KeySource,
  type Outbox,
  type OutgoingEvent,
  type ReceivedSet,
  type ReceiverStream,
  type SetStore,
  type StreamDescription,
  type TransmitterStream,
} from './index.ts';
import { DELIVERY_METHODS } from './configuration.ts';

/** Both sides over HTTP on loopback, in real time, with nothing between them but what the specifications say. */
const MANAGEMENT = 'Bearer management-of-a-test';
const PUSH = 'Bearer push-of-a-test';

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

async function listen(
  handler: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    handler(request, response).catch(() => response.writeHead(500).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

interface StreamRequest {
  readonly delivery: {
    readonly method: string;
    readonly endpoint_url?: string;
    readonly authorization_header?: string;
  };
  readonly events_requested: readonly string[];
}

/** The least transmitter that SSF's management allows, around this package's parts. */
class Transmitter {
  readonly signer = createSetSigner({
    algorithm: 'ES256',
    kid: 'loop-1',
    privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  });
  outbox: Outbox = EMPTY_OUTBOX;
  stream: TransmitterStream | undefined;
  target = { url: '', authorization: undefined as string | undefined };
  issuer = '';

  async queue(event: OutgoingEvent): Promise<void> {
    const built = await buildSet(
      event,
      { stream: this.stream!, signer: this.signer },
      { clock: systemClock, random: systemRandom },
    );
    this.outbox = enqueue(this.outbox, built).outbox;
  }

  #create(body: StreamRequest) {
    const streamId = randomUUID();
    this.stream = parseTransmitterStream(
      { issuer: this.issuer, audience: `urn:receiver:${streamId}`, streamId },
      { rehearsal: true },
    );
    const isPoll = body.delivery.method === DELIVERY_METHODS.poll;
    this.target = { url: body.delivery.endpoint_url ?? '', authorization: body.delivery.authorization_header };
    return {
      stream_id: streamId,
      iss: this.issuer,
      aud: this.stream.audience,
      delivery: { method: body.delivery.method, endpoint_url: isPoll ? `${this.issuer}/poll` : this.target.url },
      events_delivered: body.events_requested,
    };
  }

  readonly handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const json = (status: number, value: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    const text = (await bodyOf(request)).toString('utf8');
    const { pathname } = new URL(request.url!, this.issuer);
    if (pathname === '/.well-known/ssf-configuration')
      return void json(
        200,
        configurationDocument({
          issuer: this.issuer,
          jwksUri: `${this.issuer}/keys`,
          configurationEndpoint: `${this.issuer}/stream`,
          verificationEndpoint: `${this.issuer}/verify`,
        }),
      );
    if (pathname === '/keys') return void json(200, publicKeySet([this.signer]));
    if (request.headers.authorization !== MANAGEMENT) return void json(401, {});
    if (pathname === '/stream') return void json(201, this.#create(JSON.parse(text) as StreamRequest));
    if (pathname === '/verify') {
      await this.queue(answerVerification(text, { stream: this.stream!, lastAsked_ms: undefined }, systemClock));
      return void response.writeHead(204).end();
    }
    const { outbox, body } = answerPoll(text, this.outbox, systemClock);
    this.outbox = outbox;
    return void json(200, body);
  };
}

const transmitter = new Transmitter();
const kept = new Map<string, ReceivedSet>();
const states = new Set<string>();
const store: SetStore = {
  keep: (set) => {
    const isNew = !kept.has(set.tokenId);
    kept.set(set.tokenId, set);
    return Promise.resolve(isNew);
  },
};
const ports = {
  fetch,
  clock: systemClock,
  random: systemRandom,
  isRehearsal: true,
  store,
  expectsState: (state: string) => Promise.resolve(states.has(state)),
  noteRefused: () => Promise.reject(new Error('nothing is refused here')),
};
let receiver: { server: Server; url: string };
let sender: { server: Server; url: string };
let described: StreamDescription;
let stream: ReceiverStream;
let keys: KeySource;

beforeAll(async () => {
  sender = await listen(transmitter.handle);
  transmitter.issuer = sender.url;
  receiver = await listen(async (request, response) => {
    const { method = '', headers } = request;
    const pushed = {
      method,
      contentType: headers['content-type'],
      authorization: headers.authorization,
      body: await bodyOf(request),
    };
    const authorizationHash = createHash('sha256').update(PUSH).digest();
    const { answer } = await answerPush({ request: pushed, stream, keys, authorizationHash }, ports);
    response.writeHead(answer.status, answer.headers).end(answer.body);
  });
});
afterAll(() => {
  for (const { server } of [receiver, sender]) server.close();
});

/** What an administrator would do: read the configuration, order a stream, take up its keys. */
async function connect(method: DeliveryMethod) {
  kept.clear();
  transmitter.outbox = EMPTY_OUTBOX;
  const configuration = await readConfiguration(transmitter.issuer, ports);
  const streams = manageStreams(configuration, MANAGEMENT, ports);
  const delivery = method === 'poll' ? { method } : { method, url: receiver.url, authorization: PUSH };
  described = await streams.create({ events: ['session-revoked', 'account-disabled'], delivery });
  const { streamId, audience } = described;
  stream = parseReceiverStream(
    { issuer: configuration.issuer, audience, streamId, algorithm: 'ES256' },
    { rehearsal: true },
  );
  keys = createKeySource(stream, configuration.jwksUri, ports);
  return streams;
}

const about = (name: 'session-revoked' | 'account-disabled', sub: string): OutgoingEvent => ({
  name,
  detail: {},
  subject: { format: 'iss_sub', iss: transmitter.issuer, sub },
});
const verdicts = () => [...kept.values()].map(({ verdict, found }) => `${verdict} ${found.account?.subject ?? '-'}`);

describe('transmitter and receiver over loopback', () => {
  it('E29 E35 E43 E45: a pushed stream: ordered, verified, and events arrive in order', async () => {
    const streams = await connect('push');
    states.add('state-of-a-test');
    await streams.verify(described.streamId, 'state-of-a-test');
    await transmitter.queue(about('session-revoked', 'ada'));
    await transmitter.queue(about('account-disabled', 'bob'));
    while (transmitter.outbox.waiting.length > 0) {
      const step = await pushOnce(transmitter.outbox, transmitter.target, ports);
      expect(step.result).toEqual({ kind: 'taken' });
      transmitter.outbox = step.outbox;
    }
    expect(verdicts()).toEqual(['nothing -', 'end_sessions ada', 'suspend bob']);
    expect([...kept.values()][2]!.events[0]!.uri).toBe(EVENT_RULES['account-disabled'].uri);
  });

  it('E28 E43: a wrong header is tried again, and a refused event is a dead letter', async () => {
    await connect('push');
    await transmitter.queue(about('session-revoked', 'ada'));
    const unauthorized = { ...transmitter.target, authorization: 'Bearer old' };
    const step = await pushOnce(transmitter.outbox, unauthorized, ports);
    expect([step.result!.kind, step.outbox.waiting.length]).toEqual(['retry', 1]);
    transmitter.stream = { ...transmitter.stream!, audience: 'urn:somebody-else' };
    transmitter.outbox = EMPTY_OUTBOX;
    await transmitter.queue(about('session-revoked', 'ada'));
    const refused = await pushOnce(transmitter.outbox, transmitter.target, ports);
    expect(refused.outbox.dead.map(({ reason, err }) => [reason, err])).toEqual([['refused', 'invalid_audience']]);
    expect(kept.size).toBe(0);
  });

  it('E31 E42: a polled stream: everything arrives once and is acknowledged after it was kept', async () => {
    await connect('poll');
    for (let at = 0; at < 30; at += 1) await transmitter.queue(about('session-revoked', `person-${at}`));
    let state = FIRST_POLL;
    const arrived: number[] = [];
    for (let polls = 0; polls < 3; polls += 1) {
      const step = await pollOnce(
        { state, url: described.delivery.url, authorization: MANAGEMENT, stream, keys },
        ports,
      );
      expect(step.failure).toBeUndefined();
      arrived.push(step.received.length);
      state = step.state;
    }
    expect(arrived).toEqual([25, 5, 0]);
    expect([transmitter.outbox.waiting, transmitter.outbox.dead, kept.size]).toEqual([[], [], 30]);
    const denied = await pollOnce(
      { state, url: described.delivery.url, authorization: 'Bearer x', stream, keys },
      ports,
    );
    expect(denied.failure!.code).toBe('signals_denied');
  });
});
