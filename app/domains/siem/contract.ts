import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';
import { target } from './target-contract.ts';

/** A SIEM, a second one during a change, an archive: more is a mistake. */
export const STREAMS_MAX = 4;

const streamId = z.string().regex(idPattern('str'));
const count = z.number().int().min(0);
const step = z.enum(['address', 'connect', 'tls', 'answer']);

const stream = z.object({
  id: streamId,
  kind: z.enum(['splunk-hec', 'syslog-tls']),
  host: z.string(),
  port: z.number().int(),
  /** Only for HEC. */
  path: z.string().nullable(),
  /** Whether an authority of its own was pasted; the token is never told again. */
  ownAuthority: z.boolean(),
  enabled: z.boolean(),
  version: z.number().int(),
  /** `failing`: the last batch did not go, and is tried again; `waiting`: everything has gone. */
  state: z.enum(['off', 'streaming', 'waiting', 'failing']),
  /** The last entry that has gone; null before the first. */
  lastPosition: count.nullable(),
  generation: count,
  /** Entries that are signed and have not gone; null while the log is not told. */
  lag: count.nullable(),
  sent: count,
  /** Of batches whose fate was not known and that went again; the receiver tells them by their position. */
  repeated: count,
  lastSentAt: z.iso.datetime().nullable(),
  failingSince: z.iso.datetime().nullable(),
  /** Step and code, such as `tls: CERT_HAS_EXPIRED`. */
  error: z.string().nullable(),
  retryAt: z.iso.datetime().nullable(),
});
export type Stream = z.output<typeof stream>;

const tried = z.object({
  steps: z.array(z.object({ step, ok: z.boolean(), detail: z.string() })),
});
export type Tried = z.output<typeof tried>;

const privileged = { kind: 'session', class: 'privileged', stepUp: true } as const;
const BODY_BYTES_MAX = 80 * 1024;
/** Of the settings that were read. */
const version = z.number().int().min(1);

/** Where a tenant's log is streamed to. */
export const routes = defineRoutes({
  list: {
    operation: 'siem.list',
    service: 'workspace',
    method: 'GET',
    path: '/api/siem/streams',
    access: { kind: 'session', class: 'read' },
    ids: {},
    replies: { 200: z.object({ streams: z.array(stream), streamsMax: count }) },
  },
  create: {
    operation: 'siem.create',
    service: 'workspace',
    method: 'POST',
    path: '/api/siem/streams',
    access: privileged,
    ids: {},
    /** `start`: with the oldest entry of the log, or with the next one. It begins switched off. */
    body: z.strictObject({ target, start: z.enum(['oldest', 'now']) }),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 201: z.object({ id: streamId }) },
  },
  change: {
    operation: 'siem.change',
    service: 'workspace',
    method: 'POST',
    path: '/api/siem/streams/:streamId',
    access: privileged,
    ids: { 'params.streamId': 'str' },
    params: z.object({ streamId }),
    /** New settings; where it stands in the log stays. */
    body: z.strictObject({ target, version }),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: z.object({ id: streamId }) },
  },
  turn: {
    operation: 'siem.turn',
    service: 'workspace',
    method: 'POST',
    path: '/api/siem/streams/:streamId/turn',
    access: privileged,
    ids: { 'params.streamId': 'str' },
    params: z.object({ streamId }),
    /** From the other state, with the settings of this version; otherwise `stream_changed`. */
    body: z.strictObject({ on: z.boolean(), version }),
    bodyBytesMax: 1024,
    replies: { 200: z.object({ id: streamId }) },
  },
  remove: {
    operation: 'siem.remove',
    service: 'workspace',
    method: 'POST',
    path: '/api/siem/streams/:streamId/remove',
    access: privileged,
    ids: { 'params.streamId': 'str' },
    params: z.object({ streamId }),
    /** As it stands: on or off, with the settings of this version; otherwise `stream_changed`. */
    body: z.strictObject({ on: z.boolean(), version }),
    bodyBytesMax: 1024,
    replies: { 200: z.object({ removed: z.literal(true) }) },
  },
  /** Sends one event that says that it is a test. */
  test: {
    operation: 'siem.test',
    service: 'workspace',
    method: 'POST',
    path: '/api/siem/streams/:streamId/test',
    access: { kind: 'session', class: 'write' },
    ids: { 'params.streamId': 'str' },
    params: z.object({ streamId }),
    body: z.strictObject({}),
    bodyBytesMax: 1024,
    replies: { 200: tried },
  },
});

/** The settings of a stream, for the process that dials; refused for one that is switched off or has changed. */
export const materialRoutes = defineRoutes({
  material: {
    operation: 'siem.material',
    service: 'workspace',
    method: 'POST',
    path: '/internal/siem/material',
    access: { kind: 'internal', callers: ['sentinel'], token: false },
    ids: {},
    body: z.strictObject({ tenantId: z.uuid(), streamId: z.uuid(), version: z.number().int() }),
    bodyBytesMax: 1024,
    replies: { 200: z.strictObject({ target }) },
  },
});

/** One event to a destination, now. */
export const tryRoutes = defineRoutes({
  attempt: {
    operation: 'siem.attempt',
    service: 'sentinel',
    method: 'POST',
    path: '/internal/siem/attempt',
    access: { kind: 'internal', callers: ['workspace'], token: false },
    ids: {},
    body: z.strictObject({ target, streamId: z.uuid() }),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: tried },
  },
});
