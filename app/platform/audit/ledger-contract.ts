import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

/** A tree of 2^53 entries is out of reach; JSON keeps such numbers exact. */
const size = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const hash = z.base64().length(44);
const callers = ['workspace', 'issuer', 'sentinel'] as const;
const access = { kind: 'internal', callers, token: false } as const;
/** The longest a writer waits for its receipt before it answers 503; the entry itself stays. */
export const RECEIPT_WAIT_MS_MAX = 5000;
/** Epochs told in one call: both ends of a range, and some in between. Each costs a slot tree over every log. */
export const EPOCHS_PER_CALL_MAX = 16;
/** Proofs asked for in one call; an export asks in pages. */
export const PROOFS_PER_CALL_MAX = 500;

/** A change a year for longer than anybody keeps papers; as many as the signer has terms. */
const KEY_CHANGES_MAX = 64;
/** A tree of 2^64 entries is no higher. */
const PROOF_HASHES_MAX = 64;
/** Every witness of a policy and the authority. */
const ERRANDS_MAX = 65;
/** base64 of the longest answer that is carried (64 KiB). */
const ERRAND_CHARS_MAX = 90_000;
const instant = z.number().nullable();

const errand = z.strictObject({ id: z.string(), url: z.string(), contentType: z.string(), body: z.base64() });

const witnessingStatus = z.strictObject({
  witnesses: z.array(
    z.strictObject({
      name: z.string(),
      key: z.string(),
      isOwn: z.boolean(),
      size,
      cosigned_ms: instant,
      failure: z.string().nullable(),
    }),
  ),
  independent: size,
  cosigning: size,
  since_ms: instant,
  unwitnessedSince_ms: instant,
  isOverdue: z.boolean(),
  policy: z.string().nullable(),
  timestamp: z.strictObject({ stamped_ms: instant, failure: z.string().nullable() }).nullable(),
});

const epochEvidence = z.strictObject({
  note: z.string(),
  leaf: z.string(),
  index: size,
  proof: z.array(hash),
  slot: size,
  salt: hash,
  slotProof: z.array(hash),
  checkpoint: z.string(),
  timestamp: z.base64().optional(),
});

/**
 * What the ledger tells the services of this house. Hashes, sizes and signed notes only: the ledger's database role
 * cannot read a leaf, so no answer here can carry one.
 */
