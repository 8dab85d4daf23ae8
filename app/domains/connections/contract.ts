import { defineRoutes } from '@auditrax/base/route';
import { secret } from '@auditrax/base/secret';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';
import { GROUP_ROLES, justInTime, PROFILES } from './settings-contract.ts';

const connectionId = z.string().regex(idPattern('con'));
const certificateId = z.string().regex(idPattern('cer'));
const memberId = z.string();
const kind = z.enum(['oidc', 'saml']);
const profile = z.enum(PROFILES);
/** Longer than anything that is valid: what is wrong is said by the packages' rules, with the field. */
const TEXT_CHARS_MAX = 4_096;
const text = z.string().max(TEXT_CHARS_MAX);
const CERTIFICATE_CHARS_MAX = 32_768;
/** Base64 of the largest document that packages/saml reads is a third larger; this is the document itself. */
const DOCUMENT_CHARS_MAX = 512 * 1024;

const summary = z.strictObject({
  id: connectionId,
  kind,
  profile,
  name: z.string(),
  state: z.enum(['draft', 'active', 'disabled']),
  /** Whether the second step of the set-up is done. */
  complete: z.boolean(),
  /** Whether a test sign-in has accepted the settings as they are now. */
  tested: z.boolean(),
  groups: z.number().int().min(0),
  /** What is to be done soon: the end of a certificate that nothing covers, certificates that wait. */
  daysLeft: z.number().int().nullable(),
  pending: z.number().int().min(0),
});
export type ConnectionSummary = z.output<typeof summary>;

const oidcValues = {
  kind: z.literal('oidc'),
  issuer: text,
  clientId: text,
  clientAuthentication: z.enum(['client_secret_basic', 'client_secret_post']),
  algorithm: z.enum(['RS256', 'PS256', 'ES256']),
  groupsClaim: text.nullable(),
  hostedDomain: text.nullable(),
  authnAge_seconds_max: z.number().int().nullable(),
};
const samlValues = z.strictObject({
  kind: z.literal('saml'),
  idpEntityId: text,
  ssoUrl: text,
  ssoBinding: z.literal('redirect'),
  metadataUrl: text.nullable(),
  nameIdFormat: text.nullable(),
  /** What people are known by, in place of the NameID. */
  subjectAttribute: text.nullable(),
  groupsAttribute: text.nullable(),
  emailAttribute: text.nullable(),
  nameAttribute: text.nullable(),
  authnAge_seconds_max: z.number().int().nullable(),
});
/** A canary's connection to a stand-in, as the sentinel plans it. */
export const canaryConnection = z.strictObject({
  name: z.string().min(1).max(80),
  profile,
  values: z.discriminatedUnion('kind', [z.strictObject({ ...oidcValues, secret: secret(text) }), samlValues]),
  /** PEM, SAML only. */
  certificate: z.string().max(CERTIFICATE_CHARS_MAX).nullable(),
});
export type CanaryConnection = z.output<typeof canaryConnection>;

/** The secret is never told again: null keeps it. */
const writtenValues = z.discriminatedUnion('kind', [
  z.strictObject({ ...oidcValues, secret: secret(text).nullable() }),
  samlValues,
]);
const shownValues = z.discriminatedUnion('kind', [z.strictObject(oidcValues), samlValues]);
export type ShownValues = z.output<typeof shownValues>;

const certificate = z.strictObject({
  id: certificateId,
  /** Lower-case hexadecimal SHA-256 of its DER form. */
  fingerprint: z.string(),
  subject: z.string(),
  notBefore: z.iso.datetime(),
  notAfter: z.iso.datetime(),
  /** Whole days, negative when it is over. */
  daysLeft: z.number().int(),
  state: z.enum(['pending', 'active', 'retired']),
  source: z.enum(['pasted', 'metadata']),
  seenAt: z.iso.datetime(),
  decidedBy: memberId.nullable(),
  decidedAt: z.iso.datetime().nullable(),
  /** Fingerprint of the trusted certificate whose key signed the metadata that brought it. */
  vouchedBy: z.string().nullable(),
});
export type ShownCertificate = z.output<typeof certificate>;

