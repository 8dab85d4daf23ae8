import { createHash, generateKeyPairSync, randomUUID, sign, type JsonWebKey, type KeyObject } from 'node:crypto';
import { isAppError, manualClock, systemRandom } from '@auditrax/base';
import {
  createKeySource,
  discoverProvider,
  finishSignIn,
  parseOidcConnection,
  startSignIn,
  type OidcConnection,
  type OidcConnectionInput,
  type OidcFetch,
  type SignedIn,
  type StoredSignIn,
} from '../index.ts';

/** A provider in memory that says whatever a test wants it to say; nothing of it is a real provider's code. */
export const ISSUER = 'https://login.provider.test';
export const CLIENT_ID = 'auditrax-of-acme';
export const NOW_MS = Date.UTC(2026, 10, 23, 9, 0, 0);
export const NOW_SECONDS = NOW_MS / 1000;
export const SUBJECT = 'f1d2c3b4';

export const INPUT: OidcConnectionInput = {
  profile: 'other',
  issuer: ISSUER,
  clientId: CLIENT_ID,
  clientAuthentication: { method: 'client_secret_basic', secret: 'a-secret-of-a-test' },
  redirectUri: 'https://auditrax.test/api/oidc/acme/callback',
  postLogoutRedirectUri: 'https://auditrax.test/signed-out',
};

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly jwk: JsonWebKey & Record<string, unknown>;
}

export function makeRsaKey(kid: string, modulusLength = 2048): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' } };
}

export function makeEcKey(kid: string, namedCurve = 'P-256'): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' } };
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');

