import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

const coordinate = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

/** What a canary's lead has done once for the sentinel's drills: canary tenants only. */
export const canaryRoutes = defineRoutes({
  client: {
    operation: 'authorisation-server.canary-client',
    service: 'issuer',
    method: 'POST',
    path: '/internal/authorisation-server/canary-client',
    access: { kind: 'internal', callers: ['sentinel'], token: false },
    ids: {},
    body: z.strictObject({
      tenant: z.string().min(1).max(63),
      /** With one: a program that may hand work to an agent with this key, P-256. */
      agentKey: z
        .strictObject({ kty: z.literal('EC'), crv: z.literal('P-256'), x: coordinate, y: coordinate })
        .optional(),
    }),
    replies: {
      200: z.strictObject({
        organisation: z.uuid(),
        clientId: z.uuid(),
        redirectUri: z.string(),
        agentId: z.uuid().nullable(),
      }),
    },
  },
});
