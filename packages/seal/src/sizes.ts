import { TAG_BYTES } from './gcm.ts';

/** C2SP XAES-256-GCM. */
export const XAES_NONCE_BYTES = 24;
/** C2SP chunked encryption, instantiated as Cobblestone-256: HKDF-Expand-SHA-512 and AES-256-GCM. */
export const CHUNK_BYTES = 16 * 1024;
export const SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES;
export const SALT_BYTES = 24;
export const COMMITMENT_BYTES = 32;
/** Salt and commitment, in front of the chunks. */
export const CHUNKED_PREFIX_BYTES = SALT_BYTES + COMMITMENT_BYTES;
/** The specification's bound is 2^38 chunks; counting in a double stays exact far beyond it. */
export const CHUNK_COUNT_MAX = 2 ** 38;
