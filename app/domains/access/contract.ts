import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

/** Longer names exist, but not on a list of colleagues. */
const LABEL_CHARACTERS_MAX = 120;
const label = z.string().trim().min(1).max(LABEL_CHARACTERS_MAX);
/** Read by whoever approves something about the person: nothing in it hides, or turns around what stands beside it. */
const newLabel = label.regex(
  /^(?:[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|(?<=[\p{L}\p{M}])[\u200C\u200D](?=\p{L}))*$/u,
  'must be one line without control characters',
);
const role = z.enum(['lead', 'auditor', 'client', 'operator']);
const memberId = z.string().regex(idPattern('mem'));
const member = z.strictObject({
  id: z.string(),
  label: z.string(),
  role,
  state: z.enum(['invited', 'active', 'suspended']),
  self: z.boolean(),
});
const invitation = z.strictObject({
  id: z.string(),
  memberId: z.string(),
  label: z.string(),
  name: z.string().nullable(),
  role,
  state: z.enum(['open', 'accepted', 'expired']),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
});
const erasure = z.strictObject({
  member,
  /** Withheld values of the log that are about the person; none can be opened afterwards. */
  values: z.number().int().min(0),
  /** Invitations whose name and label go as well. */
  invitations: z.number().int().min(0),
  /** Days that backups are kept: until then one still holds the person's key. */
  backupRetentionDays: z.number().int().min(0),
  /** Days within which the law wants everything gone. */
  deadlineDays: z.number().int().min(1),
});
const recoveryId = z.string().regex(idPattern('rec'));
const recovery = z.strictObject({
  id: z.string(),
  memberId: z.string(),
  label: z.string(),
  openedBy: z.string(),
  openedAt: z.iso.datetime(),
  /** Not before then does anything change for the person. */
  dueAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable(),
  state: z.enum(['waiting', 'due', 'lapsed', 'cancelled', 'signed-in', 'completed']),
});
const cause = z.enum(['scim', 'back-channel', 'signal', 'lapsed', 'administrator', 'review']);
const departure = z.strictObject({
  id: z.string(),
  memberId: z.string(),
  label: z.string(),
  cause,
  /** Null: nobody here did; a provider, a directory or the clock said so. */
  by: z.string().nullable(),
  causedAt: z.iso.datetime(),
  /** Null: something of theirs has not ended yet. */
  completedAt: z.iso.datetime().nullable(),
  effects: z.array(
    z.strictObject({
      holder: z.string(),
      ended: z.number().int().min(0),
      at: z.iso.datetime(),
      after_ms: z.number().int().min(0),
    }),
  ),
});
const privileged = { kind: 'session', class: 'privileged', stepUp: true } as const;

export const routes = defineRoutes({
  listMembers: {
    operation: 'access.list-members',
    service: 'issuer',
    method: 'GET',
    path: '/api/access/members',
    access: { kind: 'session', class: 'read' },
    ids: {},
    replies: { 200: z.strictObject({ members: z.array(member) }) },
  },
  listInvitations: {
    operation: 'access.list-invitations',
    service: 'issuer',
    method: 'GET',
    path: '/api/access/invitations',
    access: { kind: 'session', class: 'read' },
    ids: {},
    replies: { 200: z.strictObject({ invitations: z.array(invitation) }) },
  },
  invite: {
    operation: 'access.invite',
    service: 'issuer',
    method: 'POST',
    path: '/api/access/invitations',
    access: privileged,
    ids: {},
    body: z.strictObject({ label: newLabel, role, name: newLabel.optional() }),
    /** `enrolmentUrl` is a path with the secret in its fragment; it is shown this once. */
    replies: { 201: z.strictObject({ invitation, enrolmentUrl: z.string() }) },
  },
  changeRole: {
    operation: 'access.change-role',
    service: 'issuer',
    method: 'POST',
    path: '/api/access/members/:memberId/role',
    access: privileged,
    ids: { 'params.memberId': 'mem' },
    params: z.strictObject({ memberId }),
    body: z.strictObject({ role }),
    replies: { 200: z.strictObject({ member }) },
  },
  suspend: {
    operation: 'access.suspend-member',
    service: 'issuer',
    method: 'POST',
    path: '/api/access/members/:memberId/suspend',
    access: privileged,
    ids: { 'params.memberId': 'mem' },
    params: z.strictObject({ memberId }),
    replies: { 200: z.strictObject({ member, sessionsClosed: z.number().int().min(0) }) },
  },
  /** Refused while a directory says that they have left. */
  reinstate: {
    operation: 'access.reinstate-member',
    service: 'issuer',
    method: 'POST',
    path: '/api/access/members/:memberId/reinstate',
    access: privileged,
    ids: { 'params.memberId': 'mem' },
    params: z.strictObject({ memberId }),
    replies: { 200: z.strictObject({ member }) },
  },
  /** What an erasure would take, and what it cannot. */
  erasurePreview: {
    operation: 'access.erasure-preview',
    service: 'issuer',
    method: 'GET',
    path: '/api/access/members/:memberId/erasure',
    access: { kind: 'session', class: 'read' },
    ids: { 'params.memberId': 'mem' },
    params: z.strictObject({ memberId }),
    replies: { 200: erasure },
  },
  /** Erases a suspended person by law: irreversible, so `name` repeats their label. */
  erase: {
    operation: 'access.erase-member',
    service: 'issuer',
    method: 'POST',
    path: '/api/access/members/:memberId/erasure',
    access: privileged,
    ids: { 'params.memberId': 'mem' },
    params: z.strictObject({ memberId }),
    body: z.strictObject({ name: label, ground: z.enum(['request', 'retention-over', 'unlawful']) }),
    replies: { 200: z.strictObject({ member, values: z.number().int().min(0), entries: z.number().int().min(1) }) },
  },
  /** Open and past recoveries of those who lost every passkey: all for whoever manages, else one's own. */
  listRecoveries: {
    operation: 'access.list-recoveries',
    service: 'issuer',
    method: 'GET',
    path: '/api/access/recoveries',
    access: { kind: 'session', class: 'read' },
    ids: {},
    replies: { 200: z.strictObject({ recoveries: z.array(recovery) }) },
  },
  /** Whose access ended, and when each part of it did; the latest first. `older` goes into `until` for what is before. */
  listDepartures: {
    operation: 'access.list-departures',
    service: 'issuer',
    method: 'GET',
    path: '/api/access/departures',
    access: { kind: 'session', class: 'read' },
    ids: {},
    query: z.strictObject({ cause: cause.optional(), until: z.iso.datetime().optional() }),
    replies: {
      200: z.strictObject({ departures: z.array(departure), older: z.iso.datetime().nullable() }),
    },
  },
  openRecovery: {
    operation: 'access.open-recovery',
    service: 'issuer',
    method: 'POST',
    path: '/api/access/members/:memberId/recovery',
    access: privileged,
    ids: { 'params.memberId': 'mem' },
    params: z.strictObject({ memberId }),
    replies: { 201: z.strictObject({ recovery }) },
  },
  cancelRecovery: {
    operation: 'access.cancel-recovery',
    service: 'issuer',
    method: 'POST',
    path: '/api/access/recoveries/:recoveryId/cancel',
    access: privileged,
    ids: { 'params.recoveryId': 'rec' },
    params: z.strictObject({ recoveryId }),
    replies: { 200: z.strictObject({ recovery }) },
  },
  /** `enrolmentUrl` as after an invitation: shown this once. Every older passkey and session of the person ends. */
  finishRecovery: {
    operation: 'access.finish-recovery',
    service: 'issuer',
    method: 'POST',
    path: '/api/access/recoveries/:recoveryId/finish',
    access: privileged,
    ids: { 'params.recoveryId': 'rec' },
    params: z.strictObject({ recoveryId }),
    replies: { 200: z.strictObject({ recovery, enrolmentUrl: z.string() }) },
  },
  stepUp: {
    operation: 'access.step-up',
    service: 'issuer',
    method: 'POST',
    path: '/api/access/step-up',
    access: { kind: 'session', class: 'write' },
    // Of every route that wants a step-up: what is not one's own is not confirmed either.
    ids: {
      'body.input.memberId': 'mem',
      'body.input.person': 'mem',
      'body.input.engagementId': 'eng',
      'body.input.deletionId': 'del',
      'body.input.recoveryId': 'rec',
      'body.input.streamId': 'str',
      'body.input.signalStreamId': 'sgs',
      'body.input.connectionId': 'con',
      'body.input.certificateId': 'cer',
      'body.input.accountId': 'acc',
      'body.input.fromConnectionId': 'con',
      'body.input.toConnectionId': 'con',
      'body.input.tokenId': 'stk',
      'body.input.reviewId': 'arv',
      'body.input.grantId': 'pgr',
      'body.input.receivedStreamId': 'sst',
      'body.input.receivedEventId': 'sev',
      'body.input.apiClientId': 'cli',
    },
    untagged: { 'body.input.*': 'hashed and signed, never looked up; the route it is for reads its ids again' },
    body: z.strictObject({
      operation: z
        .string()
        .min(3)
        .max(100)
        .regex(/^[a-z-]+\.[a-z-]+$/),
      /** Path parameters and body of the call to be confirmed, in one object. */
      input: z.record(z.string().max(100), z.json()),
    }),
    bodyBytesMax: 262_144,
    replies: {
      200: z.strictObject({
        challengeId: z.uuid(),
        options: z.looseObject({ challenge: z.string() }),
        /** What exactly is confirmed; shown to the person. */
        action: z.strictObject({
          operation: z.string(),
          tenant: z.uuid(),
          person: z.uuid(),
          input: z.record(z.string(), z.json()),
          /** What the database says now about what will change; it must say so still when it is done. */
          subject: z.record(z.string(), z.json()).optional(),
        }),
        /** Places in the input whose value is signed and not shown. */
        hidden: z.array(z.string()),
      }),
    },
  },
});
