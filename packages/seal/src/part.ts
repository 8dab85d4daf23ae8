import type { Uuid } from '@auditrax/base';
import { uuidFromBytes } from '@auditrax/base';
import { sealedMessageBytes } from './chunked.ts';
import { lengthPrefixed, uuidBytes } from './encode.ts';
import { sealError } from './errors.ts';
import { checkSuite, PART_SUITE_COBBLESTONE_256 } from './suites.ts';
import type { PartSuite, SuitePolicy } from './suites.ts';

export const PART_HEADER_BYTES = 40;
const PART_SUITES: readonly PartSuite[] = [PART_SUITE_COBBLESTONE_256];

const PART_MAGIC = Buffer.from('AXE1', 'ascii');
const FLAG_LAST = 0x01;

/** What the header of one part of an object says. */
export interface PartHeader {
  readonly last: boolean;
  /** Version of the data key that wrapped the object's key when the upload began; kept for diagnosis. */
  readonly dekVersion: number;
  readonly objectId: Uuid;
  readonly partIndex: number;
  /** Plaintext bytes in this part. */
  readonly size_bytes: number;
}

/** `"AXE1" | suite | flags | 0 0 | dekVersion u32 | object UUID | part u32 | plaintext bytes u64`. Throws `suite_refused`. */
export function encodePartHeader(header: PartHeader, suites?: SuitePolicy<PartSuite>): Buffer {
  checkSuite(PART_SUITE_COBBLESTONE_256, PART_SUITES, suites?.write);
  const bytes = Buffer.alloc(PART_HEADER_BYTES);
  PART_MAGIC.copy(bytes);
  bytes[4] = PART_SUITE_COBBLESTONE_256;
  bytes[5] = header.last ? FLAG_LAST : 0;
  bytes.writeUInt32BE(header.dekVersion, 8);
  uuidBytes(header.objectId, 'the object id').copy(bytes, 12);
  bytes.writeUInt32BE(header.partIndex, 28);
  bytes.writeBigUInt64BE(BigInt(header.size_bytes), 32);
  return bytes;
}

/**
 * Strict reverse of `encodePartHeader`. `suites` is the tenant's list. Throws `truncated`, `blob_malformed`,
 * `suite_unknown`, `suite_refused`.
 */
export function decodePartHeader(bytes: Uint8Array, suites?: SuitePolicy<PartSuite>): PartHeader {
  if (bytes.length < PART_HEADER_BYTES) throw sealError('truncated', 'the part ends inside its header');
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, PART_HEADER_BYTES);
  if (!view.subarray(0, 4).equals(PART_MAGIC)) throw sealError('blob_malformed', 'these bytes are not an object part');
  checkSuite(view[4], PART_SUITES, suites?.read);
  const size = view.readBigUInt64BE(32);
  if ((view[5]! & ~FLAG_LAST) !== 0 || view.readUInt16BE(6) !== 0 || size > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw sealError('blob_malformed', 'the part header uses bits that this format does not have');
  }
  return {
    last: view[5] === FLAG_LAST,
    dekVersion: view.readUInt32BE(8),
    objectId: uuidFromBytes(view.subarray(12, 28)),
    partIndex: view.readUInt32BE(28),
    size_bytes: Number(size),
  };
}

/**
 * The context that a part's message is bound to: its whole header, the tenant and the row that owns the object. A part
 * moved to another object, position, tenant or row, or claimed to be last when it is not, fails the commitment check.
 */
export function partContext(header: PartHeader, owner: { tenantId: Uuid; rowId: Uuid }): Buffer {
  const bound = lengthPrefixed(uuidBytes(owner.tenantId, 'the tenant id'), uuidBytes(owner.rowId, 'the row id'));
  return Buffer.concat([encodePartHeader(header), bound]);
}

/** Throws `part_mismatch` unless the stored header says exactly what the owner's records expect, and like decoding. */
export function checkPartHeader(stored: Uint8Array, expected: PartHeader, suites?: SuitePolicy<PartSuite>): void {
  decodePartHeader(stored, suites);
  if (!encodePartHeader(expected).equals(stored.subarray(0, PART_HEADER_BYTES))) {
    throw sealError(
      'part_mismatch',
      `part ${expected.partIndex} of object ${expected.objectId} is not the one recorded`,
    );
  }
}

/** Bytes on disk of a part with `plaintext_bytes`. */
export function sealedPartBytes(plaintext_bytes: number): number {
  return PART_HEADER_BYTES + sealedMessageBytes(plaintext_bytes);
}
