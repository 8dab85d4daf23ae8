import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface PeerRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Readonly<Record<string, string>> & { readonly requestMetadata: Record<string, string> };
}

/** What a test changes of the next replies; each may answer by itself and return true. */
export interface PeerBehaviour {
  answer?(request: PeerRequest, response: ServerResponse): boolean | Promise<boolean>;
  /** Changes a good reply before it is sent. */
  change?(reply: Record<string, unknown>, operation: string): Record<string, unknown>;
}

export interface XksPeer {
  readonly origin: string;
  readonly seen: PeerRequest[];
  behaviour: PeerBehaviour;
  /** Sockets accepted so far. */
  connections(): number;
  dropConnections(): void;
  close(): Promise<void>;
}

/**
 * An external key store for tests that can be made to lie: one AES key, no signature check, every reply changeable. What
 * a well-behaved proxy does is tested against the proxy of this repository, not against this.
 */
export async function startPeer(tls: ServerOptions): Promise<XksPeer> {
  const key = randomBytes(32);
  const seen: PeerRequest[] = [];
  let accepted = 0;
  const server = createServer({ minVersion: 'TLSv1.3', ...tls }, (request, response) => {
    void serve(request, response).catch(() => response.destroy());
  });
  server.on('secureConnection', () => (accepted += 1));
  const serve = async (incoming: IncomingMessage, response: ServerResponse) => {
    const request: PeerRequest = {
      path: incoming.url ?? '',
      headers: incoming.headers,
      body: JSON.parse(await text(incoming)),
    };
    seen.push(request);
    if ((await peer.behaviour.answer?.(request, response)) === true) return;
    const operation = request.path.split('/').at(-1) ?? '';
    const reply = goodReply(key, operation, request.body);
    send(response, 200, peer.behaviour.change?.(reply, operation) ?? reply);
  };
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const peer: XksPeer = {
    origin: `https://localhost:${(server.address() as AddressInfo).port}`,
    seen,
    behaviour: {},
    connections: () => accepted,
    dropConnections: () => server.closeAllConnections(),
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
  return peer;
}

export function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function goodReply(key: Buffer, operation: string, body: PeerRequest['body']): Record<string, unknown> {
  const bytes = (name: string) => Buffer.from(body[name] ?? '', 'base64');
  const aad = bytes('additionalAuthenticatedData');
  if (operation === 'encrypt') return encrypt(key, bytes('plaintext'), aad);
  if (operation === 'decrypt') {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes('initializationVector'), { authTagLength: 16 });
    decipher
      .setAAD(Buffer.concat([aad, Buffer.of(0), bytes('ciphertextMetadata')]))
      .setAuthTag(bytes('authenticationTag'));
    const opened = Buffer.concat([decipher.update(bytes('ciphertext')), decipher.final()]);
    return { plaintext: opened.toString('base64') };
  }
  if (operation === 'metadata') {
    return { keySpec: 'AES_256', keyUsage: ['ENCRYPT', 'DECRYPT'], keyStatus: 'ENABLED' };
  }
  return {
    xksProxyFleetSize: 1,
    xksProxyVendor: 'vendor',
    xksProxyModel: 'model',
    ekmVendor: 'manager',
    ekmFleetDetails: [{ id: '1', model: 'm', healthStatus: 'ACTIVE' }],
  };
}

function encrypt(key: Buffer, plaintext: Buffer, aad: Buffer): Record<string, unknown> {
  const iv = randomBytes(12);
  const metadata = Buffer.from('v7');
  const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: 16 }).setAAD(
    Buffer.concat([aad, Buffer.of(0), metadata]),
  );
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const tag = cipher.getAuthTag();
  const parts = [aad, metadata, iv, ciphertext, tag];
  return {
    ciphertext: ciphertext.toString('base64'),
    ciphertextMetadata: metadata.toString('base64'),
    initializationVector: iv.toString('base64'),
    authenticationTag: tag.toString('base64'),
    ciphertextDataIntegrityValue: createHash('sha256').update(Buffer.concat(parts)).digest('base64'),
  };
}
