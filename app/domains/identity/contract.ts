import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

/** base64url of an authenticator's answer; the largest (attestation with certificates) stay well below. */
const base64url = z
  .string()
  .min(1)
  .max(16_384)
  .regex(/^[A-Za-z0-9_-]+$/);
const uuid = z.uuid();
const oneTimeToken = z
  .string()
  .length(43)
  .regex(/^[A-Za-z0-9_-]+$/);
const transports = z.array(z.string().max(32)).max(16);

// Browsers add members to these over time, so unknown ones are dropped instead of refused.
const registrationResponse = z.object({
  id: base64url,
  rawId: base64url,
  type: z.literal('public-key'),
  authenticatorAttachment: z.string().max(32).nullish(),
  clientExtensionResults: z.record(z.string(), z.unknown()).default({}),
  response: z.object({
    clientDataJSON: base64url,
    attestationObject: base64url,
    transports: transports.optional(),
  }),
});

/** Answer of an authenticator to assertion options, as `navigator.credentials.get` gives it in JSON. */
export const assertionResponse = z.object({
  id: base64url,
  rawId: base64url,
  type: z.literal('public-key'),
  authenticatorAttachment: z.string().max(32).nullish(),
  clientExtensionResults: z.record(z.string(), z.unknown()).default({}),
  response: z.object({
    clientDataJSON: base64url,
    authenticatorData: base64url,
    signature: base64url,
    userHandle: z
      .string()
      .max(128)
      .regex(/^[A-Za-z0-9_-]*$/)
      .nullish(),
  }),
});

/** What `navigator.credentials` is called with, in WebAuthn's JSON form. */
const ceremony = z.strictObject({ challengeId: uuid, options: z.looseObject({ challenge: z.string() }) });

const role = z.enum(['lead', 'auditor', 'client', 'operator']);
const signedIn = z.strictObject({
  signedIn: z.literal(true),
  /** No label while the organisation's own key is withdrawn: whoever can give it back must get in all the same. */
  person: z.strictObject({ id: z.string(), label: z.string().nullable() }),
  role,
  tenant: z.strictObject({
    slug: z.string(),
    name: z.string(),
    kind: z.enum(['sample', 'canary', 'operator', 'customer']),
  }),
  method: z.enum(['passkey', 'link', 'canary', 'sso']),
  /** What the organisation calls its connection, where the session came by one. */
  connection: z.string().nullable(),
  door: z.enum(['edge', 'tryout']),
  /** Absolute end, RFC 3339 in UTC. */
  expiresAt: z.iso.datetime(),
  passkeys: z.number().int().min(0),
  /** When somebody opened a recovery of this person: it takes effect then, unless they sign in with a passkey. */
  recoveryDueAt: z.iso.datetime().nullable(),
});
const session = z.discriminatedUnion('signedIn', [
  signedIn,
  z.strictObject({
    signedIn: z.literal(false),
    /** The session of this browser's cookie was ended by the house, and why. */
    ended: z.enum(['attempts', 'company']).optional(),
  }),
]);
const CEREMONY_BYTES_MAX = 65_536;

/** A ceremony's answer comes before its tenant is known, or proves itself: no tag could say more. */
const ceremonyAnswer = {
  'body.challengeId': 'random, of one ceremony at one door, and used up by the first look',
  'body.response.id': 'the passkey’s own id, believed only after its signature was verified',
  'body.response.rawId': 'the same id once more',
  'body.response.clientExtensionResults.*': 'what the browser says beside its answer; nothing is looked up by it',
} as const;

const publicRoute = { service: 'issuer', method: 'POST', access: { kind: 'public' }, ids: {} } as const;

