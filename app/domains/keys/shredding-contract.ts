import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';
import { KEYS_LISTED_MAX } from './contract.ts';

const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'must be a UUID in lower case');
const kekRef = z.string().min(3).max(512);
/** Hundreds of references; a tenant has a handful. */
const DESTROY_BODY_BYTES_MAX = 256 * 1024;
/** A sealed canary has a hundred bytes. */
const sealed = z
  .string()
  .regex(/^[A-Za-z0-9_-]+$/)
  .max(1_024);

/** What the keys process does when a tenant is deleted. */
export const shreddingContract = defineRoutes({
  destroy: {
    operation: 'keys.destroy',
    service: 'keys',
    method: 'POST',
    path: '/internal/keys/destroy',
    access: { kind: 'internal', callers: ['issuer'], token: false },
    ids: {},
    /** `kekRefs`: under what the tenant's data keys are stored, so that each key store finds its own. */
    body: z.strictObject({ tenantId: uuid, kekRefs: z.array(kekRef).max(KEYS_LISTED_MAX) }),
    bodyBytesMax: DESTROY_BODY_BYTES_MAX,
    replies: {
      200: z.object({
        /** The key-encryption keys that this call has destroyed, as `provider:id`. */
        destroyed: z.array(kekRef),
        /** Key sources of the tenant that were forgotten. */
        sources: z.number().int().min(0),
      }),
    },
  },
});

/** What another holder of unwrapped data keys does: wipes those of the tenant, then tries its canaries. */
export const holderContract = defineRoutes({
  forget: {
    operation: 'keys.forget',
    service: 'workspace',
    method: 'POST',
    path: '/internal/keys/forget',
    access: { kind: 'internal', callers: ['issuer'], token: false },
    ids: {},
    body: z.strictObject({
      tenantId: uuid,
      tenantPart: z.number().int().min(0).max(0xffff_ffff),
      rowId: uuid,
      fields: sealed.nullable(),
      objects: sealed.nullable(),
    }),
    replies: {
      200: z.object({
        /** `opened`, or the code of the error; null when there was no canary. */
        fields: z.string().nullable(),
        objects: z.string().nullable(),
      }),
    },
  },
});
