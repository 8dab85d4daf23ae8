import { z } from 'zod';

/** The kinds of provider that have a set-up of their own, and `other`. */
export const PROFILES = ['entra', 'okta', 'google', 'jumpcloud', 'adfs', 'pingfederate', 'other'] as const;
export type Profile = (typeof PROFILES)[number];
export type ConnectionKind = 'oidc' | 'saml';
export type ConnectionState = 'draft' | 'active' | 'disabled';

/** Roles that a group can give. `operator` is none: it exists in one tenant only, and nobody gets there by a directory. */
export const GROUP_ROLES = ['lead', 'auditor', 'client'] as const;
export type GroupRole = (typeof GROUP_ROLES)[number];

/** What an administrator typed for OpenID Connect. The packages say what is right; here it is only bounded. */
const oidc = z.strictObject({
  kind: z.literal('oidc'),
  issuer: z.string(),
  clientId: z.string(),
  clientAuthentication: z.enum(['client_secret_basic', 'client_secret_post']),
  secret: z.string(),
  algorithm: z.enum(['RS256', 'PS256', 'ES256']),
  groupsClaim: z.string().nullable(),
  /** Google only. */
  hostedDomain: z.string().nullable(),
  authnAge_seconds_max: z.number().int().nullable(),
});

/** For SAML. Certificates stand in a table of their own, since each has a life of its own. */
const saml = z.strictObject({
  kind: z.literal('saml'),
  idpEntityId: z.string(),
  ssoUrl: z.string(),
  ssoBinding: z.literal('redirect'),
  /** Read daily. Null where the provider publishes none. */
  metadataUrl: z.string().nullable(),
  nameIdFormat: z.string().nullable(),
  /** An attribute with what never changes about a person, where the NameID is not that. Null: the NameID. */
  subjectAttribute: z.string().nullable().default(null),
  groupsAttribute: z.string().nullable(),
  emailAttribute: z.string().nullable(),
  nameAttribute: z.string().nullable(),
  authnAge_seconds_max: z.number().int().nullable(),
});

/** Whether somebody who is unknown here becomes a member at the first sign-in, and as what. */
export const justInTime = z.strictObject({
  allowed: z.boolean(),
  /** For whom no mapped group is named: null means that such a person is turned away. Never more than an auditor. */
  roleWithoutGroup: z.enum(['auditor', 'client']).nullable(),
});
export type JustInTime = z.output<typeof justInTime>;

/** What is sealed as one: everything that an administrator said about a connection. */
export const storedSettings = z.strictObject({
  name: z.string(),
  justInTime,
  /** Null until the second step of the set-up. */
  values: z.discriminatedUnion('kind', [oidc, saml]).nullable(),
});
export type StoredSettings = z.output<typeof storedSettings>;
export type OidcValues = z.output<typeof oidc>;
export type SamlValues = z.output<typeof saml>;
export type ConnectionValues = OidcValues | SamlValues;

/** Nobody comes in by a new connection before somebody has said so. */
export const NOBODY_NEW: JustInTime = { allowed: false, roleWithoutGroup: null };
