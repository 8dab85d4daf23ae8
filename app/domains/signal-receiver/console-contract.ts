import { defineRoutes } from '@auditrax/base/route';
import { secret } from '@auditrax/base/secret';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

const connectionId = z.string().regex(idPattern('con'));
const receivedStreamId = z.string().regex(idPattern('sst'));
const receivedEventId = z.string().regex(idPattern('sev'));
const time = z.iso.datetime();

const event = z.strictObject({
  id: receivedEventId,
  at: time,
  /** What the provider says that happened; null: no event that is known here. */
  events: z.array(z.strictObject({ name: z.string().nullable(), uri: z.string(), isUnreadable: z.boolean() })),
  /** The form of the subject, and why it finds nobody. */
  subject: z.string(),
  unusable: z.string().nullable(),
  verdict: z.enum(['nothing', 'alert', 'end_sessions', 'suspend']),
  state: z.enum(['new', 'acting', 'held', 'done']),
  outcome: z.enum(['nothing', 'alerted', 'nobody', 'sessions-ended', 'suspended', 'dismissed']).nullable(),
  person: z.strictObject({ id: z.string(), label: z.string() }).nullable(),
  /** What ended, and how long after the event had come. */
  effects: z.array(
    z.strictObject({ holder: z.string(), ended: z.number().int(), at: time, after_ms: z.number().int() }),
  ),
});
export type SignalEvent = z.output<typeof event>;

const refusal = z.strictObject({
  at: time,
  code: z.string(),
  check: z.string(),
  sentence: z.string(),
  detail: z.string(),
  requestId: z.string(),
});

const stream = z.strictObject({
  id: receivedStreamId,
  delivery: z.enum(['push', 'poll']),
  state: z.enum(['draft', 'on', 'paused', 'off']),
  createdAt: time,
  /** To paste at the provider; null where we fetch. */
  address: z.string().nullable(),
  /** Null while it is not set up. */
  settings: z
    .strictObject({
      issuer: z.string(),
      audience: z.string(),
      theirStream: z.string().nullable(),
      jwksUri: z.string(),
      algorithm: z.string(),
      opaqueSubjects: z.boolean(),
      pollUrl: z.string().nullable(),
      /** The transmitter made it at our word. */
      isManaged: z.boolean(),
      /** A sign of life can be asked for. */
      mayVerify: z.boolean(),
      eventsMissing: z.array(z.string()),
    })
    .nullable(),
  heardAt: time.nullable(),
  eventsCount: z.number().int(),
  refusedCount: z.number().int(),
  askedAt: time.nullable(),
  answeredAt: time.nullable(),
  silentSince: time.nullable(),
  trouble: z.strictObject({ code: z.string(), check: z.string(), sentence: z.string(), at: time }).nullable(),
  held: z.array(event),
  recent: z.array(event),
  refusals: z.array(refusal),
});
export type SignalStream = z.output<typeof stream>;

const signals = z.strictObject({
  streamsMax: z.number().int(),
  /** How many people one stream suspends in an hour by itself. */
  suspensionsPerHourMax: z.number().int(),
  streams: z.array(stream),
});
export type Signals = z.output<typeof signals>;

const privileged = { kind: 'session', class: 'privileged', stepUp: true } as const;
const BODY_BYTES_MAX = 16 * 1024;
const ofConnection = { params: z.strictObject({ connectionId }), ids: { 'params.connectionId': 'con' } } as const;
const ofStream = {
  params: z.strictObject({ connectionId, receivedStreamId }),
  ids: { 'params.connectionId': 'con', 'params.receivedStreamId': 'sst' },
} as const;
const at = '/api/connections/:connectionId/signals';
const address = z.string().min(1).max(2_048);
const algorithm = z.enum(['RS256', 'PS256', 'ES256']);
/** The whole header. */
const authorization = secret(z.string().min(1).max(4_096));
const done = z.strictObject({ id: receivedStreamId });

/** The administrator's side of signals. */
export const consoleRoutes = defineRoutes({
  read: {
    operation: 'signal-receiver.read',
    service: 'issuer',
    method: 'GET',
    path: at,
    access: { kind: 'session', class: 'read' },
    ...ofConnection,
    replies: { 200: signals },
  },
  begin: {
    operation: 'signal-receiver.begin',
    service: 'issuer',
    method: 'POST',
    path: at,
    access: privileged,
    ...ofConnection,
    body: z.strictObject({ delivery: z.enum(['push', 'poll']) }),
    bodyBytesMax: BODY_BYTES_MAX,
    /** Where it is pushed: the address, and the header that is told this once. */
    replies: { 201: done.extend({ address: z.string().nullable(), authorization: z.string().nullable() }) },
  },
  setUp: {
    operation: 'signal-receiver.set-up',
    service: 'issuer',
    method: 'POST',
    path: `${at}/:receivedStreamId/set-up`,
    access: privileged,
    ...ofStream,
    body: z.strictObject({
      issuer: address,
      audience: z.string().min(1).max(1_024),
      theirStream: z.string().min(1).max(256).nullable(),
      jwksUri: address,
      algorithm,
      opaqueSubjects: z.boolean(),
      pollUrl: address.nullable(),
      authorization: authorization.nullable(),
    }),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: done },
  },
  connect: {
    operation: 'signal-receiver.connect',
    service: 'issuer',
    method: 'POST',
    path: `${at}/:receivedStreamId/connect`,
    access: privileged,
    ...ofStream,
    body: z.strictObject({ issuer: address, authorization, algorithm, opaqueSubjects: z.boolean() }),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: done },
  },
  renew: {
    operation: 'signal-receiver.renew',
    service: 'issuer',
    method: 'POST',
    path: `${at}/:receivedStreamId/renew`,
    access: privileged,
    ...ofStream,
    body: z.strictObject({}),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: done.extend({ authorization: z.string() }) },
  },
  turn: {
    operation: 'signal-receiver.turn',
    service: 'issuer',
    method: 'POST',
    path: `${at}/:receivedStreamId/turn`,
    access: privileged,
    ...ofStream,
    body: z.strictObject({ to: z.enum(['on', 'paused', 'off']) }),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: done },
  },
  verify: {
    operation: 'signal-receiver.verify',
    service: 'issuer',
    method: 'POST',
    path: `${at}/:receivedStreamId/verify`,
    access: { kind: 'session', class: 'write' },
    ...ofStream,
    body: z.strictObject({}),
    bodyBytesMax: BODY_BYTES_MAX,
    /** When the transmitter was asked; its answer comes over the stream. */
    replies: { 200: done.extend({ askedAt: time }) },
  },
  decide: {
    operation: 'signal-receiver.decide',
    service: 'issuer',
    method: 'POST',
    path: `${at}/:receivedStreamId/events/:receivedEventId`,
    access: privileged,
    params: z.strictObject({ connectionId, receivedStreamId, receivedEventId }),
    ids: { ...ofStream.ids, 'params.receivedEventId': 'sev' },
    body: z.strictObject({ to: z.enum(['suspend', 'dismiss']) }),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: z.strictObject({ id: receivedEventId }) },
  },
});
