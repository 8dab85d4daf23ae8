import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

/** Long enough for holidays, short enough that nobody forgets what was asked. */
export const REVIEW_DAYS = 14;
/** Whoever gives people less time wants them gone and not gone through. The database says the same. */
export const REVIEW_DAYS_MIN = 3;
/** What was frozen longer ago says little about today. */
export const REVIEW_DAYS_MAX = 30;
/** A person reads through these before one touch; more are confirmed by habit. */
export const DECISIONS_AT_ONCE_MAX = 50;
const REASON_CHARACTERS_MAX = 500;

export const itemKind = z.enum(['member', 'invitation', 'api-key', 'program', 'directory-token', 'break-glass']);
export type ItemKind = z.output<typeof itemKind>;
export const decision = z.enum(['keep', 'change-role', 'remove']);
export type Decision = z.output<typeof decision>;

const reviewId = z.string().regex(idPattern('arv'));
const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);
const role = z.enum(['lead', 'auditor', 'client', 'operator']);
const instant = z.iso.datetime();
const count = z.number().int().min(0);

const review = z.strictObject({
  id: reviewId,
  state: z.enum(['open', 'decided', 'removing', 'overdue', 'closed']),
  openedAt: instant,
  /** Null: the quarter was over. */
  openedBy: z.string().nullable(),
  dueAt: instant,
  closedAt: instant.nullable(),
  /** SHA-256 of the snapshot, lower-case hexadecimal; the entry `access-review.opened` has the same. */
  snapshotHash: sha256Hex,
  items: count,
  undecided: count,
  /** Accesses that were to be removed or made smaller. */
  removed: count,
  /** Of these, those that no later look has found gone. */
  unproven: count,
  stillThere: count,
});
export type ReviewSummary = z.output<typeof review>;

const item = z.strictObject({
  /** Its number in the snapshot. */
  n: z.number().int().min(1),
  kind: itemKind,
  /** The person, or whose it is; of a directory's token, what the connection is called. */
  name: z.string(),
  /** The caller's own: somebody else decides. */
  isOwn: z.boolean(),
  role: role.nullable(),
  scope: z.enum(['read', 'write']).nullable(),
  methods: z.array(z.string()),
  connections: count,
  holds: count,
  /** Name of a list in `access`. */
  access: z.string(),
  createdAt: instant,
  expiresAt: instant.nullable(),
  lastUsedAt: instant.nullable(),
  provedAt: instant.nullable(),
  /** Of the operator's people: whether they may ask for production access, and when they last had it. */
  production: z.strictObject({ mayAsk: z.boolean(), lastAt: instant.nullable() }).optional(),
  /** Ended by itself since the snapshot. */
  isGone: z.boolean(),
  /** What has come to it since the snapshot: `operation …`, `role …`, `key or program`, `connection`, `rules`, `office`. */
  growth: z.array(z.string()),
  /** Hash of `growth`; goes into a decision, which is refused once it has changed. */
  grown: sha256Hex,
  decision: z.enum(['keep', 'change-role', 'remove', 'gone']).nullable(),
  decidedBecause: z.enum(['person', 'deadline', 'ended']).nullable(),
  decidedBy: z.string().nullable(),
  decidedAt: instant.nullable(),
  newRole: role.nullable(),
  reason: z.string().nullable(),
  carriedOutAt: instant.nullable(),
  lookedAt: instant.nullable(),
  proof: z.enum(['gone', 'still-there']).nullable(),
});
export type ReviewItem = z.output<typeof item>;

const given = z.strictObject({
  item: z.number().int().min(1),
  decision,
  /** With `change-role`, and with nothing else. */
  role: role.optional(),
  /** Wanted unless it is kept as it is. */
  reason: z.string().trim().max(REASON_CHARACTERS_MAX).optional(),
  /** `grown` of the item as it was shown. */
  grown: sha256Hex,
});
export type GivenDecision = z.output<typeof given>;

const privileged = { kind: 'session', class: 'privileged', stepUp: true } as const;
const read = { kind: 'session', class: 'read' } as const;
const ofReview = { ids: { 'params.reviewId': 'arv' }, params: z.strictObject({ reviewId }) } as const;

export const routes = defineRoutes({
  list: {
    operation: 'access-reviews.list',
    service: 'issuer',
    method: 'GET',
    path: '/api/access-reviews',
    access: read,
    ids: {},
    replies: {
      200: z.strictObject({
        /** Newest first. */
        reviews: z.array(review),
        eachQuarter: z.boolean(),
        /** The operator's own: it cannot be switched off. */
        isMandatory: z.boolean(),
        /** Who manages the tenant; of one alone nobody else decides. */
        managers: count,
        days: z.strictObject({ least: count, usual: count, most: count }),
      }),
    },
  },
  read: {
    ...ofReview,
    operation: 'access-reviews.read',
    service: 'issuer',
    method: 'GET',
    path: '/api/access-reviews/:reviewId',
    access: read,
    replies: {
      200: z.strictObject({
        review,
        /** Class of each operation that asks for a session. */
        operations: z.record(z.string(), z.string()),
        access: z.record(z.string(), z.array(z.string())),
        /** Rules of the organisation's own that were in force: they only take away from `access`. Null: frozen before they were. */
        rules: z.strictObject({ version: count, sha256: sha256Hex.nullable(), versionNow: count }).nullable(),
        items: z.array(item),
      }),
    },
  },
  /** The bytes that were hashed: `text` in UTF-8. */
  snapshot: {
    ...ofReview,
    operation: 'access-reviews.snapshot',
    service: 'issuer',
    method: 'GET',
    path: '/api/access-reviews/:reviewId/snapshot',
    access: read,
    replies: { 200: z.strictObject({ text: z.string(), sha256: sha256Hex }) },
  },
  open: {
    operation: 'access-reviews.open',
    service: 'issuer',
    method: 'POST',
    path: '/api/access-reviews',
    access: privileged,
    ids: {},
    body: z.strictObject({ days: z.number().int().min(REVIEW_DAYS_MIN).max(REVIEW_DAYS_MAX) }),
    bodyBytesMax: 256,
    replies: { 201: z.strictObject({ id: reviewId }) },
  },
  decide: {
    ...ofReview,
    operation: 'access-reviews.decide',
    service: 'issuer',
    method: 'POST',
    path: '/api/access-reviews/:reviewId/decisions',
    access: privileged,
    /** All or none. */
    body: z.strictObject({ snapshot: sha256Hex, decisions: z.array(given).min(1).max(DECISIONS_AT_ONCE_MAX) }),
    bodyBytesMax: 65_536,
    replies: { 200: z.strictObject({ decided: count, undecided: count }) },
  },
  setQuarterly: {
    operation: 'access-reviews.set-quarterly',
    service: 'issuer',
    method: 'POST',
    path: '/api/access-reviews/quarterly',
    access: privileged,
    ids: {},
    body: z.strictObject({ on: z.boolean() }),
    bodyBytesMax: 256,
    replies: { 200: z.strictObject({ on: z.boolean() }) },
  },
});
