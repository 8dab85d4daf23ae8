import { defineRoutes } from '@auditrax/base/route';
import { secret } from '@auditrax/base/secret';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

const streamId = z.string().regex(idPattern('sgs'));
const letterId = z.string().regex(idPattern('sgl'));
const time = z.iso.datetime();
const status = z.enum(['enabled', 'paused', 'disabled']);
const topics = z.strictObject({ sessions: z.boolean(), accounts: z.boolean(), passkeys: z.boolean() });
const method = z.enum(['push', 'poll']);
const subjects = z.enum(['provider', 'own']);

const stream = z.strictObject({
  id: streamId,
  /** What the receiver calls it: `stream_id` of SSF. */
  streamId: z.string(),
  name: z.string(),
  audience: z.string(),
  method,
  /** Where events are pushed to, or polled from. */
  address: z.string(),
  topics,
  subjects,
  /** As chosen; `settled` is false until the receiver was told of it. */
  status,
  settled: z.boolean(),
  createdAt: time,
  waiting: z.number().int(),
  /** Since when the first of them waits. */
  waitingSince: time.nullable(),
  dead: z.number().int(),
  taken: z.number().int(),
  takenAt: time.nullable(),
  failures: z.number().int(),
  /** Why the last try came to nothing: a code and a sentence. */
  trouble: z.strictObject({ code: z.string(), sentence: z.string() }).nullable(),
  nextTryAt: time.nullable(),
});
export type ShownStream = z.output<typeof stream>;

const key = z.strictObject({
  kid: z.string(),
  state: z.enum(['next', 'now', 'former']),
  madeAt: time,
  usedAt: time.nullable(),
  replacedAt: time.nullable(),
});
export type ShownKey = z.output<typeof key>;

const letter = z.strictObject({
  id: letterId,
  event: z.string(),
  cause: z.string(),
  /** The member whom it is about; null for events about the stream. */
  memberId: z.string().nullable(),
  member: z.string().nullable(),
  happenedAt: time,
  reason: z.enum(['refused', 'attempts', 'age', 'disabled']),
  /** What the receiver said of it, or how the last try ended. */
  error: z.string().nullable(),
  attempts: z.number().int(),
  at: time,
});
export type DeadLetter = z.output<typeof letter>;

const read = { kind: 'session', class: 'read' } as const;
const write = { kind: 'session', class: 'write' } as const;
const privileged = { kind: 'session', class: 'privileged', stepUp: true } as const;
const BODY_BYTES_MAX = 8 * 1024;
const ofStream = {
  service: 'issuer',
  ids: { 'params.signalStreamId': 'sgs' },
  params: z.strictObject({ signalStreamId: streamId }),
} as const;

/** The administrator's side of the transmitter. */
export const routes = defineRoutes({
  list: {
    operation: 'signals.list',
    service: 'issuer',
    method: 'GET',
    path: '/api/signals',
    access: read,
    ids: {},
    replies: {
      200: z.strictObject({
        issuer: z.string(),
        configuration: z.string(),
        streams: z.array(stream),
        streamsMax: z.number().int(),
        keys: z.array(key),
      }),
    },
  },
  create: {
    operation: 'signals.create',
    service: 'issuer',
    method: 'POST',
    path: '/api/signals',
    access: privileged,
    ids: {},
    body: z.strictObject({
      name: z.string().max(200),
      /** What the receiver wants to be called; empty: an address of its own is made up. */
      audience: z.string().max(1024),
      topics,
      subjects,
      /** Null: the receiver polls. */
      push: z.strictObject({ url: z.string().max(2048), token: secret(z.string().max(4000)) }).nullable(),
    }),
    bodyBytesMax: BODY_BYTES_MAX,
    /** The only time that anybody sees `token`. */
    replies: { 201: z.strictObject({ id: streamId, token: z.string() }) },
  },
  turn: {
    ...ofStream,
    operation: 'signals.turn',
    method: 'POST',
    path: '/api/signals/:signalStreamId/turn',
    access: privileged,
    body: z.strictObject({ to: status }),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: z.strictObject({ id: streamId }) },
  },
  remove: {
    ...ofStream,
    operation: 'signals.remove',
    method: 'POST',
    path: '/api/signals/:signalStreamId/remove',
    access: privileged,
    body: z.strictObject({}),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: z.strictObject({ removed: z.literal(true) }) },
  },
  renewToken: {
    ...ofStream,
    operation: 'signals.renew-token',
    method: 'POST',
    path: '/api/signals/:signalStreamId/token',
    access: privileged,
    body: z.strictObject({}),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: z.strictObject({ token: z.string() }) },
  },
  test: {
    ...ofStream,
    operation: 'signals.test',
    method: 'POST',
    path: '/api/signals/:signalStreamId/test',
    access: write,
    body: z.strictObject({}),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: z.strictObject({ id: streamId }) },
  },
  letters: {
    ...ofStream,
    operation: 'signals.letters',
    method: 'GET',
    path: '/api/signals/:signalStreamId/letters',
    access: read,
    replies: { 200: z.strictObject({ letters: z.array(letter), lettersMax: z.number().int() }) },
  },
  resend: {
    operation: 'signals.resend',
    service: 'issuer',
    method: 'POST',
    path: '/api/signals/:signalStreamId/letters/:letterId/resend',
    access: write,
    ids: { 'params.signalStreamId': 'sgs', 'params.letterId': 'sgl' },
    params: z.strictObject({ signalStreamId: streamId, letterId }),
    body: z.strictObject({}),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: z.strictObject({ id: letterId }) },
  },
  prepareKey: {
    operation: 'signals.prepare-key',
    service: 'issuer',
    method: 'POST',
    path: '/api/signals/keys',
    access: privileged,
    ids: {},
    body: z.strictObject({}),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: z.strictObject({ prepared: z.boolean() }) },
  },
});
