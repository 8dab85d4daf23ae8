import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

/** A line is written this often, whatever happens: a reader that hears none has lost the feed. */
export const FEED_BEAT_MS = 200;

/** What a gateway must not hold a token for any more. */
export const eviction = z.union([
  z.strictObject({ sequence: z.number().int().positive(), sessionId: z.uuid() }),
  z.strictObject({ sequence: z.number().int().positive(), personId: z.uuid() }),
]);
export type Eviction = z.output<typeof eviction>;

/**
 * One line of the feed, JSON. The first says which feed it is and whether it goes on where the reader left off; then
 * evictions in the order of their numbers, none left out, and between them beats.
 */
export const feedLine = z.union([
  z.strictObject({ feed: z.uuid(), sequence: z.number().int().min(0), goesOn: z.boolean() }),
  z.strictObject({ beat: z.literal(true), sequence: z.number().int().min(0) }),
  eviction,
]);

/** How the issuer tells every gateway which sessions are over. The issuer implements it, the gateways hold one open each. */
export const evictionRoutes = defineRoutes({
  follow: {
    operation: 'identity.follow-evictions',
    service: 'issuer',
    method: 'GET',
    path: '/internal/identity/evictions',
    access: { kind: 'internal', callers: ['gateway'], token: false },
    ids: {},
    /** What the reader knows: of which feed, and up to which number. Neither: it holds nothing. */
    query: z.strictObject({ feed: z.uuid().optional(), after: z.coerce.number().int().min(0).optional() }),
    replies: { 200: 'stream' },
  },
});
