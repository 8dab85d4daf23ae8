import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';
import { makeEcKey, makeRsaKey } from './forger.ts';

/** A real provider of another maker on a port of loopback. Everybody may sign in with any password: it is for tests. */
export interface LiveProvider {
  readonly issuer: string;
  readonly redirectUri: string;
  readonly postLogoutRedirectUri: string;
  /** Forms that it posted to the back-channel address of its client. */
  readonly logoutForms: URLSearchParams[];
  readonly clientKey: string;
  close(): Promise<void>;
}

export const LIVE_CLIENT = { id: 'auditrax', secret: 'a-secret-of-a-live-test' } as const;
export const LIVE_KEY_CLIENT = 'auditrax-by-key';
/** Another application of the same provider, answered at the same addresses. */
export const LIVE_NEIGHBOUR = { id: 'payroll', secret: 'another-secret-of-a-live-test' } as const;

const GRANT_SECONDS = 3600;

/** For a test in which somebody else is the client. */
export interface LiveOptions {
  /** Speaks https; PEM. */
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly redirectUris?: readonly string[];
  readonly logoutUri?: string;
  /** Delivers what it posts to its client; nobody does otherwise. */
  readonly post?: (url: string, body: string) => Promise<number>;
  /** A box in front of it, which sees what is asked first. */
  readonly front?: (request: IncomingMessage) => void;
  /** What it says of somebody beside `sub`. */
  readonly claimsOf?: (id: string) => Readonly<Record<string, unknown>>;
}

interface Registered {
  readonly redirectUris: readonly string[];
  readonly postLogoutRedirectUri: string;
  readonly logoutUri: string;
  readonly publicJwk: unknown;
}

function clients({ redirectUris, postLogoutRedirectUri, publicJwk, logoutUri }: Registered) {
  const usual = {
    redirect_uris: redirectUris,
    post_logout_redirect_uris: [postLogoutRedirectUri],
    response_types: ['code'],
    grant_types: ['authorization_code'],
    backchannel_logout_uri: logoutUri,
    backchannel_logout_session_required: true,
  };
  return [
    ...[LIVE_CLIENT, LIVE_NEIGHBOUR].map(({ id, secret }) => ({
      ...usual,
      client_id: id,
      client_secret: secret,
      id_token_signed_response_alg: 'RS256',
    })),
    {
      ...usual,
      client_id: LIVE_KEY_CLIENT,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [publicJwk] },
      id_token_signed_response_alg: 'ES256',
    },
  ];
}

function configuration(
  logoutForms: URLSearchParams[],
  registered: unknown,
  { post, claimsOf }: LiveOptions,
): Readonly<Record<string, unknown>> {
  const [rsa, ec] = [makeRsaKey('live-rsa'), makeEcKey('live-ec')];
  const privateJwk = ({ kid, privateKey }: typeof rsa) => ({
    ...privateKey.export({ format: 'jwk' }),
    kid,
    use: 'sig',
  });
  return {
    clients: registered,
    jwks: { keys: [privateJwk(rsa), privateJwk(ec)] },
    responseTypes: ['code'],
    pkce: { required: () => true },
    conformIdTokenClaims: false,
    cookies: { keys: ['a key for the cookies of a test'] },
    claims: { openid: ['sub'], email: ['email'], profile: ['name', 'groups'] },
    ttl: { Grant: GRANT_SECONDS, Session: GRANT_SECONDS, Interaction: GRANT_SECONDS, IdToken: 300, AccessToken: 300 },
    findAccount: (_: unknown, id: string) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        ...(claimsOf?.(id) ?? { email: `${id}@acme.test`, name: 'Alice', groups: ['auditors'] }),
      }),
    }),
    features: {
      devInteractions: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true },
    },
    // Its own way out refuses loopback, as it should; here its posts are taken where they leave.
    fetch: async (url: unknown, init: { readonly body?: unknown }) => {
      const body = String(init.body);
      logoutForms.push(new URLSearchParams(body));
      return new Response(null, { status: (await post?.(String(url), body)) ?? 200 });
    },
  };
}

/** Starts the provider; the addresses of this side are pages of the same server. */
export async function startLiveProvider(options: LiveOptions = {}): Promise<LiveProvider> {
  let handle: RequestListener = () => undefined;
  const answer: RequestListener = (request, response) => {
    options.front?.(request);
    if (request.url?.startsWith('/rp/') === true) response.end('back at the client');
    else handle(request, response);
  };
  const { tls } = options;
  const server = tls === undefined ? createServer(answer) : createSecureServer(tls, answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const [redirectUri, postLogoutRedirectUri] = [`${issuer}/rp/callback`, `${issuer}/rp/signed-out`];
  const own = makeEcKey('own');
  const logoutForms: URLSearchParams[] = [];
  const provider = new Provider(
    issuer,
    configuration(
      logoutForms,
      clients({
        redirectUris: options.redirectUris ?? [redirectUri],
        postLogoutRedirectUri,
        logoutUri: options.logoutUri ?? `${issuer}/rp/logout`,
        publicJwk: own.jwk,
      }),
      options,
    ),
  );
  handle = provider.callback();
  return {
    issuer,
    redirectUri,
    postLogoutRedirectUri,
    logoutForms,
    clientKey: own.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
