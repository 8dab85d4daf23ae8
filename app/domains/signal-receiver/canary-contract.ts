import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

const tenant = z.string().min(1).max(63);
const inner = {
  service: 'issuer',
  method: 'POST',
  access: { kind: 'internal', callers: ['sentinel'], token: false },
  ids: {},
} as const;

/** Who speaks on a canary's streams, whatever port the stand-in has just now. */
export const CANARY_ISSUER = 'https://transmitter.canary.invalid';

const stream = z.strictObject({
  id: z.uuid(),
  audience: z.string(),
  /** The whole header of a push; ends with the next call. */
  authorization: z.string(),
});
export type CanaryStream = z.output<typeof stream>;

/** What a canary tenant's provider does, so that the sentinel can play its transmitter: canary tenants only. */
export const canaryRoutes = defineRoutes({
  streams: {
    ...inner,
    operation: 'signal-receiver.canary-streams',
    path: '/internal/signal-receiver/canary-streams',
    body: z.strictObject({
      tenant,
      standIn: z.strictObject({
        /** `https://` and a place on this machine's loopback. */
        origin: z.string().regex(/^https:\/\/127\.0\.0\.1:\d{1,5}$/),
        authority: z.string().max(8_192),
      }),
    }),
    /** Two of the same transmitter, so that what is meant for one can be carried to the other. */
    replies: { 200: z.strictObject({ streams: z.tuple([stream, stream]) }) },
  },
  letIn: {
    ...inner,
    operation: 'signal-receiver.canary-let-in',
    path: '/internal/signal-receiver/canary-let-in',
    body: z.strictObject({ tenant, subject: z.string().min(1).max(64) }),
    replies: { 200: z.strictObject({ isBack: z.boolean() }) },
  },
});
