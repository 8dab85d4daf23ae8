import type { Clock } from '@auditrax/base';
import { buildEndSessionUrl } from 'openid-client';
import { checkParties, identifierOf, subjectOf, timeOf } from './claims.ts';
import type { OidcConnection } from './connection.ts';
import type { OidcProvider } from './discovery.ts';
import { refusal } from './errors.ts';
import type { KeySource } from './keys.ts';
import { libraryConfiguration } from './library.ts';
import { CLOCK_SKEW_MS, LOGOUT_AGE_MS_MAX } from './limits.ts';
import { claimOf, verifyToken, type TokenClaims } from './token.ts';

/** Back-Channel Logout 2.4. */
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const LOGOUT_TOKEN_TYPES = ['logout+jwt'] as const;

/** Whose sessions end: of a person, of one session at the provider, or of both together. */
export interface LogoutOrder {
  /** `sub`, to be compared with the `subject` of the sign-in. */
  readonly subject: string | undefined;
  /** `sid`. With it only sessions of this id end; without it all of the person. */
  readonly sessionId: string | undefined;
  readonly tokenId: string;
  readonly issuedAt_ms: number;
}

export interface LogoutPorts {
  readonly clock: Clock;
  /**
   * Says whether (this connection, `tokenId`) is new. Called last, once, and for accepted tokens only. The caller remembers
   * it until `forget_ms`, at the latest when what it says is done: a word that was lost on the way must be heard again.
   */
  once(tokenId: string, forget_ms: number): Promise<boolean>;
}

/** O38: no longer than two minutes in use. Tokens of older providers have no `exp`. */
function checkLogoutTimes(claims: TokenClaims, now_ms: number): number {
  const issued_ms = timeOf(claims, 'iat');
  if (issued_ms === undefined) throw refusal('oidc_logout_time', 'iat is missing');
  if (issued_ms > now_ms + CLOCK_SKEW_MS || issued_ms < now_ms - LOGOUT_AGE_MS_MAX - CLOCK_SKEW_MS)
    throw refusal('oidc_logout_time', 'iat');
  const expires_ms = timeOf(claims, 'exp');
  if (expires_ms !== undefined && expires_ms <= now_ms - CLOCK_SKEW_MS) throw refusal('oidc_expired');
  return issued_ms;
}

/** O39: the event and nothing that would make it an ID token. */
function checkEvent(claims: TokenClaims): void {
  const events = claimOf(claims, 'events');
  const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject(events) || !Object.hasOwn(events, LOGOUT_EVENT) || !isObject(events[LOGOUT_EVENT]))
    throw refusal('oidc_logout_event');
  if (claimOf(claims, 'nonce') !== undefined) throw refusal('oidc_logout_nonce');
}

/**
 * Verifies a logout token that a provider posts as `logout_token` to the address of a connection, or throws an
 * AppError<OidcCode> that names the failed check.
 */
export async function verifyLogoutToken(
  input: { readonly token: string; readonly connection: OidcConnection; readonly keys: KeySource },
  ports: LogoutPorts,
): Promise<LogoutOrder> {
  const { token, connection, keys } = input;
  const claims = await verifyToken(token, { algorithm: connection.algorithm, types: LOGOUT_TOKEN_TYPES }, keys);
  checkParties(claims, connection);
  const issuedAt_ms = checkLogoutTimes(claims, ports.clock.nowMs());
  checkEvent(claims);
  const subject = claimOf(claims, 'sub') === undefined ? undefined : subjectOf(claims);
  const sessionId = identifierOf(claims, 'sid');
  if (subject === undefined && sessionId === undefined) throw refusal('oidc_logout_target');
  const tokenId = identifierOf(claims, 'jti', 'oidc_logout_id');
  if (tokenId === undefined) throw refusal('oidc_logout_id');
  const isNew = await ports.once(tokenId, issuedAt_ms + LOGOUT_AGE_MS_MAX + 2 * CLOCK_SKEW_MS);
  if (!isNew) throw refusal('oidc_replayed');
  return { subject, sessionId, tokenId, issuedAt_ms };
}

/**
 * Where to send a browser that signs out here, so that the provider's session ends too (RP-Initiated Logout 1.0);
 * undefined where the provider has no such address. `state` is opaque and comes back with the browser.
 */
export function endSessionUrl(
  connection: OidcConnection,
  provider: OidcProvider,
  session: { readonly idToken?: string; readonly state: string; readonly clock: Clock },
): string | undefined {
  if (provider.endSessionEndpoint === undefined) return undefined;
  const { postLogoutRedirectUri } = connection;
  const parameters = {
    ...(session.idToken === undefined ? {} : { id_token_hint: session.idToken }),
    ...(postLogoutRedirectUri === undefined
      ? {}
      : { post_logout_redirect_uri: postLogoutRedirectUri, state: session.state }),
  };
  return buildEndSessionUrl(libraryConfiguration(connection, provider, session.clock), parameters).href;
}
