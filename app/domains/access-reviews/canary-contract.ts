import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

const uuid = z.uuid();
const tenant = z.string().min(1).max(63);
/** Long enough to decide in, short enough to wait for. */
export const DRILL_SECONDS_MAX = 60;

const inner = {
  service: 'issuer',
  method: 'POST',
  access: { kind: 'internal', callers: ['sentinel'], token: false },
  ids: {},
} as const;

/** `reviewer` leads, and so does `second`, who keeps them; the others are gone through. */
const drillPerson = z.enum(['reviewer', 'second', 'undecided', 'removed']);
export type DrillPerson = z.output<typeof drillPerson>;

/** A review of people made for it, in a canary tenant, and how the operator's own stand. */
export const canaryRoutes = defineRoutes({
  people: {
    ...inner,
    operation: 'access-reviews.canary-people',
    path: '/internal/access-reviews/canary-people',
    body: z.strictObject({ tenant }),
    /** With an enrolment link of each. */
    replies: {
      200: z.strictObject({
        people: z.array(z.strictObject({ name: drillPerson, personId: uuid, token: z.string() })),
      }),
    },
  },
  open: {
    ...inner,
    operation: 'access-reviews.canary-open',
    path: '/internal/access-reviews/canary-open',
    body: z.strictObject({ tenant, seconds: z.number().int().min(1).max(DRILL_SECONDS_MAX) }),
    replies: { 200: z.strictObject({ reviewId: uuid }) },
  },
  /** What the chore does every few minutes, now, for drills alone. */
  tend: {
    ...inner,
    operation: 'access-reviews.canary-tend',
    path: '/internal/access-reviews/canary-tend',
    body: z.strictObject({ tenant }),
    replies: { 200: z.strictObject({ tended: z.number().int().min(0) }) },
  },
  standing: {
    ...inner,
    operation: 'access-reviews.standing',
    path: '/internal/access-reviews/standing',
    body: z.strictObject({}),
    replies: {
      200: z.strictObject({
        /** Of the last review that was closed; null: there was none yet. */
        closedAt: z.iso.datetime().nullable(),
        undecidedAtClose: z.number().int().min(0),
        /** Of the one that is under way. */
        dueAt: z.iso.datetime().nullable(),
        isOverdue: z.boolean(),
        stillThere: z.number().int().min(0),
        /** Emergencies that nobody has judged in time. */
        unjudged: z.number().int().min(0),
      }),
    },
  },
});
