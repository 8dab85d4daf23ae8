import type { IncomingMessage, ServerResponse } from 'node:http';
import type { EdgeDoor } from '../http/handler.ts';
import { REQUEST_ID_HEADER } from '../http/headers.ts';
import { PROBLEM_MEDIA_TYPE, coreProblem, type CoreCode } from '../http/problems.ts';
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
  /** A person whom a redirect or a form brought here: errors are pages to read. */
  answersPages: boolean;
  readonly floor: NotFoundFloor;
}

export interface ProblemExtra {
  readonly field?: string;
  readonly detail?: string;
  readonly retryAfter_seconds?: number;
}

/** Answers with a problem, unless an answer has begun (then the connection is all that can be ended). */
export function sendProblem(
  exchange: Exchange,
  code: CoreCode,
  { retryAfter_seconds, ...extra }: ProblemExtra = {},
): void {
  const { request, response, headers, requestId } = exchange;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const problem = coreProblem(code, requestId, extra);
  const more = [
    ...(retryAfter_seconds === undefined ? [] : ['retry-after', String(retryAfter_seconds)]),
    // Whoever is refused in the middle of a body must not keep the connection busy with the rest of it.
    ...(request.complete ? [] : ['connection', 'close']),
  ];
  if (exchange.answersPages) return sendPlainError(exchange, problem.status, more);
  const body = JSON.stringify(problem);
  response.writeHead(problem.status, [
    ...headers.api,
    'content-type',
    PROBLEM_MEDIA_TYPE,
    'content-length',
    String(Buffer.byteLength(body)),
    REQUEST_ID_HEADER,
    requestId,
    ...more,
  ]);
  response.end(exchange.method === 'HEAD' ? undefined : body);
}

/** The one 404 of the edge: same bytes but for the request id, same headers, same floor of time, whatever the cause. */
export function sendNotFound(exchange: Exchange): void {
  const elapsed_ms = performance.now() - exchange.arrived_ms;
  setTimeout(() => sendProblem(exchange, 'not_found'), exchange.floor.waitFor(elapsed_ms));
}
