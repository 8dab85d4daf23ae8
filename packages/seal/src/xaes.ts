import { createCipheriv, createSecretKey } from 'node:crypto';
import type { Cipheriv } from 'node:crypto';
import { sealError } from './errors.ts';
import { GCM_NONCE_BYTES, gcmDecrypt, gcmEncrypt, KEY_BYTES } from './gcm.ts';

export const XAES_NONCE_BYTES = 24;
const BLOCK_BYTES = 16;
const CMAC_POLYNOMIAL = 0x87;

/**
 * A 256-bit key with its CMAC subkey computed once (C2SP XAES-256-GCM, steps 1 and 2). Owns a copy of the key bytes;
 * `destroy` wipes them, and every later use throws `key_destroyed`, so a wiped key can never encrypt anything.
 */
export class XaesKey {
  readonly #key: Buffer;
  readonly #subkey: Buffer;
  /** The bare block cipher, as the CMAC definition needs: each block is a PRF input, never a message. Holds no state. */
  #blocks: Cipheriv | undefined;

  /** Throws `key_length` unless `key` has 32 bytes. */
  constructor(key: Uint8Array) {
    if (key.length !== KEY_BYTES) throw sealError('key_length', `a key has ${KEY_BYTES} bytes, not ${key.length}`);
    this.#key = Buffer.from(key);
    this.#blocks = createCipheriv('aes-256-ecb', createSecretKey(this.#key), null).setAutoPadding(false);
    this.#subkey = cmacSubkey(this.#blocks.update(Buffer.alloc(BLOCK_BYTES)));
  }

  /** The AES-256-GCM key of one nonce (SP 800-108 counter mode over CMAC-AES-256). */
  derive(nonceHead: Uint8Array): Buffer {
    if (this.#blocks === undefined) throw sealError('key_destroyed', 'this key was wiped');
    const blocks = Buffer.alloc(2 * BLOCK_BYTES);
    for (const counter of [1, 2]) {
      const start = (counter - 1) * BLOCK_BYTES;
      blocks[start + 1] = counter;
      blocks[start + 2] = 0x58; // the label, ASCII X
      blocks.set(nonceHead, start + 4);
      for (let i = 0; i < BLOCK_BYTES; i += 1) blocks[start + i]! ^= this.#subkey[i]!;
    }
    return this.#blocks.update(blocks);
  }

  /** Runs `use` over the raw key, for derivations that are not XAES (the commitment). */
  withBytes<T>(use: (key: Uint8Array) => T): T {
    if (this.#blocks === undefined) throw sealError('key_destroyed', 'this key was wiped');
    return use(this.#key);
  }

  /** Wipes the key. Idempotent. */
  destroy(): void {
    this.#blocks = undefined;
    this.#key.fill(0);
    this.#subkey.fill(0);
  }
}

/** XAES-256-GCM (c2sp.org/XAES-256-GCM). */
export interface XaesInput {
  readonly key: XaesKey;
  /** 24 bytes; random for every message. */
  readonly nonce: Uint8Array;
  readonly aad: Uint8Array;
}

/** Returns ciphertext followed by the tag. Throws `nonce_length`, `key_destroyed`. */
export function xaesEncrypt(input: XaesInput, plaintext: Uint8Array): Buffer {
  const { key, nonce } = split(input);
  try {
    return gcmEncrypt({ key, nonce, aad: input.aad }, plaintext);
  } finally {
    key.fill(0);
  }
}

/** Opens what `xaesEncrypt` made. Throws `authentication_failed`, `truncated`, `nonce_length`, `key_destroyed`. */
export function xaesDecrypt(input: XaesInput, sealed: Uint8Array): Buffer {
  const { key, nonce } = split(input);
  try {
    return gcmDecrypt({ key, nonce, aad: input.aad }, sealed);
  } finally {
    key.fill(0);
  }
}

function split(input: XaesInput): { key: Buffer; nonce: Uint8Array } {
  if (input.nonce.length !== XAES_NONCE_BYTES) {
    throw sealError('nonce_length', `a nonce has ${XAES_NONCE_BYTES} bytes, not ${input.nonce.length}`);
  }
  const head = input.nonce.subarray(0, XAES_NONCE_BYTES - GCM_NONCE_BYTES);
  return { key: input.key.derive(head), nonce: input.nonce.subarray(XAES_NONCE_BYTES - GCM_NONCE_BYTES) };
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
