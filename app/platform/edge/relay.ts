import type { Readable } from 'node:stream';
import { STATUS_CODES } from 'node:http';
import type { WorkloadPools } from '@auditrax/workload';
import type { Dispatcher } from 'undici';
import { BROWSER_HEADER, NONCE_HEADER, REQUEST_ID_HEADER, REVOKE_HEADER, SESSION_HEADER } from '../http/headers.ts';
import { browserCookie, sessionChange } from './cookies.ts';
import {
  type Exchange,
  nonceLine,
  OAUTH_MEDIA_TYPE,
  SCIM_MEDIA_TYPE,
  SSF_MEDIA_TYPE,
  sendNotFound,
  sendProblem,
  sendTokenRefused,
} from './exchange.ts';
import { sendPlainError } from './plain-error.ts';

/** What a service may tell a browser; everything else stays inside. */
const PASSED_ON = ['content-type', 'content-length', 'content-disposition', 'retry-after'] as const;
/** RFC 7644 3.3 and 3.14: where a resource is and which version of it this is. */
const TOLD_TO_DIRECTORIES = ['location', 'etag'] as const;

/**
 * Where an answer may lead a browser: a page of the app, or an address over https. Whoever writes addresses (a provider's
 * document, an administrator) chooses neither a scheme nor a line of headers.
 */
const LEADS_TO = /^(?:\/app\/[A-Za-z0-9/._~?=&%-]*|https:\/\/[A-Za-z0-9[][!-~]{1,8000})$/;

export interface Upstream {
  readonly service: 'issuer' | 'workspace';
  readonly headers: Record<string, string>;
  readonly body: Buffer | Readable | null;
}

export interface RelayOptions {
  readonly pools: WorkloadPools;
  /** The issuer has changed the session: tokens of the cookie that came in are worthless now. */
  onSessionChange(kind: 'set' | 'clear'): void;
  /** The issuer has revoked these persons' sessions. */
  onRevoke(personIds: readonly string[]): void;
  /** The service did not accept the token. */
  onUnauthorised(): void;
}

/**
 * Sends the request on and the answer back, in pieces, as fast as the slower side takes them. A 404 is replaced by the
 * edge's own; a browser that goes away ends the request behind it. A read whose connection broke before any answer is
 * sent once more (the service may have been restarted); nothing else is ever sent twice.
 */
export function relay(exchange: Exchange, upstream: Upstream, options: RelayOptions): void {
  dispatch(exchange, upstream, { options, retry: exchange.method === 'GET' && upstream.body === null });
}

function dispatch(
  exchange: Exchange,
  upstream: Upstream,
  state: { readonly options: RelayOptions; readonly retry: boolean },
): void {
  const { request, response } = exchange;
  let controller: Dispatcher.DispatchController | undefined;
  let masked = false;
  let told: number | undefined;
  let over = false;
  const onGone = () => {
    if (!over) controller?.abort(new Error('the client went away'));
  };
  response.once('close', onGone);
  const resume = () => controller?.resume();
  const path = exchange.query === '' ? exchange.path : `${exchange.path}?${exchange.query}`;
  const fail = (error: Error & { code?: string }) => {
    over = true;
    response.off('close', onGone);
    if (response.destroyed) return;
    if (!response.headersSent && state.retry && error.code === 'UND_ERR_SOCKET') {
      dispatch(exchange, upstream, { ...state, retry: false });
    } else
      sendProblem(exchange, error.code === 'body_too_large' ? 'body_too_large' : 'service_unavailable', {
        retryAfter_seconds: 1,
      });
  };
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(started) {
      controller = started;
      if (response.destroyed) started.abort(new Error('the client went away'));
    },
    onResponseStart(_controller, status, headers) {
      if (status < 200) return;
      if (status === 401) state.options.onUnauthorised();
      // What failed is said to administrators, inside; whoever came by a redirect gets a page that says how to go on.
      const isPage = exchange.answers === 'page';
      if (isPage && status >= 400 && status !== 404) told = status;
      if (isUntold(exchange, status, headers)) told = status;
      if (isPage && status === 303 && !LEADS_TO.test(String(headers['location']))) told = 500;
      masked = status === 404 || told !== undefined;
      if (!masked) writeHead(exchange, status, { headers, upstream, options: state.options });
    },
    onResponseData(_controller, piece) {
      if (!masked && !response.write(piece)) {
        controller?.pause();
        response.once('drain', resume);
      }
    },
    onResponseEnd() {
      over = true;
      response.off('close', onGone);
      if (told !== undefined) sendTold(exchange, told);
      else if (masked) sendNotFound(exchange);
      else response.end();
    },
    onResponseError: (_controller, error) => fail(error),
  };
  try {
    state.options.pools
      .to(upstream.service)
      .dispatch({ method: request.method as 'GET', path, headers: upstream.headers, body: upstream.body }, handler);
  } catch (error) {
    fail(error as Error);
  }
}

