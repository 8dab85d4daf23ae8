import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';

/** The two suites that are spoken: authenticated encryption under keys of 256 bits (RFC 8446, B.4). */
export const TLS_SUITES = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

/** Key agreement, best first: what is recorded today stays closed to a quantum computer of later (draft-ietf-tls-ecdhe-mlkem). */
export const TLS_GROUPS = 'X25519MLKEM768:X25519:P-256';

/**
 * Arguments of the runtime for every process: a client or listener that says nothing about TLS, in whatever library, gets
 * TLS 1.3 and these suites. The groups need `tls.DEFAULT_ECDH_CURVE`, see `preferHybridGroups`.
 */
export const TLS_FLOOR_ARGUMENTS: readonly string[] = ['--tls-min-v1.3', `--tls-cipher-list=${TLS_SUITES}`];

/**
 * What every TLS context of the house is made with, at the edge and inside: TLS 1.3 alone, two AEAD suites of 256 bits,
 * a post-quantum hybrid group first. No session tickets: a resumed session would outlive the certificate it began with.
 *
 * Always spread it into `setSecureContext` as well: a context made without `minVersion` brings TLS 1.2 back.
 */
export function strictTls(): SecureContextOptions {
  return {
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: TLS_SUITES,
    ecdhCurve: TLS_GROUPS,
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}
