import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

/**
 * How the gateway has an attempt across tenants recorded before it answers. The tenant and the person come from the
 * transaction token, never from the body; the reply is sent once the entry is durable.
 */
export const attemptsContract = defineRoutes({
  record: {
    operation: 'audit-trail.record-attempt',
    service: 'workspace',
    method: 'POST',
    path: '/internal/attempts',
    access: { kind: 'internal', callers: ['gateway', 'issuer'], token: true },
    ids: {},
    body: z.strictObject({
      layer: z.enum(['gateway', 'parser']),
      reason: z.enum(['forged', 'foreign']),
      operation: z.string().min(3).max(100),
      /** The tenant part that a genuine id of another tenant carried. */
      foreignPart: z.number().int().min(0).max(0xffff_ffff).optional(),
    }),
    bodyBytesMax: 4096,
    replies: { 200: z.strictObject({ entryId: z.uuid() }) },
  },
});