export const ledgerRoutes = defineRoutes({
  /** Waits until the entry is in the tree and a signed checkpoint covers it: the receipt. */
  receipt: {
    operation: 'ledger.receipt',
    service: 'ledger',
    method: 'POST',
    path: '/internal/ledger/receipt',
    access,
    ids: {},
    body: z.strictObject({
      tenantId: z.uuid(),
      entryId: z.uuid(),
      waitMs: z.number().int().min(0).max(RECEIPT_WAIT_MS_MAX).optional(),
    }),
    bodyBytesMax: 1024,
    replies: { 200: z.strictObject({ index: size, size }) },
  },
  /** The newest signed checkpoint of the tenant's log. */
  checkpoint: {
    operation: 'ledger.checkpoint',
    service: 'ledger',
    method: 'POST',
    path: '/internal/ledger/checkpoint',
    access,
    ids: {},
    body: z.strictObject({ tenantId: z.uuid() }),
    bodyBytesMax: 1024,
    replies: {
      200: z.strictObject({ origin: z.string(), size, root: hash, note: z.string(), verifierKey: z.string() }),
    },
  },
  /** Inclusion proofs of several entries in the tree of one size; that size must have a checkpoint or be smaller. */
  proofs: {
    operation: 'ledger.proofs',
    service: 'ledger',
    method: 'POST',
    path: '/internal/ledger/proofs',
    access,
    ids: {},
    body: z.strictObject({ tenantId: z.uuid(), size, indexes: z.array(size).min(1).max(PROOFS_PER_CALL_MAX) }),
    bodyBytesMax: 32_768,
    replies: { 200: z.strictObject({ proofs: z.array(z.array(hash)) }) },
  },
  consistency: {
    operation: 'ledger.consistency',
    service: 'ledger',
    method: 'POST',
    path: '/internal/ledger/consistency',
    access,
    ids: {},
    body: z.strictObject({ tenantId: z.uuid(), from: size.min(1), to: size.min(1) }),
    bodyBytesMax: 1024,
    replies: { 200: z.strictObject({ proof: z.array(hash) }) },
  },
  /**
   * What the super-log says of a range of the tenant's log: the epochs that bracket the sizes `from` to `to` and those
   * in between up to a limit. Fewer, or none, while the super-log has not seen those sizes yet.
   */
  epochs: {
    operation: 'ledger.epochs',
    service: 'ledger',
    method: 'POST',
    path: '/internal/ledger/epochs',
    access,
    ids: {},
    body: z.strictObject({ tenantId: z.uuid(), from: size, to: size }),
    bodyBytesMax: 1024,
    replies: { 200: z.strictObject({ epochs: z.array(epochEvidence).max(EPOCHS_PER_CALL_MAX) }) },
  },
  /** Bodies for witnesses and the timestamping authority that are due; the sentinel, which has a way out, carries them. */
  errands: {
    operation: 'ledger.errands',
    service: 'ledger',
    method: 'POST',
    path: '/internal/ledger/errands',
    access: { kind: 'internal', callers: ['sentinel'], token: false },
    ids: {},
    body: z.strictObject({}),
    bodyBytesMax: 64,
    replies: { 200: z.strictObject({ errands: z.array(errand).max(ERRANDS_MAX) }) },
  },
  /** What came back; the ledger believes nothing of it but signatures. Status 0: nobody answered. */
  errandAnswer: {
    operation: 'ledger.errand-answer',
    service: 'ledger',
    method: 'POST',
    path: '/internal/ledger/errand-answer',
    access: { kind: 'internal', callers: ['sentinel'], token: false },
    ids: {},
    body: z.strictObject({
      id: z.string().max(400),
      status: z.number().int().min(0).max(999),
      body: z.base64().max(ERRAND_CHARS_MAX),
    }),
    bodyBytesMax: ERRAND_CHARS_MAX + 1024,
    replies: { 200: z.strictObject({}) },
  },
  /** Who co-signs the super-log, and since when. */
  witnessing: {
    operation: 'ledger.witnessing',
    service: 'ledger',
    method: 'POST',
    path: '/internal/ledger/witnessing',
    access,
    ids: {},
    body: z.strictObject({}),
    bodyBytesMax: 64,
    replies: { 200: witnessingStatus },
  },
  /** How a log's key changed, for whoever trusts an older or a newer one; without a tenant, the super-log's. */
  keyChanges: {
    operation: 'ledger.key-changes',
    service: 'ledger',
    method: 'POST',
    path: '/internal/ledger/key-changes',
    access,
    ids: {},
    body: z.strictObject({ tenantId: z.uuid().nullable() }),
    bodyBytesMax: 128,
    replies: {
      200: z.strictObject({
        changes: z
          .array(
            z.strictObject({
              note: z.string(),
              leaf: z.base64(),
              index: size,
              proof: z.array(hash).max(PROOF_HASHES_MAX),
            }),
          )
          .max(KEY_CHANGES_MAX),
      }),
    },
  },
  /** Bytes of a tile (C2SP tlog-tiles). */
  tile: {
    operation: 'ledger.tile',
    service: 'ledger',
    method: 'POST',
    path: '/internal/ledger/tile',
    access,
    ids: {},
    body: z.strictObject({ tenantId: z.uuid(), path: z.string().max(100) }),
    bodyBytesMax: 1024,
    replies: { 200: z.strictObject({ data: z.base64() }) },
  },
});