const attempt = z.strictObject({
  at: z.iso.datetime(),
  purpose: z.enum(['test', 'sign-in']),
  outcome: z.enum(['accepted', 'refused']),
  /** Whether it was made with the settings as they are now. */
  current: z.boolean(),
  failure: z.strictObject({ code: z.string(), check: z.string().nullable(), sentence: z.string() }).nullable(),
  detail: z.string().nullable(),
  subject: z.string().nullable(),
  groups: z.array(z.string()).nullable(),
  claims: z.array(z.strictObject({ name: z.string(), value: z.string() })).nullable(),
  requestId: z.string(),
});

const group = z.strictObject({
  group: z.string().max(TEXT_CHARS_MAX),
  /** What people call it; decides nothing. */
  name: z.string().max(80).nullable(),
  role: z.enum(GROUP_ROLES),
});

/** Our own certificates, in PEM, for providers that want them pasted, and how far a change of them has come. */
const ownKeys = z.strictObject({
  signing: z.string(),
  encryption: z.string(),
  since: z.iso.datetime(),
  endsAt: z.iso.datetime(),
  daysLeft: z.number().int(),
  /** In the metadata beside the current ones. */
  next: z
    .strictObject({
      signing: z.string(),
      encryption: z.string(),
      madeAt: z.iso.datetime(),
      endsAt: z.iso.datetime(),
    })
    .nullable(),
  /** Not shown any more, still reading what is encrypted to them. */
  previous: z.strictObject({ replacedAt: z.iso.datetime() }).nullable(),
});

const detail = summary.extend({
  version: z.number().int(),
  /** How many who manage the organisation could still sign in if this provider were away for more than four hours. */
  standIns: z.number().int().min(0),
  justInTime,
  values: shownValues.nullable(),
  addresses: z.strictObject({
    start: z.string(),
    callback: z.string(),
    acs: z.string(),
    logout: z.string(),
    metadata: z.string(),
  }),
  groupMap: z.array(group),
  certificates: z.array(certificate),
  ownKeys: ownKeys.nullable(),
  /** When the provider's metadata was looked at last, and the code of what went wrong. */
  metadata: z.strictObject({ lookedAt: z.iso.datetime().nullable(), trouble: z.string().nullable() }).nullable(),
  attempts: z.array(attempt),
});
export type ConnectionDetail = z.output<typeof detail>;

/** PEM, SAML only: trusted from now on, beside those that are. */
const certificates = z.array(z.string().max(CERTIFICATE_CHARS_MAX)).max(4);
const PROVIDER_NAMES = {
  'body.values.clientId': 'ours at the provider: stored and sent there, never looked up here',
  'body.values.idpEntityId': 'the provider’s name: compared with what it signs, never looked up here',
} as const;

const privileged = { kind: 'session', class: 'privileged', stepUp: true } as const;
const BODY_BYTES_MAX = 96 * 1024;
const one = { params: z.strictObject({ connectionId }), ids: { 'params.connectionId': 'con' } } as const;

