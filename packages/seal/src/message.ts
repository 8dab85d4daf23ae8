import { deriveMessageKeys, openChunks, openMessageKeys, sealChunks } from './chunked.ts';
import { currentEngine } from './engine-choice.ts';
import { CHUNKS_PER_CALL_MAX } from './engine.ts';
import type { ChunkKey, SealEngine } from './engine.ts';
import { sealError } from './errors.ts';
import { TAG_BYTES } from './gcm.ts';
import { CHUNK_BYTES, CHUNK_COUNT_MAX, SEALED_CHUNK_BYTES } from './sizes.ts';
import { notAuthentic } from './xaes.ts';

/** What one call took from its input and put into its output. */
export interface Progress {
  readonly read: number;
  readonly written: number;
}

/** Room for what one call can put out when sealing; also a good size for reading a sealed file. */
export const SEALED_RUN_BYTES = CHUNKS_PER_CALL_MAX * SEALED_CHUNK_BYTES;
/** Room for what one call can put out when opening. */
export const OPENED_RUN_BYTES = CHUNKS_PER_CALL_MAX * CHUNK_BYTES;

interface Direction {
  readonly from_bytes: number;
  readonly to_bytes: number;
  readonly run: typeof sealChunks;
}

/** Cuts what arrives into chunks and has them done, in order, at most 64 in one call; holds less than one chunk. */
class ChunkPump {
  readonly #key: ChunkKey;
  readonly #direction: Direction;
  readonly #held: Buffer;
  #heldBytes = 0;
  #index = 0;
  #failed = false;

  constructor(key: ChunkKey, direction: Direction) {
    this.#key = key;
    this.#direction = direction;
    this.#held = Buffer.allocUnsafe(direction.from_bytes);
  }

