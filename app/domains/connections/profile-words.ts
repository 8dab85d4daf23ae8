import type { ConnectionDetail } from './contract.ts';

type Profile = ConnectionDetail['profile'];
type AddressName = keyof ConnectionDetail['addresses'];

/** One address to paste at the provider, under the name that the provider gives it. */
export interface ThereValue {
  readonly label: string;
  readonly address: AddressName;
}

/** What an administrator is told about OpenID Connect at one kind of provider. */
export interface OidcWords {
  /** Where in the provider's console. */
  readonly where: string;
  readonly there: readonly ThereValue[];
  readonly issuer: string;
  readonly issuerHelp: string;
  /** Preset of the groups' claim; null where the provider sends none. */
  readonly groupsClaim: string | null;
  readonly groupsHelp: string;
}

/** The same for SAML. */
export interface SamlWords {
  readonly where: string;
  readonly there: readonly ThereValue[];
  readonly metadataHelp: string | null;
  /** Preset of the attribute that people are known by; null where the NameID can be that. */
  readonly subject: string | null;
  readonly subjectHelp: string;
  readonly groups: string | null;
  readonly email: string | null;
  readonly name: string | null;
  readonly note: string;
}

export interface ProfileWords {
  readonly name: string;
  readonly oidc: OidcWords;
  readonly saml: SamlWords;
}

const PERSISTENT = 'Let the NameID be persistent: an id that never changes. An e-mail address as NameID is refused.';
const IN_PLACE =
  'Only where the NameID cannot be an id that never changes, for instance a staff number. It cannot be changed once the connection was on.';
const CALLBACK = (label: string): ThereValue => ({ label, address: 'callback' });
const START = (label: string): ThereValue => ({ label, address: 'start' });
const ACS = (label: string): ThereValue => ({ label, address: 'acs' });
const ENTITY = (label: string): ThereValue => ({ label, address: 'metadata' });
const XMLSOAP = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims';

