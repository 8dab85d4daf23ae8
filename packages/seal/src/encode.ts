import { parseUuid, uuidToBytes } from '@auditrax/base';
import type { Uuid } from '@auditrax/base';
import { sealError } from './errors.ts';

/** A length prefix has 16 bits. */
const LENGTH_PREFIXED_BYTES_MAX = 0xffff;

/**
 * Length-prefixed sequence: for each item a big-endian u16 length and the bytes. Unambiguous, so that an attacker cannot
 * shift bytes from one item into its neighbour, which joined strings would allow. Throws `input_too_long`.
 */
export function lengthPrefixed(...items: readonly Uint8Array[]): Buffer {
  const pieces: Uint8Array[] = [];
  for (const item of items) {
    if (item.length > LENGTH_PREFIXED_BYTES_MAX) {
      throw sealError(
        'input_too_long',
        `a bound value has ${item.length} bytes, the limit is ${LENGTH_PREFIXED_BYTES_MAX}`,
      );
    }
    pieces.push(uint16(item.length), item);
  }
  return Buffer.concat(pieces);
}

/** Big-endian u16. */
export function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** Big-endian u32. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/**
 * The 16 bytes of a UUID, checked at run time as well: an id that is not in its one canonical form would make the bound
 * context mean something else. Throws `blob_malformed`.
 */
export function uuidBytes(id: Uuid, name: string): Buffer {
  if (parseUuid(id) === undefined) throw sealError('blob_malformed', `${name} is not a canonical UUID`);
  return uuidToBytes(id);
}
