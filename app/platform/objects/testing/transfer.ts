// A process of its own: stores and reads back one large object and reports how far its memory grew. Started by the tests.
import { createHash } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { systemRandom, uuidV4 } from '@auditrax/base';
import { openObjectStore } from '../store.ts';
import { tenantKeysInMemory } from './tenant-keys.ts';

/** What one transfer cost. */
export interface TransferReport {
  readonly sizeBytes: number;
  readonly sha256Matches: boolean;
  readonly rssGrowthBytes: number;
}

const CHUNK_BYTES = 64 * 1024;

async function* pseudoFile(size_bytes: number, onChunk: (chunk: Uint8Array) => void): AsyncGenerator<Uint8Array> {
  const pattern = systemRandom.bytes(CHUNK_BYTES);
  for (let sent = 0; sent < size_bytes; sent += CHUNK_BYTES) {
    // A new buffer each time, as a socket gives.
    const chunk = Buffer.from(pattern.subarray(0, Math.min(CHUNK_BYTES, size_bytes - sent)));
    chunk.writeUInt32BE((sent / CHUNK_BYTES) >>> 0, 0);
    onChunk(chunk);
    yield chunk;
  }
}

async function transfer(directory: string, sizeBytes: number): Promise<TransferReport> {
  const store = await openObjectStore({ directory, random: systemRandom, keys: tenantKeysInMemory(systemRandom) });
  const context = { tenantId: uuidV4(systemRandom), tenantPart: 1, requestId: 'transfer' };
  const run = async (size: number, onTick: () => void): Promise<boolean> => {
    const objectId = uuidV4(systemRandom);
    const { sealedKey } = await store.startUpload({ context, objectId, sizeBytes: size });
    const object = { objectId, sizeBytes: size, sealedKey };
    const sent = createHash('sha256');
    const source = pseudoFile(size, (chunk) => {
      sent.update(chunk);
      onTick();
    });
    await store.writeParts({ context, object, offset: 0, source });
    const manifest = await store.complete({ context, object });
    const read = createHash('sha256');
    for await (const piece of await store.readStream({ context, object, manifest })) {
      read.update(piece as Buffer);
      onTick();
    }
    await store.remove({ context, objectId });
    const digest = sent.digest('hex');
    return manifest.sha256 === digest && read.digest('hex') === digest;
  };
  // Once small, so that code and buffers that any transfer needs are not counted.
  await run(24 * 1024 * 1024, () => undefined);
  const base = process.memoryUsage().rss;
  let peak = base;
  let ticks = 0;
  const sha256Matches = await run(sizeBytes, () => {
    ticks += 1;
    if (ticks % 16 === 0) peak = Math.max(peak, process.memoryUsage.rss());
  });
  return { sizeBytes, sha256Matches, rssGrowthBytes: peak - base };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.stdout.write(JSON.stringify(await transfer(process.argv[2]!, Number(process.argv[3]))));
}
