import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Random } from '@auditrax/base';
import type { SimulatedKey } from './key.ts';
import { refusal } from './refusal.ts';

/** Format of this simulator's blobs; those of AWS are opaque, and so must ours be to clients. */
const MAGIC = Buffer.from('01020200', 'hex');
const ID_BYTES = 36;
const MATERIAL_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = MAGIC.length + ID_BYTES + MATERIAL_BYTES + IV_BYTES;

export type EncryptionContext = Readonly<Record<string, string>>;

/** Header and context, each part with its length: no two contexts have the same bytes. */
function aad(header: Buffer, context: EncryptionContext): Buffer {
  const parts = Object.keys(context)
    .sort()
    .flatMap((name) => [name, context[name]!])
    .map((text) => Buffer.from(text, 'utf8'));
  return Buffer.concat([header, ...parts.flatMap((part) => [lengthOf(part), part])]);
}

function lengthOf(part: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(part.length);
  return length;
}

/** `magic | key id | backing key id | IV | ciphertext | tag`, under the current backing key, bound to the context. */
export function seal(
  key: SimulatedKey,
  input: { readonly plaintext: Uint8Array; readonly context: EncryptionContext; readonly random: Random },
): Buffer {
  const material = key.current;
  const iv = Buffer.from(input.random.bytes(IV_BYTES));
  const header = Buffer.concat([MAGIC, Buffer.from(key.id, 'ascii'), Buffer.from(material.id, 'hex'), iv]);
  const cipher = createCipheriv('aes-256-gcm', material.bytes, iv);
  cipher.setAAD(aad(header, input.context));
  return Buffer.concat([header, cipher.update(input.plaintext), cipher.final(), cipher.getAuthTag()]);
}

function invalid(): Error {
  return refusal('InvalidCiphertextException', '');
}

/** The key that a blob says it is under. Throws InvalidCiphertextException for bytes that are no blob. */
export function keyIdOf(blob: Buffer): string {
  if (blob.length < HEADER_BYTES + TAG_BYTES || !blob.subarray(0, MAGIC.length).equals(MAGIC)) throw invalid();
  return blob.toString('ascii', MAGIC.length, MAGIC.length + ID_BYTES);
}

/** Throws InvalidCiphertextException for other bytes and for another context, without telling them apart. */
export function open(
  key: SimulatedKey,
  input: { readonly blob: Buffer; readonly context: EncryptionContext },
): { readonly plaintext: Buffer; readonly materialId: string } {
  const header = input.blob.subarray(0, HEADER_BYTES);
  const materialAt = MAGIC.length + ID_BYTES;
  const materialId = header.toString('hex', materialAt, materialAt + MATERIAL_BYTES);
  const material = key.material(materialId);
  if (!material) throw invalid();
  const iv = header.subarray(HEADER_BYTES - IV_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', material.bytes, iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad(header, input.context));
  decipher.setAuthTag(input.blob.subarray(-TAG_BYTES));
  try {
    const body = input.blob.subarray(HEADER_BYTES, -TAG_BYTES);
    return { plaintext: Buffer.concat([decipher.update(body), decipher.final()]), materialId };
  } catch {
    throw invalid();
  }
}
