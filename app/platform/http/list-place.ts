import { hash } from 'node:crypto';
import { uuidFromBytes, uuidToBytes, type Uuid } from '@auditrax/base';

const MAJOR_BYTES = 4;
/** 48 bits: more rows than a list will ever have. */
const MINOR_BYTES = 6;
const MARK_BYTES = 6;

/** A place in a list: by one number, or by a number within another one. */
export interface ListPlace {
  /** Below 2^32. */
  readonly major: number;
  /** Below 2^48. */
  readonly minor: number;
}

/** Keeps a cursor to the list that it was made for; the tag, not this, keeps others from making one. */
function markOf(list: string): Buffer {
  return hash('sha256', list, 'buffer').subarray(0, MARK_BYTES);
}

/**
 * A place of `list` in the sixteen bytes that a tagged id has room for, so that a cursor passes the same gates as an id:
 * of this tenant, of this kind, and not one bit changed. Throws RangeError on a number that does not fit.
 */
export function placeToUuid(list: string, { major, minor }: ListPlace): Uuid {
  const bytes = Buffer.alloc(MAJOR_BYTES + MINOR_BYTES);
  bytes.writeUIntBE(major, 0, MAJOR_BYTES);
  bytes.writeUIntBE(minor, MAJOR_BYTES, MINOR_BYTES);
  return uuidFromBytes(Buffer.concat([bytes, markOf(list)]));
}

/** The place that a cursor of `list` names; undefined when it was made for another list. */
export function placeFromUuid(list: string, cursor: Uuid): ListPlace | undefined {
  const bytes = uuidToBytes(cursor);
  if (!bytes.subarray(MAJOR_BYTES + MINOR_BYTES).equals(markOf(list))) return undefined;
  return { major: bytes.readUIntBE(0, MAJOR_BYTES), minor: bytes.readUIntBE(MAJOR_BYTES, MINOR_BYTES) };
}
