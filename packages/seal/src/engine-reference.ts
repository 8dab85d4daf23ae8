import { createCipheriv, createSecretKey } from 'node:crypto';
import type { Cipheriv, KeyObject } from 'node:crypto';
import { CHUNKS_PER_CALL_MAX, RECORD_TABLE_WIDTH } from './engine.ts';
import type { ChunkJob, ChunkKey, RecordJob, RecordKey, SealEngine } from './engine.ts';
import { isAppError } from '@auditrax/base';
import { sealError } from './errors.ts';
import { GCM_NONCE_BYTES, gcmDecrypt, gcmEncryptPieces, KEY_BYTES, TAG_BYTES } from './gcm.ts';
import { CHUNK_BYTES, CHUNK_COUNT_MAX, SEALED_CHUNK_BYTES, XAES_NONCE_BYTES } from './sizes.ts';

const BLOCK_BYTES = 16;
const CMAC_POLYNOMIAL = 0x87;
const NONCE_HEAD_BYTES = XAES_NONCE_BYTES - GCM_NONCE_BYTES;

/** The engine in plain `node:crypto`: always there, and what the native one is compared with. */
export const referenceEngine: SealEngine = {
  name: 'reference',
  recordKey: (key) => new ReferenceRecordKey(key),
  chunkKey: (input) => new ReferenceChunkKey(input),
};

/** A key with its CMAC subkey computed once (C2SP XAES-256-GCM, steps 1 and 2). */
class ReferenceRecordKey implements RecordKey {
  readonly #subkey: Buffer;
  /** The bare block cipher, as the CMAC definition needs: each block is a PRF input, never a message. Holds no state. */
  #blocks: Cipheriv | undefined;

  constructor(key: Uint8Array) {
    if (key.length !== KEY_BYTES) throw sealError('key_length', `a key has ${KEY_BYTES} bytes, not ${key.length}`);
    this.#blocks = createCipheriv('aes-256-ecb', createSecretKey(key), null).setAutoPadding(false);
    this.#subkey = cmacSubkey(this.#blocks.update(Buffer.alloc(BLOCK_BYTES)));
  }

  run(job: RecordJob): number {
    const { seals, count, table } = job;
    if (this.#blocks === undefined) throw sealError('key_destroyed', 'this key was wiped');
    if (count * RECORD_TABLE_WIDTH > table.length) throw outOfBounds();
    for (let index = 0; index < count; index += 1) {
      const entry = index * RECORD_TABLE_WIDTH;
      if (!(seals ? this.#seal(job, entry) : this.#open(job, entry))) return index;
    }
    return count;
  }

  #seal({ table, aad, input, output }: RecordJob, entry: number): boolean {
    const at = table[entry + 4]!;
    const length = table[entry + 3]!;
    const plaintext = slice(input, table[entry + 2]!, length);
    const sealed = slice(output, at, XAES_NONCE_BYTES + length + TAG_BYTES);
    const key = this.#derive(sealed);
    const bound = slice(aad, table[entry]!, table[entry + 1]!);
    const [body, tag] = gcmEncryptPieces({ key, nonce: tailOf(sealed), aad: bound }, plaintext);
    key.fill(0);
    sealed.set(body, XAES_NONCE_BYTES);
    sealed.set(tag, XAES_NONCE_BYTES + length);
    return true;
  }

  #open({ table, aad, input, output }: RecordJob, entry: number): boolean {
    const length = table[entry + 3]! - XAES_NONCE_BYTES - TAG_BYTES;
    if (length < 0) throw outOfBounds();
    const sealed = slice(input, table[entry + 2]!, table[entry + 3]!);
    const target = slice(output, table[entry + 4]!, length);
    const key = this.#derive(sealed);
    const bound = slice(aad, table[entry]!, table[entry + 1]!);
    const plaintext = opened({ key, nonce: tailOf(sealed), aad: bound }, sealed.subarray(XAES_NONCE_BYTES));
    key.fill(0);
    if (plaintext === undefined) target.fill(0);
    else target.set(plaintext);
    return plaintext !== undefined;
  }

  /** The AES-256-GCM key of one nonce (SP 800-108 counter mode over CMAC-AES-256). */
  #derive(nonce: Uint8Array): Buffer {
    const blocks = Buffer.alloc(2 * BLOCK_BYTES);
    for (const counter of [1, 2]) {
      const start = (counter - 1) * BLOCK_BYTES;
      blocks[start + 1] = counter;
      blocks[start + 2] = 0x58; // the label, ASCII X
      for (let i = 0; i < NONCE_HEAD_BYTES; i += 1) blocks[start + 4 + i] = nonce[i]!;
      for (let i = 0; i < BLOCK_BYTES; i += 1) blocks[start + i]! ^= this.#subkey[i]!;
    }
    return this.#blocks!.update(blocks);
  }

