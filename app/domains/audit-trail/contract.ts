import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

export const PAGE_ENTRIES_MAX = 100;
const PAGE_ENTRIES_DEFAULT = 50;
const TYPE_CHARS_MAX = 100;
/** Words looked for are a few; the longest public fact has 400 characters. */
const TEXT_CHARS_MAX = 200;
/** Leaves handed to a browser at once (4 KiB each at most). */
export const LEAVES_PER_PAGE_MAX = 500;
/** A key is changed once a year; whoever trusts one of longer ago takes a newer one from where they had it. */
export const KEY_CHANGES_SHOWN_MAX = 16;
/** Lines of one CSV or JSON export: what a spreadsheet still opens, and minutes of reading, not hours. */
export const EXPORT_LINES_MAX = 100_000;

const taggedId = (kind: string) => z.string().regex(idPattern(kind));
const entryId = taggedId('ent');
const memberId = taggedId('mem');
const listCursor = taggedId('tcu');
const size = z.number().int().min(0);
const hash = z.base64().length(44);
const day = z.iso.date();
/** A whole day (UTC; as an end it is included) or an instant (as an end it is not). */
const dayOrInstant = z.union([day, z.iso.datetime()]);

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
  /** The session it was done in; services have none. */
  session: z.uuid().nullable(),
  /** Programs that did it for the person, first to last; empty where nobody handed anything on. */
  agents: z.array(z.string()),
  /** The production access by which an operator was let in, as its own entries call it; null where none was held. */
  grant: z.uuid().nullable(),
  /** Whether a passkey was asked for this one deed. */
  steppedUp: z.boolean(),
  /** Rules that decided, as `room/rule-id`, and the revision of the rules they come from; null where none is recorded. */
  decision: z.object({ policies: z.array(z.string()), revision: z.string() }).nullable(),
  /** Index in the log; null until the sequencer has sealed the entry. */
  position: size.nullable(),
  /** Generation of the log that the position counts in; a log begins a new one after a restore. */
  generation: size.nullable(),
  public: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
});
export type Entry = z.output<typeof entry>;

const disclosure = z.object({
  name: z.string(),
  value: z.string().nullable(),
  digest: z.string(),
  /** `withheld`: not for this role; `erased`: the value was destroyed, the digest stays. */
  state: z.enum(['open', 'withheld', 'erased']),
  /** The entry that says who destroyed it and when. */
  erasedBy: z.object({ id: entryId, position: size.nullable() }).nullable(),
});

/** What to look for; absent means any. */
const filter = z.strictObject({
  /** The beginning of a type: `engagement.` finds all of them. */
  type: z.string().min(1).max(TYPE_CHARS_MAX).optional(),
  person: memberId.optional(),
  /** Kind of what was touched, such as `engagement`. */
  kind: z
    .string()
    .regex(/^[a-z][a-z0-9_-]{0,39}$/)
    .optional(),
  /** Its id as the entry names it. */
  object: z.uuid().optional(),
  session: z.uuid().optional(),
  outcome: entryOutcome.optional(),
  /** What artificial intelligence was asked, answered, and what people made of it. */
  ai: z.literal('only').optional(),
  from: dayOrInstant.optional(),
  to: dayOrInstant.optional(),
  /** Anywhere in the public part of an entry, without regard to the case of ASCII letters. */
  text: z.string().min(1).max(TEXT_CHARS_MAX).optional(),
});

const checkpoint = z.object({
  origin: z.string(),
  treeSize: size,
  /** The signed note, verbatim. */
  checkpoint: z.string(),
  vkey: z.string(),
  /** Independent ones that have co-signed; our own never count. */
  witnesses: size,
  /** By how many of the policy's independent witnesses, and since when without a break; null when none is configured. */
  cosigned: z.object({ by: size, of: size, since: z.iso.datetime().nullable() }).nullable(),
});

/** The earliest epoch of the super-log that holds an entry, and the entry's way into it; null before there is one. */
const outside = z
  .object({
    evidence: z.object({
      note: z.string(),
      leaf: z.string(),
      index: size,
      proof: z.array(hash),
      slot: size,
      salt: hash,
      slotProof: z.array(hash),
      checkpoint: z.string(),
    }),
    path: z.array(hash),
    /** C2SP tlog-policy; null when no outside witness is configured. */
    policy: z.string().nullable(),
  })
  .nullable();

/** A change of the log's key, for whoever trusts the one before it or the one after. */
const keyChange = z.object({
  note: z.string(),
  leaf: z.base64(),
  index: size,
  proof: z.array(hash),
  /** Between the note's checkpoint and the answer's. */
  consistency: z.array(hash),
});
const changes = z.array(keyChange).max(KEY_CHANGES_SHOWN_MAX);

