import { createHash } from 'node:crypto';
import { canonicalJson, type Json } from '@auditrax/base';

/** SHA-256 in hex over the canonical JSON (RFC 8785) of a certificate. */
export function certificateDigest(certificate: Readonly<Record<string, Json>>): string {
  return createHash('sha256').update(canonicalJson(certificate)).digest('hex');
}
