import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';

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
    ciphers: 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
    ecdhCurve: 'X25519MLKEM768:X25519:P-256',
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}
