import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

/** One for each script of a busy person; more are forgotten ones. */
export const API_KEYS_MAX = 10;
/** A key that outlives a quarter outlives what it was made for. */
export const API_KEY_DAYS_MAX = 90;
const NAME_CHARACTERS_MAX = 80;

const keyId = z.string().regex(idPattern('axk'));
const memberId = z.string().regex(idPattern('mem'));
const scope = z.enum(['read', 'write']);

const shown = z.strictObject({
  id: keyId,
  name: z.string(),
  /** `write` includes reading. Neither reaches what asks for a passkey, nor people, keys and connections. */
  scope,
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  /** To the minute; null before the first use. */
  lastUsedAt: z.iso.datetime().nullable(),
  state: z.enum(['active', 'expired', 'ended']),
  endedAt: z.iso.datetime().nullable(),
  endedBecause: z.enum(['owner', 'administrator', 'revoked', 'attempts', 'review', 'tenant-deleted']).nullable(),
});
export type ShownApiKey = z.output<typeof shown>;

const shownOfAll = z.strictObject({ ...shown.shape, ownerId: memberId, owner: z.string() });
export type ShownApiKeyOfAll = z.output<typeof shownOfAll>;

const write = { kind: 'session', class: 'write' } as const;
const BODY_BYTES_MAX = 2_048;

/** Personal API keys: a person's own, and everybody's for who leads. */
export const routes = defineRoutes({
  list: {
    operation: 'api-keys.list',
    service: 'issuer',
    method: 'GET',
    path: '/api/api-keys',
    access: { kind: 'session', class: 'read' },
    ids: {},
    replies: { 200: z.strictObject({ keys: z.array(shown), keysMax: z.number().int(), daysMax: z.number().int() }) },
  },
  create: {
    operation: 'api-keys.create',
    service: 'issuer',
    method: 'POST',
    path: '/api/api-keys',
    access: { kind: 'session', class: 'privileged', stepUp: true },
    ids: {},
    body: z.strictObject({
      name: z.string().max(NAME_CHARACTERS_MAX),
      scope,
      days: z.number().int().min(1).max(API_KEY_DAYS_MAX),
    }),
    bodyBytesMax: BODY_BYTES_MAX,
    /** The only time that anybody sees `key`. */
    replies: { 201: z.strictObject({ id: keyId, key: z.string(), expiresAt: z.iso.datetime() }) },
  },
  end: {
    operation: 'api-keys.end',
    service: 'issuer',
    method: 'POST',
    path: '/api/api-keys/:keyId/end',
    access: write,
    ids: { 'params.keyId': 'axk' },
    params: z.strictObject({ keyId }),
    body: z.strictObject({}),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: z.strictObject({ ended: z.boolean() }) },
  },
  listAll: {
    operation: 'api-keys.list-all',
    service: 'issuer',
    method: 'GET',
    path: '/api/api-keys/all',
    access: { kind: 'session', class: 'read' },
    ids: {},
    replies: { 200: z.strictObject({ keys: z.array(shownOfAll) }) },
  },
  endAny: {
    operation: 'api-keys.end-any',
    service: 'issuer',
    method: 'POST',
    path: '/api/api-keys/:keyId/end-any',
    access: write,
    ids: { 'params.keyId': 'axk' },
    params: z.strictObject({ keyId }),
    body: z.strictObject({}),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: z.strictObject({ ended: z.boolean() }) },
  },
});
