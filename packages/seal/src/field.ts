import type { Random, Uuid } from '@auditrax/base';
import { lengthPrefixed, uint16, uint32, uuidBytes } from './encode.ts';
import { sealError } from './errors.ts';
import { TAG_BYTES } from './gcm.ts';
import { XAES_NONCE_BYTES, xaesDecrypt, xaesEncrypt, XaesKey } from './xaes.ts';

export const FIELD_MAGIC = 0xa7;
/** Suite 01 is XAES-256-GCM; 02 is reserved for AES-256-GCM-SIV. A suite is never reused for something else. */
export const FIELD_SUITE_XAES_256_GCM = 0x01;
export const FIELD_HEADER_BYTES = 6;
/** Header, nonce and tag. The ciphertext is as long as the plaintext. */
export const FIELD_OVERHEAD_BYTES = FIELD_HEADER_BYTES + XAES_NONCE_BYTES + TAG_BYTES;
/** A field is read and written whole, in one event-loop turn; what is longer belongs into the object store. */
export const FIELD_BYTES_MAX = 16 * 1024 * 1024;

const FIELD_DOMAIN = Buffer.from('auditrax/field/v1\0', 'ascii');

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
}

/**
 * Seals one value into an AXF1 blob: `A7 | suite | dekVersion u32be | nonce 24 | ciphertext | tag 16`. The nonce is fresh
 * for every call. Throws `input_too_long`, `key_destroyed`, `blob_malformed` (a binding that has no encoding).
 */
export function sealField(input: { key: FieldKey; binding: FieldBinding; random: Random }, value: Uint8Array): Buffer {
  if (value.length > FIELD_BYTES_MAX) {
    throw sealError('input_too_long', `a field has at most ${FIELD_BYTES_MAX} bytes, not ${value.length}`);
  }
  const header = Buffer.concat([Buffer.of(FIELD_MAGIC, FIELD_SUITE_XAES_256_GCM), uint32(input.key.version)]);
  const nonce = input.random.bytes(XAES_NONCE_BYTES);
  const aad = fieldAad(header, input.binding);
  return Buffer.concat([header, nonce, xaesEncrypt({ key: input.key.key, nonce, aad }, value)]);
}

/**
 * Opens an AXF1 blob for exactly the binding that it was sealed for. Throws `authentication_failed` on another tenant,
 * field, row, revision or key and on any changed bit, `dek_version_mismatch` when `key` has another version,
 * `suite_unknown` (hard: there is no downgrade), `blob_malformed`.
 */
export function openField(input: { key: FieldKey; binding: FieldBinding }, sealed: Uint8Array): Buffer {
  const { version, header, nonce, body } = splitField(sealed);
  if (version !== input.key.version) {
    throw sealError(
      'dek_version_mismatch',
      `the blob names key version ${version}, the key at hand is ${input.key.version}`,
    );
  }
  return xaesDecrypt({ key: input.key.key, nonce, aad: fieldAad(header, input.binding) }, body);
}

/** The key version that a blob names, unauthenticated: only good for choosing the key to try. Throws like `openField`. */
export function fieldKeyVersion(sealed: Uint8Array): number {
  return splitField(sealed).version;
}

function splitField(sealed: Uint8Array): { version: number; header: Buffer; nonce: Buffer; body: Buffer } {
  const blob = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  if (blob.length < FIELD_OVERHEAD_BYTES || blob[0] !== FIELD_MAGIC) {
    throw sealError('blob_malformed', 'these bytes are not a sealed field');
  }
  if (blob[1] !== FIELD_SUITE_XAES_256_GCM) {
    throw sealError('suite_unknown', `suite ${blob[1]} is not one that this build may read`);
  }
  const header = blob.subarray(0, FIELD_HEADER_BYTES);
  const nonceEnd = FIELD_HEADER_BYTES + XAES_NONCE_BYTES;
  return {
    version: blob.readUInt32BE(2),
    header,
    nonce: blob.subarray(FIELD_HEADER_BYTES, nonceEnd),
    body: blob.subarray(nonceEnd),
  };
}

function fieldAad(header: Uint8Array, binding: FieldBinding): Buffer {
  const { fieldId, schemaRevision } = binding;
  if (!Number.isInteger(fieldId) || fieldId < 1 || fieldId > 0xffff_ffff) {
    throw sealError('blob_malformed', `field number ${fieldId} is outside 1..2^32-1`);
  }
  if (!Number.isInteger(schemaRevision) || schemaRevision < 0 || schemaRevision > 0xffff) {
    throw sealError('blob_malformed', `schema revision ${schemaRevision} is outside 0..65535`);
  }
  const bound = lengthPrefixed(
    uuidBytes(binding.tenantId, 'the tenant id'),
    uint32(fieldId),
    uuidBytes(binding.rowId, 'the row id'),
    uint16(schemaRevision),
  );
  return Buffer.concat([FIELD_DOMAIN, header, bound]);
}
