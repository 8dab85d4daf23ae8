import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify, type JSONWebKeySet, type JWTPayload } from 'jose';

// A receiver of shared signals as somebody else would write one: it verifies with `jose` alone, by what the transmitter
// publishes, and knows nothing of our own library.

/** One event that a receiver has believed. */
export interface BelievedEvent {
  readonly uri: string;
  readonly detail: Record<string, unknown>;
  readonly subject: Record<string, unknown>;
  readonly claims: JWTPayload & { readonly txn?: string };
  readonly kid: string;
}

/** Verifies a token for exactly one issuer and audience, and reads its one event. Throws what `jose` throws. */
export async function believe(
  token: string,
  by: { readonly keys: JSONWebKeySet; readonly issuer: string; readonly audience: string },
): Promise<BelievedEvent> {
  const { payload } = await jwtVerify(token, createLocalJWKSet(by.keys), {
    issuer: by.issuer,
    audience: by.audience,
    algorithms: ['RS256'],
    typ: 'secevent+jwt',
    requiredClaims: ['iss', 'aud', 'iat', 'jti', 'sub_id', 'events'],
  });
  if ('sub' in payload || 'exp' in payload) throw new Error('claims of another kind of token');
  const events = Object.entries(payload['events'] as Record<string, Record<string, unknown>>);
  if (events.length !== 1) throw new Error('one event is expected');
  const [[uri, detail]] = events as [[string, Record<string, unknown>]];
  const subject = payload['sub_id'] as Record<string, unknown>;
  return { uri, detail, subject, claims: payload, kid: decodeProtectedHeader(token).kid! };
}

/** What a push address of a test answers. */
export type Reaction = (token: string) => {
  readonly status: number;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly wait_ms?: number;
};

export interface PushAddress {
  readonly url: string;
  /** Every token that came, in order, taken or not. */
  readonly came: { readonly token: string; readonly authorization: string | undefined; readonly at_ms: number }[];
  react(reaction: Reaction): void;
  stop(): Promise<void>;
  /** Listens again where it listened. */
  restart(): Promise<void>;
}

/** A server for pushed events on 127.0.0.1. */
export async function startPushAddress(tls: { readonly key: string; readonly cert: string }): Promise<PushAddress> {
  const came: PushAddress['came'] = [];
  let reaction: Reaction = () => ({ status: 202 });
  let port = 0;
  let server: Server;
  const listen = async (): Promise<void> => {
    server = createServer(tls, (request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.once('end', () => {
        const token = Buffer.concat(pieces).toString('utf8');
        came.push({ token, authorization: request.headers.authorization, at_ms: performance.now() });
        const { status, body, headers, wait_ms = 0 } = reaction(token);
        setTimeout(() => {
          response.writeHead(status, { 'content-type': 'application/json', ...headers });
          response.end(body === undefined ? undefined : JSON.stringify(body));
        }, wait_ms);
      });
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  };
  await listen();
  return {
    get url() {
      return `https://127.0.0.1:${port}/events`;
    },
    came,
    react: (next) => {
      reaction = next;
    },
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
    restart: listen,
  };
}
