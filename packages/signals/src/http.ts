import { isSecureAddress } from './address.ts';
import { isSignalsError, refusal } from './errors.ts';
import { parseObject, type JsonObject } from './json.ts';
import { ANSWER_MS_MAX } from './limits.ts';

/** One request as this package makes it. */
export interface SignalsRequestInit {
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
export type SignalsFetch = (url: string, init: SignalsRequestInit) => Promise<Response>;

export interface ReachPorts {
  readonly fetch: SignalsFetch;
  /** Plain http to 127.0.0.1 is let pass: a rehearsal, never a stream of a tenant. */
  readonly isRehearsal?: boolean;
  /** Shortens {@link ANSWER_MS_MAX}; it never lengthens it. */
  readonly answer_ms_max?: number;
}

export interface Asked {
  readonly url: string;
  readonly method: SignalsRequestInit['method'];
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly bytes_max: number;
}

/** An answer that has been read to its end. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | undefined;
}

async function readBounded(response: Response, bytes_max: number): Promise<string> {
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
      throw refusal('signals_answer_too_large', `more than ${bytes_max} bytes`);
    }
    parts.push(value);
  }
  return Buffer.concat(parts, length).toString('utf8');
}

async function askWithin(ports: ReachPorts, asked: Asked, signal: AbortSignal): Promise<Answer> {
  const { url, bytes_max, ...init } = asked;
  const response = await ports.fetch(url, { ...init, redirect: 'manual', signal });
  const isRedirect = (response.status >= 300 && response.status < 400) || response.type === 'opaqueredirect';
  if (isRedirect || response.redirected) throw refusal('signals_redirected', `status ${response.status}`);
  const text = await readBounded(response, bytes_max);
  return { status: response.status, text, retryAfter: response.headers.get('retry-after') ?? undefined };
}

/** E2 to E4: one request over https, without following redirects, within bounds of size and time. */
export async function ask(asked: Asked, ports: ReachPorts): Promise<Answer> {
  const url = URL.canParse(asked.url) ? new URL(asked.url) : undefined;
  if (url === undefined || !isSecureAddress(url, ports.isRehearsal ?? false)) throw refusal('signals_address_refused');
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => {
        reject(refusal('signals_answer_late', url.host));
        controller.abort();
      },
      Math.min(ports.answer_ms_max ?? ANSWER_MS_MAX, ANSWER_MS_MAX),
    );
  });
  try {
    return await Promise.race([askWithin(ports, asked, controller.signal), late]);
  } catch (cause) {
    if (isSignalsError(cause)) throw cause;
    throw refusal('signals_unreachable', url.host, { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** E5: the JSON object of an answer that has one of these statuses. */
export function objectOf(answer: Answer, statuses: readonly number[]): JsonObject {
  if (answer.status === 401 || answer.status === 403) throw refusal('signals_denied', `status ${answer.status}`);
  if (!statuses.includes(answer.status)) throw refusal('signals_answer_form', `status ${answer.status}`);
  const value = parseObject(answer.text);
  if (value === undefined) throw refusal('signals_answer_form');
  return value;
}

/** A JSON object under status 200, asked for without authorization. */
export async function readDocument(url: string, bytes_max: number, ports: ReachPorts): Promise<JsonObject> {
  return objectOf(await ask({ url, method: 'GET', headers: { accept: 'application/json' }, bytes_max }, ports), [200]);
}
