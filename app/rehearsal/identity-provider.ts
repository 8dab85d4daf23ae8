import 'reflect-metadata'; // before the certificate library, which asks for it
import { createHmac, createHash, generateKeyPair, randomUUID, sign, webcrypto, type KeyObject } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { toBase64Url, type Clock, type Random } from '@auditrax/base';
import { issueEdgeCertificate, strictTls } from '@auditrax/workload';
import { serialNumber } from '@auditrax/workload/keys';
import { BasicConstraintsExtension, X509CertificateGenerator } from '@peculiar/x509';
import type { CanaryConnection } from '../domains/connections/contract.ts';
import { assertionAnswer, replayedAssertion, type SamlBend } from './assertion.ts';
import { claimsOf, OIDC_REPLAYS, oidcValuesOf, type OidcReplay } from './oidc-profiles.ts';
import { SAML_REPLAYS, samlValuesOf, type SamlReplay } from './saml-profiles.ts';

const LIFE_SECONDS = 300;
const SECRET_BYTES = 32;
const FORM_BYTES_MAX = 16_384;
const KEY_ID = 'rehearsed';
const ACCESS_TOKEN = 'of-no-use';
/** What is asked of the stand-in in the place of a provider that it replays; see app/domains/sso/stand-ins.ts. */
const AT = '/at/';
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } as const;
/** A stand-in's certificate is of no use to whoever finds it a day later; a start may last longer, so that it is made anew. */
const CERTIFICATE_MS = 366 * 86_400_000;
const BACKDATE_MS = 60_000;

/** Of one start of the process that plays: making them takes longer than a probe has on a machine with much else to do. */
export interface ProviderKeys {
  readonly own: KeyObject;
  readonly publicJwk: Readonly<Record<string, unknown>>;
  /** PEM, of `own`: what a connection by SAML is given. */
  readonly certificate: string;
  /** Of nobody whom the connection knows. */
  readonly stranger: KeyObject;
}

export async function makeProviderKeys(clock: Clock): Promise<ProviderKeys> {
  const make = () => promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  const [own, stranger] = await Promise.all([make(), make()]);
  const keys = {
    privateKey: await webcrypto.subtle.importKey(
      'pkcs8',
      own.privateKey.export({ type: 'pkcs8', format: 'der' }),
      RSA,
      true,
      ['sign'],
    ),
    publicKey: await webcrypto.subtle.importKey(
      'spki',
      own.publicKey.export({ type: 'spki', format: 'der' }),
      RSA,
      true,
      ['verify'],
    ),
  };
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialNumber(),
      name: 'CN=rehearsed provider',
      notBefore: new Date(clock.nowMs() - BACKDATE_MS),
      notAfter: new Date(clock.nowMs() + CERTIFICATE_MS),
      signingAlgorithm: RSA,
      keys,
      extensions: [new BasicConstraintsExtension(false)],
    },
    webcrypto,
  );
  return {
    own: own.privateKey,
    publicJwk: { ...own.publicKey.export({ format: 'jwk' }), kid: KEY_ID, use: 'sig', alg: 'RS256' },
    certificate: `${certificate.toString('pem')}\n`,
    stranger: stranger.privateKey,
  };
}

/** What an attacker would have different in an ID token. */
export interface OidcBend {
  /** Over the claims; undefined takes one away. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /**
   * `stranger`: by another key under the known key's id. `none`: not at all, and says so. `mac`: with the public key as if
   * it were a shared secret. `changed`: the claims were changed after the signature.
   */
  readonly signed?: 'own' | 'stranger' | 'none' | 'mac' | 'changed';
  /** A code that was handed out before, in place of a new one. */
  readonly code?: string;
}

export interface OidcAnswer {
  readonly code: string;
  /** Of the address that the browser comes back to. */
  readonly parameters: URLSearchParams;
}

