import type { IncomingMessage, ServerResponse } from 'node:http';
import { systemRandom } from '@auditrax/base';
import {
  answerPoll,
  buildSet,
  createSetSigner,
  EMPTY_OUTBOX,
  enqueue,
  parseTransmitterStream,
  type OutgoingEvent,
  type Outbox,
} from '@auditrax/signals';
import type { RehearsedTransmitter } from './transmitter.ts';

export const MANAGEMENT = 'Bearer management-of-the-test';

interface Ordered {
  readonly method: string;
  readonly url: string | undefined;
  readonly authorization: string | undefined;
}

/**
 * What a transmitter with management answers: its document, its streams, and events to fetch, the latter by
 * packages/signals. Tokens of `jose` and of packages/signals lie in the same outbox.
 */
export class ManagedSide {
  outbox: Outbox = EMPTY_OUTBOX;
  /** As it describes itself; a test changes what it says. */
  more: Record<string, unknown> = {};
  readonly orders: Ordered[] = [];
  readonly polled: Record<string, unknown>[] = [];
  readonly verifications: { readonly stream_id: string; readonly state: string }[] = [];
  /** Instead of taking the question for a sign of life. */
  verifyTrouble: number | undefined;
  /** Instead of an answer to a poll. */
  trouble: number | undefined;
  readonly audience: string;
  readonly #transmitter: RehearsedTransmitter;

  constructor(transmitter: RehearsedTransmitter, name: string) {
    this.#transmitter = transmitter;
    this.audience = `https://receiver.test/managed/${name}`;
    transmitter.answer = (request, response, body) => this.#answer(request, response, body);
  }

  get streamId(): string {
    return `managed-${this.audience.split('/').at(-1)}`;
  }

  #document(): Record<string, unknown> {
    const { issuer, jwksUri } = this.#transmitter;
    return {
      issuer,
      jwks_uri: jwksUri,
      delivery_methods_supported: ['urn:ietf:rfc:8935', 'urn:ietf:rfc:8936'],
      configuration_endpoint: `${issuer}/streams`,
      status_endpoint: `${issuer}/status`,
      verification_endpoint: `${issuer}/verify`,
      ...this.more,
    };
  }

  #made(body: string): Record<string, unknown> {
    const asked = JSON.parse(body) as { events_requested: string[]; delivery: Record<string, string> };
    const { method, endpoint_url: url, authorization_header: authorization } = asked.delivery;
    this.orders.push({ method: method!, url, authorization });
    return {
      stream_id: this.streamId,
      iss: this.#transmitter.issuer,
      aud: this.audience,
      events_delivered: asked.events_requested.filter((uri) => !uri.endsWith('account-purged')),
      delivery: { method, endpoint_url: url ?? `${this.#transmitter.issuer}/poll` },
    };
  }

  #answer(request: IncomingMessage, response: ServerResponse, body: string): void {
    const tell = (status: number, value?: object) =>
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(value === undefined ? '' : JSON.stringify(value));
    if (request.url === '/.well-known/ssf-configuration') return void tell(200, this.#document());
    if (request.headers.authorization !== MANAGEMENT) return void tell(401);
    const [path] = request.url!.split('?');
    const call = `${request.method} ${path}`;
    if (call === 'POST /streams') return void tell(201, this.#made(body));
    if (call === 'DELETE /streams') return void tell(204);
    if (call === 'POST /verify') {
      if (this.verifyTrouble !== undefined) return void tell(this.verifyTrouble);
      this.verifications.push(JSON.parse(body) as ManagedSide['verifications'][number]);
      return void tell(204);
    }
    if (call !== 'POST /poll') return void tell(404);
    if (this.trouble !== undefined) return void tell(this.trouble);
    this.polled.push(JSON.parse(body) as Record<string, unknown>);
    const answered = answerPoll(body, this.outbox, { nowMs: Date.now });
    this.outbox = answered.outbox;
    return void tell(200, answered.body);
  }

  /** Lays a token of whoever made it into the outbox. */
  lay(tokenId: string, token: string): void {
    const { outbox, isHeld } = enqueue(this.outbox, { tokenId, token, issuedAt_ms: Date.now() });
    if (!isHeld) throw new Error('the outbox is disabled');
    this.outbox = outbox;
  }

  /** Lays an event as packages/signals sends it. */
  async send(event: OutgoingEvent): Promise<void> {
    const { issuer, key } = this.#transmitter;
    const signer = createSetSigner({ algorithm: 'RS256', kid: key.kid, privateKey: key.privateKey });
    const stream = parseTransmitterStream({ issuer, audience: this.audience, streamId: this.streamId });
    const ports = { clock: { nowMs: Date.now }, random: systemRandom };
    const built = await buildSet(event, { stream, signer }, ports);
    this.outbox = enqueue(this.outbox, built).outbox;
  }
}
