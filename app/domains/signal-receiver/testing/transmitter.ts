import { generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { SignJWT } from 'jose';

const BASE = 'https://schemas.openid.net/secevent/';
export const CAEP = `${BASE}caep/event-type/`;
export const RISC = `${BASE}risc/event-type/`;
export const SSF = `${BASE}ssf/event-type/`;

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly jwk: Record<string, unknown>;
}

export function makeKey(kid: string): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' } };
}

export interface SetWishes {
  readonly audience: string;
  readonly subject: object;
  readonly events: Readonly<Record<string, object>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly key?: SigningKey;
}

/** What a pushed token is answered. */
export interface Told {
  readonly status: number;
  readonly json: Record<string, unknown>;
  readonly retryAfter: string | undefined;
}

/**
 * A transmitter on this machine: over https with a certificate of the house, its tokens made by `jose` and by nothing of
 * ours, so that what is believed here does not depend on what we would send ourselves.
 */
export class RehearsedTransmitter {
  readonly key = makeKey('now');
  readonly #server: Server;
  /** Answers whatever is not the key set. */
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void = (_request, response) =>
    response.writeHead(404).end();
  readonly asked: string[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(tls: { readonly key: string; readonly cert: string }): Promise<RehearsedTransmitter> {
    const server = createServer(tls);
    const made = new RehearsedTransmitter(server);
    server.on('request', (incoming, response) => {
      const pieces: Buffer[] = [];
      incoming.on('data', (piece: Buffer) => pieces.push(piece));
      incoming.on('end', () => made.#respond(incoming, response, Buffer.concat(pieces).toString('utf8')));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return made;
  }

  get issuer(): string {
    return `https://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  get jwksUri(): string {
    return `${this.issuer}/jwks`;
  }

  #respond(incoming: IncomingMessage, response: ServerResponse, body: string): void {
    this.asked.push(`${incoming.method} ${incoming.url}`);
    if (incoming.url !== '/jwks') return this.answer(incoming, response, body);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [this.key.jwk] }));
  }

  /** A token as a provider signs it. */
  async sign(wishes: SetWishes): Promise<string> {
    const { audience, subject, events, claims = {}, header = {}, key = this.key } = wishes;
    const iat = Math.floor(Date.now() / 1000);
    const payload = { iss: this.issuer, aud: audience, iat, jti: randomUUID(), sub_id: subject, events, ...claims };
    return new SignJWT(payload)
      .setProtectedHeader({ alg: 'RS256', typ: 'secevent+jwt', kid: key.kid, ...header })
      .sign(key.privateKey);
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** Posts as a transmitter's server does. */
export function pusherOf(house: { readonly edgePort: number; readonly tls: { readonly ca: string } }) {
  return (address: string, body: string, headers: Readonly<Record<string, string | undefined>> = {}): Promise<Told> => {
    const { host, pathname } = new URL(address);
    const given = { 'content-type': 'application/secevent+jwt', accept: 'application/json', ...headers };
    const sent = Object.fromEntries(
      Object.entries({ host, ...given, 'content-length': String(Buffer.byteLength(body)) }).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    );
    return new Promise((resolve, reject) => {
      const to = { host: '127.0.0.1', port: house.edgePort, path: pathname, method: 'POST', servername: 'localhost' };
      const call = request({ ...to, ca: house.tls.ca, agent: false, headers: sent }, (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(pieces).toString('utf8');
          const json = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
          resolve({ status: response.statusCode!, json, retryAfter: response.headers['retry-after'] });
        });
      });
      call.once('error', reject);
      call.end(body);
    });
  };
}
