import { generateKeyPairSync } from 'node:crypto';
import { parseUuid, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import inject from 'light-my-request';
import { errors, Provider, type ProvidedToken } from 'oidc-provider';
import { memberById } from '../identity/index.ts';
import { issuerOf, originOf, resourceOf, type AuthorisationDeps } from './deps.ts';
import {
  ACCESS_TOKEN_SECONDS,
  CODE_SECONDS,
  GRANT_SECONDS,
  REFRESH_TOKEN_SECONDS,
  REQUEST_SECONDS,
  SIGNATURES,
} from './lifetimes.ts';
import { NONCE_SECRET } from './nonces.ts';
import { storageFor, type Storing } from './store.ts';
import { EXCHANGE_PARAMETERS, tokenExchange } from './token-exchange.ts';
import { TOKEN_EXCHANGE } from './token-types.ts';

/** The library wants a key to sign with; nothing of ours is signed by it, and no ID token is ever made. */
const UNUSED_KEY = {
  ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
  use: 'sig',
};

/** A person's consent, while the library carries it out. */
export interface Consent {
  readonly memberId: Uuid;
  readonly grantId: Uuid;
  readonly clientId: Uuid;
  readonly scope: string;
}

/** What every request of a program is held to: a code, bound to its verifier, to a registered address, by a client without secrets. */
export const REQUEST_RULES = {
  responseTypes: ['code'],
  clientAuthMethods: ['none', 'private_key_jwt'],
  pkce: { required: () => true },
  allowOmittingSingleRegisteredRedirectUri: false,
};

const off = { enabled: false };

/**
 * A program gives back what is its own, and with it the whole permission. An agent gives back its token alone: it ends nothing
 * of what the person has allowed somebody else.
 */
async function mayGiveBack(
  _ctx: unknown,
  client: { readonly clientId: string },
  token: ProvidedToken,
): Promise<boolean> {
  if (token.clientId !== client.clientId) return false;
  if (token.extra?.['act'] === undefined) return true;
  await token.destroy();
  return false;
}

function featuresOf(resource: string) {
  return {
    devInteractions: off,
    userinfo: off,
    introspection: off,
    registration: off,
    rpInitiatedLogout: off,
    deviceFlow: off,
    clientCredentials: off,
    requestObjects: off,
    revocation: { enabled: true, allowedPolicy: mayGiveBack },
    dPoP: { enabled: true, nonceSecret: NONCE_SECRET, requireNonce: () => true },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx: unknown, asked: string) => {
        // Another tenant's API, or somebody else's: a token for it would be shown to them.
        if (asked !== resource) throw new errors.InvalidTarget();
        return {
          scope: 'read write',
          audience: resource,
          accessTokenTTL: ACCESS_TOKEN_SECONDS,
          accessTokenFormat: 'opaque',
        };
      },
    },
  };
}

/** Whether codes and tokens may be made for this person: an active member, whatever was allowed once. */
async function accountOf(deps: AuthorisationDeps, context: TenantContext, text: string) {
  const id = parseUuid(text);
  const [member] = id === undefined ? [] : await deps.tenant.scoped(context, memberById(context.tenantId, id));
  if (member?.state !== 'active') return undefined;
  return { accountId: member.id, claims: () => ({ sub: member.id }) };
}

const pathsOf = (tenantId: Uuid) => ({
  authorization: `/oauth/${tenantId}/authorize`,
  pushed_authorization_request: `/oauth/${tenantId}/par`,
  token: `/oauth/${tenantId}/token`,
  revocation: `/oauth/${tenantId}/revoke`,
});
export type Endpoint = keyof ReturnType<typeof pathsOf>;

/** The library for one tenant and one request: it keeps nothing between two. */
function openLibrary(deps: AuthorisationDeps, storing: Storing, consent?: Consent): Provider {
  const { context } = storing;
  const resource = resourceOf(deps, context.tenantId);
  const provider: Provider = new Provider(issuerOf(deps, context.tenantId), {
    adapter: storageFor(deps, storing),
    jwks: { keys: [UNUSED_KEY] },
    routes: pathsOf(context.tenantId),
    scopes: ['read', 'write'],
    ...REQUEST_RULES,
    enabledJWA: { clientAuthSigningAlgValues: SIGNATURES, dPoPSigningAlgValues: SIGNATURES },
    clientBasedCORS: () => false,
    features: featuresOf(resource),
    interactions: { policy: [] },
    findAccount: (_ctx: unknown, id: string) => accountOf(deps, context, id),
    extraTokenClaims: (_ctx: unknown, { act }: ProvidedToken) => (act === undefined ? undefined : { act }),
    loadExistingGrant: async () => {
      if (consent === undefined) return undefined;
      const grant = new provider.Grant({ accountId: consent.memberId, clientId: consent.clientId });
      grant.jti = consent.grantId;
      grant.addResourceScope(resource, consent.scope);
      return grant;
    },
    issueRefreshToken: () => true,
    rotateRefreshToken: () => true,
    expiresWithSession: () => false,
    ttl: {
      AccessToken: ACCESS_TOKEN_SECONDS,
      AuthorizationCode: CODE_SECONDS,
      RefreshToken: REFRESH_TOKEN_SECONDS,
      Grant: GRANT_SECONDS,
      Session: CODE_SECONDS,
      Interaction: CODE_SECONDS,
      PushedAuthorizationRequest: REQUEST_SECONDS,
    },
  });
  provider.proxy = true;
  provider.registerGrantType(TOKEN_EXCHANGE, tokenExchange(deps, { context, provider }), EXCHANGE_PARAMETERS);
  return provider;
}

export interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  /** For the program's next proof (RFC 9449 8.2). */
  readonly nonce: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Sent {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly payload?: string;
}

/** Hands a request to the library, as if it had come to the edge's own address. */
async function handTo(deps: AuthorisationDeps, provider: Provider, sent: Sent): Promise<Answer> {
  const { host, protocol } = new URL(originOf(deps));
  const reply = await inject(provider.callback(), {
    method: sent.method,
    url: sent.url,
    headers: { accept: 'application/json', ...sent.headers, host, 'x-forwarded-proto': protocol.slice(0, -1) },
    ...(sent.payload === undefined ? {} : { payload: sent.payload }),
  });
  const told = (name: string) => {
    const value = reply.headers[name];
    return typeof value === 'string' ? value : undefined;
  };
  return {
    status: reply.statusCode,
    location: told('location'),
    nonce: told('dpop-nonce'),
    body: readJson(reply.payload),
  };
}

function readJson(text: string): Answer['body'] {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Answer['body']) : {};
  } catch {
    return {};
  }
}

/** What a client sends by itself: a request to be pushed, a code or refresh token, a token to be ended. */
export async function answerClient(
  deps: AuthorisationDeps,
  context: TenantContext,
  of: {
    readonly endpoint: Endpoint;
    readonly form: Readonly<Record<string, string>>;
    readonly proof: string | undefined;
  },
): Promise<Answer> {
  // Only somebody who repeats a code or a refresh token has the library end a grant at the token endpoint.
  const ending = of.endpoint === 'revocation' ? 'client' : 'reused';
  const provider = openLibrary(deps, { context, ending });
  const payload = new URLSearchParams(of.form).toString();
  return handTo(deps, provider, {
    method: 'POST',
    url: pathsOf(context.tenantId)[of.endpoint],
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      ...(of.proof === undefined ? {} : { dpop: of.proof }),
    },
    payload,
  });
}

/** Has the library answer a pushed request in the name of a person who has allowed it. */
export async function answerConsent(
  deps: AuthorisationDeps,
  context: TenantContext,
  { consent, requestUri }: { readonly consent: Consent; readonly requestUri: string },
): Promise<Answer> {
  const provider = openLibrary(deps, { context, ending: 'unused' }, consent);
  const session = new provider.Session();
  session.loginAccount({ accountId: consent.memberId });
  await session.save(CODE_SECONDS);
  const query = new URLSearchParams({ client_id: consent.clientId, request_uri: requestUri });
  return handTo(deps, provider, {
    method: 'GET',
    url: `${pathsOf(context.tenantId).authorization}?${query.toString()}`,
    headers: { cookie: `_session=${session.jti}` },
  });
}

/** What clients read of the server (RFC 8414); written here, so that it promises exactly what the edge serves. */
export function serverMetadata(deps: Pick<AuthorisationDeps, 'doors'>, tenantId: Uuid) {
  const paths = pathsOf(tenantId);
  const at = (endpoint: Endpoint) => `${originOf(deps)}${paths[endpoint]}`;
  return {
    issuer: issuerOf(deps, tenantId),
    authorization_endpoint: at('authorization'),
    pushed_authorization_request_endpoint: at('pushed_authorization_request'),
    token_endpoint: at('token'),
    revocation_endpoint: at('revocation'),
    scopes_supported: ['read', 'write'],
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code', 'refresh_token', TOKEN_EXCHANGE],
    token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: [...SIGNATURES],
    code_challenge_methods_supported: ['S256'],
    dpop_signing_alg_values_supported: [...SIGNATURES],
    require_pushed_authorization_requests: true,
    authorization_response_iss_parameter_supported: true,
    protected_resources: [resourceOf(deps, tenantId)],
  };
}
