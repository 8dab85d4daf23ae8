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

const NOT_HEX = 0xff;
/** Value of each lower-case hexadecimal digit by its character code. */
const HEX = Uint8Array.from({ length: 128 }, (_, code) => {
  const value = '0123456789abcdef'.indexOf(String.fromCharCode(code));
  return value < 0 ? NOT_HEX : value;
});
/** Where the 16 bytes stand in the 36 characters. */
const UUID_DIGITS = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34] as const;
const UUID_HYPHENS = [8, 13, 18, 23] as const;
const UUID_CHARACTERS = 36;
const HYPHEN = 0x2d;

/** `uuidBytes` into a place of `target`, without an allocation: for what is done ten thousand times. */
export function writeUuid(target: Uint8Array, at: number, id: Uuid): void {
  let wrong = id.length ^ UUID_CHARACTERS;
  for (let i = 0; i < UUID_DIGITS.length; i += 1) {
    const character = UUID_DIGITS[i]!;
    const high = HEX[id.charCodeAt(character)] ?? NOT_HEX;
    const low = HEX[id.charCodeAt(character + 1)] ?? NOT_HEX;
    wrong |= (high | low) & 0xf0;
    target[at + i] = (high << 4) | low;
  }
  for (let i = 0; i < UUID_HYPHENS.length; i += 1) wrong |= id.charCodeAt(UUID_HYPHENS[i]!) ^ HYPHEN;
  if (wrong !== 0) throw sealError('blob_malformed', 'an id is not a canonical UUID');
}
