import { AppError } from '@auditrax/base';

/**
 * Everything that can go wrong in this library. None of these is ever answered by returning plaintext.
 *
 * - `authentication_failed`: the tag does not match the key, the bytes or the bound context (which of them is
 *   unknowable, and must stay so for an attacker who probes).
 * - `commitment_mismatch`: the key is not the one that was committed to (a key store answered with another key).
 * - `truncated`: a chunked message or a part ends before its short final chunk.
 * - `root_key_mismatch`, `recovery_key_mismatch`: the message names the ring, the expected and the found check value.
 * - `kek_unavailable`: the key store did not answer in time, or with a fault of its own; asking again is safe.
 * - `kek_throttled`: the key store asks for patience; asking again later is safe.
 * - `kek_disabled`: whoever owns the key has withdrawn it (disabled, waiting for deletion, material expired). What is
 *   cached of its data keys is wiped at once; it may come back.
 * - `kek_denied`: the key store refuses who asks (credentials, policy, certificate). Wiped at once, like `kek_disabled`.
 * - `kek_gone`: the key exists no more.
 * - `kek_misconfigured`: the key, or the way to it, can never work as configured; the message names the setting.
 * - `clock_skew`: the key store refuses our time; the message says by how much where that is known.
 * - `self_test_failed`: an engine does not give the published answers; the process must not go on with it.
 * - `suite_unknown`: bytes name an algorithm that this build does not have.
 * - `suite_refused`: one that the tenant's allow-list does not hold: a downgrade, or a value left behind by one.
 * - `passphrase_weak`: too short to protect a file that may be guessed at for years.
 * - `ring_*`: the key ring file; the message says what to do.
 */
export type SealErrorCode =
  | 'authentication_failed'
  | 'blob_malformed'
  | 'clock_skew'
  | 'commitment_mismatch'
  | 'dek_version_mismatch'
  | 'input_too_long'
  | 'kek_denied'
  | 'kek_disabled'
  | 'kek_foreign'
  | 'kek_gone'
  | 'kek_misconfigured'
  | 'kek_throttled'
  | 'kek_unavailable'
  | 'kek_unknown'
  | 'key_destroyed'
  | 'key_length'
  | 'nonce_length'
  | 'part_mismatch'
  | 'passphrase_weak'
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
  | 'self_test_failed'
  | 'suite_refused'
  | 'suite_unknown'
  | 'truncated';

/** Builds this library's error; `message` is for the operator and never holds key bytes or plaintext. */
export function sealError(code: SealErrorCode, message: string, cause?: unknown): AppError<SealErrorCode> {
  return new AppError<SealErrorCode>(code, message, cause === undefined ? {} : { cause });
}