/**
 * Of a route with errors of its own form: what the service did not say in that form, such as a body that its schema
 * refuses; and a token of a directory, or of a receiver of signals, that was refused.
 */
function isUntold(
  { answers }: Exchange,
  status: number,
  headers: Record<string, string | string[] | undefined>,
): boolean {
  if (answers === 'problem' || answers === 'page' || status < 400 || status === 404) return false;
  if (answers !== 'oauth' && status === 401) return true;
  return !String(headers['content-type']).startsWith(FORMS[answers]);
}

const FORMS = { scim: SCIM_MEDIA_TYPE, oauth: OAUTH_MEDIA_TYPE, ssf: SSF_MEDIA_TYPE } as const;

/** In the edge's own words what a service has refused. */
function sendTold(exchange: Exchange, status: number): void {
  if (exchange.answers === 'page') return sendPlainError(exchange, status);
  if ((exchange.answers === 'scim' || exchange.answers === 'ssf') && status === 401) return sendTokenRefused(exchange);
  if (status === 429) return sendProblem(exchange, 'rate_limited', { retryAfter_seconds: 5 });
  return sendProblem(exchange, status === 413 ? 'body_too_large' : status < 500 ? 'input_invalid' : 'internal');
}

function writeHead(
  exchange: Exchange,
  status: number,
  {
    headers,
    upstream,
    options,
  }: { headers: Record<string, string | string[] | undefined>; upstream: Upstream; options: RelayOptions },
): void {
  const list: string[] = [...exchange.headers.api, REQUEST_ID_HEADER, exchange.requestId];
  for (const name of PASSED_ON) {
    const value = headers[name];
    if (typeof value === 'string') list.push(name, value);
  }
  if (exchange.answers === 'page' && status === 303) list.push('location', headers['location'] as string);
  if (exchange.answers === 'scim')
    for (const name of TOLD_TO_DIRECTORIES) {
      const value = headers[name];
      if (typeof value === 'string') list.push(name, value);
    }
  const nonce = headers[NONCE_HEADER];
  if (exchange.answers === 'oauth' && typeof nonce === 'string') list.push(NONCE_HEADER, nonce);
  list.push(...nonceLine(exchange));
  // Only the issuer speaks about sessions: a workspace that was taken over must not hand out cookies.
  if (upstream.service === 'issuer') {
    const session = headers[SESSION_HEADER];
    const change = typeof session === 'string' ? sessionChange(session, exchange.cookieName) : undefined;
    if (change !== undefined) {
      list.push('set-cookie', change.cookie);
      options.onSessionChange(change.kind);
    }
    const browser = headers[BROWSER_HEADER];
    const bound = typeof browser === 'string' ? browserCookie(browser) : undefined;
    if (bound !== undefined) list.push('set-cookie', bound);
    const revoked = headers[REVOKE_HEADER];
    if (typeof revoked === 'string') options.onRevoke(revoked.split(',').map((id) => id.trim()));
  }
  if (!exchange.request.complete) list.push('connection', 'close');
  exchange.response.writeHead(status, STATUS_CODES[status] ?? '', list);
}
