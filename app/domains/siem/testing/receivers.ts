// Receivers on loopback for tests: Splunk's event collector and a syslog server over TLS, as far as a sender sees them.
import { createServer as createHttps } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTls, type SecureVersion } from 'node:tls';

export interface Certificate {
  readonly keyPem: string;
  readonly certificatePem: string;
}

/** What the receiver does with what comes in. `lost`: takes everything and breaks the line before it has said so. */
export type Manner = 'takes' | 'refuses' | 'pretends' | 'lost' | 'breaks';

export interface Receiver<T> {
  readonly port: number;
  readonly received: T[];
  manner: Manner;
  close(): Promise<void>;
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function closer(server: Server): () => Promise<void> {
  return () => new Promise((resolve) => server.close(() => resolve()));
}

export interface HecEvent {
  readonly event: Record<string, unknown>;
  readonly fields: { readonly auditrax_id: string; readonly auditrax_position: number };
}

/** An event collector that knows one token. Its answers are those of Splunk's documentation. */
export async function openHec(
  certificate: Certificate,
  { token, maxVersion }: { token: string; maxVersion?: SecureVersion },
): Promise<Receiver<HecEvent>> {
  const tls = { key: certificate.keyPem, cert: certificate.certificatePem, minVersion: 'TLSv1.2' as const };
  const receiver = { port: 0, received: [] as HecEvent[], manner: 'takes' as Manner, close: async () => {} };
  const server = createHttps({ ...tls, ...(maxVersion && { maxVersion }) }, (request, response) => {
    if (receiver.manner === 'breaks') return request.socket.destroy();
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const answer = (status: number, text: string, code: number) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ text, code }));
      if (receiver.manner === 'pretends') return response.writeHead(200).end('<html>Sign in</html>');
      if (receiver.manner === 'refuses') return answer(503, 'Server is busy', 9);
      if (request.headers.authorization !== `Splunk ${token}`) return answer(403, 'Invalid token', 4);
      const text = Buffer.concat(parts).toString('utf8');
      receiver.received.push(...text.split('\n').map((line) => JSON.parse(line) as HecEvent));
      if (receiver.manner === 'lost') return request.socket.destroy();
      return answer(200, 'Success', 0);
    });
  });
  server.on('tlsClientError', () => {});
  receiver.port = await listen(server);
  receiver.close = closer(server);
  return receiver;
}

/** Takes octet-counted frames (RFC 5425) apart. Throws on what is none. */
export function framesOf(bytes: Buffer): string[] {
  const frames: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const blank = bytes.indexOf(0x20, at);
    const length = Number(bytes.subarray(at, blank).toString('ascii'));
    if (!Number.isInteger(length) || blank + 1 + length > bytes.length) throw new Error(`no frame at ${at}`);
    frames.push(bytes.subarray(blank + 1, blank + 1 + length).toString('utf8'));
    at = blank + 1 + length;
  }
  return frames;
}

/** A syslog server that closes in good order once it has read to the end. */
export async function openSyslog(certificate: Certificate): Promise<Receiver<string>> {
  const lines = new Map<number | undefined, Socket>();
  const receiver = { port: 0, received: [] as string[], manner: 'takes' as Manner, close: async () => {} };
  const server = createTls(
    { key: certificate.keyPem, cert: certificate.certificatePem, minVersion: 'TLSv1.3' },
    (socket) => {
      const parts: Buffer[] = [];
      socket.on('error', () => {});
      socket.on('data', (part: Buffer) => {
        // As when its machine goes away: no end, but a reset.
        if (receiver.manner === 'breaks') lines.get(socket.remotePort)?.resetAndDestroy();
        else parts.push(part);
      });
      socket.on('end', () => {
        if (receiver.manner === 'takes') receiver.received.push(...framesOf(Buffer.concat(parts)));
        socket.end();
      });
    },
  );
  server.on('connection', (line: Socket) => lines.set(line.remotePort, line));
  server.on('tlsClientError', () => {});
  receiver.port = await listen(server);
  receiver.close = closer(server);
  return receiver;
}
