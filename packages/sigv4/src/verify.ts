import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@auditrax/base';
import { canonicalRequest, headerValues, sha256Hex, signatureOf, type Scope, type WireRequest } from './canonical.ts';

/** What an access key id stands for. */
export interface SigV4Credential {
  readonly secretAccessKey: string;
  /** Present for temporary credentials: the request must carry exactly this in `x-amz-security-token`. */
  readonly sessionToken?: string;
}

export interface SigV4Check extends WireRequest {
  /** Undefined for an unknown or withdrawn id. */
  readonly credentials: (accessKeyId: string) => SigV4Credential | undefined;
  /** The service that must be named in the credential scope, such as `kms-xks-proxy`. */
  readonly service: string;
  /** When given, the only region accepted in the scope. */
  readonly region?: string;
  readonly clock: Clock;
  /** How far the signer's clock may be off, either way, and so how long a captured request can be replayed. */
  readonly skewSecondsMax?: number;
  /** Lower-case names that must be present and signed, beside `host`, `x-amz-date` and every `x-amz-*` sent. */
  readonly requiredSignedHeaders?: readonly string[];
}

/**
 * Why a request is refused. For logs and for the table of outward errors; tell a caller no more than the protocol asks.
 *
 * - `missing`: no Authorization header
 * - `malformed`: it, `x-amz-date` or the query cannot be read, or is there twice
 * - `scope`: signed for another day, region or service
 * - `unsigned-header`: a header that has to be signed is not, or is not there
 * - `skew`: signed too long ago or ahead; `skewSeconds` says by how much
 * - `body-hash`: `x-amz-content-sha256` is not the hash of the body (an unsigned payload is never accepted)
 * - `unknown-credential`: no such access key id
 * - `session-token`: absent, wrong, or sent with a permanent credential
 * - `signature`: everything else is right and the signature is not
 */
export type SigV4Refusal =
  | 'missing'
  | 'malformed'
  | 'scope'
  | 'unsigned-header'
  | 'skew'
  | 'body-hash'
  | 'unknown-credential'
  | 'session-token'
  | 'signature';

export type SigV4Result =
  | {
      readonly ok: true;
      readonly accessKeyId: string;
      readonly region: string;
      readonly signedAtMs: number;
      readonly signedHeaders: readonly string[];
    }
  | {
      readonly ok: false;
      readonly reason: SigV4Refusal;
      /** As claimed by the request; unproven. Absent while it could not be read. */
      readonly accessKeyId?: string;
      /** How far the signer's clock is ahead (positive) or behind; with `skew` only. */
      readonly skewSeconds?: number;
    };

/** As AWS services do. */
const SKEW_SECONDS_MAX = 300;
/** A signer names a handful; a longer list only costs the verifier time. */
const SIGNED_HEADERS_MAX = 64;
/** Session tokens travel in a header of their own, so this is roomy for an Authorization line. */
const AUTHORIZATION_CHARS_MAX = 4096;

interface Authorization {
  readonly accessKeyId: string;
  readonly scope: Scope;
  readonly signedHeaders: readonly string[];
  readonly signature: Buffer;
}

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 +Credential=([\w/+=.-]{1,128})\/(\d{8})\/([a-z0-9-]{1,64})\/([a-z0-9-]{1,64})\/aws4_request *, *SignedHeaders=([a-z0-9!#$%&'*+.^_`|~;-]+) *, *Signature=([0-9a-f]{64})$/;

function parseAuthorization(line: string): Authorization | undefined {
  if (line.length > AUTHORIZATION_CHARS_MAX) return undefined;
  const match = AUTHORIZATION.exec(line);
  if (!match) return undefined;
  const [, accessKeyId, day, region, service, names, signature] = match as unknown as string[];
  const signedHeaders = names!.split(';');
  const isStrictlySorted = signedHeaders.every(
    (name, at) => name !== '' && (at === 0 || signedHeaders[at - 1]! < name),
  );
  if (signedHeaders.length > SIGNED_HEADERS_MAX || !isStrictlySorted) return undefined;
  return {
    accessKeyId: accessKeyId!,
    scope: { day: day!, region: region!, service: service! },
    signedHeaders,
    signature: Buffer.from(signature!, 'hex'),
  };
}

/** Milliseconds of `YYYYMMDDTHHMMSSZ`; undefined for anything else, also for a 30th of February. */
function parseAmzDate(text: string): number | undefined {
  const match = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(time)) return undefined;
  return new Date(time).toISOString().replace(/[-:]|\.000/g, '') === text ? time : undefined;
}

/** True when everything that gives the request its meaning is under the signature. */
function signsEnough(check: SigV4Check, signedHeaders: readonly string[]): boolean {
  const sent = new Set(check.headers.map(([name]) => name.toLowerCase()));
  const amz = [...sent].filter((name) => name.startsWith('x-amz-'));
  const required = ['host', 'x-amz-date', ...(check.requiredSignedHeaders ?? []), ...amz];
  return required.every((name) => signedHeaders.includes(name)) && signedHeaders.every((name) => sent.has(name));
}

function equalTexts(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(sha256Hex(a)), Buffer.from(sha256Hex(b)));
}

