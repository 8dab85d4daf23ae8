import { constants } from 'node:crypto';
import { isAppError } from '@auditrax/base';
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';
import { sealError } from '../../errors.ts';
import type { OutgoingGuard } from '../../guard/outgoing.ts';
import { connectionFailure } from './failures.ts';
import type { XksSource } from './source.ts';

/** What AWS KMS gives a proxy for one call. Counted from the first byte of the request to the last of the reply. */
export const CALL_MS_MAX = 250;
/** Opening a connection is not the proxy's work on a call; it has a bound of its own. */
export const CONNECT_MS_MAX = 1000;
/** 4300 bytes of ciphertext in base64 with everything around it need less than 8 KiB. */
export const REPLY_BYTES_MAX = 16 * 1024;
const CONNECTIONS_MAX = 8;
const KEEP_ALIVE_MS = 30_000;
/** Then a connection is made anew, so that a changed name or certificate is noticed. */
const CONNECTION_AGE_MS_MAX = 10 * 60_000;

export interface XksReply {
  readonly status: number;
  readonly body: Buffer;
  /** The `date` header, for the diagnosis of clocks. */
  readonly date: string | undefined;
}

export interface XksCall {
  readonly path: string;
  readonly body: string;
  readonly headers: Record<string, string>;
  /** Names the call in errors. */
  readonly about: string;
}

export interface XksChannel {
  /** Host header of each call. */
  readonly authority: string;
  /** One exchange. Throws `kek_unavailable`, `kek_misconfigured`, `kek_denied`; a status is not judged here. */
  post(call: XksCall): Promise<XksReply>;
  close(): Promise<void>;
}

/**
 * Kept connections to one proxy: TLS 1.3 alone, dialled only at addresses that the guard has checked, no redirects, no
 * session resumption (a withdrawn certificate would live on in it). Throws `kek_misconfigured` for the endpoint.
 */
export function openChannel(source: XksSource, guard: OutgoingGuard): XksChannel {
  const endpoint = guard.endpoint(source.endpoint);
  const pool = new Pool(endpoint.origin, {
    connections: CONNECTIONS_MAX,
    pipelining: 1,
    allowH2: false,
    maxCachedSessions: 0,
    connectTimeout: CONNECT_MS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    clientTtl: CONNECTION_AGE_MS_MAX,
    connect: {
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      ciphers: 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
      ecdhCurve: 'X25519MLKEM768:X25519:P-256',
      secureOptions: constants.SSL_OP_NO_TICKET,
      rejectUnauthorized: true,
      lookup: guard.lookup(endpoint),
      ...(source.caCertificate === undefined ? {} : { ca: source.caCertificate }),
      ...(source.clientCertificate === undefined ? {} : { cert: source.clientCertificate, key: source.clientKey }),
    } as NonNullable<Pool.Options['connect']>,
  });
  return {
    authority: new URL(endpoint.origin).host,
    async post(call) {
      try {
        return await exchange(pool, call);
      } catch (error) {
        throw isAppError(error) ? error : connectionFailure(error, call.about);
      }
    },
    close: () => pool.destroy(),
  };
}

function exchange(pool: Pool, call: XksCall): Promise<XksReply> {
  return new Promise((resolve, reject) => {
    const late = (what: string, limit_ms: number) =>
      sealError('kek_unavailable', `${call.about}: ${what} within ${limit_ms} ms`);
    let controller: Dispatcher.DispatchController | undefined;
    let hasEnded = false;
    const end = (settle: () => void) => {
      if (hasEnded) return;
      hasEnded = true;
      clearTimeout(timer);
      settle();
    };
    const fail = (error: Error) => {
      end(() => reject(error));
      controller?.abort(error);
    };
    let timer = setTimeout(() => fail(late('no connection', CONNECT_MS_MAX)), CONNECT_MS_MAX);
    const pieces: Buffer[] = [];
    let status = 0;
    let date: string | undefined;
    let length_bytes = 0;
    pool.dispatch(
      { method: 'POST', path: call.path, body: call.body, headers: call.headers },
      {
        onRequestStart(started) {
          controller = started;
          if (hasEnded) {
            started.abort(late('no connection', CONNECT_MS_MAX)); // it was given up while it waited
            return;
          }
          clearTimeout(timer);
          timer = setTimeout(() => fail(late('no whole reply', CALL_MS_MAX)), CALL_MS_MAX);
        },
        onResponseStart(_controller, statusCode, headers) {
          status = statusCode;
          date = typeof headers['date'] === 'string' ? headers['date'] : undefined;
        },
        onResponseData(_controller, piece) {
          length_bytes += piece.length;
          if (length_bytes > REPLY_BYTES_MAX) {
            fail(sealError('kek_misconfigured', `${call.about}: the reply is longer than ${REPLY_BYTES_MAX} bytes`));
          } else pieces.push(piece);
        },
        onResponseEnd: () => end(() => resolve({ status, body: Buffer.concat(pieces), date })),
        onResponseError: (_controller, error) => end(() => reject(error)),
      },
    );
  });
}
