import type { AppError, Clock } from '@auditrax/base';
import { sealError } from '../../errors.ts';
import type { SealErrorCode } from '../../errors.ts';
import type { XksReply } from './channel.ts';
import { readFailure } from './messages.ts';

/** The specification lets a signature be this old or young. */
const SKEW_MS_MAX = 5 * 60 * 1000;

/** Error names of the specification with their status, and what each means for us. */
const FAILURES: Readonly<Record<string, { readonly status: number; readonly code: SealErrorCode }>> = {
  ValidationException: { status: 400, code: 'kek_misconfigured' },
  InvalidStateException: { status: 400, code: 'kek_disabled' },
  InvalidCiphertextException: { status: 400, code: 'authentication_failed' },
  InvalidKeyUsageException: { status: 400, code: 'kek_misconfigured' },
  AuthenticationFailedException: { status: 401, code: 'kek_denied' },
  AccessDeniedException: { status: 403, code: 'kek_denied' },
  KeyNotFoundException: { status: 404, code: 'kek_gone' },
  InvalidUriPathException: { status: 404, code: 'kek_misconfigured' },
  ThrottlingException: { status: 429, code: 'kek_throttled' },
  InternalException: { status: 500, code: 'kek_unavailable' },
  UnsupportedOperationException: { status: 501, code: 'kek_misconfigured' },
  DependencyTimeoutException: { status: 503, code: 'kek_unavailable' },
};

/**
 * Our error for a reply other than 200. A name counts only beside its own status: a page of a load balancer, or a proxy
 * that mixes the two, is judged by its status.
 */
export function failureOf(reply: XksReply, about: string, clock: Clock): AppError<SealErrorCode> {
  const named = readFailure(reply.body);
  const known = named !== undefined && Object.hasOwn(FAILURES, named.errorName) ? FAILURES[named.errorName] : undefined;
  const isNamed = known !== undefined && known.status === reply.status;
  const code = isNamed ? known.code : codeOfStatus(reply.status);
  const skew_seconds = skewSeconds(reply, clock);
  if (code === 'kek_denied' && skew_seconds !== undefined) {
    return sealError(
      'clock_skew',
      `${about}: the proxy's clock is ${skew_seconds} s from ours; it refuses our signature`,
    );
  }
  // The name is one of ours or left out: what a tenant's proxy writes freely does not reach our logs.
  return sealError(code, `${about}: the proxy answered ${reply.status}${isNamed ? ` ${named?.errorName}` : ''}`);
}

function codeOfStatus(status: number): SealErrorCode {
  if (status === 401 || status === 403) return 'kek_denied';
  if (status === 429) return 'kek_throttled';
  return status >= 500 && status !== 501 ? 'kek_unavailable' : 'kek_misconfigured';
}

function skewSeconds(reply: XksReply, clock: Clock): number | undefined {
  const theirs = Date.parse(reply.date ?? '');
  const skew_ms = theirs - clock.nowMs();
  return Math.abs(skew_ms) > SKEW_MS_MAX ? Math.round(skew_ms / 1000) : undefined;
}

/** Refusals of a client's certificate, told by an alert after our side of the handshake has ended. */
const CERTIFICATE_ALERT = /ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|CERTIFICATE_|UNKNOWN_CA|ACCESS_DENIED)/;
/** Codes of a server that is not the one that was configured. */
const TRUST_CODES: ReadonlySet<string> = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Our error for a call that got no reply: connection, handshake, name. */
export function connectionFailure(cause: unknown, about: string): AppError<SealErrorCode> {
  const code = codeOf(cause);
  if (CERTIFICATE_ALERT.test(code))
    return sealError('kek_denied', `${about}: our client certificate is refused`, cause);
  if (TRUST_CODES.has(code)) {
    return sealError('kek_misconfigured', `${about}: the proxy's certificate is not trusted (${code})`, cause);
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) {
    return sealError('kek_misconfigured', `${about}: no TLS 1.3 connection (${code})`, cause);
  }
  return sealError('kek_unavailable', `${about}: no answer (${code})`, cause);
}

/** True when a kept connection ended under a call, or before it: asking once more is safe, every operation is idempotent. */
export function isConnectionLoss(error: AppError<SealErrorCode>): boolean {
  return ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(codeOf(error.cause));
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : 'unknown';
}
