import { hash, verify, X509Certificate } from 'node:crypto';
import { AppError } from '@auditrax/base';
import { concatBytes, equalBytes } from './core.ts';

/** A token with its certificates; larger ones come from nobody who means well. */
export const TIMESTAMP_BYTES_MAX = 65_536;
/** Content types of RFC 3161 section 3.4. */
export const TIMESTAMP_QUERY_TYPE = 'application/timestamp-query';

const SHA256_OID = '2.16.840.1.101.3.4.2.1';
const SIGNED_DATA_OID = '1.2.840.113549.1.7.2';
const TST_INFO_OID = '1.2.840.113549.1.9.16.1.4';
const CONTENT_TYPE_OID = '1.2.840.113549.1.9.3';
const MESSAGE_DIGEST_OID = '1.2.840.113549.1.9.4';
const TIME_STAMPING_OID = '1.3.6.1.5.5.7.3.8';
const DIGESTS: Readonly<Record<string, string>> = {
  [SHA256_OID]: 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};
const SEQUENCE = 0x30;
const SET = 0x31;

/** One element of DER (X.690); `bytes` with its header. */
interface Der {
  readonly tag: number;
  readonly body: Uint8Array;
  readonly bytes: Uint8Array;
}

class Malformed extends Error {}

/** The elements that follow each other in these bytes. Definite lengths only, as DER demands. */
function elements(bytes: Uint8Array): Der[] {
  const found: Der[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at]!;
    let length = bytes[at + 1] ?? 0x80;
    let header = 2;
    if (length >= 0x80) {
      const count = length - 0x80;
      if (count < 1 || count > 3) throw new Malformed('a length');
      length = bytes.subarray(at + 2, at + 2 + count).reduce((sum, byte) => sum * 256 + byte, 0);
      header += count;
    }
    const end = at + header + length;
    if (end > bytes.length) throw new Malformed('an end');
    found.push({ tag, body: bytes.subarray(at + header, end), bytes: bytes.subarray(at, end) });
    at = end;
  }
  return found;
}

function only(bytes: Uint8Array): Der {
  const all = elements(bytes);
  if (all.length !== 1) throw new Malformed('one element');
  return all[0]!;
}

function der(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const body = concatBytes(...parts);
  if (body.length < 0x80) return concatBytes(Uint8Array.of(tag, body.length), body);
  const bytes: number[] = [];
  for (let left = body.length; left > 0; left = Math.floor(left / 256)) bytes.unshift(left % 256);
  return concatBytes(Uint8Array.of(tag, 0x80 + bytes.length, ...bytes), body);
}

function oidText(body: Uint8Array): string {
  const values: number[] = [];
  let value = 0;
  for (const byte of body) {
    value = value * 128 + (byte % 128);
    if (byte >= 128) continue;
    values.push(value);
    value = 0;
  }
  const first = values.shift() ?? 0;
  return [Math.min(2, Math.floor(first / 40)), first - 40 * Math.min(2, Math.floor(first / 40)), ...values].join('.');
}

function oidBytes(text: string): Uint8Array {
  const [a, b, ...rest] = text.split('.').map(Number);
  const bytes = [a! * 40 + b!, ...rest].flatMap((value) => {
    const digits = [value % 128];
    for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128))
      digits.unshift(128 + (left % 128));
    return digits;
  });
  return der(0x06, Uint8Array.from(bytes));
}

function positiveInteger(bytes: Uint8Array): Uint8Array {
  return der(0x02, bytes[0]! >= 0x80 ? concatBytes(Uint8Array.of(0), bytes) : bytes);
}

/** The request of RFC 3161 for a SHA-256 digest, with a nonce of 16 bytes whose first is not zero, and certificates. */
export function timestampQuery(digest: Uint8Array, nonce: Uint8Array): Uint8Array {
  const algorithm = der(SEQUENCE, oidBytes(SHA256_OID), der(0x05));
  const imprint = der(SEQUENCE, algorithm, der(0x04, digest));
  return der(SEQUENCE, der(0x02, Uint8Array.of(1)), imprint, positiveInteger(nonce), der(0x01, Uint8Array.of(0xff)));
}

export type TimestampVerdict =
  | { readonly ok: true; readonly time_ms: number; readonly token: Uint8Array }
  | { readonly ok: false; readonly why: string };

interface Expected {
  readonly digest: Uint8Array;
  /** Undefined for a token that was stored: the nonce has done its work by then. */
  readonly nonce?: Uint8Array;
  /** Certificates of the authorities that are trusted, PEM; the signer's own or its issuer's. */
  readonly authorities: readonly X509Certificate[];
}

/** Reads the answer of a timestamping authority (TimeStampResp) and verifies the token in it. Never throws. */
export function readTimestampReply(reply: Uint8Array, expected: Expected): TimestampVerdict {
  return guarded(() => {
    const [status, token] = elements(only(reply).body);
    const code = elements(status!.body)[0]!.body;
    // 0 granted, 1 granted with modifications.
    if (code.length !== 1 || code[0]! > 1 || token === undefined)
      return { ok: false, why: `the authority refused: status ${code[0] ?? '?'}` };
    return verifyToken(token.bytes, expected);
  });
}

