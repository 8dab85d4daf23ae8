import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

const connectionId = z.string().regex(idPattern('con'));
const tokenId = z.string().regex(idPattern('stk'));
const memberId = z.string();
const time = z.iso.datetime();

const token = z.strictObject({
  id: tokenId,
  createdAt: time,
  createdBy: memberId,
  expiresAt: time,
  endedAt: time.nullable(),
  state: z.enum(['live', 'expired', 'ended']),
  /** When a message came with it last. */
  usedAt: time.nullable(),
});
export type DirectoryToken = z.output<typeof token>;

const person = z.strictObject({
  /** As the directory calls them, and knows them. */
  userName: z.string(),
  name: z.string().nullable(),
  /** Here: `in` as a member, `out` by this directory, `suspended` by somebody else, or why they are none. */
  state: z.enum(['in', 'out', 'suspended', 'inactive', 'no-external-id', 'no-role']),
  role: z.string().nullable(),
  groups: z.array(z.string()),
  changedAt: time,
  heardAt: time.nullable(),
});
export type DirectoryPerson = z.output<typeof person>;

const group = z.strictObject({
  name: z.string(),
  /** What a mapping of this group names. */
  key: z.string(),
  role: z.string().nullable(),
  members: z.number().int(),
  heardAt: time.nullable(),
});

const refusal = z.strictObject({
  at: time,
  code: z.string(),
  check: z.string().nullable(),
  sentence: z.string(),
  /** Method and kind of resource. */
  message: z.string(),
  requestId: z.string(),
});
export type DirectoryRefusal = z.output<typeof refusal>;

const directory = z.strictObject({
  /** To paste at the provider. */
  base: z.string(),
  tokensMax: z.number().int(),
  tokens: z.array(token),
  people: z.array(person),
  groups: z.array(group),
  refusals: z.array(refusal),
  /** Whom this directory has put out within a day and not let in again. */
  wave: z.strictObject({ people: z.number().int(), since: time }).nullable(),
});
export type Directory = z.output<typeof directory>;

const privileged = { kind: 'session', class: 'privileged', stepUp: true } as const;
const BODY_BYTES_MAX = 1024;
const one = { params: z.strictObject({ connectionId }), ids: { 'params.connectionId': 'con' } } as const;

/** The administrator's side of a directory. */
export const consoleRoutes = defineRoutes({
  directory: {
    operation: 'provisioning.directory',
    service: 'issuer',
    method: 'GET',
    path: '/api/connections/:connectionId/people',
    access: { kind: 'session', class: 'read' },
    ...one,
    replies: { 200: directory },
  },
  issueToken: {
    operation: 'provisioning.issue-token',
    service: 'issuer',
    method: 'POST',
    path: '/api/connections/:connectionId/tokens',
    access: privileged,
    ...one,
    body: z.strictObject({ days: z.union([z.literal(90), z.literal(180), z.literal(365)]) }),
    bodyBytesMax: BODY_BYTES_MAX,
    /** Told this once. */
    replies: { 201: z.strictObject({ id: tokenId, token: z.string(), expiresAt: time }) },
  },
  endToken: {
    operation: 'provisioning.end-token',
    service: 'issuer',
    method: 'POST',
    path: '/api/connections/:connectionId/tokens/:tokenId/end',
    access: privileged,
    ids: { 'params.connectionId': 'con', 'params.tokenId': 'stk' },
    params: z.strictObject({ connectionId, tokenId }),
    body: z.strictObject({}),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: z.strictObject({ ended: z.literal(true) }) },
  },
  undo: {
    operation: 'provisioning.undo-wave',
    service: 'issuer',
    method: 'POST',
    path: '/api/connections/:connectionId/undo',
    access: privileged,
    ...one,
    body: z.strictObject({}),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: z.strictObject({ people: z.number().int() }) },
  },
});
