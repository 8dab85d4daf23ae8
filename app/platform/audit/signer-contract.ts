import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

const size = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const hash = z.base64().length(44);
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
    body: z.strictObject({ request: z.string().min(10).max(8192) }),
    bodyBytesMax: 16_384,
    replies: {
      200: z.discriminatedUnion('ok', [
        z.strictObject({ ok: z.literal(true), note: z.string(), verifierKey: z.string() }),
        /** A refusal is an answer. With a state: where the log stands, so that the ledger can prove growth from there. */
        z.strictObject({
          ok: z.literal(false),
          reason: z.enum(['old-size', 'rollback', 'fork', 'inconsistent', 'malformed', 'unknown-log']),
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
    body: z.strictObject({ origin: z.string().min(3).max(200) }),
    bodyBytesMax: 1024,
    replies: { 200: z.strictObject({ size, root: hash, verifierKey: z.string() }) },
  },
});
