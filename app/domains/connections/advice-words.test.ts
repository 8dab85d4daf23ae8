import { OIDC_CHECKS } from '@auditrax/oidc';
import { SAML_CHECKS } from '@auditrax/saml';
import { expect, it } from 'vitest';
import { adviceOn, adviceWords } from './advice-words.ts';

const CHECKS: Readonly<Record<string, unknown>> = { ...OIDC_CHECKS, ...SAML_CHECKS };

it('is given on checks that there are, and on every one that a clock, a client, a secret or a certificate can fail', () => {
  for (const code of Object.keys(adviceWords)) expect(CHECKS, code).toHaveProperty(code);
  const settings = /_(expired|not_yet_valid|issued_at|audience|token_refused|issuer|unreachable|signer_[a-z]+)$/;
  // A request of ours that ran out is no setting; metadata that has ended is refused where it is read, not at a sign-in.
  const ours = ['oidc_request_expired', 'saml_request_expired', 'saml_metadata_expired'];
  const due = Object.keys(CHECKS).filter((code) => settings.test(code) && !ours.includes(code));
  expect(due.length).toBeGreaterThan(15);
  expect(due.filter((code) => adviceOn(code) === undefined)).toEqual([]);
});

it('is none on what only an attacker or a broken provider does', () => {
  for (const code of ['oidc_nonce', 'oidc_state', 'oidc_signature_invalid', 'saml_replayed', 'saml_doctype', 'nothing'])
    expect(adviceOn(code)).toBeUndefined();
});
