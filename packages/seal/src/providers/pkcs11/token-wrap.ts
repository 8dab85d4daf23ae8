import { createHash, timingSafeEqual } from 'node:crypto';
import type { Random } from '@auditrax/base';
import { encodeDekContext } from '../../commitment.ts';
import { sealError } from '../../errors.ts';
import { GCM_NONCE_BYTES, KEY_BYTES, TAG_BYTES } from '../../gcm.ts';
import type { DekContext } from '../../kek.ts';
import type { KeyUse } from './messages.ts';
import type { Pkcs11Token } from './token.ts';

const MAGIC = 0xa9;
const SUITES: Readonly<Record<KeyUse, number>> = { gcm: 0x01, kwp: 0x02 };
const DOMAIN = Buffer.from('auditrax/token-wrap/v1\0', 'ascii');
/** CKA_ID: 16 random bytes where we made the key; others choose their own. */
const KEY_ID_BYTES_MAX = 64;
const HEADER_BYTES = 3;
const DIGEST_BYTES = 32;
const KWP_GROWTH_BYTES = 8;

/** A wrapped data key, taken apart; nothing of it is authenticated yet. */
export interface TokenWrapped {
  readonly use: KeyUse;
  readonly keyId: string;
  /** Magic, suite, length and id. */
  readonly header: Buffer;
  readonly body: Buffer;
}

interface Wrapping {
  readonly token: Pkcs11Token;
  readonly keyId: string;
  readonly use: KeyUse;
  readonly context: DekContext;
}

/**
 * `A9 | suite | id length u8 | CKA_ID | iv 12 | 32 bytes | tag 16` with AES-GCM, bound to the whole context as associated
 * data; or, where the token has no GCM, `… | RFC 5649 wrap of (data key | SHA-256 of the same binding)`.
 */
export async function tokenWrapDek(input: Wrapping & { readonly random: Random }, dek: Uint8Array): Promise<Buffer> {
  const { token, keyId, use } = input;
  if (dek.length !== KEY_BYTES) throw sealError('key_length', `a data key has ${KEY_BYTES} bytes, not ${dek.length}`);
  const id = Buffer.from(keyId, 'hex');
  const header = Buffer.concat([Buffer.of(MAGIC, SUITES[use], id.length), id]);
  const bound = binding(header, input.context);
  if (use === 'kwp') {
    const both = Buffer.concat([dek, digest(bound)]);
    try {
      return Buffer.concat([header, await token.wrapKwp(keyId, both)]);
    } finally {
      both.fill(0);
    }
  }
  const iv = input.random.bytes(GCM_NONCE_BYTES);
  return Buffer.concat([header, iv, await token.encryptGcm({ keyId, iv, aad: bound }, dek)]);
}

/** Throws `authentication_failed` for other bytes or any other context, and what the token throws. */
export async function tokenUnwrapDek(input: Wrapping, wrapped: TokenWrapped): Promise<Buffer> {
  const { token, keyId } = input;
  const bound = binding(wrapped.header, input.context);
  if (wrapped.use === 'kwp') return unwrapBoth(await token.unwrapKwp(keyId, wrapped.body), bound);
  const iv = wrapped.body.subarray(0, GCM_NONCE_BYTES);
  return token.decryptGcm({ keyId, iv, aad: bound }, wrapped.body.subarray(GCM_NONCE_BYTES));
}

/** Throws `blob_malformed`, `suite_unknown`. */
export function parseTokenWrapped(wrapped: Uint8Array): TokenWrapped {
  const bytes = Buffer.from(wrapped);
  const idLength = bytes[2] ?? 0;
  if (bytes[0] !== MAGIC || idLength === 0 || idLength > KEY_ID_BYTES_MAX) {
    throw sealError('blob_malformed', 'these bytes are not a data key wrapped by a token');
  }
  const use = (Object.keys(SUITES) as KeyUse[]).find((name) => SUITES[name] === bytes[1]);
  if (use === undefined) throw sealError('suite_unknown', `suite ${bytes[1]} is not one that this build may read`);
  const header = bytes.subarray(0, HEADER_BYTES + idLength);
  const body = bytes.subarray(header.length);
  const expected =
    use === 'gcm' ? GCM_NONCE_BYTES + KEY_BYTES + TAG_BYTES : KEY_BYTES + DIGEST_BYTES + KWP_GROWTH_BYTES;
  if (body.length !== expected) throw sealError('blob_malformed', 'these bytes are not a data key wrapped by a token');
  return { use, keyId: header.subarray(HEADER_BYTES).toString('hex'), header, body };
}

function unwrapBoth(both: Buffer, bound: Buffer): Buffer {
  const found = both.subarray(KEY_BYTES);
  const expected = digest(bound);
  if (both.length !== KEY_BYTES + DIGEST_BYTES || !timingSafeEqual(found, expected)) {
    both.fill(0);
    throw sealError('authentication_failed', 'the wrapped data key does not belong to this context');
  }
  const dek = Buffer.from(both.subarray(0, KEY_BYTES));
  both.fill(0);
  return dek;
}

function binding(header: Buffer, context: DekContext): Buffer {
  return Buffer.concat([DOMAIN, header, encodeDekContext(context)]);
}

function digest(bound: Buffer): Buffer {
  return createHash('sha256').update(bound).digest();
}
