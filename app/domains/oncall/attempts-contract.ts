import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

export const ATTEMPTS_PER_PAGE_MAX = 200;

/** Layers in the order in which a request meets them. */
export const attemptLayer = z.enum([
  'edge',
  'gateway',
  'peer',
  'token',
  'policy',
  'parser',
  'guard',
  'scope',
  'tripwire',
  'grant',
  'role',
  'row',
  'step-up',
]);

const listCursor = z.string().regex(idPattern('acu'));

const attempt = z.object({
  /** Id of the log entry. */
  entryId: z.uuid(),
  /** Index in the log of the tenant it happened in. */
  logIndex: z.number().int().nullable(),
  /** The same entry in the operator's own audit trail, when it is there. */
  ownEntry: z.string().regex(idPattern('ent')).nullable(),
  code: z.string(),
  says: z.string(),
  layer: attemptLayer,
  severity: z.enum(['low', 'high', 'critical']),
  operation: z.string().nullable(),
  /** A person's label is their id: names are their own tenant's. */
  who: z.object({ kind: z.enum(['person', 'service']), label: z.string() }),
  sessionId: z.uuid().nullable(),
  /** A kind of address or a process, for what is only counted. */
  source: z.string().nullable(),
  /** Slug of the tenant in whose name it was tried. */
  tenant: z.string().nullable(),
  /** Slug of the tenant whose data was asked for, where an id said so. Shown to the operator only, never to a tenant. */
  target: z.string().nullable(),
  times: z.number().int(),
  canary: z.boolean(),
  at: z.iso.datetime(),
  requestId: z.string(),
  page: z
    .object({
      id: z.string().regex(idPattern('pge')),
      acceptedAt: z.iso.datetime().nullable(),
      channel: z.string().nullable(),
      /** From the attempt to the first channel that took the page. */
      latency_ms: z.number().int().nullable(),
    })
    .nullable(),
});
export type Attempt = z.output<typeof attempt>;

/** Denied attempts, over all tenants, for whoever runs this house. */
export const attemptsRoutes = defineRoutes({
  attempts: {
    operation: 'oncall.attempts',
    service: 'workspace',
    method: 'GET',
    path: '/api/oncall/attempts',
    access: { kind: 'session', class: 'read', operatorOnly: { scope: 'attempts' } },
    ids: { 'query.before': 'acu' },
    query: z.object({
      layer: attemptLayer.optional(),
      /** Slug of a tenant. */
      tenant: z
        .string()
        .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
        .optional(),
      canary: z.enum(['shown', 'hidden']).default('hidden'),
      /** `next` of the page before. */
      before: listCursor.optional(),
    }),
    replies: {
      200: z.object({
        attempts: z.array(attempt),
        /** The house's own exercise, made all day; counted here also while it is hidden. */
        canaryLastHour: z.number().int(),
        tenants: z.array(z.string()),
        next: listCursor.nullable(),
      }),
    },
  },
});
