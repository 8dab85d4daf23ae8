import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

const uuid = z.uuid();
const tenant = z.string().min(1).max(63);
/** What the directory calls the person: `externalId` of their resource. */
const subject = z.string().min(1).max(64);
const inner = {
  service: 'issuer',
  method: 'POST',
  access: { kind: 'internal', callers: ['sentinel'], token: false },
  ids: {},
} as const;

/** What a canary tenant's directory and provider do, so that the sentinel can play both: canary tenants only. */
export const canaryRoutes = defineRoutes({
  directory: {
    ...inner,
    operation: 'provisioning.canary-directory',
    path: '/internal/provisioning/canary-directory',
    body: z.strictObject({ tenant }),
    replies: { 200: z.strictObject({ connectionId: uuid, token: z.string() }) },
  },
  session: {
    ...inner,
    operation: 'provisioning.canary-session',
    path: '/internal/provisioning/canary-session',
    body: z.strictObject({ tenant, subject }),
    replies: { 200: z.strictObject({ cookie: z.string(), personId: uuid }) },
  },
  link: {
    ...inner,
    operation: 'provisioning.canary-link',
    path: '/internal/provisioning/canary-link',
    body: z.strictObject({ tenant, subject, isFirst: z.boolean() }),
    replies: { 200: z.strictObject({ token: z.string() }) },
  },
});
