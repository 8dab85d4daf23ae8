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

/** What stands behind a program's access token; without `session` nothing does, or not with this proof. */
export interface ProgramVerdict {
  readonly session?: SessionToken;
  /** What the program's next proof is to hold (RFC 9449 8). */
  readonly nonce?: string;
}

/**
 * Asks the issuer about a program's token for this one request. Never kept, since each request brings a proof of its own.
 * Rejects with `operation_refused`, and when the issuer cannot say.
 */
export async function programToken(
  client: InternalClient,
  exchange: Exchange,
  of: { readonly authorization: string; readonly routeClass: 'read' | 'write' },
): Promise<ProgramVerdict> {
  const accessToken = AUTHORIZATION.exec(of.authorization)?.[1];
  // Node joins what comes twice with a comma, and two proofs are none.
  const proof = exchange.request.headers[PROOF_HEADER];
  const method = METHODS.find((one) => one === exchange.method);
  if (accessToken === undefined || typeof proof !== 'string' || !PROOF.test(proof) || method === undefined) return {};
  try {
    const { path, requestId } = exchange;
    const order = { accessToken, proof, method, path, routeClass: of.routeClass };
    const { body } = await client.call(apiTokenRoutes.mint, { requestId, body: order });
    if ('useNonce' in body) return { nonce: body.useNonce };
    const { token, expiresAt, tenantPart, personId, sessionId, nextNonce } = body;
    return {
      session: { token, expiresAtMs: expiresAt, tenantPart, personId, sessionId },
      ...(nextNonce === null ? {} : { nonce: nextNonce }),
    };
  } catch (error) {
    if (isAppError(error, 'api_token_refused')) return {};
    throw error;
  }
}
