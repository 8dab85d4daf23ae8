import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

const clientId = z.string().regex(idPattern('cli'));
const grantId = z.string().regex(idPattern('agr'));
const access = z.enum(['read', 'write']);
const kind = z.enum(['application', 'agent']);

/** Agents that one program may hand work on to: as many as somebody reads before they say yes. The table refuses more. */
export const AGENTS_NAMED_MAX = 10;
/** A request with a client's assertion and proof in it. */
const FORM_BYTES_MAX = 32 * 1024;
const word = z.string().max(8192);

const ORGANISATION = 'random and public: it is in the addresses that programs are given, and leads to one tenant';
const CLIENT = 'public, and looked up in the organisation of the address alone';
const foreignRoute = {
  service: 'issuer',
  access: { kind: 'public' },
  ids: {},
  params: z.strictObject({ organisation: z.uuid() }),
} as const;
const ofServer = {
  ...foreignRoute,
  method: 'POST',
  bodyForm: 'form',
  bodyBytesMax: FORM_BYTES_MAX,
  foreign: { caller: 'server', protocol: 'oauth', reason: 'programs ask by themselves, each with a proof of its key' },
} as const;
const addressed = {
  'params.organisation': ORGANISATION,
  body: 'a program is looked up in the organisation of the address alone; what RFC 6749 does not know is ignored',
} as const;
const client = { client_id: word, client_assertion: word.optional(), client_assertion_type: word.optional() };
const told = { 200: 'stream', 201: 'stream', 400: 'stream', 401: 'stream' } as const;

const AGENTS = 'public, and looked up among the caller’s own organisation’s agents alone';
/** What a lead says of a program, and may say anew. */
const registration = {
  name: z.string().max(200),
  access,
  redirectUris: z.array(z.string().max(1024)).max(20),
  handsTo: z.array(z.uuid()).max(AGENTS_NAMED_MAX),
} as const;

/** A pushed request: 126 random bits, as the library writes them. */
const pushed = z.string().regex(/^[A-Za-z0-9_-]{21,64}$/);
const question = { clientId: z.uuid(), request: pushed } as const;
const QUESTION = 'random, of a request that is looked up in the caller’s own organisation alone';

