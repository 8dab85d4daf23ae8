// A program of somebody else: openid-client, on the real edge, with what a test needs to misuse it.
import { request } from 'node:https';
import * as oauth from 'openid-client';
import type { SsoHouse } from '../../sso/testing/sso-house.ts';

/** Where the edge is, and whom a program believes there. */
export type Edge = Pick<SsoHouse, 'edgePort'> & { readonly tls: Pick<SsoHouse['tls'], 'ca'> };

/** As a program's own connection to the edge: no browser's headers, by the public name. */
export function fetchAt(house: Edge): oauth.CustomFetch {
  return (url, { method, headers, body }) => {
    const { host, pathname, search } = new URL(url);
    return new Promise((resolve, reject) => {
      const call = request(
        {
          host: '127.0.0.1',
          port: house.edgePort,
          path: `${pathname}${search}`,
          method,
          servername: 'localhost',
          ca: house.tls.ca,
          agent: false,
          headers: { ...headers, host },
        },
        (response) => {
          const pieces: Buffer[] = [];
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.once('error', reject);
          response.once('end', () => {
            const told = new Headers();
            for (const [name, value] of Object.entries(response.headers)) told.set(name, String(value));
            const status = response.statusCode!;
            const text = Buffer.concat(pieces).toString('utf8');
            resolve(new Response(text === '' ? null : text, { status, headers: told }));
          });
        },
      );
      call.once('error', reject);
      if (body instanceof URLSearchParams) call.end(body.toString());
      else call.end(typeof body === 'string' || body instanceof Uint8Array ? body : undefined);
    });
  };
}

/** One program with its key, as its authors would set it up. */
export async function startProgram(
  house: Edge,
  of: { readonly issuer: string; readonly clientId: string; readonly authentication?: oauth.ClientAuth },
): Promise<Program> {
  const authentication = of.authentication ?? oauth.None();
  const config = await oauth.discovery(new URL(of.issuer), of.clientId, undefined, authentication, {
    algorithm: 'oauth2',
    [oauth.customFetch]: fetchAt(house),
  });
  const keys = await oauth.randomDPoPKeyPair('ES256');
  return { config, keys, dpop: oauth.getDPoPHandle(config, keys) };
}

export interface Program {
  readonly config: oauth.Configuration;
  readonly keys: oauth.CryptoKeyPair;
  readonly dpop: oauth.DPoPHandle;
}

/** A request as it stands at the server, and what its program keeps. */
export interface Pending {
  readonly url: URL;
  readonly verifier: string;
  readonly state: string;
}

/** Pushes a request and makes the address that the program opens in the person's browser. */
export async function askFor(
  { config, dpop }: Program,
  of: { readonly redirectUri: string; readonly scope?: string; readonly more?: Readonly<Record<string, string>> },
): Promise<Pending> {
  const verifier = oauth.randomPKCECodeVerifier();
  const state = oauth.randomState();
  const parameters = {
    redirect_uri: of.redirectUri,
    scope: of.scope ?? 'read write',
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...of.more,
  };
  return { url: await oauth.buildAuthorizationUrlWithPAR(config, parameters, { DPoP: dpop }), verifier, state };
}

/** What the page of ours is given of an address that a program has opened. */
export function questionOf(url: URL): { readonly clientId: string; readonly request: string } {
  const request = url.searchParams.get('request_uri')!.split(':').at(-1)!;
  return { clientId: url.searchParams.get('client_id')!, request };
}
