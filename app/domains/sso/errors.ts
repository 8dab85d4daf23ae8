import { AppError } from '@auditrax/base';

/**
 * What a person may be told. Which check failed stands with the connection's recent attempts, for its administrators.
 */
export type SsoCode =
  | 'sso_refused'
  | 'sso_no_account'
  | 'sso_request_unusable'
  | 'sso_provider_unavailable'
  | 'sso_logout_refused'
  | 'sso_fresh_unsupported';

/** Status of each code (RFC 9457); the gateway makes the words of a page from the status alone. */
export const problems: Readonly<Record<SsoCode, { status: number; title: string }>> = {
  sso_refused: { status: 401, title: 'Sign-in was refused' },
  sso_no_account: { status: 403, title: 'There is no access for this person' },
  sso_request_unusable: { status: 409, title: 'This took too long or was already used; start again' },
  sso_provider_unavailable: { status: 502, title: 'The organisation’s sign-in does not answer' },
  sso_fresh_unsupported: {
    status: 409,
    title: 'Your organisation’s sign-in cannot ask you anew; an administrator can give you an enrolment link',
  },
  sso_logout_refused: { status: 400, title: 'The logout token was refused' },
};

/** Refusals that this room itself finds, with a sentence for administrators. */
export type SsoFinding =
  | 'sso_subject_changes'
  | 'sso_subject_absent'
  | 'sso_connection_inactive'
  | 'sso_session_over'
  | 'sso_link_over'
  | 'sso_other_person'
  | 'sso_sign_in_stale';

export const found = (code: SsoFinding, sentence: string): AppError<SsoFinding> =>
  new AppError<SsoFinding>(code, sentence, { publicDetail: sentence });

export const refuse = (code: SsoCode, message: string): AppError<SsoCode> => new AppError<SsoCode>(code, message);

export const notFound = (): AppError<'not_found'> => new AppError('not_found', 'no such connection in use');

const UNREACHED: ReadonlySet<string> = new Set([
  'oidc_unreachable',
  'oidc_answer_late',
  'oidc_answer_too_large',
  'oidc_answer_form',
  'oidc_redirected',
  'oidc_address_refused',
]);
const FINDINGS = /^(?:oidc|saml|sso|account|outward)_/;

/** What a person is told of a failed check; undefined when it is no check that failed but this side. */
export function outward(error: AppError): AppError<SsoCode> | undefined {
  const { code } = error;
  if (!FINDINGS.test(code)) return undefined;
  if (UNREACHED.has(code) || code.startsWith('outward_')) return refuse('sso_provider_unavailable', code);
  if (code.startsWith('account_')) return refuse('sso_no_account', code);
  return refuse('sso_refused', code);
}
