/** Signatures that clients may use: two, both with keys that fit a JWK of a few dozen bytes. Never `none`, never a secret. */
export const SIGNATURES = ['ES256', 'Ed25519'] as const;

/** A stolen access token is worth minutes, and only to whoever holds the client's key too. */
export const ACCESS_TOKEN_SECONDS = 300;
/** A code goes from one redirect to the client's next request. */
export const CODE_SECONDS = 60;
/** Somebody who has to sign in first needs minutes; the client has to bring the browser within one. */
export const REQUEST_SECONDS = 600;
/** A client that nobody has used for two weeks asks again. */
export const REFRESH_TOKEN_SECONDS = 1_209_600;
/** Nobody remembers after a quarter what they have allowed; the database refuses more. */
export const GRANT_SECONDS = 7_776_000;
/** How far the clock of a client's machine may be off, either way. */
export const PROOF_AGE_SECONDS_MAX = 60;
/** Until then a proof is remembered: longer than it could be shown again. */
export const PROOF_KEPT_SECONDS = 3 * PROOF_AGE_SECONDS_MAX;
