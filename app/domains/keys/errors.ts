import { AppError } from '@auditrax/base';
import type { SealErrorCode } from '@auditrax/seal';

/**
 * Errors of the room.
 *
 * - `dek_missing`: the tenant has no such data key; `dek_not_usable`: it has, but its state forbids this use.
 * - `key_setting_changed`: what was to be replaced is not what stands there any more.
 * - `keys_unavailable`: the keys process did not answer; `unwrap_refused`: it did, with a refusal.
 * - `field_unregistered`: sealing under a name that no room registered.
 * - `installation_key_unfit`: the key store of the installation is away, or is not the one that holds the keys of these data.
 * - `source_tier`: only an enterprise tenant brings a key source of its own; `source_unknown`: there is no such source;
 *   `source_limit`: too many sources still hold data keys; `source_unavailable`: this installation has no such kind;
 *   `suites_unfit`: a list of suites that this build cannot obey;
 *   `source_import_malformed`: token or material cannot be read.
 */
export type KeysErrorCode =
  | 'dek_missing'
  | 'dek_not_usable'
  | 'field_unregistered'
  | 'installation_key_unfit'
  | 'key_setting_changed'
  | 'keys_unavailable'
  | 'source_import_malformed'
  | 'source_limit'
  | 'source_tier'
  | 'source_unavailable'
  | 'source_unknown'
  | 'suites_unfit'
  | 'unwrap_refused';

/** Builds this room's error. `message` never holds key bytes or plaintext. */
export function keysError(code: KeysErrorCode, message: string, cause?: unknown): AppError<KeysErrorCode> {
  return new AppError<KeysErrorCode>(code, message, cause === undefined ? {} : { cause });
}

type Problem = { readonly status: number; readonly title: string };

// One title for everything that does not open: which check failed is for the operator, never for the caller.
const unreadable: Problem = { status: 500, title: 'Stored data could not be read' };
const unusable: Problem = { status: 503, title: 'Encryption keys are not available' };
/** The tenant's own key, or its key store: told to the tenant, who alone can mend it. */
const withdrawn: Problem = { status: 503, title: 'The organisation’s own key is withdrawn' };
const unreachable: Problem = { status: 503, title: 'The organisation’s key store does not answer' };
const misconfigured: Problem = { status: 422, title: 'This key cannot be used as configured' };
const refused: Problem = { status: 403, title: 'The key request was refused' };

/** Status of each code (RFC 9457); merged into the house's table by the composition root. */
export const problems: Readonly<Record<KeysErrorCode | SealErrorCode, Problem>> = {
  dek_missing: unusable,
  dek_not_usable: unusable,
  field_unregistered: { status: 500, title: 'Internal error' },
  installation_key_unfit: unusable,
  key_setting_changed: { status: 409, title: 'Somebody else changed this in the meantime' },
  keys_unavailable: unusable,
  source_import_malformed: { status: 400, title: 'Import token or key material cannot be read' },
  source_limit: { status: 409, title: 'Former key sources still hold data keys' },
  source_tier: { status: 403, title: 'A key source of its own belongs to the Enterprise tier' },
  source_unavailable: { status: 422, title: 'This installation has no key store of this kind' },
  source_unknown: { status: 404, title: 'There is no such key source' },
  suites_unfit: { status: 422, title: 'This list of algorithms cannot be kept' },
  unwrap_refused: unusable,
  authentication_failed: unreadable,
  blob_malformed: unreadable,
  clock_skew: unreachable,
  commitment_mismatch: unreadable,
  dek_version_mismatch: unreadable,
  input_too_long: { status: 413, title: 'A value is too long' },
  kek_denied: withdrawn,
  kek_disabled: withdrawn,
  kek_foreign: refused,
  kek_gone: withdrawn,
  kek_misconfigured: misconfigured,
  kek_throttled: unreachable,
  kek_unavailable: unreachable,
  kek_unknown: unusable,
  key_destroyed: unusable,
  key_length: unreadable,
  nonce_length: unreadable,
  part_mismatch: unreadable,
  recovery_key_malformed: { status: 400, title: 'The recovery key has a typing error' },
  recovery_key_mismatch: { status: 400, title: 'The recovery key belongs to another key ring' },
  ring_changed: unusable,
  ring_corrupt: unusable,
  ring_exists: unusable,
  ring_init_refused: unusable,
  ring_missing: unusable,
  passphrase_weak: unusable,
  ring_permissions: unusable,
  ring_tampered: unusable,
  root_key_mismatch: unusable,
  self_test_failed: unusable,
  suite_refused: unreadable,
  suite_unknown: unreadable,
  truncated: unreadable,
};
