import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

export const PAGE_ENTRIES_MAX = 100;
const PAGE_ENTRIES_DEFAULT = 50;
const TYPE_CHARS_MAX = 100;

const taggedId = (kind: string) => z.string().regex(idPattern(kind));
const entryId = taggedId('ent');
const memberId = taggedId('mem');
const size = z.number().int().min(0);
const hash = z.base64().length(44);
const day = z.iso.date();

export const entryOutcome = z.enum(['allowed', 'denied', 'failed']);

const entry = z.object({
  id: entryId,
  type: z.string(),
  at: z.iso.datetime(),
  /** A person's `label` is their member id: names are the issuer's to tell. */
  actor: z.object({ kind: z.enum(['person', 'service']), label: z.string() }),
  resource: z.tuple([z.string(), z.string()]),
  outcome: entryOutcome,
  requestId: z.string(),
  /** Index in the log; null until the sequencer has sealed the entry. */
  position: size.nullable(),
  public: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
});
export type Entry = z.output<typeof entry>;

const disclosure = z.object({
  name: z.string(),
  value: z.string().nullable(),
  digest: z.string(),
  /** `withheld`: not for this role; `erased`: the value was destroyed, the digest stays. */
  state: z.enum(['open', 'withheld', 'erased']),
});

const checkpoint = z.object({
  origin: z.string(),
  treeSize: size,
  /** The signed note, verbatim. */
  checkpoint: z.string(),
  vkey: z.string(),
  witnesses: size,
});

const read = { kind: 'session', class: 'read' } as const;

/** The tenant's own log: list, entry, proofs, export. All ids are the caller's tenant's, or the answer is 404. */
export const routes = defineRoutes({
  list: {
    operation: 'audit-trail.list',
    service: 'workspace',
    method: 'GET',
    path: '/api/audit-trail',
    access: read,
    ids: { 'query.person': 'mem' },
    query: z.object({
      /** Where the last page ended: generation and index of the log, so that new entries do not shift the pages. */
      cursor: z
        .string()
        .regex(/^[1-9][0-9]{0,8}-[0-9]{1,15}$/)
        .optional(),
      limit: z.coerce.number().int().min(1).max(PAGE_ENTRIES_MAX).default(PAGE_ENTRIES_DEFAULT),
      /** The beginning of a type: `engagement.` finds all of them. */
      type: z.string().min(1).max(TYPE_CHARS_MAX).optional(),
      person: memberId.optional(),
      outcome: entryOutcome.optional(),
    }),
    replies: { 200: z.object({ entries: z.array(entry), nextCursor: z.string().nullable() }) },
  },
  entry: {
    operation: 'audit-trail.entry',
    service: 'workspace',
    method: 'GET',
    path: '/api/audit-trail/entries/:entryId',
    access: read,
    ids: { 'params.entryId': 'ent' },
    params: z.object({ entryId }),
    replies: {
      200: entry.extend({
        /** The bytes that are hashed, as text. */
        leaf: z.string(),
        tokenHash: z.string().nullable(),
        stepUpHash: z.string().nullable(),
        disclosures: z.array(disclosure),
      }),
    },
  },
  proof: {
    operation: 'audit-trail.proof',
    service: 'workspace',
    method: 'GET',
    path: '/api/audit-trail/entries/:entryId/proof',
    access: read,
    ids: { 'params.entryId': 'ent' },
    params: z.object({ entryId }),
    replies: { 200: checkpoint.extend({ index: size, leafHash: hash, path: z.array(hash) }) },
  },
  checkpoint: {
    operation: 'audit-trail.checkpoint',
    service: 'workspace',
    method: 'GET',
    path: '/api/audit-trail/checkpoint',
    access: read,
    ids: {},
    replies: { 200: checkpoint },
  },
  /** That the log as it is now begins with the log as it was at `from` entries. */
  consistency: {
    operation: 'audit-trail.consistency',
    service: 'workspace',
    method: 'GET',
    path: '/api/audit-trail/consistency',
    access: read,
    ids: {},
    query: z.object({ from: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER) }),
    replies: { 200: checkpoint.extend({ from: size, path: z.array(hash) }) },
  },
  /** The entries of a period (whole days, UTC) as a bundle that is verified offline. */
  export: {
    operation: 'audit-trail.export',
    service: 'workspace',
    method: 'POST',
    path: '/api/audit-trail/export',
    access: { kind: 'session', class: 'privileged', stepUp: true },
    ids: {},
    body: z.strictObject({ from: day, to: day }),
    bodyBytesMax: 1024,
    replies: { 200: 'stream' },
  },
});
