import { createHash } from 'node:crypto';

const NOTHING = Buffer.alloc(0);

/** The parts of a ciphertext, as the protocol moves them. */
export interface Sealed {
  readonly iv: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
}

export interface Context {
  readonly aad: Uint8Array | undefined;
  readonly metadata: Uint8Array | undefined;
}

/**
 * Associated data of the HSM operation: `u16 length | AAD | u8 length | metadata`. The lengths keep one ciphertext from
 * being opened with its metadata moved over to the AAD or back.
 */
export function associatedData({ aad = NOTHING, metadata = NOTHING }: Context): Buffer {
  const lengthOfAad = Buffer.alloc(2);
  lengthOfAad.writeUInt16BE(aad.length);
  return Buffer.concat([lengthOfAad, aad, Buffer.of(metadata.length), metadata]);
}

/** CDIV, the hash by which KMS checks what it stores: SHA-256 of `AAD | metadata | IV | ciphertext | tag`. */
export function integrityValue({ aad = NOTHING, metadata = NOTHING }: Context, sealed: Sealed): Buffer {
  const hash = createHash('sha256');
  for (const part of [aad, metadata, sealed.iv, sealed.ciphertext, sealed.tag]) hash.update(part);
  return hash.digest();
}

/** First byte of the metadata we make; another first byte is another proxy's. */
const METADATA_FORMAT = 0x01;
const LABEL_TAG_BYTES = 8;

/** Ciphertext metadata: which key of the token it was, so that a key can be replaced and the old one still found. */
export function metadataOf(label: string): Buffer {
  const tag = createHash('sha256').update(label, 'utf8').digest().subarray(0, LABEL_TAG_BYTES);
  return Buffer.concat([Buffer.of(METADATA_FORMAT), tag]);
}

/** Labels that may have made `metadata`: the one it names, or all where it is not of our making. */
export function labelsFor(metadata: Uint8Array | undefined, labels: readonly string[]): readonly string[] {
  const isOurs = metadata?.length === 1 + LABEL_TAG_BYTES && metadata[0] === METADATA_FORMAT;
  return isOurs ? labels.filter((label) => metadataOf(label).equals(metadata)) : labels;
}
