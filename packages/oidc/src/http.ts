import { isAppError } from '@auditrax/base';
import { askRemote, type Asked, type RemoteFetch, type RemoteRefusal } from '@auditrax/base/remote';
import type { OidcConnection } from './connection.ts';
import { refusal } from './errors.ts';

export type OidcFetch = RemoteFetch;

/** How this side reaches a provider; its addresses come from an administrator and from the provider. */
export interface ReachPorts {
  readonly fetch: OidcFetch;
  /** Shortens how long an answer may take; it never lengthens it. */
  readonly answer_ms_max?: number;
}

/** What the guarded way out refuses is said as it is: the administrator has to know. */
const refuse: RemoteRefusal = (fault, detail, options) =>
  isAppError(options?.cause) ? options.cause : refusal(`oidc_${fault}`, detail, options);

/** O4 to O6: one request to a provider. */
export async function ask({ isRehearsal }: OidcConnection, asked: Asked, ports: ReachPorts): Promise<Response> {
  const { status, headers, body } = await askRemote(asked, { ...ports, isRehearsal }, refuse);
  // The library refuses a body beside these; there is none to hand on.
  const isEmpty = status === 204 || status === 205;
  return new Response(isEmpty ? null : body, {
    status,
    headers: { 'content-type': headers.get('content-type') ?? '' },
  });
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
