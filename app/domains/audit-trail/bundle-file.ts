import { AppError } from '@auditrax/base';
import { unzipSync, zipSync, type Zippable } from 'fflate';
import type { AuditTrailCode } from './errors.ts';

/** Above the largest bundle that is exported (10 000 entries of 4 KiB with their proofs). */
export const BUNDLE_BYTES_MAX = 192 * 1024 * 1024;
const FILES_MAX = 40_000;

/** Local fields of a fixed instant: the archive's clock has no zone, so this gives the same bytes everywhere. */
const FIXED_TIME = new Date(1980, 0, 1);

function unreadable(why: string): AppError<AuditTrailCode> {
  return new AppError<AuditTrailCode>('bundle_unreadable', `the bundle cannot be read: ${why}`);
}

/** Packs files in the order of their names, stored without compression: same files, same bytes. */
export function packBundle(files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const names = [...files.keys()].sort();
  const tree: Zippable = Object.fromEntries(names.map((name) => [name, files.get(name)!]));
  return zipSync(tree, { level: 0, mtime: FIXED_TIME });
}

/**
 * Unpacks a bundle that is exactly what `packBundle` makes of its files: no second spelling, no hidden bytes between or
 * behind them, no file that unpacks to more than it holds. Throws `bundle_unreadable`.
 */
export function unpackBundle(zip: Uint8Array): Map<string, Uint8Array> {
  if (zip.length > BUNDLE_BYTES_MAX) throw unreadable(`it is larger than ${BUNDLE_BYTES_MAX} bytes`);
  let count = 0;
  let files: Map<string, Uint8Array>;
  try {
    const unpacked = unzipSync(zip, {
      filter: ({ compression, size, originalSize }) => {
        count += 1;
        if (compression !== 0 || size !== originalSize || count > FILES_MAX)
          throw unreadable('it was packed by another program');
        return true;
      },
    });
    files = new Map(Object.entries(unpacked));
  } catch (error) {
    throw error instanceof AppError ? error : unreadable('it is no zip file');
  }
  if (Buffer.compare(packBundle(files), zip) !== 0) throw unreadable('its bytes are not those of its files');
  return files;
}