/** A provider of OpenID Connect and SAML that says whatever the probe wants said, in this process, on loopback. */
export interface RehearsedProvider {
  readonly origin: string;
  readonly port: number;
  /** PEM. */
  readonly authority: string;
  readonly clientId: string;
  /** What connects to it: two by each protocol, and one by each replay, those of OpenID Connect first. */
  readonly plans: Readonly<Record<'oidc' | 'saml' | 'replays', readonly CanaryConnection[]>>;
  /** An answer to the request at `departure`. A code is good for as many exchanges as anybody makes. */
  answer(departure: string, bend?: OidcBend): OidcAnswer;
  /** The form that answers by SAML. */
  assert(departure: string, bend?: SamlBend): URLSearchParams;
  /** As one of the providers that are replayed would answer. */
  answerAs(replay: OidcReplay, departure: string): OidcAnswer;
  assertAs(replay: SamlReplay, departure: string): URLSearchParams;
  close(): Promise<void>;
}

const part = (value: unknown): string => toBase64Url(Buffer.from(JSON.stringify(value), 'utf8'));

interface Made {
  readonly claims: object;
  readonly how?: OidcBend['signed'];
  /** Beside `alg` and `kid`. */
  readonly header?: object;
}

function idToken({ claims, how = 'own', header = { typ: 'JWT' } }: Made, keys: ProviderKeys): string {
  const alg = how === 'none' ? 'none' : how === 'mac' ? 'HS256' : 'RS256';
  const head = part({ alg, kid: KEY_ID, ...header });
  const text = `${head}.${part(claims)}`;
  const bytes = Buffer.from(text, 'ascii');
  if (how === 'none') return `${text}.`;
  if (how === 'mac')
    return `${text}.${createHmac('sha256', JSON.stringify(keys.publicJwk)).update(bytes).digest('base64url')}`;
  const signature = sign('sha256', bytes, how === 'stranger' ? keys.stranger : keys.own).toString('base64url');
  return how === 'changed'
    ? `${head}.${part({ ...claims, sub: 'somebody-else' })}.${signature}`
    : `${text}.${signature}`;
}

async function formOf(request: IncomingMessage): Promise<URLSearchParams> {
  let text = '';
  for await (const piece of request) {
    text += String(piece);
    if (text.length > FORM_BYTES_MAX) throw new RangeError('a form of this length is none of ours');
  }
  return new URLSearchParams(text);
}

class Provider {
  readonly #keys: ProviderKeys;
  readonly #clock: Clock;
  readonly #tokens = new Map<string, string>();
  readonly clientId = 'rehearsal';
  origin = '';

