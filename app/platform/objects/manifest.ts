import { fromBase64Url, toBase64Url } from '@auditrax/base';
import { SALT_BYTES } from '@auditrax/seal';
import { z } from 'zod';
import { OBJECT_BYTES_MAX, PARTS_MAX } from './layout.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const part = z.strictObject({
  size_bytes: z.number().int().min(0),
  /** base64url, 24 bytes; pins which attempt at this part counts. */
  salt: z.string().refine((text) => fromBase64Url(text)?.length === SALT_BYTES, 'must be 24 bytes in base64url'),
  /** SHA-256 of the part's file. */
  sealedSha256: sha256,
});
const manifestSchema = z.strictObject({
  format: z.literal('AXM1'),
  size_bytes: z.number().int().min(0).max(OBJECT_BYTES_MAX),
  /** SHA-256 of the whole plaintext, hexadecimal: what the sender can compare. */
  sha256,
  /** Version of the data key that the parts' headers name. */
  dekVersion: z.number().int().min(1),
  parts: z.array(part).min(1).max(PARTS_MAX),
});

/**
 * What a complete object consists of. The owner seals it into its row and may anchor `sha256` in the log; with it, parts
 * cannot be removed, exchanged or put back to an earlier attempt unseen.
 */
export type Manifest = z.output<typeof manifestSchema>;

export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(JSON.stringify(manifest), 'utf8');
}

/** Strict reverse of `encodeManifest`; throws a ZodError or SyntaxError, which only damage or a bug can cause. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  return manifestSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
}

export function manifestPart(input: {
  size_bytes: number;
  salt: Uint8Array;
  sealedSha256: Buffer;
}): Manifest['parts'][number] {
  return {
    size_bytes: input.size_bytes,
    salt: toBase64Url(input.salt),
    sealedSha256: input.sealedSha256.toString('hex'),
  };
}
