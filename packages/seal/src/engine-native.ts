import { createRequire } from 'node:module';
import type { ChunkJob, ChunkKey, RecordJob, RecordKey, SealEngine } from './engine.ts';
import { sealError } from './errors.ts';
import { GCM_NONCE_BYTES, KEY_BYTES } from './gcm.ts';

/** What native/seal.c exports. A handle is a number that is never given twice. */
export interface Addon {
  readonly abi: number;
  xaesKey(key: Uint8Array): number;
  messageKey(key: Uint8Array, baseNonce: Uint8Array, seals: boolean): number;
  destroy(handle: number): void;
  records(
    ...args: [
      handle: number,
      seals: boolean,
      count: number,
      table: Uint32Array,
      aad: Uint8Array,
      input: Uint8Array,
      output: Uint8Array,
    ]
  ): number;
  chunks(...args: [handle: number, firstIndex: number, isEnd: boolean, input: Uint8Array, output: Uint8Array]): number;
}

/** Raised together with the addon's own when what it exports changes: an older build is then not used. */
export const ADDON_ABI = 1;

/** Loads what `app/bin/native-build.ts` compiled. Throws when there is nothing, or it cannot be loaded here. */
export function loadAddon(): Addon {
  return createRequire(import.meta.url)('../native/build/seal.node') as Addon;
}

/** The engine over a loaded addon. Throws `self_test_failed` when the addon is of another build. */
export function nativeEngine(addon: Addon): SealEngine {
  if (addon.abi !== ADDON_ABI)
    throw sealError('self_test_failed', `the addon speaks version ${addon.abi}, this build ${ADDON_ABI}`);
  // Who forgets a key must not keep it alive outside the collector's sight.
  const forgotten = new FinalizationRegistry<number>((handle) => addon.destroy(handle));
  const keep = <T extends { destroy(): void }>(handle: number, make: (handle: Handle) => T): T => {
    const held: Handle = { addon, value: handle };
    const key = make(held);
    forgotten.register(key, handle);
    return key;
  };
  return {
    name: 'native',
    recordKey(key) {
      if (key.length !== KEY_BYTES) throw sealError('key_length', `a key has ${KEY_BYTES} bytes, not ${key.length}`);
      return keep(addon.xaesKey(key), (handle) => new NativeRecordKey(handle));
    },
    chunkKey({ key, baseNonce, seals }) {
      if (key.length !== KEY_BYTES) throw sealError('key_length', `a key has ${KEY_BYTES} bytes, not ${key.length}`);
      if (baseNonce.length !== GCM_NONCE_BYTES)
        throw sealError('nonce_length', `a base nonce has ${GCM_NONCE_BYTES} bytes, not ${baseNonce.length}`);
      return keep(addon.messageKey(key, baseNonce, seals), (handle) => new NativeChunkKey(handle));
    },
  };
}

interface Handle {
  readonly addon: Addon;
  readonly value: number;
}

class NativeRecordKey implements RecordKey {
  readonly #handle: Handle;

  constructor(handle: Handle) {
    this.#handle = handle;
  }

  run(job: RecordJob): number {
    const { addon, value } = this.#handle;
    try {
      return addon.records(value, job.seals, job.count, job.table, job.aad, job.input, job.output);
    } catch (error) {
      throw translated(error);
    }
  }

  destroy(): void {
    this.#handle.addon.destroy(this.#handle.value);
  }
}

class NativeChunkKey implements ChunkKey {
  readonly #handle: Handle;

  constructor(handle: Handle) {
    this.#handle = handle;
  }

  run(job: ChunkJob): number {
    const { addon, value } = this.#handle;
    try {
      return addon.chunks(value, job.firstIndex, job.isEnd, job.input, job.output);
    } catch (error) {
      throw translated(error);
    }
  }

  destroy(): void {
    this.#handle.addon.destroy(this.#handle.value);
  }
}

function translated(error: unknown): unknown {
  const { code } = error as { code?: string };
  if (code === 'SEAL_HANDLE') return sealError('key_destroyed', 'this key was wiped', error);
  if (code === 'SEAL_ARGUMENTS') return new RangeError('a place lies outside its buffer', { cause: error });
  return error;
}
