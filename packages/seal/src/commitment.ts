import { timingSafeEqual } from 'node:crypto';
import { lengthPrefixed, uint32, uuidBytes } from './encode.ts';
import { sealError } from './errors.ts';
import { KEY_BYTES } from './gcm.ts';
import { hkdfExpand } from './hkdf.ts';
import type { DekContext } from './kek.ts';

export const DEK_COMMITMENT_BYTES = 32;
const COMMITMENT_DOMAIN = Buffer.from('auditrax/dek-commitment/v1\0', 'ascii');

/**
 * A 32-byte value that fixes which key a data key is, without revealing it. AES-GCM alone does not commit: a tenant that
 * controls its own key store could answer "unwrap" with another key and have one ciphertext open to two plaintexts, one
 * for itself and one for the auditor. Throws `key_length`.
 */
export function dekCommitment(dek: Uint8Array, context: DekContext): Buffer {
  if (dek.length !== KEY_BYTES) throw sealError('key_length', `a data key has ${KEY_BYTES} bytes, not ${dek.length}`);
  return hkdfExpand('sha512', dek, {
    info: Buffer.concat([COMMITMENT_DOMAIN, encodeDekContext(context)]),
    length_bytes: DEK_COMMITMENT_BYTES,
  });
}

/** Throws `commitment_mismatch` unless `dek` is the key that `commitment` was made for. */
export function checkCommitment(dek: Uint8Array, context: DekContext, commitment: Uint8Array): void {
  const found = dekCommitment(dek, context);
  if (commitment.length !== found.length || !timingSafeEqual(found, commitment)) {
    const expectedText = Buffer.from(commitment).toString('hex').slice(0, 16);
    throw sealError(
      'commitment_mismatch',
      `data key ${context.dekId}: expected commitment ${expectedText}…, found ${found.toString('hex').slice(0, 16)}…`,
    );
  }
}

/** The one encoding of a key's context, for every use that binds it. */
export function encodeDekContext(context: DekContext): Buffer {
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(context.purpose)) {
    throw sealError('blob_malformed', 'a purpose is a short word of lower-case ASCII letters, digits and hyphens');
  }
  if (!Number.isInteger(context.version) || context.version < 1 || context.version > 0xffff_ffff) {
    throw sealError('blob_malformed', `key version ${context.version} is outside 1..2^32-1`);
  }
  return lengthPrefixed(
    uuidBytes(context.tenantId, 'the tenant id'),
    Buffer.from(context.purpose, 'ascii'),
    uuidBytes(context.dekId, 'the data key id'),
    uint32(context.version),
  );
}
