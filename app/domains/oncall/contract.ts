import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

export const PAGES_MAX = 100;

const pageId = z.string().regex(idPattern('pge'));

const delivery = z.object({
  channel: z.enum(['inbox', 'webhook', 'canary']),
  attempts: z.number().int(),
  acceptedAt: z.iso.datetime().nullable(),
  outcome: z.string().nullable(),
});

const page = z.object({
  id: pageId,
  detection: z.string(),
  says: z.string(),
  severity: z.enum(['low', 'high', 'critical']),
  openedAt: z.iso.datetime(),
  lastAt: z.iso.datetime(),
  count: z.number().int(),
  facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  /** Slug of the tenant the event happened in. */
  tenant: z.string().nullable(),
  deliveries: z.array(delivery),
  acknowledgedAt: z.iso.datetime().nullable(),
});
export type OncallPage = z.output<typeof page>;

/** Whoever is on call must hear that they have to act before they can ask to. */
const watching = {
  withoutGrant: 'shows that one must act; says what happened and whose log it is in, and no content',
} as const;

export const routes = defineRoutes({
  list: {
    operation: 'oncall.list',
    service: 'workspace',
    method: 'GET',
    path: '/api/oncall/pages',
    access: { kind: 'session', class: 'read', operatorOnly: watching },
    ids: {},
    query: z.object({ before: z.iso.datetime().optional() }),
    replies: {
      200: z.object({
        pages: z.array(page),
        /** Canary pages are counted apart: one is due each minute, and a missing one is itself an alarm. */
        canary: z.object({
          lastHour: z.number().int(),
          delivered: z.number().int(),
          lastAt: z.iso.datetime().nullable(),
        }),
        next: z.iso.datetime().nullable(),
      }),
    },
  },
  acknowledge: {
    operation: 'oncall.acknowledge',
    service: 'workspace',
    method: 'POST',
    path: '/api/oncall/pages/:pageId/acknowledge',
    access: { kind: 'session', class: 'write', operatorOnly: watching },
    ids: { 'params.pageId': 'pge' },
    params: z.object({ pageId }),
    replies: { 200: z.object({ id: pageId, acknowledgedAt: z.iso.datetime() }) },
  },
});
