import { createSecretKey, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { sealError } from './errors.ts';
import { GCM_NONCE_BYTES, gcmDecrypt, gcmEncryptPieces, KEY_BYTES, TAG_BYTES } from './gcm.ts';
import { hkdfExpand } from './hkdf.ts';

/** C2SP chunked encryption, instantiated as Cobblestone-256: HKDF-Expand-SHA-512 and AES-256-GCM. */
export const CHUNK_BYTES = 16 * 1024;
export const SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES;
export const SALT_BYTES = 24;
export const COMMITMENT_BYTES = 32;
/** Salt and commitment, in front of the chunks. */
export const CHUNKED_PREFIX_BYTES = SALT_BYTES + COMMITMENT_BYTES;
/** The specification's bound is 2^38 chunks; counting in a double stays exact far beyond it. */
export const CHUNK_COUNT_MAX = 2 ** 38;

const KDF_PREFIX = Buffer.from('c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0', 'ascii');

/** The single-use secrets of one message. */
export interface MessageKeys {
  readonly key: Buffer;
  /** The same key, ready for use on every chunk. */
  readonly secret: KeyObject;
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
  const key = derived.subarray(0, KEY_BYTES);
  return {
    key,
    secret: createSecretKey(key),
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
    throw sealError('commitment_mismatch', 'the message was made with another key or context');
  }
  return keys;
}

/** Seals chunk `index`, as ciphertext and tag; `plaintext` is 16 KiB, or shorter for the final chunk and only for it. */
export function sealChunk(keys: MessageKeys, index: number, plaintext: Uint8Array): [body: Buffer, tag: Buffer] {
  return gcmEncryptPieces({ key: keys.secret, nonce: chunkNonce(keys, index) }, plaintext);
}

/** Opens chunk `index`; nothing is returned before its tag is verified. Throws `authentication_failed`, `truncated`. */
export function openChunk(keys: MessageKeys, index: number, sealed: Uint8Array): Buffer {
  return gcmDecrypt({ key: keys.secret, nonce: chunkNonce(keys, index) }, sealed);
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

function chunkNonce(keys: MessageKeys, index: number): Buffer {
  if (!Number.isInteger(index) || index < 0 || index >= CHUNK_COUNT_MAX) {
    throw sealError('input_too_long', `chunk ${index} is outside a message`);
  }
  const nonce = Buffer.from(keys.baseNonce);
  const counter = Buffer.alloc(6);
  counter.writeUIntBE(index, 0, 6);
  for (let i = 0; i < counter.length; i += 1) nonce[GCM_NONCE_BYTES - 6 + i]! ^= counter[i]!;
  return nonce;
}