export const routes = defineRoutes({
  session: {
    ...publicRoute,
    operation: 'identity.session',
    method: 'GET',
    path: '/api/identity/session',
    replies: { 200: session },
  },
  signInOptions: {
    ...publicRoute,
    operation: 'identity.sign-in-options',
    path: '/api/identity/passkey/sign-in/options',
    replies: { 200: ceremony },
  },
  signIn: {
    ...publicRoute,
    operation: 'identity.sign-in',
    path: '/api/identity/passkey/sign-in',
    untagged: ceremonyAnswer,
    body: z.strictObject({ challengeId: uuid, response: assertionResponse }),
    bodyBytesMax: CEREMONY_BYTES_MAX,
    replies: { 200: signedIn },
  },
  enrolmentOptions: {
    ...publicRoute,
    operation: 'identity.enrolment-options',
    path: '/api/identity/enrolment/options',
    body: z.strictObject({ token: oneTimeToken }),
    replies: { 200: ceremony },
  },
  enrol: {
    ...publicRoute,
    operation: 'identity.enrol',
    path: '/api/identity/enrolment',
    untagged: ceremonyAnswer,
    body: z.strictObject({ token: oneTimeToken, challengeId: uuid, response: registrationResponse }),
    bodyBytesMax: CEREMONY_BYTES_MAX,
    replies: { 200: signedIn },
  },
  link: {
    ...publicRoute,
    operation: 'identity.link',
    path: '/api/identity/link',
    body: z.strictObject({ token: oneTimeToken }),
    replies: { 200: signedIn },
  },
  signOut: {
    ...publicRoute,
    operation: 'identity.sign-out',
    path: '/api/identity/sign-out',
    replies: { 200: z.strictObject({ signedIn: z.literal(false) }) },
  },
  signOutEverywhere: {
    operation: 'identity.sign-out-everywhere',
    service: 'issuer',
    method: 'POST',
    path: '/api/identity/sign-out-everywhere',
    access: { kind: 'session', class: 'write' },
    ids: {},
    replies: { 200: z.strictObject({ closed: z.number().int().min(0) }) },
  },
  listPasskeys: {
    operation: 'identity.list-passkeys',
    service: 'issuer',
    method: 'GET',
    path: '/api/identity/passkeys',
    access: { kind: 'session', class: 'read' },
    ids: {},
    replies: {
      200: z.strictObject({
        passkeys: z.array(
          z.strictObject({
            deviceType: z.enum(['singleDevice', 'multiDevice']),
            createdAt: z.iso.datetime(),
            lastUsedAt: z.iso.datetime().nullable(),
          }),
        ),
      }),
    },
  },
  addPasskeyOptions: {
    operation: 'identity.add-passkey-options',
    service: 'issuer',
    method: 'POST',
    path: '/api/identity/passkey/options',
    access: { kind: 'session', class: 'privileged' },
    ids: {},
    replies: { 200: ceremony },
  },
  addPasskey: {
    operation: 'identity.add-passkey',
    service: 'issuer',
    method: 'POST',
    path: '/api/identity/passkey',
    access: { kind: 'session', class: 'privileged' },
    ids: {},
    untagged: ceremonyAnswer,
    body: z.strictObject({ challengeId: uuid, response: registrationResponse }),
    bodyBytesMax: CEREMONY_BYTES_MAX,
    replies: { 200: z.strictObject({ passkeys: z.number().int().min(1) }) },
  },
});

const canaryTenant = z.strictObject({
  tenant: z.string().min(1).max(63),
  role: z.enum(['lead', 'auditor', 'client']),
  door: z.enum(['edge', 'tryout']).default('edge'),
});
const canaryPerson = { tenantId: uuid, tenantPart: z.number().int().min(0).max(0xffff_ffff), personId: uuid };

/** Ways in for the sentinel's attempts: canary tenants only, whatever it asks for. */
export const canaryRoutes = defineRoutes({
  canarySession: {
    operation: 'identity.canary-session',
    service: 'issuer',
    method: 'POST',
    path: '/internal/identity/canary-session',
    access: { kind: 'internal', callers: ['sentinel'], token: false },
    ids: {},
    body: canaryTenant,
    replies: { 200: z.strictObject({ cookie: z.string(), expiresAt: z.number().int(), ...canaryPerson }) },
  },
  canaryEnrolment: {
    operation: 'identity.canary-enrolment',
    service: 'issuer',
    method: 'POST',
    path: '/internal/identity/canary-enrolment',
    access: { kind: 'internal', callers: ['sentinel'], token: false },
    ids: {},
    body: canaryTenant,
    replies: { 200: z.strictObject({ token: z.string(), ...canaryPerson }) },
  },
});