/** Set-up of the organisation's identity providers. */
export const routes = defineRoutes({
  list: {
    operation: 'connections.list',
    service: 'issuer',
    method: 'GET',
    path: '/api/connections',
    access: { kind: 'session', class: 'read' },
    ids: {},
    replies: { 200: z.strictObject({ connections: z.array(summary), connectionsMax: z.number().int() }) },
  },
  read: {
    operation: 'connections.read',
    service: 'issuer',
    method: 'GET',
    path: '/api/connections/:connectionId',
    access: { kind: 'session', class: 'read' },
    ...one,
    replies: { 200: detail },
  },
  create: {
    operation: 'connections.create',
    service: 'issuer',
    method: 'POST',
    path: '/api/connections',
    access: privileged,
    ids: {},
    body: z.strictObject({ kind, profile, name: text }),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 201: z.strictObject({ id: connectionId }) },
  },
  change: {
    operation: 'connections.change',
    service: 'issuer',
    method: 'POST',
    path: '/api/connections/:connectionId',
    access: privileged,
    ...one,
    untagged: PROVIDER_NAMES,
    body: z.strictObject({
      version: z.number().int().min(1),
      name: text,
      justInTime,
      values: writtenValues,
      certificates,
    }),
    bodyBytesMax: 192 * 1024,
    replies: { 200: z.strictObject({ id: connectionId }) },
  },
  /** Whether these values could be used, before anybody touches a passkey for them; nothing is stored. */
  check: {
    operation: 'connections.check',
    service: 'issuer',
    method: 'POST',
    path: '/api/connections/:connectionId/check',
    access: { kind: 'session', class: 'write' },
    ...one,
    untagged: PROVIDER_NAMES,
    body: z.strictObject({ name: text, values: writtenValues, certificates }),
    bodyBytesMax: 192 * 1024,
    replies: { 200: z.strictObject({ ok: z.literal(true) }) },
  },
  turn: {
    operation: 'connections.turn',
    service: 'issuer',
    method: 'POST',
    path: '/api/connections/:connectionId/turn',
    access: privileged,
    ...one,
    body: z.strictObject({ to: z.enum(['active', 'disabled']) }),
    bodyBytesMax: 1024,
    replies: { 200: z.strictObject({ id: connectionId }) },
  },
  remove: {
    operation: 'connections.remove',
    service: 'issuer',
    method: 'POST',
    path: '/api/connections/:connectionId/remove',
    access: privileged,
    ...one,
    body: z.strictObject({}),
    bodyBytesMax: 1024,
    replies: { 200: z.strictObject({ removed: z.literal(true) }) },
  },
  mapGroups: {
    operation: 'connections.map-groups',
    service: 'issuer',
    method: 'POST',
    path: '/api/connections/:connectionId/groups',
    access: privileged,
    ...one,
    body: z.strictObject({ groups: z.array(group).max(1_000) }),
    bodyBytesMax: 192 * 1024,
    replies: { 200: z.strictObject({ id: connectionId }) },
  },
  /** One step of a change of our own keys. */
  ownKeys: {
    operation: 'connections.own-keys',
    service: 'issuer',
    method: 'POST',
    path: '/api/connections/:connectionId/own-keys',
    access: privileged,
    ...one,
    body: z.strictObject({ step: z.enum(['prepare', 'use', 'end', 'withdraw']) }),
    bodyBytesMax: 1024,
    replies: { 200: z.strictObject({ id: connectionId }) },
  },
  decide: {
    operation: 'connections.decide-certificate',
    service: 'issuer',
    method: 'POST',
    path: '/api/connections/:connectionId/certificates/:certificateId',
    access: privileged,
    ids: { 'params.connectionId': 'con', 'params.certificateId': 'cer' },
    params: z.strictObject({ connectionId, certificateId }),
    body: z.strictObject({ to: z.enum(['active', 'retired']) }),
    bodyBytesMax: 1024,
    replies: { 200: z.strictObject({ id: certificateId }) },
  },
  /** Reads the provider's metadata now instead of within a day. */
  refresh: {
    operation: 'connections.refresh',
    service: 'issuer',
    method: 'POST',
    path: '/api/connections/:connectionId/metadata',
    access: { kind: 'session', class: 'write' },
    ...one,
    body: z.strictObject({}),
    bodyBytesMax: 1024,
    replies: {
      200: z.strictObject({
        /** Code of what went wrong; null when the document was read. */
        trouble: z.string().nullable(),
        sentence: z.string().nullable(),
        pending: z.number().int().min(0),
        activated: z.number().int().min(0),
      }),
    },
  },
  /** What a provider's metadata document says, to fill a form with; nothing is stored or trusted by it. */
  describe: {
    operation: 'connections.describe',
    service: 'issuer',
    method: 'POST',
    path: '/api/connections/metadata',
    access: { kind: 'session', class: 'write' },
    ids: {},
    body: z.strictObject({ document: z.string().min(1).max(DOCUMENT_CHARS_MAX) }),
    bodyBytesMax: 2 * DOCUMENT_CHARS_MAX,
    replies: {
      200: z.strictObject({
        idpEntityId: z.string(),
        ssoUrl: z.string().nullable(),
        certificates: z.array(z.strictObject({ pem: z.string(), fingerprint: z.string(), notAfter: z.iso.datetime() })),
      }),
    },
  },
});