export const routes = defineRoutes({
  metadata: {
    ...foreignRoute,
    operation: 'authorisation-server.metadata',
    method: 'GET',
    path: '/.well-known/oauth-authorization-server/oauth/:organisation',
    untagged: { 'params.organisation': ORGANISATION },
    foreign: { caller: 'server', protocol: 'oauth', reason: 'programs read where to ask (RFC 8414)' },
    replies: { 200: 'stream' },
  },
  authorize: {
    ...foreignRoute,
    operation: 'authorisation-server.authorize',
    method: 'GET',
    path: '/oauth/:organisation/authorize',
    untagged: { 'params.organisation': ORGANISATION, 'query.client_id': CLIENT },
    foreign: {
      caller: 'navigation',
      protocol: 'oauth',
      reason: 'a program sends the person’s browser here to ask them',
    },
    query: z.strictObject({ client_id: z.uuid(), request_uri: z.string().max(200) }),
    replies: { 303: z.undefined() },
  },
  push: {
    ...ofServer,
    operation: 'authorisation-server.push',
    path: '/oauth/:organisation/par',
    untagged: addressed,
    body: z.looseObject({
      ...client,
      response_type: word,
      redirect_uri: word,
      scope: word.optional(),
      state: word.optional(),
      code_challenge: word.optional(),
      code_challenge_method: word.optional(),
      resource: word.optional(),
      dpop_jkt: word.optional(),
    }),
    replies: told,
  },
  token: {
    ...ofServer,
    operation: 'authorisation-server.token',
    path: '/oauth/:organisation/token',
    untagged: addressed,
    body: z.looseObject({
      ...client,
      grant_type: word,
      code: word.optional(),
      redirect_uri: word.optional(),
      code_verifier: word.optional(),
      refresh_token: word.optional(),
      scope: word.optional(),
      resource: word.optional(),
      audience: word.optional(),
      subject_token: word.optional(),
      subject_token_type: word.optional(),
      actor_token: word.optional(),
      actor_token_type: word.optional(),
      requested_token_type: word.optional(),
    }),
    replies: told,
  },
  revoke: {
    ...ofServer,
    operation: 'authorisation-server.revoke',
    path: '/oauth/:organisation/revoke',
    untagged: addressed,
    body: z.looseObject({ ...client, token: word, token_type_hint: word.optional() }),
    replies: told,
  },
  readRequest: {
    operation: 'authorisation-server.read-request',
    service: 'issuer',
    method: 'POST',
    path: '/api/authorisation-server/request',
    access: { kind: 'session', class: 'read' },
    ids: {},
    untagged: { 'body.clientId': QUESTION },
    body: z.strictObject(question),
    bodyBytesMax: 1024,
    replies: {
      200: z.strictObject({
        client: z.string(),
        kind,
        organisation: z.string(),
        access,
        /** To whom it may hand work on, if the person says so. */
        agents: z.array(z.strictObject({ clientId: z.uuid(), name: z.string() })),
        /** Host of the address that the answer goes to. */
        leadsTo: z.string(),
        days: z.number().int().positive(),
      }),
    },
  },
  allow: {
    operation: 'authorisation-server.allow',
    service: 'issuer',
    method: 'POST',
    path: '/api/authorisation-server/allow',
    access: { kind: 'session', class: 'privileged', stepUp: true },
    ids: {},
    untagged: { 'body.clientId': QUESTION, 'body.agents.*': QUESTION },
    body: z.strictObject({ ...question, agents: z.array(z.uuid()).max(AGENTS_NAMED_MAX) }),
    bodyBytesMax: 2048,
    replies: { 200: z.strictObject({ url: z.string() }) },
  },
  refuse: {
    operation: 'authorisation-server.refuse',
    service: 'issuer',
    method: 'POST',
    path: '/api/authorisation-server/refuse',
    access: { kind: 'session', class: 'write' },
    ids: {},
    untagged: { 'body.clientId': QUESTION },
    body: z.strictObject(question),
    bodyBytesMax: 1024,
    replies: { 200: z.strictObject({ url: z.string() }) },
  },
  listClients: {
    operation: 'authorisation-server.list-clients',
    service: 'issuer',
    method: 'GET',
    path: '/api/authorisation-server/clients',
    access: { kind: 'session', class: 'read' },
    ids: {},
    replies: {
      200: z.strictObject({
        /** Address of the organisation's server, which programs are given. */
        issuer: z.string(),
        clients: z.array(
          z.strictObject({
            id: clientId,
            /** What the program calls itself in requests. */
            clientId: z.uuid(),
            name: z.string(),
            kind,
            access,
            redirectUris: z.array(z.string()),
            /** The agents that people may let it hand work on to. */
            handsTo: z.array(z.strictObject({ clientId: z.uuid(), name: z.string() })),
            registeredAt: z.iso.datetime(),
            /** Of this registration; a change names the one that it was made from. */
            revision: z.number().int().positive(),
          }),
        ),
        clientsMax: z.number().int(),
      }),
    },
  },
  registerClient: {
    operation: 'authorisation-server.register-client',
    service: 'issuer',
    method: 'POST',
    path: '/api/authorisation-server/clients',
    access: { kind: 'session', class: 'privileged', stepUp: true },
    ids: {},
    untagged: { 'body.handsTo.*': AGENTS },
    body: z.strictObject({ ...registration, kind, publicKey: z.string().max(1024).nullable() }),
    bodyBytesMax: 32 * 1024,
    replies: { 201: z.strictObject({ id: clientId, clientId: z.uuid() }) },
  },
  changeClient: {
    operation: 'authorisation-server.change-client',
    service: 'issuer',
    method: 'POST',
    path: '/api/authorisation-server/clients/:apiClientId/change',
    access: { kind: 'session', class: 'privileged', stepUp: true },
    ids: { 'params.apiClientId': 'cli' },
    untagged: { 'body.handsTo.*': AGENTS },
    params: z.strictObject({ apiClientId: clientId }),
    body: z.strictObject({ ...registration, revision: z.number().int().positive() }),
    bodyBytesMax: 32 * 1024,
    replies: { 200: z.strictObject({ ended: z.number().int().nonnegative() }) },
  },
  removeClient: {
    operation: 'authorisation-server.remove-client',
    service: 'issuer',
    method: 'POST',
    path: '/api/authorisation-server/clients/:apiClientId/remove',
    access: { kind: 'session', class: 'write' },
    ids: { 'params.apiClientId': 'cli' },
    params: z.strictObject({ apiClientId: clientId }),
    body: z.strictObject({}),
    bodyBytesMax: 1024,
    replies: { 200: z.strictObject({ removed: z.literal(true) }) },
  },
  listGrants: {
    operation: 'authorisation-server.list-grants',
    service: 'issuer',
    method: 'GET',
    path: '/api/authorisation-server/grants',
    access: { kind: 'session', class: 'read' },
    ids: {},
    replies: {
      200: z.strictObject({
        grants: z.array(
          z.strictObject({
            id: grantId,
            client: z.string(),
            access,
            agents: z.array(z.strictObject({ name: z.string(), lastActedAt: z.iso.datetime().nullable() })),
            givenAt: z.iso.datetime(),
            expiresAt: z.iso.datetime(),
          }),
        ),
      }),
    },
  },
  endGrant: {
    operation: 'authorisation-server.end-grant',
    service: 'issuer',
    method: 'POST',
    path: '/api/authorisation-server/grants/:grantId/end',
    access: { kind: 'session', class: 'write' },
    ids: { 'params.grantId': 'agr' },
    params: z.strictObject({ grantId }),
    body: z.strictObject({}),
    bodyBytesMax: 1024,
    replies: { 200: z.strictObject({ ended: z.literal(true) }) },
  },
});
