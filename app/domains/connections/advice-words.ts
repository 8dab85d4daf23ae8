const CLOCKS =
  'The clocks of the provider and of this installation differ by more than a minute. Let both follow a time server (NTP), then test again.';
const ISSUER =
  'Copy the issuer once more, letter for letter, from /.well-known/openid-configuration of the provider: also whether a slash ends it.';
const CERTIFICATE =
  'Read the provider’s metadata once more, compare the new certificate with the one shown in its console, and approve it below.';
const ACS = 'Paste the Assertion Consumer Service URL once more at the provider; it belongs to this connection alone.';
const ENTITY_THERE = 'Paste our Entity ID once more at the provider; it belongs to this connection alone.';

/**
 * What somebody who sets up a provider does about the checks that a wrong setting fails. The others are failed by a
 * provider that does not keep to its protocol, or by an attacker: there is no setting that would let those in. By the codes
 * of `@auditrax/oidc` and `@auditrax/saml`, whose types are not for a browser; the test holds them together.
 */
export const adviceWords: Readonly<Record<string, string>> = {
  oidc_issuer_form: ISSUER,
  oidc_issuer_profile: 'Copy the issuer as it is written beside the field, or begin anew with “Another provider”.',
  oidc_redirected: 'The issuer leads on to another address. Write that address as the issuer.',
  oidc_answer_late: 'Look whether the provider is up. If it is behind a firewall, let this installation through.',
  oidc_unreachable:
    'Look whether the provider is up and its certificate is known. If it is behind a firewall, let this installation through.',
  oidc_metadata_issuer: ISSUER,
  oidc_metadata_unsupported: 'Switch the authorization code flow on at the provider, with a client secret.',
  oidc_answer_issuer: ISSUER,
  oidc_answer_error:
    'The provider said no by itself; its own error stands below. Often the person is not assigned to the application there.',
  oidc_token_refused:
    'Paste the client secret once more, without spaces around it. At the provider, look whether it has ended and whether the redirect URI is exactly ours.',
  oidc_id_token_missing: 'Allow the scope openid for this client at the provider.',
  oidc_algorithm_refused: 'Have the provider sign ID tokens with the algorithm of this connection, usually RS256.',
  oidc_token_issuer: ISSUER,
  oidc_audience:
    'Compare the client ID here with the one of the application at the provider. If they are the same, the provider, or something in front of it, answers for another application.',
  oidc_authorized_party: 'Compare the client ID here with the one of the application at the provider.',
  oidc_expired: CLOCKS,
  oidc_not_yet_valid: CLOCKS,
  oidc_issued_at: CLOCKS,
  oidc_auth_time_future: CLOCKS,
  oidc_authn_too_old: 'Have the provider ask for a new sign-in when it is asked to (max_age).',
  oidc_tenant: 'Sign in with an account of your own organisation, or correct the issuer.',
  oidc_hosted_domain: 'Sign in with an account of your own domain, or correct “Your domain”.',
  oidc_groups_form: 'Let the claim with the groups be a list of texts, or write down another claim.',
  saml_encryption_no_key: 'Give the provider our metadata once more, or switch encryption off there.',
  saml_decryption_failed: 'The provider encrypts to an old certificate. Give it our metadata once more.',
  saml_unsigned: 'Have the provider sign the response, the assertion, or both.',
  saml_algorithm_refused: 'Have the provider sign with SHA-256; SHA-1 is refused.',
  saml_no_usable_certificate: CERTIFICATE,
  saml_signature_invalid: CERTIFICATE,
  saml_signer_unknown: CERTIFICATE,
  saml_signer_pending: 'Compare the certificate with the one shown in the provider’s console, and approve it below.',
  saml_signer_retired: CERTIFICATE,
  saml_signer_expired: CERTIFICATE,
  saml_unsolicited:
    'Begin at the sign-in page here, or at our sign-in URL. What the provider sends by itself is refused.',
  saml_status_not_success:
    'The provider said no by itself. Often the person is not assigned to the application there, or the NameID that is asked for is not set up.',
  saml_destination: ACS,
  saml_recipient: ACS,
  saml_issuer: 'Copy the Entity ID of the provider once more, letter for letter: also whether a slash ends it.',
  saml_audience: ENTITY_THERE,
  saml_name_id_qualifier: ENTITY_THERE,
  saml_issue_instant: CLOCKS,
  saml_confirmation_expired: CLOCKS,
  saml_not_yet_valid: CLOCKS,
  saml_expired: CLOCKS,
  saml_authn_instant_future: CLOCKS,
  saml_lifetime_excessive: 'Shorten what the provider promises to hold to a few minutes.',
  saml_name_id_missing: 'Have the provider send a NameID that is persistent.',
};

/** What to do about a check, for whoever sets the provider up; undefined: no setting of theirs is wrong. */
export const adviceOn = (code: string): string | undefined =>
  Object.hasOwn(adviceWords, code) ? adviceWords[code] : undefined;
