import { isAppError } from '@auditrax/base';
import type { SealErrorCode } from '@auditrax/seal';

/** The closed set of answers that the protocol knows, with the status of each (XKS Proxy API v1.0.3, "Error codes"). */
const STATUS = {
  ValidationException: 400,
  InvalidStateException: 400,
  InvalidCiphertextException: 400,
  InvalidKeyUsageException: 400,
  AuthenticationFailedException: 401,
  AccessDeniedException: 403,
  KeyNotFoundException: 404,
  InvalidUriPathException: 404,
  ThrottlingException: 429,
  InternalException: 500,
  UnsupportedOperationException: 501,
  DependencyTimeoutException: 503,
} as const;

export type XksErrorName = keyof typeof STATUS;

/** The protocol's limit of an errorMessage. */
const MESSAGE_CHARS_MAX = 511;

/**
 * An answer other than success. `message` goes to the caller: it never holds what was sent or found. `reason` goes to
 * our log only.
 */
export class XksError extends Error {
  readonly errorName: XksErrorName;
  readonly reason: string | undefined;

  constructor(errorName: XksErrorName, message: string, reason?: string) {
    super(message);
    this.name = 'XksError';
    this.errorName = errorName;
    this.reason = reason;
  }

  get status(): number {
    return STATUS[this.errorName];
  }

  /** The reply's body: printable ASCII, shorter than 512 characters, as the protocol asks. */
  get body(): { readonly errorName: XksErrorName; readonly errorMessage: string } {
    const errorMessage = this.message.replace(/[^\x20-\x7e]/g, '?').slice(0, MESSAGE_CHARS_MAX);
    return { errorName: this.errorName, errorMessage };
  }
}

/** How a fault of the HSM is told. What is not listed is a fault of our own. */
const OF_TOKEN: Partial<Record<SealErrorCode, readonly [XksErrorName, string]>> = {
  authentication_failed: ['InvalidCiphertextException', 'ciphertext, IV, tag, AAD or metadata is not authentic'],
  truncated: ['InvalidCiphertextException', 'ciphertext, IV, tag, AAD or metadata is not authentic'],
  kek_disabled: ['InvalidStateException', 'the external key is disabled'],
  kek_gone: ['KeyNotFoundException', 'no such external key'],
  kek_throttled: ['ThrottlingException', 'the key manager is busy'],
  kek_unavailable: ['DependencyTimeoutException', 'the key manager did not answer'],
};

/** Any thrown value as an answer; messages of the HSM stay in our log. */
export function toXksError(error: unknown): XksError {
  if (error instanceof XksError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const known = isAppError(error) ? OF_TOKEN[error.code as SealErrorCode] : undefined;
  if (known) return new XksError(known[0], known[1], reason);
  return new XksError('InternalException', 'internal error', reason);
}
