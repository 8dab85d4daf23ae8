import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

/** All published files together; the whole set is kept in memory and replaced at once. */
export const PUBLISHED_BYTES_MAX = 24 * 1024 * 1024;
export const PUBLISHED_FILES_MAX = 2000;

export const publishedFile = z.strictObject({
  /** Absolute path at the edge, such as `/security` or `/security/claims/crypto.tls13-only.json`. */
  path: z
    .string()
    .min(2)
    .max(200)
    .regex(/^(?:\/[A-Za-z0-9._-]+)+$/),
  mediaType: z.enum([
    'text/html; charset=utf-8',
    'text/plain; charset=utf-8',
    'text/css; charset=utf-8',
    'application/json',
    'application/atom+xml',
    'application/oscal+json',
    'image/svg+xml',
    'font/woff2',
  ]),
  content: z.string(),
  /** How `content` spells the bytes; text is UTF-8 unless this says base64. */
  encoding: z.literal('base64').optional(),
});

/**
 * One whole revision of the published pages. `signature` is Ed25519, base64url, over `publishedMessage(body)`
 * (`published-signature.ts`). A revision is accepted only when it is newer than the one being served.
 */
export const publishedBody = z.strictObject({
  revision: z.number().int().positive(),
  /** Milliseconds since the Unix epoch; afterwards the gateway serves the files as stale by itself. */
  validUntil: z.number().int().positive(),
  files: z.array(publishedFile).min(1).max(PUBLISHED_FILES_MAX),
  signature: z.string().length(86),
});

export const publishedRoutes = defineRoutes({
  replace: {
    operation: 'edge.publish',
    service: 'gateway',
    method: 'PUT',
    path: '/internal/published',
    access: { kind: 'internal', callers: ['sentinel'], token: false },
    ids: {},
    body: publishedBody,
    bodyBytesMax: PUBLISHED_BYTES_MAX,
    replies: { 200: z.strictObject({ revision: z.number().int(), files: z.number().int() }) },
  },
});