  constructor(keys: ProviderKeys, clock: Clock) {
    this.#keys = keys;
    this.#clock = clock;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reply = (value: unknown, status = 200) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    const path = request.url ?? '';
    const url = path.startsWith(AT) ? decodeURIComponent(path.slice(AT.length)) : `${this.origin}${path}`;
    if (url === `${this.origin}/.well-known/openid-configuration`) return reply(this.#metadata());
    if (url === `${this.origin}/keys`) return reply({ keys: [this.#keys.publicJwk] });
    const replays: readonly OidcReplay[] = Object.values(OIDC_REPLAYS);
    const replay = replays.find(({ discovery }) => Object.values(discovery).includes(url));
    const known = replays.find(({ issuer }) => url === `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    if (known !== undefined) return reply(known.discovery);
    if (url === replay?.discovery['jwks_uri']) return reply({ keys: [{ ...this.#keys.publicJwk, ...replay.jwk }] });
    if (url !== `${this.origin}/token` && url !== replay?.discovery['token_endpoint'])
      return reply({ error: 'not_found' }, 404);
    const id_token = this.#tokens.get((await formOf(request)).get('code') ?? '');
    if (id_token === undefined) return reply({ error: 'invalid_grant' }, 400);
    return reply({ access_token: ACCESS_TOKEN, token_type: 'Bearer', expires_in: LIFE_SECONDS, id_token });
  }

  #metadata(): object {
    const { origin } = this;
    return {
      issuer: origin,
      authorization_endpoint: `${origin}/authorize`,
      token_endpoint: `${origin}/token`,
      jwks_uri: `${origin}/keys`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      token_endpoint_auth_methods_supported: ['client_secret_basic'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
    };
  }

  answer(departure: string, bend: OidcBend = {}): OidcAnswer {
    const asked = new URL(departure).searchParams;
    const now_seconds = Math.floor(this.#clock.nowMs() / 1000);
    const claims = {
      iss: this.origin,
      aud: this.clientId,
      sub: 'canary-person',
      name: 'Canary person',
      email: 'person@canary.invalid',
      iat: now_seconds,
      exp: now_seconds + LIFE_SECONDS,
      nonce: asked.get('nonce'),
      ...bend.claims,
    };
    const code = bend.code ?? randomUUID();
    if (bend.code === undefined) this.#tokens.set(code, idToken({ claims, how: bend.signed }, this.#keys));
    return { code, parameters: new URLSearchParams({ code, state: asked.get('state') ?? '', iss: this.origin }) };
  }

  answerAs(replay: OidcReplay, departure: string): OidcAnswer {
    const asked = new URL(departure).searchParams;
    const seconds = Math.floor(this.#clock.nowMs() / 1000);
    const accessTokenHash = createHash('sha256').update(ACCESS_TOKEN).digest().subarray(0, 16).toString('base64url');
    const claims = claimsOf(replay, { seconds, nonce: asked.get('nonce'), accessTokenHash });
    const code = randomUUID();
    this.#tokens.set(code, idToken({ claims, header: replay.header }, this.#keys));
    return { code, parameters: new URLSearchParams({ code, state: asked.get('state') ?? '', ...replay.answer }) };
  }
}

const PERSISTENT = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent';
/** Two of each protocol: what one connection is answered must not count at the other. */
const NAMES = ['Stand-in', 'Another stand-in'] as const;

function plansOf(
  origin: string,
  {
    clientId,
    secret,
    certificate,
  }: { readonly clientId: string; readonly secret: string; readonly certificate: string },
): RehearsedProvider['plans'] {
  const oidc = {
    kind: 'oidc',
    issuer: origin,
    clientId,
    clientAuthentication: 'client_secret_basic',
    secret,
    algorithm: 'RS256',
    groupsClaim: null,
    hostedDomain: null,
    authnAge_seconds_max: null,
  } as const;
  const saml = {
    kind: 'saml',
    idpEntityId: `${origin}/saml`,
    ssoUrl: `${origin}/saml`,
    ssoBinding: 'redirect',
    metadataUrl: null,
    nameIdFormat: PERSISTENT,
    subjectAttribute: null,
    groupsAttribute: null,
    emailAttribute: 'mail',
    nameAttribute: 'displayName',
    authnAge_seconds_max: null,
  } as const;
  const replayed = (name: string) => `${name}, replayed`;
  return {
    oidc: NAMES.map((name) => ({ name, profile: 'other', values: oidc, certificate: null })),
    saml: NAMES.map((name) => ({ name, profile: 'other', values: saml, certificate })),
    replays: [
      ...Object.entries(OIDC_REPLAYS).map(([name, replay]) => ({
        name: replayed(name),
        profile: replay.profile,
        values: oidcValuesOf(replay),
        certificate: null,
      })),
      ...Object.entries(SAML_REPLAYS).map(([name, replay]) => ({
        name: replayed(name),
        profile: replay.profile,
        values: samlValuesOf(replay),
        certificate,
      })),
    ],
  };
}

/** Opens the stand-in on a free port; TLS 1.3 as everywhere in the house. */
export async function startRehearsedProvider(
  keys: ProviderKeys,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<RehearsedProvider> {
  const { keyPem, certificatePem, authorityPem } = await issueEdgeCertificate({ clock, name: 'Rehearsed provider' });
  const provider = new Provider(keys, clock);
  const secret = toBase64Url(random.bytes(SECRET_BYTES));
  const server = createServer({ ...strictTls(), key: keyPem, cert: certificatePem }, (request, response) => {
    provider.handle(request, response).catch(() => response.destroy());
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  provider.origin = `https://127.0.0.1:${port}`;
  return {
    origin: provider.origin,
    port,
    authority: authorityPem,
    clientId: provider.clientId,
    plans: plansOf(provider.origin, { clientId: provider.clientId, secret, certificate: keys.certificate }),
    answerAs: (replay, departure) => provider.answerAs(replay, departure),
    assertAs: (replay, departure) => replayedAssertion(departure, { replay, keys, clock }),
    answer: (departure, bend) => provider.answer(departure, bend),
    assert: (departure, bend) => assertionAnswer(departure, { entityId: `${provider.origin}/saml`, keys, clock }, bend),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
