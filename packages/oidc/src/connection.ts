import { RSA_BITS_MIN } from '@auditrax/base/key-set';
import { isSecureAddress } from '@auditrax/base/remote';
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { refusal } from './errors.ts';
import {
  AUTHN_AGE_SECONDS_MAX,
  AUTHN_AGE_SECONDS_MIN,
  CLAIM_NAME_CHARACTERS_MAX,
  CLIENT_ID_CHARACTERS_MAX,
  ISSUER_CHARACTERS_MAX,
  KEY_ID_CHARACTERS_MAX,
  SECRET_CHARACTERS_MAX,
  URL_CHARACTERS_MAX,
} from './limits.ts';
import { fitsProfile, PROFILES, type ProviderProfile } from './profiles.ts';

/** Algorithms of ID tokens. A connection has exactly one; `none` and shared secrets are not among them. */
export const ID_TOKEN_ALGORITHMS = ['RS256', 'PS256', 'ES256'] as const;
export type IdTokenAlgorithm = (typeof ID_TOKEN_ALGORITHMS)[number];

/** What an administrator or a stored row says about a connection; nothing in it is trusted yet. */
export interface OidcConnectionInput {
  readonly profile: string;
  /** Exactly as the provider writes it, trailing slash or none included. */
  readonly issuer: string;
  readonly clientId: string;
  readonly clientAuthentication:
    | { readonly method: 'client_secret_basic' | 'client_secret_post'; readonly secret: string }
    /** PEM, PKCS #8; RSA or EC P-256. `kid` as the provider knows the key. */
    | { readonly method: 'private_key_jwt'; readonly privateKey: string; readonly kid?: string };
  /** One address for each connection, so that an answer cannot be carried to another one. */
  readonly redirectUri: string;
  /** Where the browser may come back to after a sign-out at the provider. */
  readonly postLogoutRedirectUri?: string;
  readonly algorithm?: string;
  /** Names of claims. `email` and `name` are for display only. Without `groups` none are read. */
  readonly claims?: { readonly groups?: string; readonly email?: string; readonly name?: string };
  /** Google only: the domain that every account has to belong to. */
  readonly hostedDomain?: string;
  /** How long ago somebody may have signed in at the provider, in seconds. Without it nothing is asked. */
  readonly authnAge_seconds_max?: number;
}

export type ClientAuthentication =
  | { readonly method: 'client_secret_basic' | 'client_secret_post'; readonly secret: string }
  | { readonly method: 'private_key_jwt'; readonly privateKey: KeyObject; readonly kid: string | undefined };

/** A checked connection. Only {@link parseOidcConnection} makes one. */
export interface OidcConnection {
  readonly profile: ProviderProfile;
  readonly issuer: string;
  readonly clientId: string;
  readonly clientAuthentication: ClientAuthentication;
  readonly redirectUri: string;
  readonly postLogoutRedirectUri: string | undefined;
  readonly algorithm: IdTokenAlgorithm;
  readonly claims: { readonly groups: string | undefined; readonly email: string; readonly name: string };
  readonly hostedDomain: string | undefined;
  readonly authnAge_seconds_max: number | undefined;
  /** Plain http to the machine itself is let pass: a rehearsal, never a connection of a tenant. */
  readonly isRehearsal: boolean;
}

export interface ConnectionOptions {
  /** For tests against a provider on this machine: allows http to 127.0.0.1, and to nothing else. */
  readonly rehearsal?: boolean;
}

const invalid = (field: string, detail: string) => refusal('oidc_setting_invalid', `${field}: ${detail}`, { field });

function isOneOf<T extends string>(list: readonly T[], text: string): text is T {
  return (list as readonly string[]).includes(text);
}

function plainText(text: string, field: string, characters_max: number): string {
  if (typeof text !== 'string' || !/^[\x21-\x7e]+$/.test(text) || text.length > characters_max)
    throw invalid(field, 'empty, too long, or with blanks or characters outside of ASCII');
  return text;
}

function issuerOf(text: string, profile: ProviderProfile, isRehearsal: boolean): string {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  // `{tenantid}` is what the templated issuer of Entra's `common` has: it would stand for every directory.
  const isOne = url !== undefined && text.length <= ISSUER_CHARACTERS_MAX && /^[\w.~:/%@!$&'()*+,;=[\]-]+$/.test(text);
  if (!isOne || !isSecureAddress(url, isRehearsal)) throw refusal('oidc_issuer_form', undefined, { field: 'issuer' });
  // One name, one spelling: `HTTPS://Host:443` would never equal what the provider writes.
  if (url.href !== text && url.href !== `${text}/`) throw refusal('oidc_issuer_form', 'spelling', { field: 'issuer' });
  if (!fitsProfile(profile, text))
    throw refusal('oidc_issuer_profile', PROFILES[profile].issuerForm, { field: 'issuer' });
  return text;
}

/** An address of this side, without a query: the library would cut it off, and the provider would not know it. */
function ownAddress(text: string, field: string, isRehearsal: boolean): string {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.href !== text || text.length > URL_CHARACTERS_MAX)
    throw invalid(field, 'not an address');
  if (!isSecureAddress(url, isRehearsal)) throw invalid(field, 'not https');
  if (/[?#]/.test(text)) throw invalid(field, 'a query or a fragment');
  return text;
}

function signingKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    // The cause says what is wrong with the form and nothing about the key.
    throw refusal('oidc_setting_invalid', 'privateKey', { field: 'privateKey', cause });
  }
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  const isRsa = key.asymmetricKeyType === 'rsa' && modulusLength >= RSA_BITS_MIN;
  if (!isRsa && namedCurve !== 'prime256v1') throw invalid('privateKey', 'neither RSA of 2048 bits nor EC P-256');
  return key;
}

