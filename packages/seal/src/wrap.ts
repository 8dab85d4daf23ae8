import type { Random, Uuid } from '@auditrax/base';
import { uuidFromBytes } from '@auditrax/base';
import { encodeDekContext } from './commitment.ts';
import { uuidBytes } from './encode.ts';
import { sealError } from './errors.ts';
import { KEY_BYTES, TAG_BYTES } from './gcm.ts';
import type { DekContext } from './kek.ts';
import { XAES_NONCE_BYTES } from './sizes.ts';
import { xaesDecrypt, xaesEncrypt, XaesKey } from './xaes.ts';

const WRAP_MAGIC = 0xa8;
const WRAP_SUITE_XAES_256_GCM = 0x01;
const WRAP_HEADER_BYTES = 2 + 16;
export const WRAPPED_DEK_BYTES = WRAP_HEADER_BYTES + XAES_NONCE_BYTES + KEY_BYTES + TAG_BYTES;
const WRAP_DOMAIN = Buffer.from('auditrax/dek-wrap/v1\0', 'ascii');

/** `A8 | suite | kek UUID | nonce 24 | 32 bytes | tag 16`, bound to the whole context. Throws `key_length`. */
export function wrapDek(
  input: { kek: XaesKey; kekId: Uuid; context: DekContext; random: Random },
  dek: Uint8Array,
): Buffer {
  if (dek.length !== KEY_BYTES) throw sealError('key_length', `a data key has ${KEY_BYTES} bytes, not ${dek.length}`);
  const header = Buffer.concat([Buffer.of(WRAP_MAGIC, WRAP_SUITE_XAES_256_GCM), uuidBytes(input.kekId, 'the key id')]);
  const nonce = input.random.bytes(XAES_NONCE_BYTES);
  const aad = Buffer.concat([WRAP_DOMAIN, header, encodeDekContext(input.context)]);
  return Buffer.concat([header, nonce, xaesEncrypt({ key: input.kek, nonce, aad }, dek)]);
}

/** Throws `authentication_failed` for another key or any other context, `suite_unknown`, `blob_malformed`. */
export function unwrapDek(input: { kek: XaesKey; context: DekContext }, wrapped: Uint8Array): Buffer {
  wrappedKekId(wrapped);
  const nonceEnd = WRAP_HEADER_BYTES + XAES_NONCE_BYTES;
  const aad = Buffer.concat([WRAP_DOMAIN, wrapped.subarray(0, WRAP_HEADER_BYTES), encodeDekContext(input.context)]);
  return xaesDecrypt(
    { key: input.kek, nonce: wrapped.subarray(WRAP_HEADER_BYTES, nonceEnd), aad },
    wrapped.subarray(nonceEnd),
  );
}

/** The key-encryption key that a wrapped key names; authenticated only once it has been unwrapped. */
export function wrappedKekId(wrapped: Uint8Array): Uuid {
  if (wrapped.length !== WRAPPED_DEK_BYTES || wrapped[0] !== WRAP_MAGIC) {
    throw sealError('blob_malformed', 'these bytes are not a wrapped data key');
  }
  if (wrapped[1] !== WRAP_SUITE_XAES_256_GCM)
    throw sealError('suite_unknown', `suite ${wrapped[1]} is not one that this build may read`);
  return uuidFromBytes(wrapped.subarray(2, WRAP_HEADER_BYTES));
}
