// What six providers send in SAML, written after their documents: their names, what they sign, NameID and attributes. No
// tenant of any of them has been looked at.
import type { Profile, SamlValues } from '../domains/connections/settings-contract.ts';
import { ENTRA_TENANT } from './oidc-profiles.ts';

const XMLSOAP = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims';
const MICROSOFT = 'http://schemas.microsoft.com';
export const FORMATS = {
  persistent: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
  email: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
  unspecified: 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified',
} as const;

export interface SamlReplay {
  readonly profile: Profile;
  readonly entityId: string;
  readonly ssoUrl: string;
  readonly sign: 'assertion' | 'response' | 'both';
  /** In the signature's transforms: Okta writes them. */
  readonly inclusivePrefixes?: readonly string[];
  readonly digest?: 'sha512';
  readonly nameId: string;
  readonly format?: keyof typeof FORMATS;
  readonly responseAttributes?: Readonly<Record<string, string>>;
  readonly attributes: Readonly<Record<string, readonly string[]>>;
  readonly settings: Pick<SamlValues, 'subjectAttribute' | 'groupsAttribute' | 'emailAttribute' | 'nameAttribute'>;
  readonly groups: readonly string[] | null;
}

const ENTRA_OBJECT = '690222be-ff1a-4d56-abd1-7e4f7d38e474';
const ENTRA_GROUPS = ['c3a1a2b4-9c0e-4d7f-8a55-0d3e7b1f2c11', '0d9f3f6a-51b7-4a7e-bf1c-6a5e2f9d8e22'];
const NAMED = {
  subjectAttribute: null,
  groupsAttribute: 'groups',
  emailAttribute: 'email',
  nameAttribute: 'name',
} as const;
const USUAL = { email: ['auditor@harbour.example'], name: ['Harbour Auditor'] } as const;

export const SAML_REPLAYS = {
  'Entra ID': {
    profile: 'entra',
    entityId: `https://sts.windows.net/${ENTRA_TENANT}/`,
    ssoUrl: `https://login.microsoftonline.com/${ENTRA_TENANT}/saml2`,
    sign: 'assertion',
    nameId: ENTRA_OBJECT,
    attributes: {
      [`${MICROSOFT}/identity/claims/tenantid`]: [ENTRA_TENANT],
      [`${MICROSOFT}/identity/claims/objectidentifier`]: [ENTRA_OBJECT],
      [`${MICROSOFT}/identity/claims/displayname`]: ['Harbour Auditor'],
      [`${MICROSOFT}/ws/2008/06/identity/claims/groups`]: ENTRA_GROUPS,
      [`${MICROSOFT}/identity/claims/identityprovider`]: [`https://sts.windows.net/${ENTRA_TENANT}/`],
      [`${MICROSOFT}/claims/authnmethodsreferences`]: [
        'http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/password',
        'http://schemas.microsoft.com/claims/multipleauthn',
      ],
      [`${XMLSOAP}/emailaddress`]: ['auditor@harbour.example'],
      [`${XMLSOAP}/name`]: ['auditor@harbour.example'],
    },
    settings: {
      subjectAttribute: null,
      groupsAttribute: `${MICROSOFT}/ws/2008/06/identity/claims/groups`,
      emailAttribute: `${XMLSOAP}/emailaddress`,
      nameAttribute: `${MICROSOFT}/identity/claims/displayname`,
    },
    groups: ENTRA_GROUPS,
  },
  Okta: {
    profile: 'okta',
    entityId: 'http://www.okta.com/exk1fcia6d6EMsf331d8',
    ssoUrl: 'https://harbour.okta.com/app/harbour_auditrax_1/exk1fcia6d6EMsf331d8/sso/saml',
    sign: 'both',
    inclusivePrefixes: ['xs'],
    nameId: '00uid4BxXw6I6TV4m0g3',
    attributes: { ...USUAL, groups: ['Everyone', 'Auditors'] },
    settings: NAMED,
    groups: ['Everyone', 'Auditors'],
  },
  'Google Workspace': {
    profile: 'google',
    entityId: 'https://accounts.google.com/o/saml2?idpid=C03k7w1ab',
    ssoUrl: 'https://accounts.google.com/o/saml2/idp?idpid=C03k7w1ab',
    // "Signed response" signs the response in place of the assertion.
    sign: 'response',
    // The primary address, under whatever Format the administrator has chosen; who it is stands in an attribute.
    nameId: 'auditor@harbour.example',
    attributes: { ...USUAL, groups: ['Auditors'], employee_id: ['004711'] },
    settings: { ...NAMED, subjectAttribute: 'employee_id' },
    groups: ['Auditors'],
  },
  JumpCloud: {
    profile: 'jumpcloud',
    // Free text: no address, and hardly anybody's alone.
    entityId: 'JumpCloud',
    ssoUrl: 'https://sso.jumpcloud.com/saml2/auditrax',
    sign: 'assertion',
    nameId: '64d2c3f1a7b8e900123f4a5b',
    format: 'unspecified',
    attributes: { ...USUAL, memberOf: ['auditors', 'everybody'] },
    settings: { ...NAMED, groupsAttribute: 'memberOf' },
    groups: ['auditors', 'everybody'],
  },
  ADFS: {
    profile: 'adfs',
    entityId: 'http://fs.harbour.example/adfs/services/trust',
    ssoUrl: 'https://fs.harbour.example/adfs/ls/',
    sign: 'assertion',
    nameId: 'm8VRPkUOVq2eSgn3fUYIbUX5eG0y9JzQH1Jp5fPz2Xc=',
    responseAttributes: { Consent: 'urn:oasis:names:tc:SAML:2.0:consent:unspecified' },
    attributes: {
      [`${XMLSOAP}/emailaddress`]: ['auditor@harbour.example'],
      [`${XMLSOAP}/name`]: ['HARBOUR\\auditor'],
      'http://schemas.xmlsoap.org/claims/Group': ['Auditors', 'Domain Users'],
    },
    settings: {
      subjectAttribute: null,
      groupsAttribute: 'http://schemas.xmlsoap.org/claims/Group',
      emailAttribute: `${XMLSOAP}/emailaddress`,
      nameAttribute: `${XMLSOAP}/name`,
    },
    groups: ['Auditors', 'Domain Users'],
  },
  PingFederate: {
    profile: 'pingfederate',
    // A virtual server id: the issuer that this partner sees.
    entityId: 'harbour:virtual:auditrax',
    ssoUrl: 'https://sso.harbour.example/idp/SSO.saml2',
    sign: 'both',
    digest: 'sha512',
    nameId: 'harbour-004711',
    attributes: { ...USUAL, groups: ['cn=auditors,ou=groups,dc=harbour,dc=example'] },
    settings: NAMED,
    groups: ['cn=auditors,ou=groups,dc=harbour,dc=example'],
  },
} as const satisfies Readonly<Record<string, SamlReplay>>;
export type SamlReplayName = keyof typeof SAML_REPLAYS;

/** As an administrator would type them. */
export function samlValuesOf({ entityId, ssoUrl, settings }: SamlReplay): SamlValues {
  return {
    kind: 'saml',
    idpEntityId: entityId,
    ssoUrl,
    ssoBinding: 'redirect',
    metadataUrl: null,
    nameIdFormat: null,
    authnAge_seconds_max: null,
    ...settings,
  };
}
