import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';
import { departure } from './contract.ts';

const accountId = z.string().regex(idPattern('acc'));
const connectionId = z.string().regex(idPattern('con'));

const identities = z.strictObject({
  identities: z.array(
    z.strictObject({
      id: accountId,
      connection: z.string(),
      /** Of this edge: where a sign-in by it begins; null where nobody comes in by that connection now. */
      path: z.string().nullable(),
      /** Made by the organisation's directory, which alone takes it away. */
      isManaged: z.boolean(),
      connectedAt: z.iso.datetime(),
      lastUsedAt: z.iso.datetime().nullable(),
    }),
  ),
  /** Connections that a further identity can be added from. */
  connectable: z.array(z.strictObject({ id: connectionId, name: z.string() })),
  /** Whether this session has begun so recently that it may add one. */
  isRecent: z.boolean(),
  /** Until then a session by a provider may make the first passkey; null: after a new sign-in there. */
  confirmedUntil: z.iso.datetime().nullable(),
});

/** What people do with providers while they are signed in here. */
export const sessionRoutes = defineRoutes({
  test: {
    operation: 'sso.test',
    service: 'issuer',
    method: 'POST',
    path: '/api/sso/test',
    access: { kind: 'session', class: 'write' },
    ids: { 'body.connectionId': 'con' },
    body: z.strictObject({ connectionId }),
    replies: { 200: departure },
  },
  connect: {
    operation: 'sso.connect',
    service: 'issuer',
    method: 'POST',
    path: '/api/sso/connect',
    access: { kind: 'session', class: 'write' },
    ids: { 'body.connectionId': 'con' },
    body: z.strictObject({ connectionId }),
    replies: { 200: departure },
  },
  /** For a first passkey: a new sign-in at the provider that this session came by. */
  confirm: {
    operation: 'sso.confirm',
    service: 'issuer',
    method: 'POST',
    path: '/api/sso/confirm',
    access: { kind: 'session', class: 'write' },
    ids: {},
    replies: { 200: departure },
  },
  identities: {
    operation: 'sso.identities',
    service: 'issuer',
    method: 'GET',
    path: '/api/sso/identities',
    access: { kind: 'session', class: 'read' },
    ids: {},
    replies: { 200: identities },
  },
  disconnect: {
    operation: 'sso.disconnect',
    service: 'issuer',
    method: 'POST',
    path: '/api/sso/identities/:accountId/disconnect',
    access: { kind: 'session', class: 'privileged', stepUp: true },
    ids: { 'params.accountId': 'acc' },
    params: z.strictObject({ accountId }),
    body: z.strictObject({}),
    bodyBytesMax: 1024,
    replies: { 200: z.strictObject({ removed: z.literal(true) }) },
  },
});
