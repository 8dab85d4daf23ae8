import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

/**
 * How the gateway turns a session cookie into a transaction token. The issuer implements the handler; the gateway only
 * carries the cookie and never learns what it means.
 *
 * A cookie that is unknown, expired or of another door: the issuer throws `session_required` (401); of a session that
 * was ended for its attempts: `session_ended` (401); of one whose person nobody has vouched for lately:
 * `company_sign_in_required` (401). A step-up header
 * that cannot be accepted: `step_up_refused` (403).
 */
export const tokenRoutes = defineRoutes({
  mint: {
    operation: 'identity.mint-token',
    service: 'issuer',
    method: 'POST',
    path: '/internal/identity/token',
    access: { kind: 'internal', callers: ['gateway'], token: false },
    ids: {},
    body: z.strictObject({
      /** The cookie's value, as the browser sent it. */
      cookie: z.string().min(16).max(512),
      /** It is no cookie but an API key, sent as a bearer. A cookie is never taken for one, nor one for a cookie. */
      key: z.literal(true).optional(),
      /** The door it came through; sessions of one door are unknown to the other. */
      door: z.enum(['edge', 'tryout']),
      /** The service that the token is for (`aud`). */
      destination: z.enum(['issuer', 'workspace']),
      routeClass: z.enum(['read', 'write', 'privileged']),
      /** The `x-step-up` header, on routes that want one; such a token is never cached. */
      stepUp: z.string().min(1).max(8192).optional(),
      /** The operation that asked first; a cached token may later serve others of the same class. */
      operation: z.string().min(3).max(100),
    }),
    bodyBytesMax: 16_384,
    replies: {
      200: z.strictObject({
        token: z.string().max(8192),
        /** Milliseconds since the Unix epoch; the end of the token's life. */
        expiresAt: z.number().int().positive(),
        tenantId: z.uuid(),
        tenantPart: z.number().int().min(0).max(0xffff_ffff),
        personId: z.uuid(),
        /** By which the issuer says that it is over. */
        sessionId: z.uuid(),
      }),
    },
  },
});

/** Goes into a header as it is. */
const nonce = z.string().regex(/^[A-Za-z0-9_-]{16,128}$/);

/**
 * How the gateway turns a program's access token and proof into a transaction token for the workspace. It carries both and
 * knows neither's meaning; the issuer verifies them against the request as the gateway received it.
 *
 * A token or proof that does not hold: the issuer throws `api_token_refused` (401). Beyond what was allowed:
 * `operation_refused` (403).
 */
export const apiTokenRoutes = defineRoutes({
  mint: {
    operation: 'authorisation-server.mint-token',
    service: 'issuer',
    method: 'POST',
    path: '/internal/authorisation-server/token',
    access: { kind: 'internal', callers: ['gateway'], token: false },
    ids: {},
    body: z.strictObject({
      accessToken: z.string().min(16).max(512),
      proof: z.string().min(16).max(4096),
      method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']),
      /** Without query. */
      path: z.string().max(2048),
      routeClass: z.enum(['read', 'write']),
    }),
    bodyBytesMax: 16_384,
    replies: {
      200: z.union([
        z.strictObject({ ...tokenRoutes.mint.replies[200].shape, nextNonce: nonce.nullable() }),
        /** Nothing is wrong with the proof but its nonce: it is to be made once more, with this one. */
        z.strictObject({ useNonce: nonce }),
      ]),
    },
  },
});
