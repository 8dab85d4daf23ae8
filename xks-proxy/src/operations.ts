import { associatedData, integrityValue, labelsFor, metadataOf, type Context } from './binding.ts';
import type { KeyOperation, StoreKey } from './config.ts';
import { toXksError, XksError } from './errors.ts';
import type { Hsm } from './hsm.ts';
import {
  AAD_BYTES_MAX,
  IV_BYTES,
  METADATA_BYTES_MAX,
  requireAtMost,
  TAG_BYTES,
  TEXT_BYTES_MAX,
  type DecryptRequest,
  type EncryptRequest,
  type RequestMetadata,
} from './messages.ts';

/** An operation on one key of one store; every function throws `XksError` or a typed error of the token. */
export interface KeyCall {
  readonly hsm: Hsm;
  readonly key: StoreKey;
}

function isListed(value: string | undefined, allowed: readonly string[]): boolean {
  return value !== undefined && allowed.some((entry) => entry === value);
}

/**
 * The second check, beside KMS's own policies: only the named principals and KMS keys may use this external key. Keeps
 * somebody else's KMS key from being put over it.
 */
export function requireCaller(key: StoreKey, metadata: RequestMetadata): void {
  const { principalArns, kmsKeyArns } = key.callers;
  if (principalArns !== undefined && !isListed(metadata.awsPrincipalArn, principalArns)) {
    throw new XksError('AccessDeniedException', 'this principal may not use the external key', 'callers.principalArns');
  }
  const isNamed = metadata.kmsKeyArn !== undefined;
  if (kmsKeyArns !== undefined && isNamed && !isListed(metadata.kmsKeyArn, kmsKeyArns)) {
    throw new XksError('AccessDeniedException', 'this KMS key may not use the external key', 'callers.kmsKeyArns');
  }
}

function requireUse(key: StoreKey, operations: readonly KeyOperation[]): void {
  const missing = operations.find((operation) => !key.operations.includes(operation));
  if (missing) throw new XksError('InvalidKeyUsageException', `the external key is not for ${missing}`);
  if (!key.enabled) throw new XksError('InvalidStateException', 'the external key is disabled');
}

const BITS_PER_BYTE = 8;
const AES_BYTES = 32;

/** GetKeyMetadata: what the configuration allows and the token confirms. */
export async function keyMetadata({ hsm, key }: KeyCall): Promise<object> {
  const found = await hsm.describe(key.labels[0]!);
  // A token may refuse to tell a length; then the key was configured as AES-256 and a wrong one fails at first use.
  const bits = (found.value_bytes ?? AES_BYTES) * BITS_PER_BYTE;
  const does = (operation: KeyOperation) => (operation === 'ENCRYPT' ? found.encrypt : found.decrypt) !== false;
  return {
    keySpec: `${found.isAes ? 'AES' : 'UNKNOWN'}_${bits}`,
    keyUsage: key.operations.filter(does),
    keyStatus: key.enabled ? 'ENABLED' : 'DISABLED',
  };
}

/** Encrypt, always under the newest key. With a CDIV asked for, what was made is opened again before it is given out. */
export async function encrypt({ hsm, key }: KeyCall, request: EncryptRequest): Promise<object> {
  const { plaintext, additionalAuthenticatedData: aad, ciphertextDataIntegrityValueAlgorithm: algorithm } = request;
  try {
    requireUse(key, algorithm === undefined ? ['ENCRYPT'] : ['ENCRYPT', 'DECRYPT']);
    requireAtMost(plaintext, { max: TEXT_BYTES_MAX, name: 'plaintext' });
    requireAtMost(aad, { max: AAD_BYTES_MAX, name: 'additionalAuthenticatedData' });
    const label = key.labels[0]!;
    const context: Context = { aad, metadata: metadataOf(label) };
    const bound = associatedData(context);
    const { iv, sealed } = await hsm.encrypt(label, bound, plaintext);
    const [ciphertext, tag] = [sealed.subarray(0, -TAG_BYTES), sealed.subarray(-TAG_BYTES)];
    if (ciphertext.length !== plaintext.length) throw new XksError('InternalException', 'internal error', 'lengths');
    const reply = {
      ciphertext: ciphertext.toString('base64'),
      ciphertextMetadata: Buffer.from(context.metadata!).toString('base64'),
      initializationVector: iv.toString('base64'),
      authenticationTag: tag.toString('base64'),
    };
    if (algorithm === undefined) return reply;
    // First the hash, then the trial: bytes that are damaged in between are caught by one of the two.
    const value = integrityValue(context, { iv, ciphertext, tag });
    const opened = await hsm.decrypt(label, { iv, aad: bound }, sealed);
    const isSame = opened.equals(plaintext);
    opened.fill(0);
    if (!isSame) throw new XksError('InternalException', 'internal error', 'the trial decryption gave another text');
    return { ...reply, ciphertextDataIntegrityValue: value.toString('base64') };
  } finally {
    plaintext.fill(0);
  }
}

/** Decrypt, under the key that the metadata names; foreign metadata is bound all the same and every key tried. */
export async function decrypt({ hsm, key }: KeyCall, request: DecryptRequest): Promise<object> {
  const { ciphertext, initializationVector: iv, authenticationTag: tag } = request;
  const { additionalAuthenticatedData: aad, ciphertextMetadata: metadata } = request;
  requireUse(key, ['DECRYPT']);
  requireAtMost(ciphertext, { max: TEXT_BYTES_MAX, name: 'ciphertext' });
  requireAtMost(aad, { max: AAD_BYTES_MAX, name: 'additionalAuthenticatedData' });
  if (metadata !== undefined && metadata.length > METADATA_BYTES_MAX) {
    throw new XksError('ValidationException', `ciphertextMetadata has more than ${METADATA_BYTES_MAX} bytes`);
  }
  if (!IV_BYTES.includes(iv.length)) throw new XksError('InvalidCiphertextException', 'the IV has not 12 or 16 bytes');
  if (tag.length !== TAG_BYTES) throw new XksError('InvalidCiphertextException', 'the tag has not 16 bytes');
  const bound = associatedData({ aad, metadata });
  const sealed = Buffer.concat([ciphertext, tag]);
  let refusal = new XksError('InvalidCiphertextException', 'the metadata names no key of ours');
  for (const label of labelsFor(metadata, key.labels)) {
    try {
      const plaintext = await hsm.decrypt(label, { iv, aad: bound }, sealed);
      const reply = { plaintext: plaintext.toString('base64') };
      plaintext.fill(0);
      return reply;
    } catch (error) {
      refusal = toXksError(error);
      if (refusal.errorName !== 'InvalidCiphertextException') throw refusal;
    }
  }
  throw refusal;
}
