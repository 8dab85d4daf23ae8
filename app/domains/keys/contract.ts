import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';
import { suiteList } from './suite-contract.ts';

/** A data key seals nothing new once it is this old. */
export const DEK_AGE_DAYS_MAX = 90;
/** Rows of one reply: 90-day keys of two purposes for more than a century. */
export const KEYS_LISTED_MAX = 1_000;
/** A wrapped key of any provider fits; nothing else has to. */
const BODY_BYTES_MAX = 16 * 1024;

const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'must be a UUID in lower case');
const base64Url = z
  .string()
  .regex(/^[A-Za-z0-9_-]+$/)
  .max(8_192);

export const keyPurpose = z.enum(['fields', 'objects']);
export type KeyPurpose = z.output<typeof keyPurpose>;
export const keyState = z.enum(['PENDING', 'ACTIVE', 'DECRYPT_ONLY', 'RETIRED', 'DESTROYED']);
export type KeyState = z.output<typeof keyState>;

const dekContext = {
  tenantId: uuid,
  purpose: keyPurpose,
  dekId: uuid,
  version: z.number().int().min(1).max(0xffff_ffff),
};

/** What the keys process answers: only to its peers, never to the edge. */
export const vaultContract = defineRoutes({
  generate: {
    operation: 'keys.generate',
    service: 'keys',
    method: 'POST',
    path: '/internal/keys/generate',
    access: { kind: 'internal', callers: ['workspace', 'issuer'], token: false },
    ids: {},
    body: z.strictObject(dekContext),
    bodyBytesMax: BODY_BYTES_MAX,
    /** The new key's plaintext is not in the reply: the caller unwraps it, which proves that it can be unwrapped. */
    replies: { 201: z.object({ kekRef: z.string().max(512), wrapped: base64Url, commitment: base64Url }) },
  },
  unwrap: {
    operation: 'keys.unwrap',
    service: 'keys',
    method: 'POST',
    path: '/internal/keys/unwrap',
    access: { kind: 'internal', callers: ['workspace', 'issuer'], token: false },
    ids: {},
    body: z.strictObject({ ...dekContext, kekRef: z.string().min(3).max(512), wrapped: base64Url }),
    bodyBytesMax: BODY_BYTES_MAX,
    /** `suites`: what the tenant's values may be written and read with; null: whatever the reader's build has. */
    replies: { 200: z.object({ dek: base64Url, suites: suiteList }) },
  },
  rewrap: {
    operation: 'keys.rewrap',
    service: 'keys',
    method: 'POST',
    path: '/internal/keys/rewrap',
    access: { kind: 'internal', callers: ['workspace'], token: false },
    ids: {},
    body: z.strictObject({ ...dekContext, kekRef: z.string().min(3).max(512), wrapped: base64Url }),
    bodyBytesMax: BODY_BYTES_MAX,
    /** The same key under the source that is active now; its plaintext never leaves the keys process. */
    replies: { 200: z.object({ kekRef: z.string().max(512), wrapped: base64Url }) },
  },
  describe: {
    operation: 'keys.describe',
    service: 'keys',
    method: 'GET',
    path: '/internal/keys/describe',
    access: { kind: 'internal', callers: ['workspace', 'issuer', 'sentinel'], token: false },
    ids: {},
    replies: {
      200: z.object({
        provider: z.string(),
        hardware: z.boolean(),
        fingerprint: z.string(),
        keyCount: z.number().int(),
        healthy: z.boolean(),
        healthCode: z.string().nullable(),
        details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
      }),
    },
  },
});

const listedKey = z.object({
  purpose: keyPurpose,
  version: z.number().int(),
  state: keyState,
  createdAt: z.iso.datetime(),
  ageDays: z.number().min(0),
  /** When the active key is replaced at the latest; null for keys that only open. */
  nextRotationAt: z.iso.datetime().nullable(),
});
export type ListedKey = z.output<typeof listedKey>;

/** What a lead or the operator sees of the tenant's own keys. Nothing in it helps to open anything. */
export const consoleContract = defineRoutes({
  list: {
    operation: 'keys.list',
    service: 'workspace',
    method: 'GET',
    path: '/api/keys',
    access: { kind: 'session', class: 'read' },
    ids: {},
    replies: { 200: z.object({ keys: z.array(listedKey), ageDaysMax: z.number().int() }) },
  },
});

/** What another room's contract may take: a source as a tenant brings it. */
export { ownKeySource } from './source-contract.ts';