function authentication(input: OidcConnectionInput, profile: ProviderProfile): ClientAuthentication {
  const { clientAuthentication: given } = input;
  if (given.method === 'private_key_jwt') {
    if (PROFILES[profile].privateKeyJwt === 'refused')
      throw invalid('clientAuthentication', 'this kind of provider takes a secret');
    const kid = given.kid === undefined ? undefined : plainText(given.kid, 'kid', KEY_ID_CHARACTERS_MAX);
    return { method: given.method, privateKey: signingKey(given.privateKey), kid };
  }
  if (!isOneOf(['client_secret_basic', 'client_secret_post'], given.method))
    throw invalid('clientAuthentication', 'client_secret_basic, client_secret_post or private_key_jwt');
  return { method: given.method, secret: plainText(given.secret, 'secret', SECRET_CHARACTERS_MAX) };
}

function hostedDomain(text: string | undefined, profile: ProviderProfile): string | undefined {
  const isRequired = PROFILES[profile].hostedDomain === 'required';
  if (isRequired !== (text !== undefined)) throw invalid('hostedDomain', isRequired ? 'missing' : 'only for Google');
  if (text !== undefined && !/^(?=.{4,253}$)[a-z0-9-]+(?:\.[a-z0-9-]+)+$/.test(text))
    throw invalid('hostedDomain', 'a domain in lower case');
  return text;
}

function claimNames(input: OidcConnectionInput, profile: ProviderProfile): OidcConnection['claims'] {
  const { groups, email = 'email', name = 'name' } = input.claims ?? {};
  if (groups !== undefined && PROFILES[profile].groups === 'never')
    throw invalid('claims.groups', 'this kind of provider never sends groups');
  return {
    groups: groups === undefined ? undefined : plainText(groups, 'claims.groups', CLAIM_NAME_CHARACTERS_MAX),
    email: plainText(email, 'claims.email', CLAIM_NAME_CHARACTERS_MAX),
    name: plainText(name, 'claims.name', CLAIM_NAME_CHARACTERS_MAX),
  };
}

function authnAge(age_seconds: number | undefined, profile: ProviderProfile): number | undefined {
  if (age_seconds === undefined) return undefined;
  if (PROFILES[profile].freshness === 'never')
    throw invalid('authnAge_seconds_max', 'this kind of provider does not say when somebody signed in');
  if (!Number.isSafeInteger(age_seconds) || age_seconds < AUTHN_AGE_SECONDS_MIN || age_seconds > AUTHN_AGE_SECONDS_MAX)
    throw invalid('authnAge_seconds_max', `${AUTHN_AGE_SECONDS_MIN} to ${AUTHN_AGE_SECONDS_MAX}`);
  return age_seconds;
}

/**
 * Checks the settings of a connection. Throws `oidc_setting_invalid`, `oidc_issuer_form` or `oidc_issuer_profile`, each
 * with the `field`.
 */
export function parseOidcConnection(input: OidcConnectionInput, options: ConnectionOptions = {}): OidcConnection {
  const isRehearsal = options.rehearsal ?? false;
  const { profile, algorithm = 'RS256', postLogoutRedirectUri } = input;
  if (!isOneOf(Object.keys(PROFILES) as ProviderProfile[], profile)) throw invalid('profile', 'unknown');
  if (!isOneOf(ID_TOKEN_ALGORITHMS, algorithm)) throw invalid('algorithm', ID_TOKEN_ALGORITHMS.join(', '));
  return {
    profile,
    issuer: issuerOf(input.issuer, profile, isRehearsal),
    clientId: plainText(input.clientId, 'clientId', CLIENT_ID_CHARACTERS_MAX),
    clientAuthentication: authentication(input, profile),
    redirectUri: ownAddress(input.redirectUri, 'redirectUri', isRehearsal),
    postLogoutRedirectUri:
      postLogoutRedirectUri === undefined
        ? undefined
        : ownAddress(postLogoutRedirectUri, 'postLogoutRedirectUri', isRehearsal),
    algorithm,
    claims: claimNames(input, profile),
    hostedDomain: hostedDomain(input.hostedDomain, profile),
    authnAge_seconds_max: authnAge(input.authnAge_seconds_max, profile),
    isRehearsal,
  };
}