/** Written after the providers' documents; nobody has tried a live tenant of the six. */
export const profileWords: Readonly<Record<Profile, ProfileWords>> = {
  entra: {
    name: 'Microsoft Entra ID',
    oidc: {
      where: 'App registrations › New registration: accounts in this directory only, platform Web.',
      there: [CALLBACK('Redirect URI')],
      issuer: 'https://login.microsoftonline.com/…/v2.0',
      issuerHelp: 'With your Directory (tenant) ID from the overview; never common or organizations.',
      groupsClaim: 'groups',
      groupsHelp:
        'Token configuration › Add groups claim › Group ID. People in more than 200 groups need application roles: then write roles.',
    },
    saml: {
      where: 'Enterprise applications › New application › your own › Single sign-on › SAML.',
      there: [ENTITY('Identifier (Entity ID)'), ACS('Reply URL (ACS URL)'), START('Sign on URL')],
      metadataHelp: 'App Federation Metadata Url, with its ?appid=.',
      subject: null,
      subjectHelp: IN_PLACE,
      groups: 'http://schemas.microsoft.com/ws/2008/06/identity/claims/groups',
      email: `${XMLSOAP}/emailaddress`,
      name: 'http://schemas.microsoft.com/identity/claims/displayname',
      note: `Unique User Identifier: user.objectid, as persistent. ${PERSISTENT}`,
    },
  },
  okta: {
    name: 'Okta',
    oidc: {
      where: 'Applications › Create App Integration › OIDC, Web Application.',
      there: [CALLBACK('Sign-in redirect URI'), START('Initiate login URI')],
      issuer: 'https://….okta.com',
      issuerHelp: 'The address of your organisation, or that of a custom server: https://…/oauth2/…',
      groupsClaim: 'groups',
      groupsHelp: 'Sign On › OpenID Connect ID Token › Groups claim filter, otherwise no groups are sent.',
    },
    saml: {
      where: 'Applications › Create App Integration › SAML 2.0.',
      there: [ACS('Single sign-on URL'), ENTITY('Audience URI (SP Entity ID)')],
      metadataHelp: 'Sign On › Metadata URL.',
      subject: null,
      subjectHelp: IN_PLACE,
      groups: 'groups',
      email: 'email',
      name: 'name',
      note: `Name ID format: Persistent. Add attribute statements and a group attribute statement named groups. ${PERSISTENT}`,
    },
  },
  google: {
    name: 'Google Workspace',
    oidc: {
      where:
        'Google Cloud console › APIs & Services › Credentials › OAuth client ID, Web application, user type Internal.',
      there: [CALLBACK('Authorised redirect URI')],
      issuer: 'https://accounts.google.com',
      issuerHelp: 'The same for everybody; your domain below tells your people from all others.',
      groupsClaim: null,
      groupsHelp: 'Google sends no groups in OpenID Connect. Use SAML where groups are to give roles.',
    },
    saml: {
      where: 'Admin console › Apps › Web and mobile apps › Add custom SAML app.',
      there: [ACS('ACS URL'), ENTITY('Entity ID'), START('Start URL')],
      metadataHelp: null,
      subject: 'employee_id',
      subjectHelp:
        'Google has no id of its own to send by SAML that never changes. Fill in the employee ID of everybody in the directory, and map Employee details › Employee ID to this name. If you have none, use OpenID Connect: there Google sends one. It cannot be changed once the connection was on.',
      groups: 'groups',
      email: 'email',
      name: 'name',
      note: `Google publishes no address of metadata: download it and read it in here, again before its certificate ends. Groups come by name: renaming one breaks its mapping. Whatever the Name ID format says, its NameID is an address, which is given to somebody else one day: nobody is known by it here.`,
    },
  },
  jumpcloud: {
    name: 'JumpCloud',
    oidc: {
      where: 'SSO Applications › Add New Application › Custom › OIDC.',
      there: [CALLBACK('Redirect URI'), START('Login URL')],
      issuer: 'https://oauth.id.jumpcloud.com/',
      issuerHelp: 'With the slash at its end.',
      groupsClaim: 'memberOf',
      groupsHelp: 'Attribute Mapping › Include group attribute, under the name that you write here.',
    },
    saml: {
      where: 'SSO Applications › Add New Application › Custom › SAML.',
      there: [ENTITY('SP Entity ID'), ACS('ACS URL'), START('Login URL')],
      metadataHelp: 'Copy Metadata URL.',
      subject: null,
      subjectHelp: IN_PLACE,
      groups: 'memberOf',
      email: 'email',
      name: 'name',
      note: `Tick Sign Assertion. Give the IdP Entity ID a name of its own: it cannot be changed later. ${PERSISTENT}`,
    },
  },
  adfs: {
    name: 'AD FS',
    oidc: {
      where: 'AD FS Management › Application Groups › Server application accessing a web API.',
      there: [CALLBACK('Redirect URI')],
      issuer: 'https://…/adfs',
      issuerHelp: 'The host of your federation service.',
      groupsClaim: 'group',
      groupsHelp: 'An issuance transform rule that sends the groups (as SIDs) under this name.',
    },
    saml: {
      where: 'AD FS Management › Relying Party Trusts › Add, claims aware, from the metadata address.',
      there: [ENTITY('Federation metadata address'), ACS('SAML 2.0 SSO service URL')],
      metadataHelp: 'It ends in /FederationMetadata/2007-06/FederationMetadata.xml.',
      subject: null,
      subjectHelp: IN_PLACE,
      groups: 'http://schemas.xmlsoap.org/claims/Group',
      email: `${XMLSOAP}/emailaddress`,
      name: `${XMLSOAP}/name`,
      note: `AD FS changes its certificate by itself each year and shows the new one about twenty days ahead: give its metadata address. ${PERSISTENT}`,
    },
  },
  pingfederate: {
    name: 'PingFederate',
    oidc: {
      where: 'Applications › OAuth › Clients › Add Client, authorization code.',
      there: [CALLBACK('Redirect URI'), { label: 'Back-channel logout URI', address: 'logout' }],
      issuer: 'https://…',
      issuerHelp: 'The base address, or your virtual issuer with its path.',
      groupsClaim: 'groups',
      groupsHelp: 'The name of the attribute in the OpenID Connect policy.',
    },
    saml: {
      where: 'Applications › SP Connections › Create, Browser SSO, SP-initiated.',
      there: [ENTITY('Partner’s entity ID and metadata URL'), ACS('Assertion Consumer Service URL')],
      metadataHelp: 'The address that exports your metadata for this connection.',
      subject: null,
      subjectHelp: IN_PLACE,
      groups: 'groups',
      email: 'email',
      name: 'name',
      note: `Sign the assertion with RSA and SHA-256. ${PERSISTENT}`,
    },
  },
  other: {
    name: 'Another provider',
    oidc: {
      where: 'Register a confidential client for the authorization code flow.',
      there: [CALLBACK('Redirect URI'), { label: 'Back-channel logout URI', address: 'logout' }, START('Sign-in URL')],
      issuer: 'https://…',
      issuerHelp: 'Exactly as issuer in /.well-known/openid-configuration, with or without a slash at its end.',
      groupsClaim: 'groups',
      groupsHelp: 'The claim of the ID token that lists groups.',
    },
    saml: {
      where: 'Register a service provider; ours publishes its metadata under the first address.',
      there: [
        ENTITY('Entity ID and metadata URL'),
        ACS('Assertion Consumer Service URL (HTTP POST)'),
        START('Sign-in URL'),
      ],
      metadataHelp: 'Where the provider publishes its own metadata, over https.',
      subject: null,
      subjectHelp: IN_PLACE,
      groups: 'groups',
      email: 'email',
      name: 'name',
      note: PERSISTENT,
    },
  },
};

export const PROFILE_NAMES = Object.keys(profileWords) as readonly Profile[];
