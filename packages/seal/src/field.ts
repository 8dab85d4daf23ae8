import type { Random, Uuid } from '@auditrax/base';
import { writeUuid } from './encode.ts';
import type { RecordJob } from './engine.ts';
import { RECORD_TABLE_WIDTH } from './engine.ts';
import { sealError } from './errors.ts';
import { TAG_BYTES } from './gcm.ts';
import { writeNonce } from './nonces.ts';
import { XAES_NONCE_BYTES } from './sizes.ts';
import { checkSuite, FIELD_SUITE_XAES_256_GCM } from './suites.ts';
import type { FieldSuite, SuitePolicy } from './suites.ts';
import { notAuthentic } from './xaes.ts';
import type { XaesKey } from './xaes.ts';

export const FIELD_MAGIC = 0xa7;
export const FIELD_HEADER_BYTES = 6;
/** Header, nonce and tag. The ciphertext is as long as the plaintext. */
export const FIELD_OVERHEAD_BYTES = FIELD_HEADER_BYTES + XAES_NONCE_BYTES + TAG_BYTES;
/** A field is read and written whole, in one event-loop turn; what is longer belongs into the object store. */
export const FIELD_BYTES_MAX = 16 * 1024 * 1024;

const NO_BYTES = Buffer.alloc(0);
const FIELD_SUITES: readonly FieldSuite[] = [FIELD_SUITE_XAES_256_GCM];

/** Where a value lives. All of it is authenticated: a blob moved anywhere else does not open. */
export interface FieldBinding {
  readonly tenantId: Uuid;
  /** Stable number from a registry, not a column name: renames survive, numbers are never reused. */
  readonly fieldId: number;
  /** Primary key of the row, known before the insert. */
  readonly rowId: Uuid;
  /** Revision of the field's plaintext encoding. */
  readonly schemaRevision: number;
}

/** A data key ready for use, with the version that its blobs carry. */
export interface FieldKey {
  readonly version: number;
  readonly key: XaesKey;
  /** The tenant's list; everything that this build has when there is none. */
  readonly suites?: SuitePolicy<FieldSuite>;
}

/**
 * Seals one value into an AXF1 blob: `A7 | suite | dekVersion u32be | nonce 24 | ciphertext | tag 16`. The nonce is fresh
 * for every call. Throws `input_too_long`, `key_destroyed`, `suite_refused`, `blob_malformed` (a binding that has no
 * encoding).
 */
export function sealField(input: { key: FieldKey; binding: FieldBinding; random: Random }, value: Uint8Array): Buffer {
  const { key, binding, random } = input;
  refuseToWrite(key, value);
  const blob = Buffer.allocUnsafe(FIELD_OVERHEAD_BYTES + value.length);
  writeHead(key, random, { blob, at: 0 });
  writeFieldAad(ONE.aad, 0, { version: key.version, binding });
  describeRecord(ONE.table, 0, [FIELD_AAD_BYTES, 0, value.length, FIELD_HEADER_BYTES]);
  key.key.run({ seals: true, count: 1, table: ONE.table, aad: ONE.aad, input: value, output: blob });
  return blob;
}

/**
 * Opens an AXF1 blob for exactly the binding that it was sealed for. Throws `authentication_failed` on another tenant,
 * field, row, revision or key and on any changed bit, `dek_version_mismatch` when `key` has another version,
 * `suite_unknown` (hard), `suite_refused` (there is no downgrade), `blob_malformed`.
 */
export function openField(input: { key: FieldKey; binding: FieldBinding }, sealed: Uint8Array): Buffer {
  const { key, binding } = input;
  checkHead(key, sealed);
  writeFieldAad(ONE.aad, 0, { version: key.version, binding });
  const length = sealed.length - FIELD_OVERHEAD_BYTES;
  const value = length === 0 ? NO_BYTES : Buffer.allocUnsafe(length);
  describeRecord(ONE.table, 0, [FIELD_AAD_BYTES, FIELD_HEADER_BYTES, sealed.length - FIELD_HEADER_BYTES, 0]);
  const job = { seals: false, count: 1, table: ONE.table, aad: ONE.aad, input: sealed, output: value };
  if (key.key.run(job) !== 1) throw notAuthentic();
  return value;
}

/** The key version that a blob names, unauthenticated: only good for choosing the key to try. Throws like `openField`. */
export function fieldKeyVersion(sealed: Uint8Array): number {
  if (sealed.length < FIELD_OVERHEAD_BYTES || sealed[0] !== FIELD_MAGIC) {
    throw sealError('blob_malformed', 'these bytes are not a sealed field');
  }
  checkSuite(sealed[1], FIELD_SUITES, undefined);
  return sealed[2]! * 0x100_0000 + (sealed[3]! << 16) + (sealed[4]! << 8) + sealed[5]!;
}

