import type { Clock } from '@auditrax/base';
import {
  allowInsecureRequests,
  ClientSecretBasic,
  ClientSecretPost,
  clockSkew,
  clockTolerance,
  Configuration,
  PrivateKeyJwt,
  type ClientAuth,
} from 'openid-client';
import type { OidcConnection } from './connection.ts';
import type { OidcProvider } from './discovery.ts';
import { CLOCK_SKEW_MS } from './limits.ts';

const NOT_EXTRACTABLE = false;

/** The library counts whole seconds of another clock; at the very limit the checks here decide. */
const ROUNDING_SECONDS = 3;

function clientAuthentication({ clientAuthentication: given }: OidcConnection): ClientAuth {
  if (given.method !== 'private_key_jwt')
    return given.method === 'client_secret_basic' ? ClientSecretBasic(given.secret) : ClientSecretPost(given.secret);
  const algorithm =
    given.privateKey.asymmetricKeyType === 'rsa'
      ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
      : { name: 'ECDSA', namedCurve: 'P-256' };
  const key = given.privateKey.toCryptoKey(algorithm, NOT_EXTRACTABLE, ['sign']);
  // The assertion's audience is the issuer, which no second provider could pass on; the library does so by itself.
  return PrivateKeyJwt(given.kid === undefined ? key : { key, kid: given.kid });
}

/**
 * The library's view of a connection. Its own discovery is not used: it compares addresses instead of texts, and takes
 * the templated issuer of Entra. Its own clock is set by ours.
 */
export function libraryConfiguration(connection: OidcConnection, provider: OidcProvider, clock: Clock): Configuration {
  const configuration = new Configuration(
    {
      issuer: provider.issuer,
      authorization_endpoint: provider.authorizationEndpoint,
      token_endpoint: provider.tokenEndpoint,
      jwks_uri: provider.jwksUri,
      authorization_response_iss_parameter_supported: provider.namesItself,
      ...(provider.endSessionEndpoint === undefined ? {} : { end_session_endpoint: provider.endSessionEndpoint }),
    },
    connection.clientId,
    {
      id_token_signed_response_alg: connection.algorithm,
      [clockSkew]: Math.round((clock.nowMs() - Date.now()) / 1000),
      [clockTolerance]: CLOCK_SKEW_MS / 1000 + ROUNDING_SECONDS,
    },
    clientAuthentication(connection),
  );
  if (connection.isRehearsal) allowInsecureRequests(configuration);
  return configuration;
}
