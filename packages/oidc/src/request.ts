import { createHash } from 'node:crypto';
import { toBase64Url, type Clock, type Random } from '@auditrax/base';
import { buildAuthorizationUrl } from 'openid-client';
import type { OidcConnection } from './connection.ts';
import type { OidcProvider } from './discovery.ts';
import { refusal } from './errors.ts';
import { libraryConfiguration } from './library.ts';
import { PROFILES } from './profiles.ts';

/** What the caller keeps until the answer comes, looked up by its state and the browser, and consumed once. */
export interface StoredSignIn {
  /** Opaque and unguessable, 43 characters. */
  readonly state: string;
  readonly nonce: string;
  /** Secret: whoever has it and the code can ask for the tokens. Sealed at rest. */
  readonly verifier: string;
  readonly issuedAt_ms: number;
  /** The connection that this was made for, by what makes it another one. */
  readonly issuer: string;
  readonly clientId: string;
  readonly redirectUri: string;
  /** The provider had promised to name itself in the answer (RFC 9207). */
  readonly mustNameItself: boolean;
  /** The person was to sign in anew; an older sign-in is refused. */
  readonly isFresh: boolean;
}

export interface SignInOptions {
  /** Ask for a new sign-in, whatever session the provider still has. */
  readonly isFresh?: boolean;
  readonly clock: Clock;
  readonly random: Random;
}

const UNGUESSABLE_BYTES = 32;

/**
 * A request to sign in: authorization code with PKCE (S256), state and nonce. The caller keeps `request` bound to the
 * browser that asked, sends the browser on to `url`, and hands `request` back to `finishSignIn` once. Throws
 * `oidc_fresh_unsupported` where a new sign-in cannot be had.
 */
export function startSignIn(
  connection: OidcConnection,
  provider: OidcProvider,
  options: SignInOptions,
): { readonly request: StoredSignIn; readonly url: string } {
  const { isFresh = false, clock, random } = options;
  const rules = PROFILES[connection.profile];
  if (isFresh && rules.freshness === 'never') throw refusal('oidc_fresh_unsupported');
  const unguessable = () => toBase64Url(random.bytes(UNGUESSABLE_BYTES));
  const request: StoredSignIn = {
    state: unguessable(),
    nonce: unguessable(),
    verifier: unguessable(),
    issuedAt_ms: clock.nowMs(),
    issuer: connection.issuer,
    clientId: connection.clientId,
    redirectUri: connection.redirectUri,
    mustNameItself: provider.namesItself,
    isFresh,
  };
  const age_seconds = isFresh ? 0 : connection.authnAge_seconds_max;
  const url = buildAuthorizationUrl(libraryConfiguration(connection, provider, clock), {
    response_type: 'code',
    redirect_uri: request.redirectUri,
    scope: rules.scope(connection.issuer, connection.claims.groups !== undefined),
    state: request.state,
    nonce: request.nonce,
    code_challenge: createHash('sha256').update(request.verifier, 'ascii').digest('base64url'),
    code_challenge_method: 'S256',
    ...(age_seconds === undefined ? {} : { max_age: String(age_seconds) }),
    ...(isFresh ? { prompt: 'login' } : {}),
  });
  return { request, url: url.href };
}
