import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { toBase64Url } from '@auditrax/base';
import type { Random, Uuid } from '@auditrax/base';
import { encodePartHeader, encryptStream, partContext, SALT_BYTES } from '@auditrax/seal';
import type { PartHeader } from '@auditrax/seal';
import { objectError } from './errors.ts';
import { syncFolder } from './layout.ts';

/** Gathered before a write, so that the disk sees few large writes; also the store's whole buffer per upload. */
const WRITE_BYTES = 512 * 1024;
/** Names of unfinished parts end so; they are sealed like everything else and removed at the next start. */
export const UNFINISHED_SUFFIX = '.unfinished';

export interface PartTarget {
  readonly path: string;
  readonly header: PartHeader;
  readonly owner: { readonly tenantId: Uuid; readonly rowId: Uuid };
  readonly key: Uint8Array;
  readonly random: Random;
}

/**
 * Seals exactly `header.size_bytes` of `source` into one part file: a neighbour file first, synced, then renamed, so
 * that a part is either whole and durable or absent. A retry takes a fresh salt and a fresh file; bytes that lie under an
 * old salt are never written over. Throws `upload_length_mismatch` when `source` ends early.
 */
export async function writePart(target: PartTarget, source: AsyncIterable<Uint8Array>): Promise<void> {
  const { path, random } = target;
  const unfinished = `${path}.${toBase64Url(random.bytes(9))}${UNFINISHED_SUFFIX}`;
  const file = await open(unfinished, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    try {
      await fill(file, target, source);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

async function fill(file: FileHandle, target: PartTarget, source: AsyncIterable<Uint8Array>): Promise<void> {
  const { header, owner, key, random } = target;
  const arrived = { bytes: 0 };
  const input = { key, salt: random.bytes(SALT_BYTES), context: partContext(header, owner) };
  let gathered: Uint8Array[] = [encodePartHeader(header)];
  let gatheredBytes = 0;
  for await (const piece of encryptStream(input, counted(source, arrived))) {
    gathered.push(piece);
    gatheredBytes += piece.length;
    if (gatheredBytes < WRITE_BYTES) continue;
    await file.writev(gathered);
    gathered = [];
    gatheredBytes = 0;
  }
  if (gathered.length > 0) await file.writev(gathered);
  if (arrived.bytes !== header.size_bytes) {
    throw objectError(
      'upload_length_mismatch',
      `part ${header.partIndex} has ${arrived.bytes} bytes, announced were ${header.size_bytes}`,
    );
  }
}

async function* counted(source: AsyncIterable<Uint8Array>, arrived: { bytes: number }): AsyncGenerator<Uint8Array> {
  for await (const bytes of source) {
    arrived.bytes += bytes.length;
    yield bytes;
  }
}