/** A JWT with any header; `signature` makes it from the signed text. */
export function makeToken(
  header: Readonly<Record<string, unknown>>,
  claims: unknown,
  signature: (text: string) => Buffer,
): string {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${signature(text).toString('base64url')}`;
}

export function rs256(key: SigningKey): (text: string) => Buffer {
  return (text) => sign('sha256', Buffer.from(text, 'ascii'), key.privateKey);
}

/** With the header that most providers write. */
export function signedToken(key: SigningKey, claims: unknown, header: Readonly<Record<string, unknown>> = {}): string {
  return makeToken({ alg: 'RS256', typ: 'JWT', kid: key.kid, ...header }, claims, rs256(key));
}

export const ACCESS_TOKEN = 'an-access-token-of-a-test';
export const ACCESS_TOKEN_HASH = createHash('sha256')
  .update(ACCESS_TOKEN)
  .digest()
  .subarray(0, 16)
  .toString('base64url');

export interface World {
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly keys?: readonly unknown[];
  readonly connection?: Partial<OidcConnectionInput>;
  readonly isFresh?: boolean;
  /** Milliseconds between the request and the answer. */
  readonly wait_ms?: number;
  /** Changes or replaces the parameters that come back; `null` takes one away. */
  readonly answer?: Readonly<Record<string, string | null>>;
  /** Instead of all parameters. */
  readonly query?: (request: StoredSignIn) => string;
  /** Over the claims of an ordinary ID token; undefined takes one away. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Instead of an ordinary signature. */
  readonly token?: (claims: Readonly<Record<string, unknown>>) => unknown;
  /** Beside the tokens. */
  readonly tokenAnswer?: Readonly<Record<string, unknown>>;
  readonly request?: (request: StoredSignIn) => StoredSignIn | undefined;
}

export interface Attempt {
  readonly asked: string[];
  readonly person: SignedIn;
  readonly url: URL;
  readonly tokenRequest: URLSearchParams;
}

export function metadataOf(issuer: string, over: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const host = new URL(issuer).origin;
  return {
    issuer,
    authorization_endpoint: `${host}/authorize`,
    token_endpoint: `${host}/token`,
    jwks_uri: `${host}/keys`,
    end_session_endpoint: `${host}/logout`,
    authorization_response_iss_parameter_supported: true,
    ...over,
  };
}

export function jsonAnswer(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json' } });
}

/** The provider's side over the fetch port: discovery, keys, and a token endpoint that checks code and verifier. */
export class ForgedProvider {
  readonly asked: string[] = [];
  readonly key: SigningKey;
  readonly clock = manualClock(NOW_MS);
  tokenRequest = new URLSearchParams();
  url = new URL('https://nowhere.test');
  idToken: unknown;
  readonly #world: World;
  /** S256 of the verifier, by code. */
  readonly codes = new Map<string, string>();

  constructor(key: SigningKey, world: World = {}) {
    this.key = key;
    this.#world = world;
  }

  readonly fetch: OidcFetch = (url, init) => {
    this.asked.push(url);
    const { pathname } = new URL(url);
    const issuer = this.#world.connection?.issuer ?? ISSUER;
    if (pathname.endsWith('/.well-known/openid-configuration'))
      return Promise.resolve(jsonAnswer(metadataOf(issuer, this.#world.metadata)));
    if (pathname === '/keys') return Promise.resolve(jsonAnswer({ keys: this.#world.keys ?? [this.key.jwk] }));
    if (pathname === '/token') return Promise.resolve(this.#tokens(new URLSearchParams(init.body)));
    return Promise.resolve(new Response('not found', { status: 404 }));
  };

  #tokens(form: URLSearchParams): Response {
    this.tokenRequest = form;
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (this.codes.get(form.get('code') ?? '') !== challenge) return jsonAnswer({ error: 'invalid_grant' }, 400);
    return jsonAnswer({
      access_token: ACCESS_TOKEN,
      token_type: 'Bearer',
      expires_in: 300,
      ...(this.idToken === undefined ? {} : { id_token: this.idToken }),
      ...this.#world.tokenAnswer,
    });
  }

  async connect(): Promise<{
    connection: OidcConnection;
    provider: Awaited<ReturnType<typeof discoverProvider>>;
    keys: ReturnType<typeof createKeySource>;
  }> {
    const connection = parseOidcConnection({ ...INPUT, ...this.#world.connection });
    const provider = await discoverProvider(connection, this);
    return { connection, provider, keys: createKeySource(connection, provider, this) };
  }

  /** One sign-in from beginning to end, as the test's world would have it. */
  async signIn(): Promise<SignedIn> {
    const world = this.#world;
    const { connection, provider, keys } = await this.connect();
    const { request, url } = startSignIn(connection, provider, {
      isFresh: world.isFresh ?? false,
      clock: this.clock,
      random: systemRandom,
    });
    this.url = new URL(url);
    const code = randomUUID();
    this.codes.set(code, this.url.searchParams.get('code_challenge') ?? '');
    this.clock.advance(world.wait_ms ?? 5_000);
    const claims = {
      iss: connection.issuer,
      aud: connection.clientId,
      sub: SUBJECT,
      nonce: request.nonce,
      iat: NOW_SECONDS + 4,
      exp: NOW_SECONDS + 304,
      ...world.claims,
    };
    this.idToken = world.token === undefined ? signedToken(this.key, claims) : world.token(claims);
    const parameters = new URLSearchParams({ code, state: request.state, iss: connection.issuer });
    for (const [name, value] of Object.entries(world.answer ?? {}))
      if (value === null) parameters.delete(name);
      else parameters.set(name, value);
    return await finishSignIn(
      {
        query: world.query?.(request) ?? parameters.toString(),
        request: world.request === undefined ? request : world.request(request),
        connection,
        provider,
        keys,
      },
      this,
    );
  }
}

/** `accepted as <key>`, or the code of the refusal; anything that is no refusal of ours is thrown on. */
export async function verdict(work: () => Promise<SignedIn>): Promise<string> {
  try {
    return `accepted as ${(await work()).key}`;
  } catch (error) {
    if (isAppError(error) && error.code.startsWith('oidc_')) return error.code;
    throw error;
  }
}
