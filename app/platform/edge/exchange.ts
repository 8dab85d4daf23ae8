import type { IncomingMessage, ServerResponse } from 'node:http';
import type { EdgeDoor } from '../http/handler.ts';
import { NONCE_HEADER, REQUEST_ID_HEADER } from '../http/headers.ts';
import { PROBLEM_MEDIA_TYPE, coreProblem, type CoreCode, type Problem } from '../http/problems.ts';
import type { Uuid } from '@auditrax/base';
import { sendPlainError } from './plain-error.ts';
import type { NotFoundFloor } from './not-found-floor.ts';
import type { SecurityHeaders } from './security-headers.ts';

/** One request at the edge and what is known of it. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly door: EdgeDoor;
  readonly cookieName: string;
  /** Undefined: a load balancer did not say whose request it is; nothing is served then. */
  readonly clientAddress: string | undefined;
  readonly requestId: Uuid;
  /** `performance.now()` at arrival. */
  readonly arrived_ms: number;
  readonly headers: SecurityHeaders;
  readonly method: string;
  readonly path: string;
  /** Raw, without the question mark; empty when there is none. */
  readonly query: string;
  operation: string;
  /**
   * In what form errors are told: a page to a person whom a redirect or a form brought here, SCIM's own to a directory,
   * OAuth's own to a program, that of shared signals to whoever sends or fetches them.
   */
  answers: 'problem' | 'page' | 'scim' | 'oauth' | 'ssf';
  readonly floor: NotFoundFloor;
  /** Told to a program with whatever the answer is: what its next proof is to hold (RFC 9449 8). */
  nonce?: string | undefined;
}

export interface ProblemExtra {
  readonly field?: string;
  readonly detail?: string;
  readonly retryAfter_seconds?: number;
  /** Of a 401: by what somebody may prove who they are. */
  readonly challenge?: string;
}

/** RFC 7644 3.1. */
export const SCIM_MEDIA_TYPE = 'application/scim+json';

/** The line about the next proof, where there is one to be told. */
export function nonceLine({ nonce }: Exchange): readonly string[] {
  return nonce === undefined ? [] : [NONCE_HEADER, nonce];
}

/** Answers with a problem, unless an answer has begun (then the connection is all that can be ended). */
export function sendProblem(
  exchange: Exchange,
  code: CoreCode,
  { retryAfter_seconds, challenge, ...extra }: ProblemExtra = {},
): void {
  const { request, response, headers, requestId } = exchange;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const problem = coreProblem(code, requestId, extra);
  const more = [
    ...(retryAfter_seconds === undefined ? [] : ['retry-after', String(retryAfter_seconds)]),
    ...(challenge === undefined ? [] : ['www-authenticate', challenge]),
    ...nonceLine(exchange),
    // Whoever is refused in the middle of a body must not keep the connection busy with the rest of it.
    ...(request.complete ? [] : ['connection', 'close']),
  ];
  if (exchange.answers === 'page') return sendPlainError(exchange, problem.status, more);
  const { type, body } = spell(exchange.answers, problem);
  response.writeHead(problem.status, [
    ...headers.api,
    'content-type',
    type,
    'content-length',
    String(Buffer.byteLength(body)),
    REQUEST_ID_HEADER,
    requestId,
    ...more,
  ]);
  response.end(exchange.method === 'HEAD' ? undefined : body);
}

/** RFC 8935 2.4. */
export const SSF_MEDIA_TYPE = 'application/json';

/** RFC 6749 5.2. */
export const OAUTH_MEDIA_TYPE = 'application/json';

/** A problem in the form that the other side reads. */
function spell(answers: Exchange['answers'], problem: Problem): { readonly type: string; readonly body: string } {
  if (answers === 'scim') return { type: SCIM_MEDIA_TYPE, body: JSON.stringify(scimProblem(problem)) };
  if (answers === 'oauth') return { type: OAUTH_MEDIA_TYPE, body: JSON.stringify(oauthError(problem.status)) };
  if (answers === 'ssf') return { type: SSF_MEDIA_TYPE, body: JSON.stringify(deliveryError(problem)) };
  return { type: PROBLEM_MEDIA_TYPE, body: JSON.stringify(problem) };
}

/** What the edge itself refuses, as a program reads it: no word about why. */
function oauthError(status: number): { readonly error: string } {
  return { error: status < 500 && status !== 429 ? 'invalid_request' : 'temporarily_unavailable' };
}

/** RFC 8935 2.3: what the edge itself refuses; whatever is no fault of the event is asked for again by its status. */
function deliveryError({ status, title }: Problem): { readonly err: string; readonly description: string } {
  return { err: status === 401 ? 'authentication_failed' : 'invalid_request', description: `${title}.` };
}

/** RFC 7644 3.12. */
function scimProblem({ status, title, detail }: Problem) {
  const text = detail === undefined ? `${title}.` : `${title}: ${detail}.`;
  return { schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'], status: String(status), detail: text };
}

/**
 * Whoever's token was refused waits as long as for a 404: whether a connection, a token or nothing at all was known takes
 * different work.
 */
export function sendTokenRefused(exchange: Exchange, challenge = 'Bearer'): void {
  const elapsed_ms = performance.now() - exchange.arrived_ms;
  setTimeout(() => sendProblem(exchange, 'token_refused', { challenge }), exchange.floor.waitFor(elapsed_ms));
}

/** The one 404 of the edge: same bytes but for the request id, same headers, same floor of time, whatever the cause. */
export function sendNotFound(exchange: Exchange): void {
  const elapsed_ms = performance.now() - exchange.arrived_ms;
  setTimeout(() => sendProblem(exchange, 'not_found'), exchange.floor.waitFor(elapsed_ms));
}