/** Stands in for the secret of an unknown id, so that the answer takes as long as for a known one. */
const NOBODY: SigV4Credential = { secretAccessKey: randomBytes(32).toString('hex') };

/**
 * Verifies an AWS Signature Version 4 in the Authorization header: that whoever holds the secret of an access key made
 * exactly this request, for this service, within the clock's tolerance. The whole body must be at hand. The comparison
 * is constant-time. Inside the tolerance the same bytes can be sent again: what is not idempotent needs a guard of its
 * own. Presigned URLs and chunked payload signatures are not accepted.
 *
 * Source: AWS, "Create a signed AWS API request" (Signature Version 4).
 */
export function verifySigV4(check: SigV4Check): SigV4Result {
  const lines = headerValues(check.headers, 'authorization');
  if (lines.length === 0) return { ok: false, reason: 'missing' };
  const authorization = lines.length === 1 ? parseAuthorization(lines[0]!) : undefined;
  const dates = headerValues(check.headers, 'x-amz-date');
  const signedAtMs = dates.length === 1 ? parseAmzDate(dates[0]!) : undefined;
  if (!authorization) return { ok: false, reason: 'malformed' };
  const { accessKeyId, scope, signedHeaders } = authorization;
  const refuse = (reason: SigV4Refusal): SigV4Result => ({ ok: false, reason, accessKeyId });

  if (signedAtMs === undefined) return refuse(dates.length === 0 ? 'unsigned-header' : 'malformed');
  const amzDate = dates[0]!;
  const rightScope =
    scope.service === check.service &&
    (check.region === undefined || scope.region === check.region) &&
    scope.day === amzDate.slice(0, 8);
  if (!rightScope) return refuse('scope');
  if (!signsEnough(check, signedHeaders)) return refuse('unsigned-header');
  const skewMs = signedAtMs - check.clock.nowMs();
  if (Math.abs(skewMs) > (check.skewSecondsMax ?? SKEW_SECONDS_MAX) * 1000) {
    return { ok: false, reason: 'skew', accessKeyId, skewSeconds: Math.round(skewMs / 1000) };
  }

  const bodyHash = sha256Hex(check.body);
  if (headerValues(check.headers, 'x-amz-content-sha256').some((value) => value !== bodyHash))
    return refuse('body-hash');
  const canonical = canonicalRequest(check, { service: check.service, headers: signedHeaders, bodyHash });
  if (canonical === undefined) return refuse('malformed');

  const known = check.credentials(accessKeyId);
  const { secretAccessKey, sessionToken } = known ?? NOBODY;
  const expected = signatureOf(canonical, { secretAccessKey, scope, amzDate });
  const isSigned = timingSafeEqual(expected, authorization.signature);
  if (!known) return refuse('unknown-credential');
  const tokens = headerValues(check.headers, 'x-amz-security-token');
  const isTokenRight =
    sessionToken === undefined ? tokens.length === 0 : tokens.length === 1 && equalTexts(tokens[0]!, sessionToken);
  if (!isTokenRight) return refuse('session-token');
  if (!isSigned) return refuse('signature');
  return { ok: true, accessKeyId, region: scope.region, signedAtMs, signedHeaders };
}
