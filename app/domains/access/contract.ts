import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

/** Longer names exist, but not on a list of colleagues. */
const LABEL_CHARACTERS_MAX = 120;
const label = z.string().trim().min(1).max(LABEL_CHARACTERS_MAX);
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
    body: z.strictObject({ label, role, name: label.optional() }),
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
  stepUp: {
    operation: 'access.step-up',
    service: 'issuer',
    method: 'POST',
    path: '/api/access/step-up',
    access: { kind: 'session', class: 'write' },
    ids: {},
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
        }),
      }),
    },
  },
});
