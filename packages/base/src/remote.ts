/** One request as it is made of somebody else's server. */
export interface RemoteRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly redirect: 'manual';
  readonly signal: AbortSignal;
}

/**
 * How the other side is reached. Its addresses are written by others, so the caller hands in a function that refuses
 * private addresses (SSRF); its shape is that of `fetch`.
 */
export type RemoteFetch = (url: string, init: RemoteRequest) => Promise<Response>;

export interface RemotePorts {
  readonly fetch: RemoteFetch;
  /** Plain http to 127.0.0.1 is let pass: a rehearsal, never something of a tenant. */
  readonly isRehearsal?: boolean;
  /** Shortens {@link ANSWER_MS_MAX}; it never lengthens it. */
  readonly answer_ms_max?: number;
}

export interface Asked extends Pick<RemoteRequest, 'method' | 'headers' | 'body'> {
  readonly url: string;
  readonly bytes_max: number;
}

/** An answer that has been read to its end: nothing that the other side does later matters. */
export interface RemoteAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Why there is none. */
export type RemoteFault = 'address_refused' | 'redirected' | 'answer_too_large' | 'answer_late' | 'unreachable';

/** The caller's own error for a fault; `cause` is what the given `fetch` has thrown. */
export type RemoteRefusal = (fault: RemoteFault, detail?: string, options?: { readonly cause?: unknown }) => unknown;

/** For one answer, body included. Somebody waits at the browser, and nobody asks for long polling. */
export const ANSWER_MS_MAX = 10_000;

/** True for https, and in a rehearsal for http to 127.0.0.1. */
export function isSecureAddress(url: URL, isRehearsal: boolean): boolean {
  if (url.username !== '' || url.password !== '') return false;
  return url.protocol === 'https:' || (isRehearsal && url.protocol === 'http:' && url.hostname === '127.0.0.1');
}

/** A fault that was found here, apart from whatever `fetch` throws. */
class Fault extends Error {
  readonly fault: RemoteFault;

  constructor(fault: RemoteFault, detail: string) {
    super(detail);
    this.fault = fault;
  }
}

async function readBounded(response: Response, bytes_max: number): Promise<Uint8Array<ArrayBuffer>> {
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.byteLength;
    if (length > bytes_max) {
      // Not waited for: whoever sends without end may also never let go.
      reader.cancel().catch(() => undefined);
      throw new Fault('answer_too_large', `more than ${bytes_max} bytes`);
    }
    parts.push(value);
  }
  return new Uint8Array(Buffer.concat(parts, length));
}

async function askWithin(ports: RemotePorts, asked: Asked, signal: AbortSignal): Promise<RemoteAnswer> {
  const { url, bytes_max, ...init } = asked;
  const response = await ports.fetch(url, { ...init, redirect: 'manual', signal });
  const isRedirect = (response.status >= 300 && response.status < 400) || response.type === 'opaqueredirect';
  if (isRedirect || response.redirected) throw new Fault('redirected', `status ${response.status}`);
  const body = await readBounded(response, bytes_max);
  return { status: response.status, headers: response.headers, body };
}

/**
 * B7: one request over https, without following redirects, within bounds of size and time, body included. Throws what
 * `refuse` makes of the fault, and nothing else.
 */
export async function askRemote(asked: Asked, ports: RemotePorts, refuse: RemoteRefusal): Promise<RemoteAnswer> {
  const url = URL.canParse(asked.url) ? new URL(asked.url) : undefined;
  if (url === undefined || !isSecureAddress(url, ports.isRehearsal ?? false)) throw refuse('address_refused');
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => {
        reject(new Fault('answer_late', url.host));
        controller.abort();
      },
      Math.min(ports.answer_ms_max ?? ANSWER_MS_MAX, ANSWER_MS_MAX),
    );
  });
  try {
    return await Promise.race([askWithin(ports, asked, controller.signal), late]);
  } catch (cause) {
    if (cause instanceof Fault) throw refuse(cause.fault, cause.message);
    throw refuse('unreachable', url.host, { cause });
  } finally {
    clearTimeout(timer);
  }
}
