import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

/** A tree of 2^53 entries is out of reach; JSON keeps such numbers exact. */
const size = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const hash = z.base64().length(44);
const callers = ['workspace', 'issuer', 'sentinel'] as const;
const access = { kind: 'internal', callers, token: false } as const;
/** The longest a writer waits for its receipt before it answers 503; the entry itself stays. */
export const RECEIPT_WAIT_MS_MAX = 5000;
/** Proofs asked for in one call; an export asks in pages. */
export const PROOFS_PER_CALL_MAX = 500;

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