const read = { kind: 'session', class: 'read' } as const;
/** As leaves name them; whatever they are, only entries of the caller's own log are looked through. */
const searched = 'compared with the leaves of the caller’s own log, never looked up';

const approval = z.object({
  /** Canonical JSON as it was shown and signed; null where only its hash is kept. */
  action: z.string().nullable(),
  actionHash: z.string(),
  /** Id of the passkey's record, and base64url SHA-256 of its public key. */
  passkey: z.string(),
  publicKeyHash: z.string(),
  origin: z.string(),
  /** Null when every check of an auditor holds, else the one that failed. */
  failed: z.string().nullable(),
});
export type ShownApproval = z.output<typeof approval>;

/** The tenant's own log: list, entry, proofs, export. All ids are the caller's tenant's, or the answer is 404. */
export const routes = defineRoutes({
  list: {
    operation: 'audit-trail.list',
    service: 'workspace',
    method: 'GET',
    path: '/api/audit-trail',
    access: read,
    ids: { 'query.person': 'mem', 'query.cursor': 'tcu' },
    untagged: { 'query.object': searched, 'query.session': searched },
    query: filter.extend({
      /** Where the last page was looked through to: positions in the log never shift, so neither do pages. */
      cursor: listCursor.optional(),
      limit: z.coerce.number().int().min(1).max(PAGE_ENTRIES_MAX).default(PAGE_ENTRIES_DEFAULT),
    }),
    replies: {
      200: z.object({
        entries: z.array(entry),
        nextCursor: listCursor.nullable(),
        /** Sealed entries looked through for this page; a rare match may need several pages. */
        searched: size,
        /** The log as it is signed now; null before its first entry. */
        log: z.object({ generation: size, size, cosigned: checkpoint.shape.cosigned }).nullable(),
      }),
    },
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
        /** What was approved with a passkey, checked again just now; null where there is none or it is not to be seen. */
        approval: approval.nullable(),
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
    replies: { 200: checkpoint.extend({ index: size, leafHash: hash, path: z.array(hash), changes, outside }) },
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
  /** Leaves of a range as they were hashed, for whoever checks them: indexes `from` to below `to`. */
  leaves: {
    operation: 'audit-trail.leaves',
    service: 'workspace',
    method: 'GET',
    path: '/api/audit-trail/leaves',
    access: read,
    ids: {},
    query: z.object({ from: z.coerce.number().pipe(size), to: z.coerce.number().pipe(size) }),
    replies: { 200: z.object({ from: size, leaves: z.array(z.string()) }) },
  },
  /** The paths of the first and of the last entry of a range: with its leaves they make the signed root. */
  rangeProof: {
    operation: 'audit-trail.range-proof',
    service: 'workspace',
    method: 'GET',
    path: '/api/audit-trail/range-proof',
    access: read,
    ids: {},
    query: z.object({ from: z.coerce.number().pipe(size), to: z.coerce.number().pipe(size) }),
    replies: {
      200: checkpoint.extend({ from: size, to: size, first: z.array(hash), last: z.array(hash), changes, outside }),
    },
  },
  /** How much an export of this filter would hold, said before it is asked for. */
  preview: {
    operation: 'audit-trail.preview',
    service: 'workspace',
    method: 'GET',
    path: '/api/audit-trail/preview',
    access: read,
    ids: { 'query.person': 'mem' },
    untagged: { 'query.object': searched, 'query.session': searched },
    query: filter,
    replies: {
      200: z.object({
        /** Sealed entries that match, counted to one more than an export may hold. */
        entries: size,
        /** False: there are more than were counted. */
        complete: z.boolean(),
        entriesMax: size,
        /** A bundle holds fewer: each entry brings its proof. */
        bundleMax: size,
        /** Size of the log that was counted; an export up to it holds the same lines today and next year. */
        upTo: size,
        /** First and last index that match; the range a bundle of them would span. */
        first: size.nullable(),
        last: size.nullable(),
      }),
    },
  },
  /** The entries that match, oldest first, one a line. */
  exportLines: {
    operation: 'audit-trail.export-lines',
    service: 'workspace',
    method: 'POST',
    path: '/api/audit-trail/export-lines',
    access: { kind: 'session', class: 'privileged', stepUp: true },
    ids: { 'body.person': 'mem' },
    untagged: { 'body.object': searched, 'body.session': searched },
    body: filter.extend({ format: z.enum(['csv', 'ocsf']), upTo: size.min(1) }),
    bodyBytesMax: 4096,
    replies: { 200: 'stream' },
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
