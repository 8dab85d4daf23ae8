/** The kinds of provider that have rules of their own, and `other`. */
export type ProviderProfile = 'entra' | 'okta' | 'google' | 'jumpcloud' | 'adfs' | 'pingfederate' | 'other';

/** What differs from provider to provider, in one table. */
export interface ProfileRules {
  /** Whether this is an issuer of this kind of provider. */
  readonly isIssuer: (issuer: string) => boolean;
  /** Shown to an administrator whose issuer is refused. */
  readonly issuerForm: string;
  /** Claims that name a person for good: joined with `/` they are the key of the account within its connection. */
  readonly key: readonly ['sub'] | readonly ['tid', 'oid'];
  /** Where groups can come from: a claim that the administrator names, or nowhere. */
  readonly groups: 'claim' | 'never';
  /** Whether the connection must name the domain that every account's `hd` has to be. */
  readonly hostedDomain: 'required' | 'refused';
  /** Whether the provider can be asked for a new sign-in, and says when it was. */
  readonly freshness: 'auth_time' | 'never';
  /** Scopes to ask for. */
  readonly scope: (issuer: string, wantsGroups: boolean) => string;
  /** How this side may prove who it is at the token endpoint. */
  readonly privateKeyJwt: 'offered' | 'refused';
}

const GUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
/** Whoever has a personal Microsoft account is in this tenant. */
const PERSONAL_ACCOUNTS = '9188040d-6c67-4c5b-b112-36a304b66dad';
const ENTRA = new RegExp(`^https://login\\.microsoftonline\\.(?:com|us)/(${GUID})/v2\\.0$`);
const OKTA = /^https:\/\/[a-z0-9.-]+(?:\/oauth2\/[A-Za-z0-9]+)?$/;
const ADFS = /^https:\/\/[a-z0-9.-]+(?::\d{1,5})?\/adfs$/;
const GOOGLE = 'https://accounts.google.com';
/** With the slash: it is part of the name. */
const JUMPCLOUD = 'https://oauth.id.jumpcloud.com/';

const USUAL = {
  key: ['sub'],
  groups: 'claim',
  hostedDomain: 'refused',
  freshness: 'auth_time',
  scope: () => 'openid profile email',
  privateKeyJwt: 'offered',
} as const;

export const PROFILES: Readonly<Record<ProviderProfile, ProfileRules>> = {
  entra: {
    ...USUAL,
    isIssuer: (issuer) => entraTenant(issuer) !== undefined,
    issuerForm: 'https://login.microsoftonline.com/{the directory’s own id}/v2.0, never common or organizations',
    // `oid` is unique within a directory only, and `sub` changes with the application.
    key: ['tid', 'oid'],
    // Entra wants the thumbprint of an uploaded certificate in the assertion; nothing here makes one.
    privateKeyJwt: 'refused',
  },
  okta: {
    ...USUAL,
    isIssuer: (issuer) => OKTA.test(issuer),
    issuerForm: 'https://{org} or https://{org}/oauth2/{id}: two servers with two issuers',
    // The organisation's own server gives groups for a scope; a custom one has no such scope and answers with an error.
    scope: (issuer, wantsGroups) =>
      `openid profile email${wantsGroups && !issuer.includes('/oauth2/') ? ' groups' : ''}`,
  },
  google: {
    ...USUAL,
    isIssuer: (issuer) => issuer === GOOGLE,
    issuerForm: GOOGLE,
    groups: 'never',
    // One issuer for the whole world: only the domain tells a company's people from anybody else.
    hostedDomain: 'required',
    freshness: 'never',
    privateKeyJwt: 'refused',
  },
  jumpcloud: { ...USUAL, isIssuer: (issuer) => issuer === JUMPCLOUD, issuerForm: JUMPCLOUD },
  adfs: {
    ...USUAL,
    // Its metadata also name an `access_token_issuer` (…/adfs/services/trust), which is not the issuer of ID tokens.
    isIssuer: (issuer) => ADFS.test(issuer),
    issuerForm: 'https://{host}/adfs',
    scope: () => 'openid profile email allatclaims',
  },
  pingfederate: {
    ...USUAL,
    isIssuer: () => true,
    issuerForm: 'the base address, or the virtual issuer with its path',
  },
  other: { ...USUAL, isIssuer: () => true, issuerForm: 'the issuer as its discovery document has it' },
};

/** The directory that an issuer of Entra pins; undefined for every other text and for personal accounts. */
export function entraTenant(issuer: string): string | undefined {
  const tenant = ENTRA.exec(issuer)?.[1];
  return tenant === PERSONAL_ACCOUNTS ? undefined : tenant;
}

/** Hosts whose rules must not be dodged by choosing another kind of provider for them. */
const BOUND_HOSTS: Readonly<Record<string, ProviderProfile>> = {
  'login.microsoftonline.com': 'entra',
  'login.microsoftonline.us': 'entra',
  'sts.windows.net': 'entra',
  'accounts.google.com': 'google',
  'oauth.id.jumpcloud.com': 'jumpcloud',
};

/** Whether `issuer` may be used with `profile`. */
export function fitsProfile(profile: ProviderProfile, issuer: string): boolean {
  const host = new URL(issuer).hostname;
  const bound = Object.hasOwn(BOUND_HOSTS, host) ? BOUND_HOSTS[host] : undefined;
  return (bound === undefined || bound === profile) && PROFILES[profile].isIssuer(issuer);
}
