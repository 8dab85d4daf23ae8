import { isAppError } from '@auditrax/base';
import type { AppError } from '@auditrax/base';
import { sealError } from '../../errors.ts';
import type { SealErrorCode } from '../../errors.ts';

/** A return value of a PKCS#11 call (PKCS#11 2.40, section 11.1). */
export interface ModuleFault {
  readonly name: string;
  readonly number: number;
}

/** The return value in an error of pkcs11js, whose form differs from call to call; undefined for any other error. */
export function moduleFault(error: unknown): ModuleFault | undefined {
  if (!(error instanceof Error)) return undefined;
  const found = /(CKR_\w+)(?::(\d+))?/.exec(`${error.message}\n${error.stack ?? ''}`);
  if (found === null) return undefined;
  const { code } = error as { code?: unknown };
  return { name: found[1]!, number: typeof code === 'number' ? code : Number(found[2] ?? 0) };
}

/** The connection is gone or stuck: it is made anew, with a new login, before anything else is believed. */
const CONNECTION_LOST: ReadonlySet<string> = new Set([
  'CKR_CRYPTOKI_NOT_INITIALIZED',
  'CKR_DEVICE_ERROR',
  'CKR_DEVICE_MEMORY',
  'CKR_DEVICE_REMOVED',
  'CKR_HOST_MEMORY',
  'CKR_OPERATION_ACTIVE',
  'CKR_SESSION_CLOSED',
  'CKR_SESSION_COUNT',
  'CKR_SESSION_HANDLE_INVALID',
  'CKR_SLOT_ID_INVALID',
  'CKR_TOKEN_NOT_PRESENT',
  'CKR_TOKEN_NOT_RECOGNIZED',
  'CKR_USER_NOT_LOGGED_IN',
]);

const PIN_REFUSED: ReadonlySet<string> = new Set([
  'CKR_PIN_EXPIRED',
  'CKR_PIN_INCORRECT',
  'CKR_PIN_INVALID',
  'CKR_PIN_LEN_RANGE',
  'CKR_PIN_LOCKED',
  'CKR_USER_PIN_NOT_INITIALIZED',
]);

const HANDLE_STALE: ReadonlySet<string> = new Set(['CKR_KEY_HANDLE_INVALID', 'CKR_OBJECT_HANDLE_INVALID']);

/** Says "the bytes are wrong" where it comes from decrypting; SoftHSM says the first, and says it of a lost token too. */
const MAYBE_WRONG_BYTES: ReadonlySet<string> = new Set([
  'CKR_AEAD_DECRYPT_FAILED',
  'CKR_ARGUMENTS_BAD',
  'CKR_DATA_INVALID',
  'CKR_DATA_LEN_RANGE',
  'CKR_ENCRYPTED_DATA_INVALID',
  'CKR_ENCRYPTED_DATA_LEN_RANGE',
  'CKR_FUNCTION_FAILED',
  'CKR_GENERAL_ERROR',
  'CKR_WRAPPED_KEY_INVALID',
  'CKR_WRAPPED_KEY_LEN_RANGE',
]);

const DENIED: ReadonlySet<string> = new Set([
  'CKR_ACTION_PROHIBITED',
  'CKR_ATTRIBUTE_READ_ONLY',
  'CKR_ATTRIBUTE_SENSITIVE',
  'CKR_KEY_FUNCTION_NOT_PERMITTED',
  'CKR_KEY_UNEXTRACTABLE',
  'CKR_SESSION_READ_ONLY',
  'CKR_TOKEN_WRITE_PROTECTED',
]);

const MISCONFIGURED: ReadonlySet<string> = new Set([
  'CKR_ATTRIBUTE_TYPE_INVALID',
  'CKR_ATTRIBUTE_VALUE_INVALID',
  'CKR_KEY_SIZE_RANGE',
  'CKR_KEY_TYPE_INCONSISTENT',
  'CKR_MECHANISM_INVALID',
  'CKR_MECHANISM_PARAM_INVALID',
  'CKR_TEMPLATE_INCOMPLETE',
  'CKR_TEMPLATE_INCONSISTENT',
  'CKR_FUNCTION_NOT_SUPPORTED',
]);

/** What a fault asks for before it may be told: a new connection, a new handle, or a look at whether the token lives. */
export type FaultKind = 'connection' | 'handle' | 'maybe-bytes' | 'pin' | 'final';

export function faultKind(fault: ModuleFault, isOpening: boolean): FaultKind {
  if (PIN_REFUSED.has(fault.name)) return 'pin';
  if (CONNECTION_LOST.has(fault.name)) return 'connection';
  if (HANDLE_STALE.has(fault.name)) return 'handle';
  if (!MAYBE_WRONG_BYTES.has(fault.name)) return 'final';
  return isOpening ? 'maybe-bytes' : 'connection';
}

/** The typed error of a fault whose cause is settled. */
export function faultError(fault: ModuleFault, doing: string): AppError<SealErrorCode> {
  const said = `the token answered ${fault.name} (0x${fault.number.toString(16)}) to ${doing}`;
  if (PIN_REFUSED.has(fault.name)) {
    return sealError('kek_denied', `${said}: check the PIN; it is not tried again, lest the token lock itself`);
  }
  if (DENIED.has(fault.name)) return sealError('kek_denied', said);
  if (MISCONFIGURED.has(fault.name)) return sealError('kek_misconfigured', said);
  return sealError('kek_unavailable', said);
}

export function isPinRefusal(error: unknown): boolean {
  const fault = moduleFault(error) ?? (isAppError(error) ? moduleFault(error.cause) : undefined);
  return fault !== undefined && PIN_REFUSED.has(fault.name);
}
