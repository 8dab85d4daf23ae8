import { isAppError } from '@auditrax/base';
import { isSecureAddress, type OidcConnection } from './connection.ts';
import { refusal } from './errors.ts';
import { ANSWER_MS_MAX } from './limits.ts';

/** One request as this package makes it. */
export interface OidcRequestInit {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly redirect: 'manual';
  readonly signal: AbortSignal;
}

/**
 * How this side reaches a provider. Addresses come from an administrator and from the provider, so the caller hands in
 * a function that refuses private addresses (SSRF); its shape is that of `fetch`.
 */
export type OidcFetch = (url: string, init: OidcRequestInit) => Promise<Response>;

export interface ReachPorts {
  readonly fetch: OidcFetch;
  /** Shortens {@link ANSWER_MS_MAX}; it never lengthens it. */
  readonly answer_ms_max?: number;
}

interface Asked {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly bytes_max: number;
}

async function readBounded(response: Response, bytes_max: number): Promise<Buffer> {
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
      throw refusal('oidc_answer_too_large', `more than ${bytes_max} bytes`);
    }
    parts.push(value);
  }
  return Buffer.concat(parts, length);
}

async function askWithin(ports: ReachPorts, asked: Asked, signal: AbortSignal): Promise<Response> {
  const { url, bytes_max, ...init } = asked;
  const response = await ports.fetch(url, { ...init, redirect: 'manual', signal });
  const isRedirect = (response.status >= 300 && response.status < 400) || response.type === 'opaqueredirect';
  if (isRedirect || response.redirected) throw refusal('oidc_redirected', `status ${response.status}`);
  const body = await readBounded(response, bytes_max);
  // The library refuses a body beside these; there is none to hand on.
  const isEmpty = response.status === 204 || response.status === 205;
  const type = response.headers.get('content-type') ?? '';
  return new Response(isEmpty ? null : new Uint8Array(body), {
    status: response.status,
    headers: { 'content-type': type },
  });
}

/**
 * O4 to O6: one request to a provider, over https, without following redirects, within bounds of size and time. The
 * answer's body has been read; nothing that the other side does later matters.
 */
export async function ask(connection: OidcConnection, asked: Asked, ports: ReachPorts): Promise<Response> {
  const url = URL.canParse(asked.url) ? new URL(asked.url) : undefined;
  if (url === undefined || !isSecureAddress(url, connection.isRehearsal)) throw refusal('oidc_address_refused');
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => {
        reject(refusal('oidc_answer_late', url.host));
        controller.abort();
      },
      Math.min(ports.answer_ms_max ?? ANSWER_MS_MAX, ANSWER_MS_MAX),
    );
  });
  try {
    return await Promise.race([askWithin(ports, asked, controller.signal), late]);
  } catch (cause) {
    if (isAppError(cause)) throw cause;
    throw refusal('oidc_unreachable', url.host, { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** A JSON object over {@link ask}. Throws `oidc_answer_form` on anything else, and on any status but 200. */
export async function askJson(
  connection: OidcConnection,
  asked: { readonly url: string; readonly bytes_max: number },
  ports: ReachPorts,
): Promise<Record<string, unknown>> {
  const response = await ask(connection, { ...asked, method: 'GET', headers: { accept: 'application/json' } }, ports);
  if (response.status !== 200) throw refusal('oidc_answer_form', `status ${response.status}`);
  const value = parseObject(await response.text());
  if (value === undefined) throw refusal('oidc_answer_form');
  return value;
}

/** A JSON object, or undefined. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
