import { statfs } from 'node:fs/promises';
import type { Clock } from '@auditrax/base';
import { databaseError } from './errors.ts';

/** Below this, writes are refused while reads go on: the log, a checkpoint and a backup must still fit. */
export const DISK_FREE_BYTES_MIN = 512 * 1024 * 1024;
/** A figure this fresh is good enough; a burst of uploads writes less than the floor in that time. */
const SAMPLE_AGE_MS_MAX = 1_000;

/** Free bytes for an ordinary user on the file system of `directory`. */
export async function freeBytes(directory: string): Promise<number> {
  const system = await statfs(directory);
  return system.bavail * system.bsize;
}

export interface DiskFloor {
  /** Free bytes of the fullest of the file systems. */
  free(): Promise<number>;
  /** Resolves when `wanted_bytes` fit above the floor. Throws `disk_full`; ask before anything is written. */
  require(wanted_bytes?: number): Promise<void>;
}

/**
 * Watches the file systems below the given folders (database, objects, journal). A file system that cannot be asked
 * counts as full.
 */
export function diskFloor(options: {
  readonly directories: readonly string[];
  readonly clock: Clock;
  readonly freeBytesMin?: number;
  readonly probe?: (directory: string) => Promise<number>;
}): DiskFloor {
  const floor_bytes = options.freeBytesMin ?? DISK_FREE_BYTES_MIN;
  const probe = options.probe ?? freeBytes;
  let sample: { readonly atMs: number; readonly bytes: Promise<number> } | undefined;
  const free = (): Promise<number> => {
    const now = options.clock.nowMs();
    if (sample === undefined || now - sample.atMs > SAMPLE_AGE_MS_MAX || now < sample.atMs) {
      const all = Promise.all(options.directories.map((directory) => probe(directory).catch(() => 0)));
      sample = { atMs: now, bytes: all.then((bytes) => Math.min(...bytes)) };
    }
    return sample.bytes;
  };
  return {
    free,
    require: async (wanted_bytes = 0) => {
      const free_bytes = await free();
      if (free_bytes - wanted_bytes >= floor_bytes) return;
      throw databaseError(
        'disk_full',
        `${free_bytes} bytes are free, and ${floor_bytes} must stay free: writes are refused until there is room`,
      );
    },
  };
}
