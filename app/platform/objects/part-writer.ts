import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { toBase64Url } from '@auditrax/base';
import type { Random, Uuid } from '@auditrax/base';
import {
  encodePartHeader,
  MessageSealer,
  partContext,
  SALT_BYTES,
  SEALED_CHUNK_BYTES,
  SEALED_RUN_BYTES,
} from '@auditrax/seal';
import type { PartHeader } from '@auditrax/seal';
import { objectError } from './errors.ts';
import { syncFolder } from './layout.ts';
import { TransferBuffers } from './transfer-buffers.ts';

/** Sealed bytes are gathered in one of these, some MiB, before a write; also the store's whole buffer per upload. */
const sealedRuns = new TransferBuffers({ size_bytes: SEALED_RUN_BYTES, kept: 4 });
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
  const sealer = new MessageSealer({ key, salt: random.bytes(SALT_BYTES), context: partContext(header, owner) });
  const output = sealedRuns.take();
  try {
    let filled = encodePartHeader(header).copy(output);
    filled += sealer.prefix.copy(output, filled);
    let arrived = 0;
    for await (const piece of source) {
      arrived += piece.length;
      for (let at = 0; at < piece.length;) {
        const { read, written } = sealer.update(piece.subarray(at), output.subarray(filled));
        at += read;
        filled += written;
        // The sender waits while the disk takes what there is, and the event loop has its turn.
        if (output.length - filled < SEALED_CHUNK_BYTES) filled = await writeOut(file, output, filled);
      }
    }
    filled += sealer.finish(output.subarray(filled));
    await writeOut(file, output, filled);
    if (arrived !== header.size_bytes) {
      throw objectError(
        'upload_length_mismatch',
        `part ${header.partIndex} has ${arrived} bytes, announced were ${header.size_bytes}`,
      );
    }
  } finally {
    sealer.destroy();
    sealedRuns.give(output);
  }
}

/** Resolves to how much of the buffer is still in use: nothing. */
async function writeOut(file: FileHandle, buffer: Buffer, length_bytes: number): Promise<0> {
  for (let at = 0; at < length_bytes;) {
    const { bytesWritten } = await file.write(buffer, at, length_bytes - at);
    at += bytesWritten;
  }
  return 0;
}