/** Verifies a stored token. Never throws. */
export function verifyTimestamp(token: Uint8Array, expected: Omit<Expected, 'nonce'>): TimestampVerdict {
  return guarded(() => verifyToken(token, expected));
}

function guarded(read: () => TimestampVerdict): TimestampVerdict {
  try {
    return read();
  } catch (error) {
    return { ok: false, why: `malformed: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function verifyToken(token: Uint8Array, expected: Expected): TimestampVerdict {
  if (token.length > TIMESTAMP_BYTES_MAX) return { ok: false, why: 'too long' };
  const [type, wrapped] = elements(only(token).body);
  if (oidText(type!.body) !== SIGNED_DATA_OID) return { ok: false, why: 'no signed data' };
  const parts = elements(only(wrapped!.body).body);
  const [contentType, content] = elements(parts[2]!.body);
  if (oidText(contentType!.body) !== TST_INFO_OID) return { ok: false, why: 'no timestamp' };
  const info = only(content!.body).body;
  const certificates = elements(parts.find(({ tag }) => tag === 0xa0)?.body ?? new Uint8Array()).map(
    ({ bytes }) => new X509Certificate(bytes),
  );
  const signer = elements(parts.at(-1)!.body)[0]!;
  const signed = signerHolds(elements(signer.body), info, certificates);
  if (typeof signed === 'string') return { ok: false, why: signed };
  return readInfo(elements(only(info).body), { token, expected, signed });
}

/** The certificate whose key signed; words when none did. */
function signerHolds(
  signer: Der[],
  info: Uint8Array,
  certificates: readonly X509Certificate[],
): X509Certificate | string {
  const digestName = DIGESTS[oidText(elements(signer[2]!.body)[0]!.body)];
  const attributes = signer.find(({ tag }) => tag === 0xa0);
  const signature = signer.filter(({ tag }) => tag === 0x04).at(-1);
  if (digestName === undefined || attributes === undefined || signature === undefined) return 'no known signature';
  const values = new Map(
    elements(attributes.body).map(({ body }) => {
      const [name, value] = elements(body);
      return [oidText(name!.body), only(value!.body)] as const;
    }),
  );
  const type = values.get(CONTENT_TYPE_OID);
  const digest = values.get(MESSAGE_DIGEST_OID);
  if (type === undefined || oidText(type.body) !== TST_INFO_OID) return 'another content is signed';
  if (digest === undefined || !equalBytes(digest.body, hash(digestName, info, 'buffer'))) return 'altered';
  // Signed as a SET, sent under its implicit tag (RFC 5652 section 5.4).
  const message = concatBytes(Uint8Array.of(SET), attributes.bytes.subarray(1));
  for (const certificate of certificates) {
    const stamps = certificate.keyUsage.includes(TIME_STAMPING_OID);
    if (stamps && verify(digestName, message, certificate.publicKey, signature.body)) return certificate;
  }
  return 'signed by none of its certificates';
}

function isTrusted(signer: X509Certificate, authorities: readonly X509Certificate[], at_ms: number): boolean {
  const inForce = ({ validFrom, validTo }: X509Certificate): boolean =>
    Date.parse(validFrom) <= at_ms && at_ms <= Date.parse(validTo);
  if (!inForce(signer)) return false;
  return authorities.some(
    (authority) =>
      authority.fingerprint256 === signer.fingerprint256 ||
      (authority.ca && inForce(authority) && signer.checkIssued(authority) && signer.verify(authority.publicKey)),
  );
}

function readInfo(
  parts: Der[],
  { token, expected, signed }: { token: Uint8Array; expected: Expected; signed: X509Certificate },
): TimestampVerdict {
  const [algorithm, imprint] = elements(parts[2]!.body);
  if (oidText(elements(algorithm!.body)[0]!.body) !== SHA256_OID || !equalBytes(imprint!.body, expected.digest))
    return { ok: false, why: 'it is over something else' };
  const time = parts.find(({ tag }) => tag === 0x18);
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d{1,6})?Z$/.exec(
    Buffer.from(time?.body ?? []).toString('latin1'),
  );
  if (match === null) return { ok: false, why: 'no time' };
  const [, year, month, day, hour, minute, second, fraction = ''] = match;
  const time_ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${fraction.slice(0, 4)}Z`);
  if (expected.nonce !== undefined) {
    const wanted = positiveInteger(expected.nonce);
    // After the serial number: version, policy, imprint and serial are the first four.
    if (!parts.slice(4).some(({ bytes }) => equalBytes(bytes, wanted)))
      return { ok: false, why: 'it answers another request' };
  }
  if (!isTrusted(signed, expected.authorities, time_ms)) return { ok: false, why: 'the authority is not one of ours' };
  return { ok: true, time_ms, token };
}

/** The certificates of a PEM file. Throws `tlog_certificate_malformed`. */
export function readAuthorities(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    if (blocks.length === 0) throw new Error('there is no certificate in it');
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw new AppError('tlog_certificate_malformed', (error as Error).message);
  }
}
