import { z } from 'zod';
import { XksError } from './errors.ts';

/** What the protocol requires every proxy to take; more is answered as unsupported. */
export const TEXT_BYTES_MAX = 4300;
export const AAD_BYTES_MAX = 8192;
export const METADATA_BYTES_MAX = 20;
export const IV_BYTES: readonly number[] = [12, 16];
export const TAG_BYTES = 16;
/** ARNs may have 2048 characters; the other fields are shorter. */
const METADATA_CHARS_MAX = 2048;

const word = z.string().min(1).max(METADATA_CHARS_MAX);

/** Standard alphabet with padding, one spelling for each value (RFC 4648 section 4). */
const base64 = z.string().transform((text, context) => {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') === text) return bytes;
  context.addIssue({ code: 'custom', message: 'not base64' });
  return z.NEVER;
});

const common = {
  kmsOperation: word,
  kmsRequestId: word,
  awsSourceVpc: word.optional(),
  awsSourceVpce: word.optional(),
  kmsViaService: word.optional(),
};

export const healthRequest = z.object({
  requestMetadata: z.object({ ...common, awsPrincipalArn: word.optional(), kmsKeyArn: word.optional() }),
});

export const metadataRequest = z.object({
  requestMetadata: z.object({ ...common, awsPrincipalArn: word, kmsKeyArn: word.optional() }),
});

const useMetadata = z.object({ ...common, awsPrincipalArn: word, kmsKeyArn: word });

export const encryptRequest = z.object({
  requestMetadata: useMetadata,
  plaintext: base64.refine((bytes) => bytes.length > 0, 'empty'),
  encryptionAlgorithm: z.literal('AES_GCM'),
  additionalAuthenticatedData: base64.optional(),
  ciphertextDataIntegrityValueAlgorithm: z.literal('SHA_256').optional(),
});

export const decryptRequest = z.object({
  requestMetadata: useMetadata,
  ciphertext: base64,
  encryptionAlgorithm: z.literal('AES_GCM'),
  additionalAuthenticatedData: base64.optional(),
  ciphertextMetadata: base64.optional(),
  initializationVector: base64,
  authenticationTag: base64,
});

/** Who asks, as KMS tells it: for our log, and for the second check of callers. */
export type RequestMetadata = z.infer<typeof healthRequest>['requestMetadata'];
export type EncryptRequest = z.infer<typeof encryptRequest>;
export type DecryptRequest = z.infer<typeof decryptRequest>;

/** The body's JSON. Throws ValidationException. */
export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new XksError('ValidationException', 'the body is not JSON');
  }
}

/** `value` in the shape of `schema`. Throws ValidationException that names the fields, never what they held. */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = [...new Set(result.error.issues.map(({ path }) => path.join('.') || 'body'))];
  throw new XksError('ValidationException', `missing or invalid: ${fields.join(', ')}`);
}

/** Throws UnsupportedOperationException: more than every proxy must take. */
export function requireAtMost(bytes: Uint8Array | undefined, limit: { max: number; name: string }): void {
  if (bytes !== undefined && bytes.length > limit.max) {
    throw new XksError('UnsupportedOperationException', `${limit.name} has more than ${limit.max} bytes`);
  }
}
