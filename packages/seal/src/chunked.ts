import { timingSafeEqual } from 'node:crypto';
import type { ChunkJob, ChunkKey } from './engine.ts';
import { sealError } from './errors.ts';
import { GCM_NONCE_BYTES, KEY_BYTES, TAG_BYTES } from './gcm.ts';
import { hkdfExpand } from './hkdf.ts';
import { CHUNK_BYTES, CHUNKED_PREFIX_BYTES, COMMITMENT_BYTES, SALT_BYTES, SEALED_CHUNK_BYTES } from './sizes.ts';

const KDF_PREFIX = Buffer.from('c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0', 'ascii');

/** The single-use secrets of one message; the caller wipes `key`. */
export interface MessageKeys {
  readonly key: Buffer;
  readonly baseNonce: Buffer;
  readonly commitment: Buffer;
}

/** Derives key, base nonce and commitment of one message. Throws `key_length`, `nonce_length` (the salt). */
export function deriveMessageKeys(input: { key: Uint8Array; salt: Uint8Array; context: Uint8Array }): MessageKeys {
  if (input.key.length !== KEY_BYTES)
    throw sealError('key_length', `an input key has ${KEY_BYTES} bytes, not ${input.key.length}`);
  if (input.salt.length !== SALT_BYTES)
    throw sealError('nonce_length', `a salt has ${SALT_BYTES} bytes, not ${input.salt.length}`);
  const info = Buffer.concat([KDF_PREFIX, input.salt, input.context]);
  const length_bytes = KEY_BYTES + GCM_NONCE_BYTES + COMMITMENT_BYTES;
  const derived = hkdfExpand('sha512', input.key, { info, length_bytes });
  return {
    key: derived.subarray(0, KEY_BYTES),
    baseNonce: derived.subarray(KEY_BYTES, KEY_BYTES + GCM_NONCE_BYTES),
    commitment: derived.subarray(KEY_BYTES + GCM_NONCE_BYTES),
  };
}

/**
 * Reads the 56-byte prefix of a message and checks its commitment before any chunk is touched. Throws `truncated`,
 * `commitment_mismatch`, `key_length`.
 */
export function openMessageKeys(input: { key: Uint8Array; context: Uint8Array }, prefix: Uint8Array): MessageKeys {
  if (input.key.length !== KEY_BYTES)
    throw sealError('key_length', `an input key has ${KEY_BYTES} bytes, not ${input.key.length}`);
  if (prefix.length < CHUNKED_PREFIX_BYTES) throw sealError('truncated', 'the message ends inside its prefix');
  const keys = deriveMessageKeys({ ...input, salt: prefix.subarray(0, SALT_BYTES) });
  if (!timingSafeEqual(keys.commitment, prefix.subarray(SALT_BYTES, CHUNKED_PREFIX_BYTES))) {
    keys.key.fill(0);
    throw sealError('commitment_mismatch', 'the message was made with another key or context');
  }
  return keys;
}

/** Seals chunks into `job.output`, each as ciphertext and tag. See `ChunkJob`. */
export function sealChunks(key: ChunkKey, job: ChunkJob): number {
  return key.run(job);
}

/**
 * Opens chunks into `job.output` and returns how many did, in order; nothing of the first that does not is left there.
 * See `ChunkJob`.
 */
export function openChunks(key: ChunkKey, job: ChunkJob): number {
  return key.run(job);
}

/** Length of the sealed message for a plaintext of `plaintext_bytes`, prefix included. */
export function sealedMessageBytes(plaintext_bytes: number): number {
  const fullChunks = Math.floor(plaintext_bytes / CHUNK_BYTES);
  return CHUNKED_PREFIX_BYTES + plaintext_bytes + (fullChunks + 1) * TAG_BYTES;
}

/** The reverse of `sealedMessageBytes`. Throws `truncated` for a length that no whole message has. */
export function openedMessageBytes(sealed_bytes: number): number {
  const body = sealed_bytes - CHUNKED_PREFIX_BYTES;
  const tail = body % SEALED_CHUNK_BYTES;
  if (body < 0 || tail < TAG_BYTES) throw sealError('truncated', `no whole message has ${sealed_bytes} bytes`);
  return Math.floor(body / SEALED_CHUNK_BYTES) * CHUNK_BYTES + tail - TAG_BYTES;
}
