import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

/** Entries after the change that both keys sign: more than one batch, so that no checkpoint can jump over all of them. */
export const OVERLAP_ENTRIES_MIN = 2_048;
/** About a week of epochs of the super-log: time for witnesses and auditors to take up the new key. */
export const OVERLAP_ENTRIES = 10_000;
export const OVERLAP_ENTRIES_MAX = 1_000_000;

const size = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const hash = z.base64().length(44);
/** A leaf of 4096 bytes. */
const LEAF_BASE64_CHARS_MAX = 5464;
const origin = z.string().min(3).max(200);
/** A verifier key names its log. */
const verifierKey = z.string().max(300);
/** Changes of the key in the life of a log: once a year for longer than anybody keeps papers. */
const TERMS_MAX = 64;
const PROOF_HASHES_MAX = 64;
const access = { kind: 'internal', callers: ['ledger'], token: false } as const;

/** The signer's whole face. It takes tree growth with its proof and nothing else, from the ledger and nobody else. */
export const signerRoutes = defineRoutes({
  /** Body of C2SP tlog-witness `add-checkpoint`, with the bare checkpoint text as its last part. */
  checkpoint: {
    operation: 'signer.checkpoint',
    service: 'signer',
    method: 'POST',
    path: '/internal/signer/checkpoint',
    access,
    ids: {},
    body: z.strictObject({
      request: z.string().min(10).max(8192),
      /** Leaf of entry 0, with the first signature of a later generation. */
      opening: z.base64().max(LEAF_BASE64_CHARS_MAX).optional(),
    }),
    bodyBytesMax: 16_384,
    replies: {
      200: z.discriminatedUnion('ok', [
        z.strictObject({ ok: z.literal(true), note: z.string(), verifierKey: z.string() }),
        /** A refusal is an answer. With a state: where the log stands, so that the ledger can prove growth from there. */
        z.strictObject({
          ok: z.literal(false),
          reason: z.enum([
            'old-size',
            'rollback',
            'fork',
            'inconsistent',
            'malformed',
            'unknown-log',
            'superseded',
            'no-opening',
          ]),
          state: z.strictObject({ size, root: hash }).optional(),
        }),
      ]),
    },
  },
  /** Last signed state of a log; size 0 when it was never seen. */
  state: {
    operation: 'signer.state',
    service: 'signer',
    method: 'POST',
    path: '/internal/signer/state',
    access,
    ids: {},
    body: z.strictObject({ origin }),
    bodyBytesMax: 1024,
    replies: {
      200: z.strictObject({
        size,
        root: hash,
        verifierKey,
        terms: z.array(z.strictObject({ verifierKey, from: size, until: size.nullable() })).max(TERMS_MAX),
      }),
    },
  },
  /** A new key of the signer's own. Nothing is signed with it until a log has named it. */
  makeKey: {
    operation: 'signer.make-key',
    service: 'signer',
    method: 'POST',
    path: '/internal/signer/key',
    access,
    ids: {},
    body: z.strictObject({}),
    bodyBytesMax: 16,
    replies: { 200: z.strictObject({}) },
  },
  /** The old key's word for the newest, to be written into the log; null when the log has the newest. */
  offerKey: {
    operation: 'signer.offer-key',
    service: 'signer',
    method: 'POST',
    path: '/internal/signer/offer',
    access,
    ids: {},
    body: z.strictObject({ origin, overlap: z.number().int().min(OVERLAP_ENTRIES_MIN).max(OVERLAP_ENTRIES_MAX) }),
    bodyBytesMax: 1024,
    replies: {
      200: z.strictObject({
        offer: z
          .strictObject({ oldKey: verifierKey, newKey: verifierKey, overlap: size, handover: z.base64().length(88) })
          .nullable(),
      }),
    },
  },
  /** Proves that the log names the new key; from then on it signs. */
  handOver: {
    operation: 'signer.hand-over',
    service: 'signer',
    method: 'POST',
    path: '/internal/signer/handover',
    access,
    ids: {},
    body: z.strictObject({
      origin,
      size,
      leaf: z.base64().max(LEAF_BASE64_CHARS_MAX),
      index: size,
      proof: z.array(hash).max(PROOF_HASHES_MAX),
    }),
    bodyBytesMax: 16_384,
    replies: {
      200: z.union([
        z.strictObject({ ok: z.literal(true) }),
        z.strictObject({
          ok: z.literal(false),
          reason: z.literal('old-size'),
          state: z.strictObject({ size, root: hash }),
        }),
        z.strictObject({ ok: z.literal(false), reason: z.enum(['refused', 'unknown-log']) }),
      ]),
    },
  },
  /** Destroys private keys that no log needs any more. */
  retireKeys: {
    operation: 'signer.retire-keys',
    service: 'signer',
    method: 'POST',
    path: '/internal/signer/retire',
    access,
    ids: {},
    body: z.strictObject({}),
    bodyBytesMax: 16,
    replies: { 200: z.strictObject({ destroyed: z.array(z.number().int()).max(TERMS_MAX) }) },
  },
});
