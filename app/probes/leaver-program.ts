import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { AppError } from '@auditrax/base';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, SignJWT, type JWK } from 'jose';
import type { ProbeRequest, ProbeResponse } from '../claims/probe.ts';
import type { EdgeClient } from './edge-client.ts';

const ALGORITHM = 'ES256';

/** A program as it is registered, and whose server it asks. */
export interface ProgramPlace {
  readonly organisation: string;
  readonly clientId: string;
  readonly redirectUri: string;
  /** Default: all that there is. */
  readonly scope?: string;
}

/** What a program holds for a person, as plain data; both tokens change when they are renewed. */
export interface HeldProgram extends ProgramPlace {
  /** Private: of a canary, who can do nothing of value. */
  readonly key: JWK;
  accessToken: string;
  refreshToken: string;
}

/** Sends a request as a program's server, from the address of the drill. */
export type Send = (path: string, request: ProbeRequest) => Promise<ProbeResponse>;

/** Nothing was seen: something on the way was answered otherwise than it should. */
export function failed(what: string, reply: ProbeResponse): AppError {
  return new AppError('leaver_drill_failed', `${what}: ${reply.status} ${reply.problem() ?? ''}`);
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('base64url');

interface Proven {
  readonly key: JWK;
  readonly method: string;
  readonly url: string;
  readonly accessToken?: string;
  readonly nonce?: string | undefined;
}

/** RFC 9449 4.2. */
export async function proofOf({ key, method, url, accessToken, nonce }: Proven): Promise<string> {
  const { kty, crv, x, y } = key;
  return new SignJWT({
    htm: method,
    htu: url,
    jti: randomUUID(),
    ...(accessToken === undefined ? {} : { ath: hashOf(accessToken) }),
    ...(nonce === undefined ? {} : { nonce }),
  })
    .setProtectedHeader({ alg: ALGORITHM, typ: 'dpop+jwt', jwk: { kty, crv, x, y } as JWK })
    .setIssuedAt()
    .sign(await importJWK(key, ALGORITHM));
}

/** With a proof of the key; once more with the server's nonce where it wants one (RFC 9449 8). */
export async function sendProven(
  { edge, send }: { readonly edge: Pick<EdgeClient, 'origin'>; readonly send: Send },
  path: string,
  { key, accessToken, request }: { readonly key: JWK; readonly accessToken?: string; readonly request: ProbeRequest },
): Promise<ProbeResponse> {
  const method = request.method ?? 'GET';
  const url = `${edge.origin}${path}`;
  const authorization = accessToken === undefined ? {} : { authorization: `DPoP ${accessToken}` };
  const once = async (nonce?: string): Promise<ProbeResponse> => {
    const proven = { key, method, url, nonce, ...(accessToken === undefined ? {} : { accessToken }) };
    const headers = { ...request.headers, ...authorization, dpop: await proofOf(proven) };
    return send(path, { ...request, isServer: true, headers });
  };
  const reply = await once();
  const nonce = reply.headers['dpop-nonce'];
  return nonce !== undefined && (reply.status === 400 || reply.status === 401) ? once(nonce) : reply;
}

export type Parts = Parameters<typeof sendProven>[0];

export function form(parameters: Readonly<Record<string, string>>): ProbeRequest {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(parameters).toString(),
  };
}

interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
}

export const newKey = async (): Promise<JWK> =>
  exportJWK((await generateKeyPair(ALGORITHM, { extractable: true })).privateKey);

/** Asks that a person be asked; `bent` is what is said otherwise, or not at all. */
export async function pushRequest(
  parts: Parts,
  { organisation, clientId, redirectUri }: ProgramPlace,
  of: {
    readonly key: JWK;
    readonly verifier: string;
    readonly bent: Readonly<Record<string, string | undefined>>;
  },
): Promise<ProbeResponse> {
  const said = {
    client_id: clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'read write',
    code_challenge: hashOf(of.verifier),
    code_challenge_method: 'S256',
    dpop_jkt: await calculateJwkThumbprint(of.key),
    ...of.bent,
  };
  const kept = Object.entries(said).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const request = form(Object.fromEntries(kept));
  return sendProven(parts, `/oauth/${organisation}/par`, { key: of.key, request });
}

/**
 * The whole way of a program: a pushed request, the person's consent on our page, the code for tokens bound to a key.
 * `decide` answers what the page asks, in the person's own session, and gives the address that the browser goes to.
 */
export async function allowProgram(
  parts: Parts,
  place: ProgramPlace,
  decide: (question: { readonly clientId: string; readonly request: string }) => Promise<string>,
): Promise<HeldProgram> {
  const { organisation, clientId, redirectUri } = place;
  const key = await newKey();
  const verifier = randomBytes(32).toString('base64url');
  const state = randomUUID();
  const scope = place.scope ?? 'read write';
  const pushed = await pushRequest(parts, place, { key, verifier, bent: { state, scope } });
  if (pushed.status !== 201) throw failed('pushing a request', pushed);
  const requestUri = (pushed.json() as { request_uri: string }).request_uri;
  const query = new URLSearchParams({ client_id: clientId, request_uri: requestUri });
  const page = await parts.send(`/oauth/${organisation}/authorize?${query.toString()}`, { isServer: true });
  const request = page.headers['location']?.split('/').at(-1);
  if (page.status !== 303 || request === undefined) throw failed('opening the question', page);
  const back = new URL(await decide({ clientId, request }));
  if (back.searchParams.get('state') !== state) throw new AppError('leaver_drill_failed', 'another state came back');
  const redeemed = await sendProven(parts, `/oauth/${organisation}/token`, {
    key,
    request: form({
      grant_type: 'authorization_code',
      client_id: clientId,
      code: back.searchParams.get('code') ?? '',
      redirect_uri: redirectUri,
      code_verifier: verifier,
    }),
  });
  if (redeemed.status !== 200) throw failed('redeeming a code', redeemed);
  const { access_token, refresh_token } = redeemed.json() as Tokens;
  return { ...place, key, accessToken: access_token, refreshToken: refresh_token };
}

/** A call of the API with the newest access token. */
export function callAsProgram(parts: Parts, { key, accessToken }: HeldProgram, path: string): Promise<ProbeResponse> {
  return sendProven(parts, path, { key, accessToken, request: {} });
}

/**
 * Renews both tokens, and keeps them where it works. Throws when no answer says what has become of the old one: whoever
 * shows it twice ends the permission themselves, and nothing would be seen any more.
 */
export async function renewTokens(parts: Parts, program: HeldProgram): Promise<ProbeResponse> {
  const { organisation, clientId, refreshToken, key } = program;
  const parameters = { grant_type: 'refresh_token', client_id: clientId, refresh_token: refreshToken };
  const reply = await sendProven(parts, `/oauth/${organisation}/token`, { key, request: form(parameters) }).catch(
    (cause: unknown) => {
      throw new AppError('leaver_drill_failed', 'renewing tokens: no answer', { cause });
    },
  );
  if (reply.status >= 500 || reply.status === 408) throw failed('renewing tokens', reply);
  if (reply.status === 200) {
    const { access_token, refresh_token } = reply.json() as Tokens;
    program.accessToken = access_token;
    program.refreshToken = refresh_token;
  }
  return reply;
}
