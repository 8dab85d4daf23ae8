/** Errors of the room. A refusal that an outsider can provoke says as little as possible about why. */
export type IdentityCode =
  | 'session_required'
  | 'session_ended'
  | 'company_sign_in_required'
  | 'sign_in_refused'
  | 'link_unusable'
  | 'challenge_unusable'
  | 'passkey_refused'
  | 'passkey_limit_reached'
  | 'passkey_sign_in_required'
  | 'fresh_sign_in_required'
  | 'provider_sign_in_required'
  | 'identity_managed'
  | 'last_way_in'
  | 'door_unknown'
  | 'too_many_sign_in_attempts'
  | 'canary_tenant_required'
  | 'erasures_outstanding'
  | 'revocation_incomplete'
  | 'member_erased'
  | 'step_up_refused';

/** Status of each code (RFC 9457) but those the floor defines; merged into the house's table by the composition root. */
export const problems: Readonly<
  Record<
    Exclude<IdentityCode, 'session_required' | 'session_ended' | 'company_sign_in_required' | 'step_up_refused'>,
    { status: number; title: string }
  >
> = {
  sign_in_refused: { status: 401, title: 'Sign-in was refused' },
  link_unusable: { status: 404, title: 'This link is unknown, used or expired' },
  challenge_unusable: { status: 409, title: 'This took too long or was already used; start again' },
  passkey_refused: { status: 400, title: 'The passkey was not accepted' },
  passkey_limit_reached: { status: 409, title: 'No more passkeys can be added' },
  passkey_sign_in_required: { status: 403, title: 'This needs a session that was opened with a passkey' },
  fresh_sign_in_required: { status: 403, title: 'Sign in again with your passkey, then repeat this' },
  provider_sign_in_required: {
    status: 403,
    title: 'Sign in once more at your organisation, then add the passkey within five minutes',
  },
  identity_managed: { status: 409, title: 'Your organisation’s directory manages this; ask its administrator' },
  last_way_in: { status: 409, title: 'This is your only way in; add a passkey or another identity first' },
  door_unknown: { status: 400, title: 'Unknown door' },
  too_many_sign_in_attempts: { status: 429, title: 'Too many attempts; wait a minute' },
  erasures_outstanding: {
    status: 503,
    title: 'This workspace was restored and opens when erasures have been repeated',
  },
  revocation_incomplete: {
    status: 503,
    title: 'The person is locked out, but not everything of theirs has ended yet: repeat this',
  },
  member_erased: { status: 409, title: 'This person was erased and does not come back' },
  canary_tenant_required: { status: 404, title: 'Not found' },
};