export interface FieldToSeal {
  readonly binding: FieldBinding;
  readonly value: Uint8Array;
}

export interface FieldToOpen {
  readonly binding: FieldBinding;
  readonly sealed: Uint8Array;
}

/**
 * Seals the values of a row set under one key: what `sealField` gives, in one pass, in order. All or none. The blobs share
 * their memory by the batch. Throws like `sealField`.
 */
export function sealMany(input: { key: FieldKey; random: Random }, fields: readonly FieldToSeal[]): Buffer[] {
  const { key, random } = input;
  for (const { value } of fields) refuseToWrite(key, value);
  return inBatches(
    fields,
    ({ value }) => FIELD_OVERHEAD_BYTES + value.length,
    (batch, arena) => {
      const blobs: Buffer[] = [];
      let at = 0;
      for (const [index, { binding, value }] of batch.entries()) {
        const end = at + FIELD_OVERHEAD_BYTES + value.length;
        writeHead(key, random, { blob: arena, at });
        // The plaintext lies where its ciphertext will be: nothing is copied twice.
        const valueAt = at + FIELD_HEADER_BYTES + XAES_NONCE_BYTES;
        arena.set(value, valueAt);
        writeFieldAad(MANY.aad, index * FIELD_AAD_BYTES, { version: key.version, binding });
        describeRecord(MANY.table, index, [FIELD_AAD_BYTES, valueAt, value.length, at + FIELD_HEADER_BYTES]);
        blobs.push(arena.subarray(at, end));
        at = end;
      }
      key.key.run(manyJob({ seals: true, count: batch.length }, arena));
      return blobs;
    },
  );
}

/**
 * Opens the values of a row set whose blobs all name `key`'s version. All or none: when one does not open, its error says
 * which by its position, and no plaintext of the set is left. Throws like `openField`.
 */
export function openMany(input: { key: FieldKey }, fields: readonly FieldToOpen[]): Buffer[] {
  const { key } = input;
  for (const { sealed } of fields) checkHead(key, sealed);
  const opened: Buffer[] = [];
  const openBatch = (batch: readonly FieldToOpen[], arena: Buffer): Buffer[] => {
    const first = opened.length;
    let at = 0;
    for (const [index, { binding, sealed }] of batch.entries()) {
      arena.set(sealed, at);
      writeFieldAad(MANY.aad, index * FIELD_AAD_BYTES, { version: key.version, binding });
      const valueAt = at + FIELD_HEADER_BYTES + XAES_NONCE_BYTES;
      const places = [FIELD_AAD_BYTES, at + FIELD_HEADER_BYTES, sealed.length - FIELD_HEADER_BYTES, valueAt] as const;
      describeRecord(MANY.table, index, places);
      opened.push(arena.subarray(valueAt, at + sealed.length - TAG_BYTES));
      at += sealed.length;
    }
    const done = key.key.run(manyJob({ seals: false, count: batch.length }, arena));
    if (done === batch.length) return [];
    throw sealError(
      'authentication_failed',
      `value ${first + done} of the set does not belong to this key and context`,
    );
  };
  try {
    inBatches(fields, ({ sealed }) => sealed.length, openBatch);
    return opened;
  } catch (error) {
    for (const value of opened) value.fill(0);
    throw error;
  }
}

const FIELD_DOMAIN = Buffer.from('auditrax/field/v1\0', 'ascii');
/** Every binding has the same length: domain, header, and four length-prefixed items of fixed size. */
const FIELD_AAD_BYTES = FIELD_DOMAIN.length + FIELD_HEADER_BYTES + (2 + 16) + (2 + 4) + (2 + 16) + (2 + 2);
/** Where the items begin in it. */
const AAD_HEADER = FIELD_DOMAIN.length;
const AAD_TENANT = AAD_HEADER + FIELD_HEADER_BYTES + 2;
const AAD_FIELD = AAD_TENANT + 16 + 2;
const AAD_ROW = AAD_FIELD + 4 + 2;
const AAD_REVISION = AAD_ROW + 16 + 2;

/** In one call at most so many fields, and so many bytes unless one alone has more: the arena stays in the cache. */
const BATCH_FIELDS_MAX = 128;
const BATCH_BYTES_MAX = 256 * 1024;

/** Used within one synchronous call and never across: made once, because making them costs more than using them. */
const ONE = scratch(1);
const MANY = scratch(BATCH_FIELDS_MAX);

