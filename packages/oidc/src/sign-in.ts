import { isAppError, type Clock } from '@auditrax/base';
import { authorizationCodeGrant, customFetch, ResponseBodyError } from 'openid-client';
import { checkCallback, type Callback } from './callback.ts';
import { readIdToken, type SignedInPerson } from './claims.ts';
import type { OidcConnection } from './connection.ts';
import type { OidcProvider } from './discovery.ts';
import { quoted, refusal } from './errors.ts';
import { ask, parseObject, type ReachPorts } from './http.ts';
import type { KeySource } from './keys.ts';
import { libraryConfiguration } from './library.ts';
import { TOKEN_ANSWER_BYTES_MAX } from './limits.ts';
import type { StoredSignIn } from './request.ts';
import { verifyToken } from './token.ts';

/** What came back by the browser, and what this side knows about it. */
export interface SignInAnswer {
  /** The query of the redirect as it came, without the question mark. */
  readonly query: string;
  /** Found by the state, bound to this browser, and already consumed; undefined when there is none. */
  readonly request: StoredSignIn | undefined;
  readonly connection: OidcConnection;
  readonly provider: OidcProvider;
  readonly keys: KeySource;
}

export interface SignInPorts extends ReachPorts {
  readonly clock: Clock;
}

/** A person, and the token that the provider wants to see again at a sign-out. Seal it at rest, or drop it. */
export interface SignedIn extends SignedInPerson {
  readonly idToken: string;
}

/** Of an ID token: some providers write no `typ`. An access token (`at+jwt`) or logout token is another kind. */
const ID_TOKEN_TYPES = [undefined, 'jwt'] as const;

interface Exchanged {
  readonly answer: Readonly<Record<string, unknown>>;
  /** What the library found fault with, after the provider had answered. */
  readonly objection: unknown;
}

/** O19: the code for tokens. The library sends it, and judges the answer beside us. */
async function exchange(input: SignInAnswer, callback: Callback, ports: SignInPorts): Promise<Exchanged> {
  const { connection, provider } = input;
  const configuration = libraryConfiguration(connection, provider, ports.clock);
  let answer: Record<string, unknown> | undefined;
  configuration[customFetch] = async (url, init) => {
    const response = await ask(
      connection,
      {
        url,
        method: 'POST',
        headers: init.headers,
        body: new URLSearchParams(init.body as URLSearchParams).toString(),
        bytes_max: TOKEN_ANSWER_BYTES_MAX,
      },
      ports,
    );
    if (response.status === 200) answer = parseObject(await response.clone().text());
    return response;
  };
  const address = new URL(connection.redirectUri);
  address.search = callback.parameters.toString();
  let objection: unknown;
  try {
    await authorizationCodeGrant(configuration, address, {
      pkceCodeVerifier: callback.request.verifier,
      expectedState: callback.request.state,
      expectedNonce: callback.request.nonce,
      idTokenExpected: true,
    });
  } catch (error) {
    objection = error;
  }
  if (answer !== undefined) return { answer, objection };
  // A refusal of ours on the way comes out wrapped.
  const cause = objection instanceof Error ? objection.cause : undefined;
  if (isAppError(objection)) throw objection;
  if (isAppError(cause)) throw cause;
  if (objection instanceof ResponseBodyError) throw refusal('oidc_token_refused', quoted(objection.error));
  throw refusal('oidc_token_answer', undefined, { cause: objection });
}

/**
 * Accepts one answer to one request, or throws an AppError<OidcCode> that names the check of SPEC.md which failed. The
 * order is: parameters, what we asked for, the code for tokens, signature, claims, and the library's own opinion: both
 * must agree.
 */
export async function finishSignIn(input: SignInAnswer, ports: SignInPorts): Promise<SignedIn> {
  const { connection, provider, keys } = input;
  const { clock } = ports;
  const callback = checkCallback(input, { connection, namesItself: provider.namesItself, clock });
  const { answer, objection } = await exchange(input, callback, ports);
  const { id_token: idToken, access_token: accessToken } = answer;
  if (idToken === undefined) throw refusal('oidc_id_token_missing');
  if (typeof idToken !== 'string' || typeof accessToken !== 'string') throw refusal('oidc_token_answer');
  const claims = await verifyToken(idToken, { algorithm: connection.algorithm, types: ID_TOKEN_TYPES }, keys);
  const person = readIdToken(claims, { request: callback.request, accessToken }, { connection, clock });
  if (objection !== undefined) throw refusal('oidc_library_refused', undefined, { cause: objection });
  return { ...person, idToken };
}
