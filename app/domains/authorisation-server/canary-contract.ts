import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

/** What a canary's lead has done once for the sentinel's drills: canary tenants only. */
export const canaryRoutes = defineRoutes({
  client: {
    operation: 'authorisation-server.canary-client',
    service: 'issuer',
    method: 'POST',
    path: '/internal/authorisation-server/canary-client',
    access: { kind: 'internal', callers: ['sentinel'], token: false },
    ids: {},
    body: z.strictObject({ tenant: z.string().min(1).max(63) }),
    replies: { 200: z.strictObject({ organisation: z.uuid(), clientId: z.uuid(), redirectUri: z.string() }) },
  },
});
