import type { Clock } from '@auditrax/base';
import type { OidcConnection } from './connection.ts';
import { quoted, refusal } from './errors.ts';
import { CALLBACK_CHARACTERS_MAX, CLOCK_SKEW_MS, REQUEST_AGE_MS_MAX } from './limits.ts';
import type { StoredSignIn } from './request.ts';

/** Parameters of other flows. Tokens that come by the browser are believed by nobody here. */
const FOREIGN_PARAMETERS = ['id_token', 'access_token', 'token', 'response'] as const;

/** O12: each parameter once, so that no two readers take different ones. */
function parametersOf(query: string): ReadonlyMap<string, string> {
  if (query.length > CALLBACK_CHARACTERS_MAX) throw refusal('oidc_callback_too_large', `${query.length} characters`);
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (parameters.has(name)) throw refusal('oidc_parameter_repeated', quoted(name));
    parameters.set(name, value);
  }
  return parameters;
}

/** O13 to O15: an answer to our own request, of this connection, made not too long ago. */
function checkRequest(
  parameters: ReadonlyMap<string, string>,
  request: StoredSignIn | undefined,
  expected: { readonly connection: OidcConnection; readonly clock: Clock },
): StoredSignIn {
  const { connection, clock } = expected;
  if (request === undefined) throw refusal('oidc_unsolicited');
  if (parameters.get('state') !== request.state) throw refusal('oidc_state');
  const isOurs =
    request.issuer === connection.issuer &&
    request.clientId === connection.clientId &&
    request.redirectUri === connection.redirectUri;
  if (!isOurs) throw refusal('oidc_other_connection');
  const age_ms = clock.nowMs() - request.issuedAt_ms;
  if (age_ms > REQUEST_AGE_MS_MAX || age_ms < -CLOCK_SKEW_MS)
    throw refusal('oidc_request_expired', `${Math.round(age_ms / 1000)} s`);
  return request;
}

export interface Callback {
  readonly request: StoredSignIn;
  /** What the library reads once more: the parameters that were looked at, and no others. */
  readonly parameters: URLSearchParams;
}

/**
 * O12 to O18: what came back by the browser, before anything is sent anywhere. The issuer is looked at before an error
 * is, because an error of a foreign provider says nothing about ours.
 */
export function checkCallback(
  input: { readonly query: string; readonly request: StoredSignIn | undefined },
  expected: { readonly connection: OidcConnection; readonly namesItself: boolean; readonly clock: Clock },
): Callback {
  const parameters = parametersOf(input.query);
  const request = checkRequest(parameters, input.request, expected);
  const issuer = parameters.get('iss');
  const mustBeThere = request.mustNameItself || expected.namesItself;
  if (issuer === undefined ? mustBeThere : issuer !== expected.connection.issuer)
    throw refusal('oidc_answer_issuer', quoted(issuer));
  const error = parameters.get('error');
  if (error !== undefined)
    throw refusal('oidc_answer_error', `${quoted(error)} ${quoted(parameters.get('error_description'))}`);
  const foreign = FOREIGN_PARAMETERS.find((name) => parameters.has(name));
  if (foreign !== undefined) throw refusal('oidc_answer_mode', foreign);
  const code = parameters.get('code') ?? '';
  if (code === '') throw refusal('oidc_code_missing');
  const known = new URLSearchParams({ code, state: request.state });
  if (issuer !== undefined) known.set('iss', issuer);
  return { request, parameters: known };
}
