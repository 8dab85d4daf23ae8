import { AppError } from '@auditrax/base';

/** RFC 9116 section 2.5.5 recommends less than a year; half of that leaves a dead publisher time to be noticed. */
const EXPIRES_DAYS = 180;
const DAY_MS = 86_400_000;
/** Version 4 (SHA-1, 20 bytes) and version 6 (SHA-256, 32 bytes) fingerprints of OpenPGP keys. */
const FINGERPRINT = /^(?:[0-9A-F]{40}|[0-9A-F]{64})$/;

export interface SecurityTxtInput {
  /** Where the file will be served, scheme and host, no slash at the end. */
  readonly origin: string;
  readonly securityMailbox: string;
  /** Upper-case hex without spaces; absent when the organisation has no key on file, and then none is named. */
  readonly openPgpFingerprint?: string;
  readonly now_ms: number;
}

function fieldValue(name: string, value: string): string {
  // A line break in organisation data would let it add fields of its own.
  if (!/^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/.test(value))
    throw new AppError('security_txt_invalid', `${name} has characters that a field cannot hold`);
  return `${name}: ${value}`;
}

/** Day on which the file runs out; moves once a day, so that the file is stable between revisions. */
export function securityTxtExpires_ms(now_ms: number): number {
  return Math.floor(now_ms / DAY_MS) * DAY_MS + EXPIRES_DAYS * DAY_MS;
}

/** The file of RFC 9116: one Expires, at least one Contact. Throws `security_txt_invalid` on data that cannot stand in it. */
export function securityTxt(input: SecurityTxtInput): string {
  const fingerprint = input.openPgpFingerprint;
  if (fingerprint !== undefined && !FINGERPRINT.test(fingerprint))
    throw new AppError('security_txt_invalid', 'openPgpFingerprint is not 40 or 64 upper-case hex digits');
  const expires = new Date(securityTxtExpires_ms(input.now_ms)).toISOString().replace('.000Z', 'Z');
  return [
    fieldValue('Contact', `mailto:${input.securityMailbox}`),
    fieldValue('Expires', expires),
    ...(fingerprint === undefined ? [] : [fieldValue('Encryption', `openpgp4fpr:${fingerprint.toLowerCase()}`)]),
    fieldValue('Preferred-Languages', 'en'),
    fieldValue('Canonical', `${input.origin}/.well-known/security.txt`),
    fieldValue('Canonical', `${input.origin}/security.txt`),
    fieldValue('Policy', `${input.origin}/disclosure`),
    '',
  ].join('\n');
}
