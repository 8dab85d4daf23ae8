import { AppError } from '@auditrax/base';

/**
 * Every reason for which something is refused, the number of its check in SPEC.md and one sentence for the
 * administrator of the connection. Nobody else is shown it: to an attacker it would say which wall he stands before.
 */
export const OIDC_CHECKS = {
  oidc_setting_invalid: ['O1', 'A setting of the connection is not usable.'],
  oidc_issuer_form: ['O2', 'The issuer is not the address of exactly one provider.'],
  oidc_issuer_profile: ['O3', 'The issuer does not fit the kind of provider that was chosen.'],
  oidc_address_refused: ['O4', 'An address of the provider is not https.'],
  oidc_redirected: ['O5', 'The provider answers with a redirect, which is not followed.'],
  oidc_answer_too_large: ['O6', 'An answer of the provider is larger than any provider sends.'],
  oidc_answer_late: ['O6', 'The provider does not answer in time.'],
  oidc_unreachable: ['O6', 'The provider cannot be reached.'],
  oidc_answer_form: ['O7', 'An answer of the provider is not the JSON object that is due.'],
  oidc_metadata_issuer: ['O8', 'The discovery document names another issuer, in whatever small detail.'],
  oidc_metadata_invalid: ['O9', 'The discovery document lacks something or is malformed.'],
  oidc_metadata_unsupported: ['O9', 'The provider does not offer what the connection is set to.'],
  oidc_keys_invalid: ['O10', 'The provider’s key set is malformed or shows private keys.'],
  oidc_fresh_unsupported: ['O11', 'This kind of provider cannot be asked for a new sign-in.'],
  oidc_parameter_repeated: ['O12', 'A parameter of the answer is there twice.'],
  oidc_callback_too_large: ['O12', 'The answer is larger than any provider sends.'],
  oidc_unsolicited: ['O13', 'There is no request of this browser that this would answer.'],
  oidc_state: ['O13', 'The state is not the one of the request.'],
  oidc_other_connection: ['O14', 'The request was made for another connection.'],
  oidc_request_expired: ['O15', 'The request was made too long ago.'],
  oidc_answer_issuer: ['O16', 'The answer comes from another issuer, or does not name the one it should.'],
  oidc_answer_error: ['O17', 'The provider answers with an error.'],
  oidc_answer_mode: ['O18', 'The answer carries tokens or is wrapped; only a code is taken.'],
  oidc_code_missing: ['O18', 'The answer has no code.'],
  oidc_token_refused: ['O19', 'The provider does not give tokens for the code.'],
  oidc_token_answer: ['O19', 'The answer of the token endpoint is malformed.'],
  oidc_id_token_missing: ['O19', 'The answer of the token endpoint has no ID token.'],
  oidc_library_refused: ['O20', 'The library underneath refuses what the checks here accept.'],
  oidc_token_form: ['O21', 'A token is not one signed JWT of the usual size.'],
  oidc_algorithm_refused: ['O22', 'A token is signed with another algorithm than the connection’s.'],
  oidc_token_typ: ['O23', 'A token is of another type.'],
  oidc_key_unknown: ['O24', 'No key of the provider fits the token.'],
  oidc_key_ambiguous: ['O24', 'More than one key of the provider fits the token.'],
  oidc_signature_invalid: ['O25', 'The signature of a token does not hold.'],
  oidc_token_issuer: ['O26', 'A token is from another issuer.'],
  oidc_audience: ['O27', 'The audience is not exactly this client.'],
  oidc_authorized_party: ['O27', 'A token was made for another party.'],
  oidc_time_form: ['O28', 'A time in a token is missing or not a number of seconds.'],
  oidc_expired: ['O28', 'A token has expired.'],
  oidc_not_yet_valid: ['O28', 'A token is not valid yet.'],
  oidc_issued_at: ['O28', 'A token was issued before the request or in the future.'],
  oidc_nonce: ['O29', 'The nonce is not the one of the request.'],
  oidc_auth_time_missing: [
    'O30',
    'The provider does not say when the person signed in; add the claim auth_time there.',
  ],
  oidc_auth_time_future: ['O30', 'The person is said to have signed in in the future.'],
  oidc_authn_too_old: ['O30', 'The person signed in at the provider too long ago.'],
  oidc_access_token_hash: ['O31', 'The access token is not the one that the ID token belongs to.'],
  oidc_subject_form: ['O32', 'The subject is missing, padded, too long or not plain text.'],
  oidc_subject_claims: ['O33', 'The claims that identify a person at this kind of provider are missing or malformed.'],
  oidc_tenant: ['O34', 'The person belongs to another tenant of the provider.'],
  oidc_hosted_domain: ['O34', 'The person’s account does not belong to the connection’s domain.'],
  oidc_groups_overage: ['O35', 'The person is in more groups than a token holds; send application roles instead.'],
  oidc_groups_form: ['O36', 'The groups are not a list of texts within bounds.'],
  oidc_claim_form: ['O37', 'A claim about the session has another form than it should.'],
  oidc_logout_time: ['O38', 'A logout token is too old, from the future, or has no time.'],
  oidc_logout_event: ['O39', 'The logout token does not carry the event of a logout.'],
  oidc_logout_nonce: ['O39', 'The logout token has a nonce: it is an ID token in disguise.'],
  oidc_logout_target: ['O40', 'The logout token names neither a person nor a session.'],
  oidc_logout_id: ['O41', 'The logout token has no usable id.'],
  oidc_replayed: ['O41', 'The logout token was used before.'],
} as const;

/** The exact check that refused; each has a row in {@link OIDC_CHECKS}. */
export type OidcCode = keyof typeof OIDC_CHECKS;

/**
 * An error that names the failed check. `detail` may quote the provider and is for the log and for administrators; no
 * public detail is ever set, and no code, verifier, secret or token is ever quoted.
 */
export function refusal(
  code: OidcCode,
  detail?: string,
  options: { field?: string; cause?: unknown } = {},
): AppError<OidcCode> {
  const [check, sentence] = OIDC_CHECKS[code];
  return new AppError(code, `${check}: ${sentence}${detail === undefined ? '' : ` (${detail})`}`, options);
}

/** Characters of foreign text that an error quotes. */
const QUOTED_CHARACTERS_MAX = 120;

/** Foreign text in an error: bounded, and without line breaks or control characters that could forge a log line. */
export function quoted(text: unknown): string {
  if (typeof text !== 'string') return text === undefined ? 'nothing' : `a ${typeof text}`;
  const short = text.length > QUOTED_CHARACTERS_MAX ? `${text.slice(0, QUOTED_CHARACTERS_MAX)}…` : text;
  return JSON.stringify(short.toWellFormed());
}
