import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { rootCertificates } from 'node:tls';
import { AppError } from '@auditrax/base';
import type { AddressGuard } from './address-guard.ts';

/** A discovery document or a key set is a few kilobytes, metadata of a federation server some hundred. */
export const ANSWER_BYTES_MAX = 1024 * 1024;
/** From the look-up of the name to the last byte: whoever is slower keeps a person waiting in front of a blank page. */
export const FETCH_MS_MAX = 10_000;
/** Requests are forms of a few fields. */
const REQUEST_BYTES_MAX = 64 * 1024;
/** Of one house at the same time, so that a silent provider does not take all sockets. */
const FETCHES_AT_ONCE_MAX = 64;
const HEADER_BYTES_MAX = 16 * 1024;

/**
 * - `outward_address_refused`: not https, with credentials, unknown, or not public.
 * - `outward_redirected`: the answer leads somewhere else, which nobody has looked at.
 * - `outward_too_large`, `outward_late`, `outward_busy`: beyond a limit.
 * - `outward_unreachable`: no connection, no verified certificate, or no answer in HTTP.
 */
export type OutwardCode =
  | 'outward_address_refused'
  | 'outward_redirected'
  | 'outward_too_large'
  | 'outward_late'
  | 'outward_busy'
  | 'outward_unreachable';

export interface OutwardRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/** Fetches from an address that somebody else wrote. Throws `AppError<OutwardCode>`. */
export type GuardedFetch = (url: string, init: OutwardRequest) => Promise<Response>;

/** For whoever wrote the address; the message beside it may say more. */
const SENTENCES: Readonly<Record<OutwardCode, string>> = {
  outward_address_refused: 'The address is not https, is unknown, or is not public.',
  outward_redirected: 'The address leads somewhere else; redirects are not followed.',
  outward_too_large: 'The answer is larger than such documents are.',
  outward_late: 'The answer took too long.',
  outward_busy: 'Too much is being asked at the moment.',
  outward_unreachable: 'There is no connection with a verified certificate and TLS 1.3, or no plain answer.',
};

const refuse = (code: OutwardCode, message: string, cause?: unknown): AppError<OutwardCode> =>
  new AppError<OutwardCode>(code, message, {
    publicDetail: SENTENCES[code],
    ...(cause === undefined ? {} : { cause }),
  });

function addressOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.protocol !== 'https:' || url.username !== '' || url.password !== '')
    throw refuse('outward_address_refused', 'not a plain https address');
  return url;
}

/** URL writes IPv6 in brackets; sockets and certificates do not. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

function readAnswer(answer: IncomingMessage): Promise<Response> {
  return new Promise((resolve, reject) => {
    const status = answer.statusCode ?? 0;
    const give = (error: Error) => {
      // First: what destroying it brings about is no reason of its own.
      reject(error);
      answer.destroy();
    };
    if (status >= 300 && status < 400) return give(refuse('outward_redirected', `status ${status}`));
    // What is packed could be a thousand times as large; nothing was asked for but the bytes as they are.
    const { 'content-encoding': coding = 'identity', 'content-type': type = '', 'retry-after': later } = answer.headers;
    if (coding !== 'identity') return give(refuse('outward_unreachable', 'an encoded answer'));
    const pieces: Buffer[] = [];
    let bytes = 0;
    answer.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > ANSWER_BYTES_MAX) give(refuse('outward_too_large', `more than ${ANSWER_BYTES_MAX} bytes`));
      else pieces.push(piece);
    });
    answer.once('error', give);
    answer.once('aborted', () => give(refuse('outward_unreachable', 'broken off')));
    answer.once('end', () => {
      const isEmpty = status === 204 || status === 205;
      const body = isEmpty ? null : new Uint8Array(Buffer.concat(pieces));
      if (status < 200 || status > 599) return give(refuse('outward_unreachable', `status ${status}`));
      const headers = { 'content-type': type, ...(later === undefined ? {} : { 'retry-after': later }) };
      resolve(new Response(body, { status, headers }));
    });
    return undefined;
  });
}

interface Dialled {
  readonly url: URL;
  readonly init: OutwardRequest;
  readonly authorities: string[];
  readonly signal: AbortSignal;
}

async function send(guard: AddressGuard, { url, init, authorities, signal }: Dialled): Promise<Response> {
  const host = hostOf(url);
  const { address, family } = await guard(host, url.port === '' ? 443 : Number(url.port)).catch((error: unknown) => {
    throw refuse('outward_address_refused', 'the address guard', error);
  });
  const body = init.body === undefined ? undefined : Buffer.from(init.body, 'utf8');
  if (body !== undefined && body.length > REQUEST_BYTES_MAX) throw refuse('outward_too_large', 'our own request');
  signal.throwIfAborted();
  return new Promise<Response>((resolve, reject) => {
    const call = httpsRequest({
      method: init.method,
      // The name is neither looked up again nor believed about where it is: this is the address that was looked at.
      host: address,
      family,
      port: url.port === '' ? 443 : Number(url.port),
      path: `${url.pathname}${url.search}`,
      headers: {
        ...init.headers,
        host: url.host,
        'accept-encoding': 'identity',
        connection: 'close',
        ...(body === undefined ? {} : { 'content-length': String(body.length) }),
      },
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ca: authorities,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
      maxHeaderSize: HEADER_BYTES_MAX,
      agent: false,
      signal,
    });
    call.once('error', reject);
    call.once('response', (answer) => {
      // What the other side sends after a refusal of ours ends the connection and nothing else.
      answer.on('error', () => undefined);
      readAnswer(answer).then(resolve, (error: unknown) => {
        call.destroy();
        reject(error);
      });
    });
    call.end(body);
  });
}

/**
 * A `fetch` for addresses that tenants and their providers write: https with a verified certificate and TLS 1.3, to an
 * address that `guard` has looked at, never on to another one, bounded in bytes, time and number. No cookie, no
 * credential and no header of ours travels along that was not given.
 */
export function createGuardedFetch(options: {
  readonly guard: AddressGuard;
  /** PEM of authorities beside the public ones: the operator's own, for providers within the house. */
  readonly authorities?: readonly string[];
  /** Shortens {@link FETCH_MS_MAX}. */
  readonly fetch_ms_max?: number;
}): GuardedFetch {
  const authorities = [...rootCertificates, ...(options.authorities ?? [])];
  const time_ms = Math.min(options.fetch_ms_max ?? FETCH_MS_MAX, FETCH_MS_MAX);
  let underWay = 0;
  return async (text, init) => {
    const url = addressOf(text);
    if (underWay >= FETCHES_AT_ONCE_MAX) throw refuse('outward_busy', `${underWay} are under way`);
    underWay += 1;
    const late = AbortSignal.timeout(time_ms);
    const signal = init.signal === undefined ? late : AbortSignal.any([late, init.signal]);
    try {
      const gone = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
      return await Promise.race([send(options.guard, { url, init, authorities, signal }), gone]);
    } catch (error) {
      if (error instanceof AppError) throw error;
      if (late.aborted) throw refuse('outward_late', `no whole answer within ${time_ms} ms`, error);
      throw refuse('outward_unreachable', 'no answer', error);
    } finally {
      underWay -= 1;
    }
  };
}
