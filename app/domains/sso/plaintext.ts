/** Columns of this room that are stored in the clear, each with the reason. Read by the schema lint. */
export const plaintextColumns: readonly { readonly column: string; readonly reason: string }[] = [
  { column: 'identity.sso_request.state_hash', reason: 'SHA-256 of 256 random bits, looked up by equality' },
  { column: 'identity.sso_request.browser_hash', reason: 'SHA-256 of 256 random bits' },
  { column: 'identity.sso_request.purpose', reason: 'enumeration' },
  { column: 'identity.sso_request.payload', reason: 'encrypted under a key that only the browser’s cookie gives' },
  { column: 'identity.sso_request.link_hash', reason: 'SHA-256 of 256 random bits' },
  { column: 'identity.seen_token.token_hash', reason: 'hash of a random id; lives for minutes' },
];