  destroy(): void {
    this.#blocks = undefined;
    this.#subkey.fill(0);
  }
}

class ReferenceChunkKey implements ChunkKey {
  readonly #baseNonce: Buffer;
  readonly #seals: boolean;
  #key: KeyObject | undefined;

  constructor(input: { key: Uint8Array; baseNonce: Uint8Array; seals: boolean }) {
    if (input.key.length !== KEY_BYTES)
      throw sealError('key_length', `a key has ${KEY_BYTES} bytes, not ${input.key.length}`);
    if (input.baseNonce.length !== GCM_NONCE_BYTES)
      throw sealError('nonce_length', `a base nonce has ${GCM_NONCE_BYTES} bytes, not ${input.baseNonce.length}`);
    this.#key = createSecretKey(input.key);
    this.#baseNonce = Buffer.from(input.baseNonce);
    this.#seals = input.seals;
  }

  run(job: ChunkJob): number {
    const { firstIndex, isEnd, input, output } = job;
    if (this.#key === undefined) throw sealError('key_destroyed', 'this key was wiped');
    const [from, to] = this.#seals ? [CHUNK_BYTES, SEALED_CHUNK_BYTES] : [SEALED_CHUNK_BYTES, CHUNK_BYTES];
    const full = Math.floor(input.length / from);
    const rest = input.length - full * from;
    const count = full + (isEnd ? 1 : 0);
    const restOut = isEnd ? rest + to - from : 0;
    if (
      count > CHUNKS_PER_CALL_MAX ||
      (!isEnd && rest !== 0) ||
      restOut < 0 ||
      output.length < full * to + restOut ||
      !(Number.isInteger(firstIndex) && firstIndex >= 0 && firstIndex + count <= CHUNK_COUNT_MAX)
    ) {
      throw outOfBounds();
    }
    for (let i = 0; i < count; i += 1) {
      const piece = input.subarray(i * from, i < full ? (i + 1) * from : input.length);
      const target = output.subarray(i * to, i < full ? (i + 1) * to : full * to + restOut);
      if (!this.#chunk(firstIndex + i, piece, target)) return i;
    }
    return count;
  }

  #chunk(index: number, piece: Uint8Array, target: Uint8Array): boolean {
    const gcm = { key: this.#key!, nonce: this.#nonce(index) };
    if (this.#seals) {
      const [body, tag] = gcmEncryptPieces(gcm, piece);
      target.set(body);
      target.set(tag, body.length);
      return true;
    }
    const plaintext = opened(gcm, piece);
    if (plaintext === undefined) target.fill(0);
    else target.set(plaintext);
    return plaintext !== undefined;
  }

  #nonce(index: number): Buffer {
    const nonce = Buffer.from(this.#baseNonce);
    const counter = Buffer.alloc(6);
    counter.writeUIntBE(index, 0, 6);
    for (let i = 0; i < counter.length; i += 1) nonce[GCM_NONCE_BYTES - 6 + i]! ^= counter[i]!;
    return nonce;
  }

  destroy(): void {
    this.#key = undefined;
    this.#baseNonce.fill(0);
  }
}

function opened(gcm: Parameters<typeof gcmDecrypt>[0], sealed: Uint8Array): Buffer | undefined {
  try {
    return gcmDecrypt(gcm, sealed);
  } catch (error) {
    if (isAppError(error, 'authentication_failed')) return undefined;
    throw error;
  }
}

function tailOf(nonce: Uint8Array): Uint8Array {
  return nonce.subarray(NONCE_HEAD_BYTES, XAES_NONCE_BYTES);
}

/** Like `subarray`, but what lies outside is an error and not shorter. */
function slice(bytes: Uint8Array, at: number, length: number): Uint8Array {
  if (at + length > bytes.length) throw outOfBounds();
  return bytes.subarray(at, at + length);
}

function outOfBounds(): RangeError {
  return new RangeError('a place lies outside its buffer');
}

function cmacSubkey(zero: Buffer): Buffer {
  const subkey = Buffer.alloc(BLOCK_BYTES);
  let carry = 0;
  for (let i = BLOCK_BYTES - 1; i >= 0; i -= 1) {
    subkey[i] = ((zero[i]! << 1) & 0xff) | carry;
    carry = zero[i]! >> 7;
  }
  // Without a secret-dependent branch: the polynomial is masked in.
  subkey[BLOCK_BYTES - 1]! ^= CMAC_POLYNOMIAL & -carry;
  zero.fill(0);
  return subkey;
}
