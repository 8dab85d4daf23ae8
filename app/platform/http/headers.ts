/** Headers that travel between the processes. None of them is taken from a browser: the gateway writes them all. */

/** One id per request, made by the gateway, fixed length (a UUID). */
export const REQUEST_ID_HEADER = 'x-request-id';
/** The transaction token (draft-ietf-oauth-transaction-tokens). */
export const TOKEN_HEADER = 'txn-token';
/** base64url JSON {challengeId, assertion}; the one header of the browser that is passed on, on step-up routes only. */
export const STEP_UP_HEADER = 'x-step-up';
/** A client's proof that it holds its key (RFC 9449); passed on to the issuer on routes of OAuth only. */
export const PROOF_HEADER = 'dpop';
/** RFC 9449 8: what the next proof has to hold. */
export const NONCE_HEADER = 'dpop-nonce';
/** The media type that a server of another house gave its message, on routes of shared signals only. */
export const SAID_TYPE_HEADER = 'x-auditrax-said-type';
/** `edge` or `tryout`: the door that the request came through; set on every request that the gateway forwards. */
export const DOOR_HEADER = 'x-auditrax-door';
/**
 * The session cookie's value, forwarded on `public` routes of the issuer only (it looks sessions up itself, replaces
 * the old session at sign-in, and answers "who is signed in?" without a token).
 */
export const COOKIE_HEADER = 'x-auditrax-cookie';
/** The client's address as the gateway saw it, for the issuer's own limits; never a key to anything. */
export const CLIENT_HEADER = 'x-auditrax-client';
/**
 * Reply header of the issuer: `set;<value>;<maxAgeSeconds>` or `clear`. The gateway turns it into the door's cookie
 * and drops the cached tokens of the cookie that came in (on `clear`: of that person altogether).
 */
export const SESSION_HEADER = 'x-auditrax-session';
/** Reply header of the issuer: person ids (comma separated) whose cached tokens the gateway drops at once. */
export const REVOKE_HEADER = 'x-auditrax-revoke';

/**
 * The secret by which a sign-in under way is bound to one browser; forwarded on `foreign` routes of the issuer. As a reply
 * header of the issuer: `set;<value>;<maxAgeSeconds>`, which the gateway turns into a cookie that also comes along when
 * another site's page sends the browser back.
 */
export const BROWSER_HEADER = 'x-auditrax-browser';

/** What the issuer answers to have the gateway bind the browser. `value` is base64url. */
export function bindBrowser(value: string, maxAge_seconds: number): Readonly<Record<string, string>> {
  return { [BROWSER_HEADER]: `set;${value};${maxAge_seconds}` };
}

/** What the issuer answers to have the gateway set the session cookie. `value` is base64url. */
export function setSession(value: string, maxAge_seconds: number): Readonly<Record<string, string>> {
  return { [SESSION_HEADER]: `set;${value};${maxAge_seconds}` };
}

/** What the issuer answers to have the gateway clear the session cookie. */
export const clearSession: Readonly<Record<string, string>> = { [SESSION_HEADER]: 'clear' };
