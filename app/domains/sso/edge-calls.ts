import { bindBrowser, DOOR_HEADER } from '../../platform/http/headers.ts';
import { notFound } from './errors.ts';
import { REQUEST_SECONDS_MAX } from './requests.ts';
import type { Begun } from './sign-in.ts';

/** A call as every route of this room gets it. */
export interface AnyCall {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly requestId: string;
}

/** Of the gateway, which alone reaches this service with these headers (mutual TLS). */
export function isAtEdge(call: AnyCall): boolean {
  return call.headers[DOOR_HEADER] === 'edge';
}

/** Throws `not_found` at any other door: no provider leads back there. */
export function requireEdge(call: AnyCall): void {
  if (!isAtEdge(call)) throw notFound();
}

/** The provider's address for a page that goes there by itself, and the cookie that binds the browser. */
export function tellUrl({ url, secret }: Begun) {
  return { status: 200 as const, body: { url }, headers: bindBrowser(secret, REQUEST_SECONDS_MAX) };
}