  /** How much the next `update` with `input_bytes` could put out. */
  outputBytes(input_bytes: number): number {
    const { from_bytes, to_bytes } = this.#direction;
    return Math.min(Math.floor((this.#heldBytes + input_bytes) / from_bytes), CHUNKS_PER_CALL_MAX) * to_bytes;
  }

  update(input: Uint8Array, output: Uint8Array): Progress {
    this.#refuseAfterFailure();
    const { from_bytes, to_bytes } = this.#direction;
    let read = 0;
    let written = 0;
    if (this.#heldBytes > 0) {
      read = this.#hold(input);
      if (this.#heldBytes < from_bytes || output.length < to_bytes) return { read, written };
      written = this.#run(this.#held, output);
      if (this.#failed) return { read, written };
      this.#heldBytes = 0;
    }
    const room = Math.floor((output.length - written) / to_bytes);
    const allowed = CHUNKS_PER_CALL_MAX - written / to_bytes;
    const chunks = Math.min(Math.floor((input.length - read) / from_bytes), room, allowed);
    if (chunks > 0) {
      const end = read + chunks * from_bytes;
      written += this.#run(input.subarray(read, end), output.subarray(written));
      read = end;
    }
    if (!this.#failed && input.length - read < from_bytes) read += this.#hold(input.subarray(read));
    return { read, written };
  }

  /** The final chunk, from what is held. */
  finish(output: Uint8Array): number {
    this.#refuseAfterFailure();
    const { from_bytes, to_bytes, run } = this.#direction;
    if (this.#heldBytes === from_bytes) throw new RangeError('a whole chunk still waits for room');
    const written = this.#heldBytes + to_bytes - from_bytes;
    if (written < 0) throw sealError('truncated', `a sealed message has at least ${TAG_BYTES} bytes`);
    this.#count(1);
    const input = this.#held.subarray(0, this.#heldBytes);
    const done = run(this.#key, { firstIndex: this.#index - 1, isEnd: true, input, output });
    if (done !== 1) throw notAuthentic();
    return written;
  }

  destroy(): void {
    this.#failed = true;
    this.#held.fill(0);
    this.#key.destroy();
  }

  #hold(input: Uint8Array): number {
    const taken = Math.min(this.#direction.from_bytes - this.#heldBytes, input.length);
    this.#held.set(taken === input.length ? input : input.subarray(0, taken), this.#heldBytes);
    this.#heldBytes += taken;
    return taken;
  }

  #run(input: Uint8Array, output: Uint8Array): number {
    const { from_bytes, to_bytes, run } = this.#direction;
    const count = input.length / from_bytes;
    this.#count(count);
    const done = run(this.#key, { firstIndex: this.#index - count, isEnd: false, input, output });
    // What was opened before the one that does not open is a true prefix, and is released; the next call tells.
    this.#failed = done < count;
    return done * to_bytes;
  }

  #count(chunks: number): void {
    this.#index += chunks;
    if (this.#index > CHUNK_COUNT_MAX) throw sealError('input_too_long', 'a message has at most 2^38 chunks');
  }

  #refuseAfterFailure(): void {
    if (this.#failed) throw notAuthentic();
  }
}

/**
 * Seals one chunked message piece by piece into buffers of the caller, in the manner of `TextEncoder.encodeInto`: what a
 * call cannot take yet is offered again. The prefix comes first, `finish` last. `destroy` whatever happens.
 *
 * `salt` must never have been used with `key` before: 24 fresh random bytes for every attempt, also for a retry, because
 * other bytes under the same salt would repeat nonces. Throws `key_length`, `nonce_length`.
 */
export class MessageSealer {
  /** Salt and commitment, 56 bytes. */
  readonly prefix: Buffer;
  readonly #pump: ChunkPump;

  constructor(input: { key: Uint8Array; salt: Uint8Array; context: Uint8Array }, engine: SealEngine = currentEngine()) {
    const { key, baseNonce, commitment } = deriveMessageKeys(input);
    this.prefix = Buffer.concat([input.salt, commitment]);
    const direction = { from_bytes: CHUNK_BYTES, to_bytes: SEALED_CHUNK_BYTES, run: sealChunks };
    this.#pump = new ChunkPump(engine.chunkKey({ key, baseNonce, seals: true }), direction);
    key.fill(0);
  }

  /** Bytes that `update` with `input_bytes` more would put out, given the room. */
  outputBytes(input_bytes: number): number {
    return this.#pump.outputBytes(input_bytes);
  }

  /** At most 1 MiB in one call. Throws `input_too_long` past 2^38 chunks. */
  update(input: Uint8Array, output: Uint8Array): Progress {
    return this.#pump.update(input, output);
  }

  /** The final chunk; `output` has room for one sealed chunk more than `update` left. Returns what it wrote. */
  finish(output: Uint8Array): number {
    return this.#pump.finish(output);
  }

  /** Wipes the key and what was held. Idempotent. */
  destroy(): void {
    this.#pump.destroy();
  }
}

/**
 * Opens one chunked message whose 56-byte prefix is known; every byte that a call puts out has been authenticated. The
 * message is whole only when `finish` has returned. Throws `commitment_mismatch`, `key_length`, `truncated` (the prefix).
 */
export class MessageOpener {
  readonly #pump: ChunkPump;

  constructor(
    input: { key: Uint8Array; context: Uint8Array; prefix: Uint8Array },
    engine: SealEngine = currentEngine(),
  ) {
    const { key, baseNonce } = openMessageKeys(input, input.prefix);
    const direction = { from_bytes: SEALED_CHUNK_BYTES, to_bytes: CHUNK_BYTES, run: openChunks };
    this.#pump = new ChunkPump(engine.chunkKey({ key, baseNonce, seals: false }), direction);
    key.fill(0);
  }

  /** Bytes that `update` with `input_bytes` more would put out, given the room. */
  outputBytes(input_bytes: number): number {
    return this.#pump.outputBytes(input_bytes);
  }

  /** At most 1 MiB in one call. Throws `authentication_failed` one call after the last good chunk was put out. */
  update(input: Uint8Array, output: Uint8Array): Progress {
    return this.#pump.update(input, output);
  }

  /** The final chunk. Throws `truncated`, `authentication_failed`. Returns what it wrote. */
  finish(output: Uint8Array): number {
    return this.#pump.finish(output);
  }

  /** Wipes the key and what was held. Idempotent. */
  destroy(): void {
    this.#pump.destroy();
  }
}
