import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createPublicKey, verify } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { Clock } from '@auditrax/base';

/** Tolerance of Standard Webhooks for the age of a message: an old one is a replay. */
const MESSAGE_AGE_SECONDS_MAX = 300;
const BODY_BYTES_MAX = 64 * 1024;

export interface DeadMan {
  /** Where the sentinel delivers its canary pages. */
  readonly url: string;
  /** Standard Webhooks public key (`whpk_…`) of the sentinel, once announced. */
  trust(publicKey: string): void;
  /** Milliseconds since the epoch of the last canary page that arrived and verified. */
  lastPage_ms(): number | undefined;
  close(): Promise<void>;
}

export interface DeadManOptions {
  readonly clock: Clock;
  readonly port: number;
  /** A canary page is due each minute; this many seconds without one raise the alarm. */
  readonly silence_seconds_max: number;
  readonly file: string;
  readonly raise: (line: string) => void;
}

function publicKeyOf(text: string): ReturnType<typeof createPublicKey> {
  const raw = Buffer.from(text.replace(/^whpk_/, ''), 'base64');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' });
}

/** Verifies a Standard Webhooks message signed with Ed25519 (`v1a`): id, timestamp and body are all covered. */
export function verifyWebhook(
  key: string,
  message: { readonly headers: Record<string, string | string[] | undefined>; readonly body: string },
  now_ms: number,
): boolean {
  const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(
    (name) => [message.headers[name] ?? ''].flat()[0] ?? '',
  );
  if (Math.abs(now_ms / 1000 - Number(timestamp)) > MESSAGE_AGE_SECONDS_MAX) return false;
  const signed = Buffer.from(`${id}.${timestamp}.${message.body}`);
  return signatures!.split(' ').some((signature) => {
    const [version, value] = signature.split(',');
    return version === 'v1a' && verify(null, signed, publicKeyOf(key), Buffer.from(value ?? '', 'base64'));
  });
}

/**
 * The dead man's alarm: who watches is not who is watched. It receives the sentinel's canary pages as an outsider
 * would and, when they stay away, speaks up over a channel of its own (the terminal and a file), because the sentinel
 * that should page may be what has died. It holds only a public key.
 */
export async function openDeadMan(options: DeadManOptions): Promise<DeadMan> {
  const { clock } = options;
  let key: string | undefined;
  let last: number | undefined;
  let silentSince = clock.nowMs();
  let raised = false;
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      body += chunk;
      if (body.length > BODY_BYTES_MAX) request.destroy();
    });
    request.on('end', () => {
      const trusted = key !== undefined && verifyWebhook(key, { headers: request.headers, body }, clock.nowMs());
      if (trusted) {
        last = silentSince = clock.nowMs();
        if (raised) options.raise('canary pages arrive again');
        raised = false;
      }
      response.writeHead(trusted ? 204 : 401).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(options.port, '127.0.0.1', resolve));
  const timer = setInterval(() => {
    const silence_seconds = (clock.nowMs() - silentSince) / 1000;
    if (raised || silence_seconds < options.silence_seconds_max) return;
    raised = true;
    const line = `no canary page has arrived for ${Math.round(silence_seconds)} s: detection or paging is down`;
    appendFileSync(options.file, `${JSON.stringify({ at: new Date(clock.nowMs()).toISOString(), alarm: line })}\n`, {
      mode: 0o600,
    });
    options.raise(line);
  }, 1_000);
  timer.unref();
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/canary`,
    trust: (publicKey) => {
      key = publicKey;
    },
    lastPage_ms: () => last,
    close: () => {
      clearInterval(timer);
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
