import { systemRandom, uuidV4 } from '@auditrax/base';
import type { Caller } from '../../../platform/http/handler.ts';
import type { Asker } from '../asking.ts';
import type { JustInTime, OidcValues, SamlValues } from '../settings-contract.ts';

/** A caller whose confirmation is taken as verified: the routes verify it. */
export const by = (caller: Caller): Asker => ({
  caller,
  requestId: uuidV4(systemRandom),
  stepUp: { assertionHash: 'assertion', credentialId: 'credential' },
});

export const NOBODY: JustInTime = { allowed: false, roleWithoutGroup: null };

/** What an administrator might type for OpenID Connect. */
export const oidc: Omit<OidcValues, 'secret'> & { secret: string | null } = {
  kind: 'oidc',
  issuer: 'https://idp.harbour.example',
  clientId: 'auditrax',
  clientAuthentication: 'client_secret_basic',
  secret: 'a-secret-of-the-provider',
  algorithm: 'RS256',
  groupsClaim: 'groups',
  hostedDomain: null,
  authnAge_seconds_max: null,
};

/** The same for SAML. */
export const saml: SamlValues = {
  kind: 'saml',
  idpEntityId: 'https://idp.harbour.example/saml',
  ssoUrl: 'https://idp.harbour.example/sso',
  ssoBinding: 'redirect',
  metadataUrl: null,
  nameIdFormat: null,
  subjectAttribute: null,
  groupsAttribute: 'groups',
  emailAttribute: 'mail',
  nameAttribute: null,
  authnAge_seconds_max: null,
};
