import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

/** What the gateway refuses by itself and somebody has to know: an id of another tenant, an action without its approval. */
const refusal = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('tenant-id'),
    reason: z.enum(['forged', 'foreign']),
    operation: z.string().min(3).max(100),
    /** The tenant part that a genuine id of another tenant carried. */
    foreignPart: z.number().int().min(0).max(0xffff_ffff).optional(),
  }),
  z.strictObject({
    kind: z.literal('step-up'),
    reason: z.literal('missing'),
    operation: z.string().min(3).max(100),
  }),
]);

/**
 * How the gateway has an attempt recorded before it answers. The tenant and the person come from the
 * transaction token, never from the body; the reply is sent once the entry (or its count) is durable.
 */
export const attemptsContract = defineRoutes({
  record: {
    operation: 'audit-trail.record-attempt',
    service: 'workspace',
    method: 'POST',
    path: '/internal/attempts',
    access: { kind: 'internal', callers: ['gateway', 'issuer'], token: true },
    ids: {},
    body: refusal,
    bodyBytesMax: 4096,
    replies: {
      200: z.strictObject({
        /** Null when the attempt is past its session's budget: counted, and told in a sum. */
        entryId: z.uuid().nullable(),
        /** The session has used up its budget: nothing is to be asked in its name any more. */
        sessionOver: z.boolean(),
      }),
    },
  },
});
