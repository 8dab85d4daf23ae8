import { AppError } from '@auditrax/base';

/**
 * Everything that can go wrong in this library. None of these is ever answered by returning plaintext.
 *
 * - `authentication_failed`: the tag does not match the key, the bytes or the bound context (which of them is
 *   unknowable, and must stay so for an attacker who probes).
 * - `commitment_mismatch`: the key is not the one that was committed to (a key store answered with another key).
 * - `truncated`: a chunked message or a part ends before its short final chunk.
 * - `root_key_mismatch`, `recovery_key_mismatch`: the message names the ring, the expected and the found check value.
 * - `ring_*`: the key ring file; the message says what to do.
 */
export type SealErrorCode =
  | 'authentication_failed'
  | 'blob_malformed'
  | 'commitment_mismatch'
  | 'dek_version_mismatch'
  | 'input_too_long'
  | 'kek_foreign'
  | 'kek_unknown'
  | 'key_destroyed'
  | 'key_length'
  | 'nonce_length'
  | 'part_mismatch'
  | 'recovery_key_malformed'
  | 'recovery_key_mismatch'
  | 'ring_changed'
  | 'ring_corrupt'
  | 'ring_exists'
  | 'ring_init_refused'
  | 'ring_missing'
  | 'ring_permissions'
  | 'ring_tampered'
  | 'root_key_mismatch'
  | 'suite_unknown'
  | 'truncated';

/** Builds this library's error; `message` is for the operator and never holds key bytes or plaintext. */
export function sealError(code: SealErrorCode, message: string, cause?: unknown): AppError<SealErrorCode> {
  return new AppError<SealErrorCode>(code, message, cause === undefined ? {} : { cause });
}
