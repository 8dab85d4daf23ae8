/**
 * What encrypts. There are two, with identical bytes: `native` (an addon over the OpenSSL inside the runtime) and
 * `reference` (plain `node:crypto`). Internal to this package; the rest of it is written against this interface.
 */
export interface SealEngine {
  readonly name: SealEngineName;
  /** Takes a copy of the key. Throws `key_length`. */
  recordKey(key: Uint8Array): RecordKey;
  /** The chunks of one message, in one direction. Takes copies. Throws `key_length`, `nonce_length`. */
  chunkKey(input: { key: Uint8Array; baseNonce: Uint8Array; seals: boolean }): ChunkKey;
}

export type SealEngineName = 'native' | 'reference';

/** Numbers in `RecordJob.table` for each record. */
export const RECORD_TABLE_WIDTH = 5;

/**
 * XAES-256-GCM records, done in order. `table` has five numbers for each: where its associated data begin and their
 * length (in `aad`), where its input begins and its length (in `input`), and where its output begins (in `output`).
 * Sealing: `output` holds the 24-byte nonce already and receives ciphertext and tag behind it. Opening: `input` is nonce,
 * ciphertext and tag. The plaintext's place and the ciphertext's may be the same; they must not overlap otherwise.
 */
export interface RecordJob {
  readonly seals: boolean;
  readonly count: number;
  readonly table: Uint32Array;
  readonly aad: Uint8Array;
  readonly input: Uint8Array;
  readonly output: Uint8Array;
}

/** A key for records. */
export interface RecordKey {
  /**
   * Returns how many records were done: fewer than `count` when one does not open, whose output is then empty of
   * plaintext. Throws `key_destroyed`, and a RangeError on places outside the buffers.
   */
  run(job: RecordJob): number;
  /** Wipes the key. Idempotent. */
  destroy(): void;
}

/**
 * Cobblestone-256 chunks, at most 64 at once: whole ones, and with `isEnd` the rest of `input` as the final, shorter one
 * (always there, perhaps empty). Input and output must not overlap.
 */
export interface ChunkJob {
  readonly firstIndex: number;
  readonly isEnd: boolean;
  readonly input: Uint8Array;
  readonly output: Uint8Array;
}

/** A key for the chunks of one message. */
export interface ChunkKey {
  /** Like `RecordKey.run`, counting chunks. */
  run(job: ChunkJob): number;
  /** Wipes the key. Idempotent. */
  destroy(): void;
}

/** More would keep the event loop waiting: 64 chunks are 1 MiB, some tenth of a millisecond. */
export const CHUNKS_PER_CALL_MAX = 64;
