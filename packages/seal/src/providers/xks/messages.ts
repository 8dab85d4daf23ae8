import { z } from 'zod';
import { sealError } from '../../errors.ts';

/** Of the specification; we send far less. */
const CIPHERTEXT_BYTES_MAX = 4300;
const METADATA_BYTES_MAX = 20;
const TAG_BYTES = 16;
const TEXT_LENGTH_MAX = 200;

/** Canonical base64 only: one value has one spelling, so that what was hashed is what is stored. */
const base64 = z
  .string()
  .max(8192)
  .transform((text, context) => {
    const bytes = Buffer.from(text, 'base64');
    if (bytes.toString('base64') === text) return bytes;
    context.addIssue({ code: 'custom', message: 'is not canonical base64' });
    return z.NEVER;
  });
const bytesOf = (min: number, max: number) =>
  base64.refine((bytes) => bytes.length >= min && bytes.length <= max, `needs ${min} to ${max} bytes`);
const text = z.string().max(TEXT_LENGTH_MAX);

/** Fields that the specification does not know are dropped; each one that we read has a closed shape. */
const healthReply = z.object({
  xksProxyFleetSize: z.number().int().min(1),
  xksProxyVendor: text,
  xksProxyModel: text,
  ekmVendor: text,
  ekmFleetDetails: z
    .array(z.object({ id: text, model: text, healthStatus: z.enum(['ACTIVE', 'DEGRADED', 'UNAVAILABLE']) }))
    .min(1)
    .max(1000),
});
const metadataReply = z.object({
  keySpec: text,
  keyUsage: z.array(text).max(20),
  keyStatus: text,
});
const encryptReply = z.object({
  ciphertext: bytesOf(1, CIPHERTEXT_BYTES_MAX),
  ciphertextMetadata: bytesOf(0, METADATA_BYTES_MAX).optional(),
  initializationVector: base64.refine((iv) => iv.length === 12 || iv.length === 16, 'needs 12 or 16 bytes'),
  authenticationTag: bytesOf(TAG_BYTES, TAG_BYTES),
  ciphertextDataIntegrityValue: bytesOf(32, 32),
});
const decryptReply = z.object({ plaintext: bytesOf(1, CIPHERTEXT_BYTES_MAX) });
const failureReply = z.object({ errorName: text, errorMessage: z.string().max(2000).optional() });

/** The four operations: where each is posted, and what a proxy may answer. */
export const OPERATIONS = {
  health: { path: () => '/health', reply: healthReply },
  metadata: { path: (keyId: string) => `/keys/${keyId}/metadata`, reply: metadataReply },
  encrypt: { path: (keyId: string) => `/keys/${keyId}/encrypt`, reply: encryptReply },
  decrypt: { path: (keyId: string) => `/keys/${keyId}/decrypt`, reply: decryptReply },
} as const;

export type Operation = keyof typeof OPERATIONS;
export type ReplyOf<O extends Operation> = z.output<(typeof OPERATIONS)[O]['reply']>;

/** Throws `kek_misconfigured`, naming the field, for a reply outside its shape. */
export function readReply<O extends Operation>(operation: O, body: Buffer): ReplyOf<O> {
  const read = OPERATIONS[operation].reply.safeParse(parseJson(body));
  if (read.success) return read.data as ReplyOf<O>;
  const issue = read.error.issues[0];
  throw sealError(
    'kek_misconfigured',
    `the proxy's reply to ${operation} is outside the specification: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`,
  );
}

/** Error name of a refusal, undefined when the body is not one. */
export function readFailure(body: Buffer): { errorName: string; errorMessage?: string | undefined } | undefined {
  const read = failureReply.safeParse(parseJson(body));
  return read.success ? read.data : undefined;
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