function scratch(count: number): { table: Uint32Array; aad: Buffer } {
  const aad = Buffer.alloc(count * FIELD_AAD_BYTES);
  for (let at = 0; at < aad.length; at += FIELD_AAD_BYTES) {
    FIELD_DOMAIN.copy(aad, at);
    aad[at + AAD_HEADER] = FIELD_MAGIC;
    aad[at + AAD_HEADER + 1] = FIELD_SUITE_XAES_256_GCM;
    // The length prefixes; the items are written over and over.
    aad[at + AAD_TENANT - 1] = 16;
    aad[at + AAD_FIELD - 1] = 4;
    aad[at + AAD_ROW - 1] = 16;
    aad[at + AAD_REVISION - 1] = 2;
  }
  return { table: new Uint32Array(count * RECORD_TABLE_WIDTH), aad };
}

/**
 * `"auditrax/field/v1" 00 | header 6 | LP(tenant UUID) | LP(field u32) | LP(row UUID) | LP(revision u16)`; what never
 * changes stands there already.
 */
function writeFieldAad(
  aad: Uint8Array,
  at: number,
  { version, binding }: { version: number; binding: FieldBinding },
): void {
  const { fieldId, schemaRevision } = binding;
  if (!Number.isInteger(fieldId) || fieldId < 1 || fieldId > 0xffff_ffff) {
    throw sealError('blob_malformed', `field number ${fieldId} is outside 1..2^32-1`);
  }
  if (!Number.isInteger(schemaRevision) || schemaRevision < 0 || schemaRevision > 0xffff) {
    throw sealError('blob_malformed', `schema revision ${schemaRevision} is outside 0..65535`);
  }
  writeUint32(aad, at + AAD_HEADER + 2, version);
  writeUuid(aad, at + AAD_TENANT, binding.tenantId);
  writeUint32(aad, at + AAD_FIELD, fieldId);
  writeUuid(aad, at + AAD_ROW, binding.rowId);
  aad[at + AAD_REVISION] = schemaRevision >>> 8;
  aad[at + AAD_REVISION + 1] = schemaRevision;
}

function writeHead(key: FieldKey, random: Random, { blob, at }: { blob: Uint8Array; at: number }): void {
  blob[at] = FIELD_MAGIC;
  blob[at + 1] = FIELD_SUITE_XAES_256_GCM;
  writeUint32(blob, at + 2, key.version);
  writeNonce(random, blob, at + FIELD_HEADER_BYTES);
}

function writeUint32(target: Uint8Array, at: number, value: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}

function describeRecord(
  table: Uint32Array,
  index: number,
  [aadLength, inputAt, inputLength, outputAt]: readonly [number, number, number, number],
): void {
  const entry = index * RECORD_TABLE_WIDTH;
  table[entry] = index * FIELD_AAD_BYTES;
  table[entry + 1] = aadLength;
  table[entry + 2] = inputAt;
  table[entry + 3] = inputLength;
  table[entry + 4] = outputAt;
}

function manyJob(part: { seals: boolean; count: number }, arena: Buffer): RecordJob {
  return { ...part, table: MANY.table, aad: MANY.aad, input: arena, output: arena };
}

function inBatches<T>(
  fields: readonly T[],
  sizeOf: (field: T) => number,
  work: (batch: readonly T[], arena: Buffer) => Buffer[],
): Buffer[] {
  const results: Buffer[] = [];
  let start = 0;
  let bytes = 0;
  for (let end = 0; end <= fields.length; end += 1) {
    const size = end < fields.length ? sizeOf(fields[end]!) : 0;
    const isFull = end === fields.length || end - start === BATCH_FIELDS_MAX || bytes + size > BATCH_BYTES_MAX;
    if (isFull && end > start) {
      for (const result of work(fields.slice(start, end), Buffer.allocUnsafe(bytes))) results.push(result);
      start = end;
      bytes = 0;
    }
    bytes += size;
  }
  return results;
}

function refuseToWrite(key: FieldKey, value: Uint8Array): void {
  if (value.length > FIELD_BYTES_MAX) {
    throw sealError('input_too_long', `a field has at most ${FIELD_BYTES_MAX} bytes, not ${value.length}`);
  }
  if (!Number.isInteger(key.version) || key.version < 1 || key.version > 0xffff_ffff) {
    throw sealError('blob_malformed', `key version ${key.version} is outside 1..2^32-1`);
  }
  checkSuite(FIELD_SUITE_XAES_256_GCM, FIELD_SUITES, key.suites?.write);
}

function checkHead(key: FieldKey, sealed: Uint8Array): void {
  const version = fieldKeyVersion(sealed);
  checkSuite(sealed[1], FIELD_SUITES, key.suites?.read);
  if (version !== key.version) {
    throw sealError('dek_version_mismatch', `the blob names key version ${version}, the key at hand is ${key.version}`);
  }
}
