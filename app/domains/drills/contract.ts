import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';
import { ownKeySource } from '../keys/contract.ts';

/** The attempts that can be asked for, by name. There is no way to send SQL of one's own. */
export const DRILLS = [
  // At the driver's door, through its guard.
  'guard-foreign-parameter',
  'guard-unscoped-statement',
  'guard-unscoped-join',
  'scoped-read-own',
  // As the application's role, below the guard.
  'tripwire-foreign-read',
  'tripwire-foreign-update',
  'tripwire-foreign-insert',
  'no-tenant-read',
  'no-tenant-update',
  'no-tenant-insert',
  'scope-twice',
  'grant-change-entry',
  'grant-remove-entry',
  'grant-empty-log',
  'grant-lower-wall',
  // At the commit guard.
  'unlogged-write',
  // At the keys and what they seal.
  'stored-field',
  'stored-object',
  'object-regions',
  'overwrite-sealed',
  'field-changed-byte',
  'field-other-tenant',
  'field-other-row',
  'unwrap-other-tenant',
  'unwrap-changed-byte',
  'unwrap-other-purpose',
  'seal-with-aged-key',
  'key-ages',
  // Of a tenant with a schema or a database of its own, as somebody with the workspace's logins.
  'placed-own-role',
  'placed-shared-role',
  'placed-shared-tables',
  'placed-role-at-home',
  'placed-role-elsewhere',
  'placed-shared-elsewhere',
] as const;
export type DrillName = (typeof DRILLS)[number];

const slug = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);
const fact = z.union([z.string(), z.number(), z.boolean()]);
const REQUEST_BYTES_MAX = 4_096;
/** A source with its certificates. */
const SOURCE_BYTES_MAX = 64 * 1024;
/** Whom the door took the caller for. */
const knocked = z.strictObject({ role: z.string() });
const engagementId = z.string().regex(idPattern('eng'));

/** What the workspace serves to the sentinel, for canary tenants alone. */
export const routes = defineRoutes({
  run: {
    operation: 'drills.run',
    service: 'workspace',
    method: 'POST',
    path: '/internal/drills/run',
    access: { kind: 'internal', callers: ['sentinel'], token: false },
    ids: {},
    body: z.strictObject({
      name: z.enum(DRILLS),
      /** The tenant in whose name the attempt is made. */
      tenant: slug,
      /** The tenant that is reached for. */
      other: slug,
      rowId: z.uuid().optional(),
    }),
    bodyBytesMax: REQUEST_BYTES_MAX,
    replies: {
      200: z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('refused'), code: z.string(), sqlState: z.string().optional() }),
        z.strictObject({ kind: z.literal('happened'), facts: z.record(z.string(), fact) }),
      ]),
    },
  },
  /** A canary's key source is a stand-in for one rehearsal: `begin` seals a value under it, `read` opens it again. */
  keySource: {
    operation: 'drills.key-source',
    service: 'workspace',
    method: 'POST',
    path: '/internal/drills/key-source',
    access: { kind: 'internal', callers: ['sentinel'], token: false },
    ids: {},
    body: z.strictObject({
      tenant: slug,
      step: z.enum(['begin', 'read', 'end']),
      /** With `begin` only. */
      source: ownKeySource.optional(),
    }),
    bodyBytesMax: SOURCE_BYTES_MAX,
    replies: {
      200: z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('refused'), code: z.string(), sqlState: z.string().optional() }),
        z.strictObject({ kind: z.literal('happened'), facts: z.record(z.string(), fact) }),
      ]),
    },
  },
  /** The workspace's own id parser at its own door: peer, token and id are checked as on every route with ids. */
  knock: {
    operation: 'drills.knock',
    service: 'workspace',
    method: 'GET',
    path: '/internal/drills/knock/:engagementId',
    access: { kind: 'internal', callers: ['sentinel'], token: true },
    ids: { 'params.engagementId': 'eng' },
    params: z.strictObject({ engagementId }),
    replies: { 200: z.strictObject({ uuid: z.uuid() }) },
  },
  /** The same door where it asks for more: a token made for reading is the wrong one. Changes nothing. */
  knockToWrite: {
    operation: 'drills.knock-to-write',
    service: 'workspace',
    method: 'POST',
    path: '/internal/drills/knock-to-write',
    access: { kind: 'internal', callers: ['sentinel'], token: 'write' },
    ids: {},
    replies: { 200: knocked },
  },
});

/** What the issuer serves to the sentinel. */
export const issuerRoutes = defineRoutes({
  /** A transaction token for a canary session. The sentinel gets no other: the session behind the cookie decides. */
  token: {
    operation: 'drills.token',
    service: 'issuer',
    method: 'POST',
    path: '/internal/drills/token',
    access: { kind: 'internal', callers: ['sentinel'], token: false },
    ids: {},
    body: z.strictObject({
      cookie: z.string().min(16).max(512),
      destination: z.enum(['issuer', 'workspace']),
      /** Whom the token says it may be presented by. */
      presenter: z.enum(['sentinel', 'gateway']),
      /** What it is good for. Nothing privileged: no probe has a use for that. */
      class: z.enum(['read', 'write']),
      /** Minted this long ago: past 30 seconds it is dead on arrival. */
      age_seconds: z.number().int().min(0).max(600),
    }),
    bodyBytesMax: REQUEST_BYTES_MAX,
    replies: { 200: z.strictObject({ token: z.string().max(8192) }) },
  },
  /**
   * A certificate that nobody may take: the sentinel's own an hour past its end, or one for a name that no process has.
   * By the authority of the house, so that only what is wrong with it can be why it is refused.
   */
  certificate: {
    operation: 'drills.certificate',
    service: 'issuer',
    method: 'POST',
    path: '/internal/drills/certificate',
    access: { kind: 'internal', callers: ['sentinel'], token: false },
    ids: {},
    body: z.strictObject({ csrPem: z.string().max(REQUEST_BYTES_MAX), fault: z.enum(['expired', 'nobody']) }),
    bodyBytesMax: 2 * REQUEST_BYTES_MAX,
    replies: { 200: z.strictObject({ certificatePem: z.string(), bundlePem: z.string() }) },
  },
  /** The issuer's own token gate at its own door. */
  knock: {
    operation: 'drills.knock-issuer',
    service: 'issuer',
    method: 'GET',
    path: '/internal/drills/knock',
    access: { kind: 'internal', callers: ['sentinel'], token: true },
    ids: {},
    replies: { 200: knocked },
  },
  /** As the workspace's. */
  knockToWrite: {
    operation: 'drills.knock-to-write-issuer',
    service: 'issuer',
    method: 'POST',
    path: '/internal/drills/knock-to-write',
    access: { kind: 'internal', callers: ['sentinel'], token: 'write' },
    ids: {},
    replies: { 200: knocked },
  },
});
