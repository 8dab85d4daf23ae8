import { X509Certificate } from 'node:crypto';
import type { Clock } from '@auditrax/base';
import { quoted, refusal } from './errors.ts';
import { EXPIRY_WARNING_DAYS, RSA_BITS_MAX, RSA_BITS_MIN } from './limits.ts';
import { fingerprintOf } from './signature.ts';

/**
 * `pending`: seen, but nobody has approved it; nothing it signs is believed. `active`: believed. `retired`: was, and is
 * kept so that a message under it can be explained.
 */
export type CertificateState = 'pending' | 'active' | 'retired';

/** A provider's signing certificate as a connection keeps it. Times in milliseconds since the Unix epoch. */
export interface SamlCertificate {
  readonly pem: string;
  /** Lower-case hexadecimal SHA-256 of the DER form: its identity. */
  readonly fingerprint: string;
  readonly subject: string;
  readonly notBefore_ms: number;
  readonly notAfter_ms: number;
  readonly state: CertificateState;
}

const PEM = /^-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----$/;
const BASE64 = /^[A-Za-z0-9+/\s]+={0,2}\s*$/;
const CERTIFICATE_CHARACTERS_MAX = 32_768;

/**
 * Reads one certificate from PEM or from bare base64, as administrators paste it and metadata holds it. Throws
 * `saml_certificate_unreadable` and, for a key that is no RSA key of a sane size, `saml_certificate_key`.
 */
export function parseCertificate(text: string, state: CertificateState): SamlCertificate {
  const trimmed = text.trim();
  const base64 = (PEM.exec(trimmed)?.[1] ?? trimmed).trim();
  if (trimmed.length > CERTIFICATE_CHARACTERS_MAX || !BASE64.test(base64)) throw refusal('saml_certificate_unreadable');
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(Buffer.from(base64, 'base64'));
  } catch (cause) {
    throw refusal('saml_certificate_unreadable', undefined, { cause });
  }
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
  const bits = asymmetricKeyDetails?.modulusLength ?? 0;
  if (asymmetricKeyType !== 'rsa' || bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
    throw refusal('saml_certificate_key', `${asymmetricKeyType}, ${bits} bits`);
  return {
    pem: certificate.toString(),
    fingerprint: fingerprintOf(certificate),
    subject: certificate.subject ?? '',
    notBefore_ms: timeOf(certificate.validFrom),
    notAfter_ms: timeOf(certificate.validTo),
    state,
  };
}

function timeOf(text: string): number {
  const at_ms = Date.parse(text);
  if (Number.isNaN(at_ms)) throw refusal('saml_certificate_unreadable', quoted(text));
  return at_ms;
}

/** Whether what it signs is believed now. */
export function isUsable(certificate: SamlCertificate, clock: Clock): boolean {
  const now_ms = clock.nowMs();
  return certificate.state === 'active' && certificate.notBefore_ms <= now_ms && now_ms < certificate.notAfter_ms;
}

/** What is to be said about the end of a certificate. */
export interface CertificateExpiry {
  readonly fingerprint: string;
  readonly notAfter_ms: number;
  /** Whole days left, rounded down; negative when it is over. */
  readonly days: number;
  /** The smallest of 60, 30 and 7 that has been reached; 0 when it is over; undefined while there is time. */
  readonly stage: (typeof EXPIRY_WARNING_DAYS)[number] | 0 | undefined;
  /** Another active certificate lasts longer, so that nobody is locked out. */
  readonly isCovered: boolean;
}

const DAY_MS = 86_400_000;

/** For every active certificate how long it lasts, soonest first. */
export function certificateExpiry(certificates: readonly SamlCertificate[], clock: Clock): CertificateExpiry[] {
  const now_ms = clock.nowMs();
  const active = certificates.filter(({ state }) => state === 'active');
  return active
    .map(({ fingerprint, notAfter_ms }) => {
      const left_ms = notAfter_ms - now_ms;
      const stage: CertificateExpiry['stage'] =
        left_ms <= 0 ? 0 : EXPIRY_WARNING_DAYS.findLast((days) => left_ms <= days * DAY_MS);
      const isCovered = active.some((other) => other.notAfter_ms > notAfter_ms && other.notBefore_ms <= notAfter_ms);
      return { fingerprint, notAfter_ms, days: Math.floor(left_ms / DAY_MS), stage, isCovered };
    })
    .sort((a, b) => a.notAfter_ms - b.notAfter_ms);
}
