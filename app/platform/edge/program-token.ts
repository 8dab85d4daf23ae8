import { isAppError } from '@auditrax/base';
import type { InternalClient } from '../http/client.ts';
import { PROOF_HEADER } from '../http/headers.ts';
import type { Exchange } from './exchange.ts';
import type { SessionToken } from './token-cache.ts';
import { apiTokenRoutes } from './token-contract.ts';

/** RFC 9449 7.1; a bearer token, which works for whoever copied it, is not among them. */
const AUTHORIZATION = /^DPoP ([A-Za-z0-9_-]{16,512})$/;
const PROOF = /^[A-Za-z0-9_.-]{16,4096}$/;
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

/**
 * What stands behind a program's access token for this one request; undefined: nothing does. Never kept, since each request
 * brings a proof of its own. Rejects with `operation_refused`, and when the issuer cannot say.
 */
export async function programToken(
  client: InternalClient,
  exchange: Exchange,
  of: { readonly authorization: string; readonly routeClass: 'read' | 'write' },
): Promise<SessionToken | undefined> {
  const accessToken = AUTHORIZATION.exec(of.authorization)?.[1];
  // Node joins what comes twice with a comma, and two proofs are none.
  const proof = exchange.request.headers[PROOF_HEADER];
  const method = METHODS.find((one) => one === exchange.method);
  if (accessToken === undefined || typeof proof !== 'string' || !PROOF.test(proof) || method === undefined)
    return undefined;
  try {
    const { path, requestId } = exchange;
    const order = { accessToken, proof, method, path, routeClass: of.routeClass };
    const { body } = await client.call(apiTokenRoutes.mint, { requestId, body: order });
    const { token, expiresAt, tenantPart, personId, sessionId } = body;
    return { token, expiresAtMs: expiresAt, tenantPart, personId, sessionId };
  } catch (error) {
    if (isAppError(error, 'api_token_refused')) return undefined;
    throw error;
  }
}
