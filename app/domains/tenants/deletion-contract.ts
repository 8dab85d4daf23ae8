import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';
import { DELETION_STATES } from './states.ts';

/** Deletions of one reply; an installation deletes a few tenants a year. */
export const DELETIONS_SHOWN_MAX = 200;

const slug = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);
const deletionId = z.string().regex(idPattern('del'));
const count = z.number().int().min(0);

/** What a deletion makes unreadable. */
export const inventoryShape = z.strictObject({
  engagements: count,
  evidence: count,
  /** Sum of the sizes of all evidence files, in bytes. */
  objectBytes: count,
  dataKeys: count,
  keyEncryptionKeys: count,
  people: count,
  openSessions: count,
});
export type Inventory = z.output<typeof inventoryShape>;

const tenant = z.strictObject({ slug: z.string(), name: z.string() });

const deletion = z.strictObject({
  id: z.string(),
  tenant,
  state: z.enum(DELETION_STATES),
  /** As it was shown to who proposed it. */
  inventory: inventoryShape,
  /** Tagged ids of operators (`mem_…`, see the list of people). */
  proposedBy: z.string(),
  proposedAt: z.iso.datetime(),
  confirmedBy: z.string().nullable(),
  confirmedAt: z.iso.datetime().nullable(),
  /** The keys are destroyed at this instant; until then anybody may cancel. */
  dueAt: z.iso.datetime().nullable(),
  cancelledBy: z.string().nullable(),
  cancelledAt: z.iso.datetime().nullable(),
  endedAt: z.iso.datetime().nullable(),
  /** What who asks may do now. */
  mayConfirm: z.boolean(),
  mayCancel: z.boolean(),
  /** Why confirming is refused to who asks; null when it is not. */
  confirmRefused: z.string().nullable(),
  /** Purposes whose canary still opened at the last try; only in state `failed`. */
  stillOpen: z.array(z.string()),
});
export type ShownDeletion = z.output<typeof deletion>;

/** How long a confirmed deletion waits, said wherever one is shown. */
const delay = z.strictObject({
  seconds: z.number().int().positive(),
  /** True where nothing real is at stake and the delay is cut short; the screen says so. */
  isShortened: z.boolean(),
});

const reply = z.strictObject({ deletion });
const deleting = { scope: 'deletions' } as const;
const privileged = { kind: 'session', class: 'privileged', stepUp: true, operatorOnly: deleting } as const;
const previewing = { kind: 'session', class: 'read', operatorOnly: deleting } as const;
const reading = { kind: 'session', class: 'read', operatorOnly: { scope: 'tenants' } } as const;

/**
 * Deleting a tenant, for operators. `propose` and `confirm` want a passkey (step-up input: path parameters and body in
 * one object) and two different people.
 */
export const deletionRoutes = defineRoutes({
  preview: {
    operation: 'tenants.deletion-preview',
    service: 'issuer',
    method: 'GET',
    path: '/api/tenants/deletion-preview',
    access: previewing,
    ids: {},
    query: z.strictObject({ slug }),
    replies: {
      200: z.strictObject({
        tenant,
        inventory: inventoryShape,
        delay,
        /** What stays, each a sentence to be shown before the button. */
        remains: z.array(z.string()),
        /** Why this tenant cannot be deleted now; null when it can. */
        refused: z.string().nullable(),
      }),
    },
  },
  list: {
    operation: 'tenants.deletions',
    service: 'issuer',
    method: 'GET',
    path: '/api/tenants/deletions',
    access: reading,
    ids: {},
    replies: { 200: z.strictObject({ deletions: z.array(deletion), delay }) },
  },
  propose: {
    operation: 'tenants.propose-deletion',
    service: 'issuer',
    method: 'POST',
    path: '/api/tenants/deletions',
    access: privileged,
    ids: {},
    body: z.strictObject({ slug }),
    replies: { 201: reply },
  },
  confirm: {
    operation: 'tenants.confirm-deletion',
    service: 'issuer',
    method: 'POST',
    path: '/api/tenants/deletions/:deletionId/confirm',
    access: privileged,
    ids: { 'params.deletionId': 'del' },
    params: z.strictObject({ deletionId }),
    /** Typed by the person, so that the right tenant is meant. */
    body: z.strictObject({ slug }),
    replies: { 200: reply },
  },
  cancel: {
    operation: 'tenants.cancel-deletion',
    service: 'issuer',
    method: 'POST',
    path: '/api/tenants/deletions/:deletionId/cancel',
    // No passkey: stopping must be easier than going on.
    access: { kind: 'session', class: 'write', operatorOnly: { withoutGrant: 'stops what would destroy' } },
    ids: { 'params.deletionId': 'del' },
    params: z.strictObject({ deletionId }),
    replies: { 200: reply },
  },
  certificate: {
    operation: 'tenants.destruction-certificate',
    service: 'issuer',
    method: 'GET',
    path: '/api/tenants/deletions/:deletionId/certificate',
    access: reading,
    ids: { 'params.deletionId': 'del' },
    params: z.strictObject({ deletionId }),
    replies: {
      200: z.strictObject({
        /** SHA-256 in hex over the canonical JSON (RFC 8785) of `certificate`; also in the log entry `tenant.destroyed`. */
        sha256: z.string(),
        certificate: z.record(z.string(), z.unknown()),
      }),
    },
  },
});
