import { createCipheriv, createDecipheriv, createSecretKey, KeyObject } from 'node:crypto';
import { sealError } from './errors.ts';

export const KEY_BYTES = 32;
export const GCM_NONCE_BYTES = 12;
export const TAG_BYTES = 16;

const NO_BYTES = Buffer.alloc(0);

/** One AES-256-GCM call (NIST SP 800-38D). The profile is narrow on purpose: 32-byte key, 12-byte nonce, 16-byte tag. */
export interface GcmInput {
  /** A key object saves its making again for each of many messages. */
  readonly key: Uint8Array | KeyObject;
  readonly nonce: Uint8Array;
  readonly aad?: Uint8Array;
}

/** Returns ciphertext followed by the 16-byte tag. Throws `key_length`, `nonce_length`. */
export function gcmEncrypt(input: GcmInput, plaintext: Uint8Array): Buffer {
  return Buffer.concat(gcmEncryptPieces(input, plaintext));
}

/** Ciphertext and tag as two buffers: a stream of files saves the copy. */
export function gcmEncryptPieces(input: GcmInput, plaintext: Uint8Array): [body: Buffer, tag: Buffer] {
  const key = checkProfile(input);
  const cipher = createCipheriv('aes-256-gcm', key, input.nonce, { authTagLength: TAG_BYTES });
  if (input.aad !== undefined) cipher.setAAD(input.aad);
  const body = cipher.update(plaintext);
  cipher.final();
  return [body, cipher.getAuthTag()];
}

/**
 * Opens ciphertext followed by its 16-byte tag; nothing is returned before the tag has been verified. Throws
 * `authentication_failed`, `truncated` (shorter than a tag), `key_length`, `nonce_length`.
 */
export function gcmDecrypt(input: GcmInput, sealed: Uint8Array): Buffer {
  const key = checkProfile(input);
  if (sealed.length < TAG_BYTES) throw sealError('truncated', `a sealed message has at least ${TAG_BYTES} bytes`);
  // The tag length is fixed here: without it the runtime accepts shortened tags, which an attacker could guess.
  const decipher = createDecipheriv('aes-256-gcm', key, input.nonce, { authTagLength: TAG_BYTES });
  if (input.aad !== undefined) decipher.setAAD(input.aad);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const body = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    body.fill(0);
    throw sealError('authentication_failed', 'the sealed bytes do not belong to this key and context');
  }
  return body.length === 0 ? NO_BYTES : body;
}

function checkProfile(input: GcmInput): KeyObject {
  // Always a key object: with plain bytes the runtime takes six times as long to make a cipher (30 µs against 4.5 µs).
  const key = input.key instanceof KeyObject ? input.key : createSecretKey(input.key);
  if (key.symmetricKeySize !== KEY_BYTES)
    throw sealError('key_length', `a key has ${KEY_BYTES} bytes, not ${key.symmetricKeySize}`);
  if (input.nonce.length !== GCM_NONCE_BYTES) {
    throw sealError('nonce_length', `a nonce has ${GCM_NONCE_BYTES} bytes, not ${input.nonce.length}`);
  }
  return key;
}
