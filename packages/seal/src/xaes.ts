import { currentEngine } from './engine-choice.ts';
import type { RecordJob, RecordKey, SealEngine } from './engine.ts';
import { sealError } from './errors.ts';
import { TAG_BYTES } from './gcm.ts';
import { XAES_NONCE_BYTES } from './sizes.ts';

const NO_BYTES = Buffer.alloc(0);

/**
 * A 256-bit key for XAES-256-GCM (c2sp.org/XAES-256-GCM), set up once. Owns a copy of the key; `destroy` wipes it, and
 * every later use throws `key_destroyed`, so a wiped key can never encrypt anything.
 */
export class XaesKey {
  readonly #key: RecordKey;
  #isDestroyed = false;

  /** Throws `key_length` unless `key` has 32 bytes. */
  constructor(key: Uint8Array, engine: SealEngine = currentEngine()) {
    this.#key = engine.recordKey(key);
  }

  get isDestroyed(): boolean {
    return this.#isDestroyed;
  }

  /** See `RecordKey.run`. */
  run(job: RecordJob): number {
    if (this.#isDestroyed) throw sealError('key_destroyed', 'this key was wiped');
    return this.#key.run(job);
  }

  /** Wipes the key. Idempotent. */
  destroy(): void {
    this.#isDestroyed = true;
    this.#key.destroy();
  }
}

export interface XaesInput {
  readonly key: XaesKey;
  /** 24 bytes; random for every message. */
  readonly nonce: Uint8Array;
  readonly aad: Uint8Array;
}

/** Returns ciphertext followed by the tag. Throws `nonce_length`, `key_destroyed`. */
export function xaesEncrypt(input: XaesInput, plaintext: Uint8Array): Buffer {
  checkNonce(input.nonce);
  const output = Buffer.allocUnsafe(XAES_NONCE_BYTES + plaintext.length + TAG_BYTES);
  output.set(input.nonce);
  const table = Uint32Array.of(0, input.aad.length, 0, plaintext.length, 0);
  input.key.run({ seals: true, count: 1, table, aad: input.aad, input: plaintext, output });
  return output.subarray(XAES_NONCE_BYTES);
}

/** Opens what `xaesEncrypt` made. Throws `authentication_failed`, `truncated`, `nonce_length`, `key_destroyed`. */
export function xaesDecrypt(input: XaesInput, sealed: Uint8Array): Buffer {
  checkNonce(input.nonce);
  if (sealed.length < TAG_BYTES) throw sealError('truncated', `a sealed message has at least ${TAG_BYTES} bytes`);
  const whole = Buffer.concat([input.nonce, sealed]);
  const table = Uint32Array.of(0, input.aad.length, 0, whole.length, 0);
  const length = sealed.length - TAG_BYTES;
  const output = length === 0 ? NO_BYTES : Buffer.allocUnsafe(length);
  const done = input.key.run({ seals: false, count: 1, table, aad: input.aad, input: whole, output });
  if (done === 0) throw notAuthentic();
  return output;
}

/** Which of key, bytes and context was wrong is unknowable, and must stay so for an attacker who probes. */
export function notAuthentic(): Error {
  return sealError('authentication_failed', 'the sealed bytes do not belong to this key and context');
}

function checkNonce(nonce: Uint8Array): void {
  if (nonce.length !== XAES_NONCE_BYTES) {
    throw sealError('nonce_length', `a nonce has ${XAES_NONCE_BYTES} bytes, not ${nonce.length}`);
  }
}
