import { createHmac, createSecretKey } from 'node:crypto';
import { sealError } from './errors.ts';

export type HkdfHash = 'sha256' | 'sha512';

const HASH_BYTES: Readonly<Record<HkdfHash, number>> = { sha256: 32, sha512: 64 };
/** RFC 5869 section 2.3: the block counter has one byte. */
const BLOCKS_MAX = 255;

/** HKDF-Expand (RFC 5869 section 2.3). Throws `input_too_long` past 255 blocks. */
export function hkdfExpand(
  hash: HkdfHash,
  prk: Uint8Array,
  output: { info: Uint8Array; length_bytes: number },
): Buffer {
  const blockCount = Math.ceil(output.length_bytes / HASH_BYTES[hash]);
  if (blockCount > BLOCKS_MAX) {
    throw sealError('input_too_long', `HKDF gives at most ${BLOCKS_MAX * HASH_BYTES[hash]} bytes`);
  }
  const key = createSecretKey(prk);
  const blocks: Buffer[] = [];
  let previous: Buffer = Buffer.alloc(0);
  for (let counter = 1; counter <= blockCount; counter += 1) {
    const counterByte = Buffer.of(counter);
    previous = createHmac(hash, key).update(previous).update(output.info).update(counterByte).digest();
    blocks.push(previous);
  }
  return Buffer.concat(blocks).subarray(0, output.length_bytes);
}

/** HKDF with its extract step (RFC 5869), for input keys that are not uniformly random. */
export function hkdf(
  hash: HkdfHash,
  input: { ikm: Uint8Array; salt: Uint8Array },
  output: { info: Uint8Array; length_bytes: number },
): Buffer {
  const salt = input.salt.length === 0 ? Buffer.alloc(HASH_BYTES[hash]) : input.salt;
  return hkdfExpand(hash, createHmac(hash, salt).update(input.ikm).digest(), output);
}
