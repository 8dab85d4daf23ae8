import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';
import { canaryConnection } from '../connections/contract.ts';

const oneTimeToken = z
  .string()
  .length(43)
  .regex(/^[A-Za-z0-9_-]+$/);
/** Where the browser goes next: the provider's own address. */
export const departure = z.strictObject({ url: z.string() });
const offers = z.strictObject({
  offers: z.array(
    z.strictObject({
      name: z.string(),
      /** Of this edge: where a sign-in by it begins. */
      path: z.string(),
    }),
  ),
});

/** An answer in base64 (256 KiB at most) as a form writes it, with every plus, slash and equals sign in three characters. */
const ANSWER_BYTES_MAX = 512 * 1024;
const SAML_CHARACTERS_MAX = 360_000;
const LOGOUT_BYTES_MAX = 72 * 1024;
const PEM_CHARACTERS_MAX = 8192;
/** Each kind of provider, in each protocol. */
const CANARY_CONNECTIONS_MAX = 16;

const CONNECTION = 'random and public: it is in the addresses that the provider is given, and leads to one tenant';
const foreignRoute = {
  service: 'issuer',
  access: { kind: 'public' },
  ids: {},
  params: z.strictObject({ connection: z.uuid() }),
  untagged: { 'params.connection': CONNECTION },
} as const;

/** For the sentinel's attempts: whatever it asks for, connections of canaries alone, to a stand-in of its own. */
export const canaryRoutes = defineRoutes({
  canaryConnections: {
    operation: 'sso.canary-connections',
    service: 'issuer',
    method: 'POST',
    path: '/internal/sso/canary-connections',
    access: { kind: 'internal', callers: ['sentinel'], token: false },
    ids: {},
    body: z.strictObject({
      tenant: z.string().min(1).max(63),
      connections: z.array(canaryConnection).min(1).max(CANARY_CONNECTIONS_MAX),
      standIn: z.strictObject({
        /** Loopback alone: the sentinel is on this machine. */
        origin: z.string().regex(/^https:\/\/127\.0\.0\.1:[1-9]\d{0,4}$/),
        authority: z.string().max(PEM_CHARACTERS_MAX),
      }),
    }),
    replies: { 200: z.strictObject({ connections: z.array(z.uuid()) }) },
  },
});

export const routes = defineRoutes({
  start: {
    ...foreignRoute,
    operation: 'sso.start',
    method: 'GET',
    path: '/sso/:connection/start',
    foreign: { caller: 'navigation', reason: 'a company’s own portal links to it' },
    replies: { 303: z.undefined() },
  },
  callback: {
    ...foreignRoute,
    operation: 'sso.callback',
    method: 'GET',
    path: '/sso/:connection/callback',
    foreign: { caller: 'navigation', reason: 'OpenID Connect answers by a redirect' },
    // Read again as it was written, each name once, by the package that judges the answer.
    query: z.record(z.string().max(200), z.union([z.string().max(16_384), z.array(z.string().max(16_384)).max(64)])),
    replies: { 303: z.undefined() },
  },
  acs: {
    ...foreignRoute,
    operation: 'sso.acs',
    method: 'POST',
    path: '/sso/:connection/acs',
    foreign: { caller: 'navigation', reason: 'SAML answers by a form that the provider’s page posts' },
    body: z.strictObject({
      SAMLResponse: z.string().max(SAML_CHARACTERS_MAX),
      RelayState: z.string().max(1024).optional(),
    }),
    bodyForm: 'form',
    bodyBytesMax: ANSWER_BYTES_MAX,
    replies: { 303: z.undefined() },
  },
  logout: {
    ...foreignRoute,
    operation: 'sso.logout',
    method: 'POST',
    path: '/sso/:connection/logout',
    foreign: { caller: 'server', reason: 'the provider says who has signed out there' },
    // The standard has us ignore what else there is.
    body: z.looseObject({ logout_token: z.string().max(65_536) }),
    bodyForm: 'form',
    bodyBytesMax: LOGOUT_BYTES_MAX,
    untagged: {
      ...foreignRoute.untagged,
      body: 'only the token is read, and believed after its signature was verified',
    },
    replies: { 200: z.undefined() },
  },
  metadata: {
    ...foreignRoute,
    operation: 'sso.metadata',
    method: 'GET',
    path: '/sso/:connection/metadata',
    foreign: { caller: 'navigation', reason: 'providers read it, and administrators open it' },
    replies: { 200: 'stream' },
  },
  offers: {
    operation: 'sso.offers',
    service: 'issuer',
    method: 'GET',
    path: '/api/sso/offers',
    access: { kind: 'public' },
    ids: {},
    query: z.strictObject({ organisation: z.string().min(1).max(63) }),
    replies: { 200: offers },
  },
  invitation: {
    operation: 'sso.invitation',
    service: 'issuer',
    method: 'POST',
    path: '/api/sso/invitation',
    access: { kind: 'public' },
    ids: {},
    untagged: { 'body.connection': 'one of the connections that the same link was shown; the link’s tenant decides' },
    body: z.strictObject({ token: oneTimeToken, connection: z.uuid() }),
    replies: { 200: departure },
  },
  invitationOffers: {
    operation: 'sso.invitation-offers',
    service: 'issuer',
    method: 'POST',
    path: '/api/sso/invitation/offers',
    access: { kind: 'public' },
    ids: {},
    body: z.strictObject({ token: oneTimeToken }),
    replies: {
      200: z.strictObject({
        offers: z.array(z.strictObject({ connection: z.uuid(), name: z.string() })),
      }),
    },
  },
});
