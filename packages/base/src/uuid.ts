import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

declare const uuidBrand: unique symbol;
/** A lower-case UUID in its 36-character form. Made only by `parseUuid`, `uuidV4` and `uuidV7`. */
export type Uuid = string & { readonly [uuidBrand]: true };

const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function parseUuid(text: string): Uuid | undefined {
  return UUID_PATTERN.test(text) ? (text as Uuid) : undefined;
}

export function uuidToBytes(id: Uuid): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

/** Expects exactly 16 bytes. */
export function uuidFromBytes(bytes: Uint8Array): Uuid {
  if (bytes.length !== 16) throw new RangeError(`a UUID has 16 bytes, not ${bytes.length}`);
  const hex = Buffer.from(bytes).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-') as Uuid;
}

function withVersion(bytes: Uint8Array, version: number): Uuid {
  const copy = Buffer.from(bytes);
  copy[6] = (copy[6]! & 0x0f) | (version << 4);
  copy[8] = (copy[8]! & 0x3f) | 0x80;
  return uuidFromBytes(copy);
}

/** RFC 9562 version 4. */
export function uuidV4(random: Random): Uuid {
  return withVersion(random.bytes(16), 4);
}

/** RFC 9562 version 7: 48 bits of Unix milliseconds, then random bits; time-ordered, so that indexes stay compact. */
export function uuidV7(clock: Clock, random: Random): Uuid {
  const bytes = Buffer.from(random.bytes(16));
  bytes.writeUIntBE(clock.nowMs(), 0, 6);
  return withVersion(bytes, 7);
}
