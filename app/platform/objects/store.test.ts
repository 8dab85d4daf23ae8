import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { systemRandom, uuidV4 } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OBJECT_BYTES_MAX, PART_BYTES } from './layout.ts';
import { decodeManifest, encodeManifest } from './manifest.ts';
import type { Manifest } from './manifest.ts';
import { NODE_OPTIONS_FOR_TRANSFERS, openObjectStore } from './store.ts';
import type { ObjectKeys, ObjectStore, StoredObject } from './store.ts';
import { tenantKeysInMemory } from './testing/tenant-keys.ts';
import type { TransferReport } from './testing/transfer.ts';

const random = systemRandom;
const withCode = (code: string) => expect.objectContaining({ code });
const tenant = (): TenantContext => ({ tenantId: uuidV4(random), tenantPart: 7, requestId: 'r' });

let directory: string;
let keys: ObjectKeys;
let store: ObjectStore;
let context: TenantContext;

const reopen = async (change: { freeBytes?: () => Promise<number> } = {}): Promise<ObjectStore> =>
  openObjectStore({ directory, random, keys, freeBytesFloor: 0, ...change });

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'objects-'));
  keys = tenantKeysInMemory(random);
  store = await reopen();
  context = tenant();
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function* inPieces(bytes: Uint8Array, size = 60_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function start(sizeBytes: number): Promise<StoredObject> {
  const objectId = uuidV4(random);
  const { sealedKey } = await store.startUpload({ context, objectId, sizeBytes });
  return { objectId, sizeBytes, sealedKey };
}

async function stored(bytes: Uint8Array): Promise<{ object: StoredObject; manifest: Manifest }> {
  const object = await start(bytes.length);
  await store.writeParts({ context, object, offset: 0, source: inPieces(bytes) });
  return { object, manifest: await store.complete({ context, object }) };
}

async function readAll(input: { object: StoredObject; manifest: Manifest }, as: TenantContext = context) {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of await store.readStream({ context: as, ...input })) pieces.push(piece as Buffer);
    return { bytes: Buffer.concat(pieces), code: undefined };
  } catch (error) {
    return { bytes: Buffer.concat(pieces), code: (error as { code: string }).code };
  }
}

const folderOf = (kind: 'uploads' | 'objects', object: StoredObject, of: TenantContext = context): string =>
  join(directory, kind, of.tenantId, object.objectId);

describe('what was stored comes back, and nothing of it lies in the clear', () => {
  it.each([0, 1, 16_384, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES])('%d bytes', async (size) => {
    const bytes = Buffer.from(random.bytes(size));
    const kept = await stored(bytes);
    expect(kept.manifest.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(decodeManifest(encodeManifest(kept.manifest))).toEqual(kept.manifest);
    const found = await readAll(kept);
    expect(found.code).toBeUndefined();
    expect(found.bytes.equals(bytes)).toBe(true);
    for (const [index, part] of kept.manifest.parts.entries()) {
      const file = await readFile(join(folderOf('objects', kept.object), `part-0000${index}`));
      expect(createHash('sha256').update(file).digest('hex')).toBe(part.sealedSha256);
    }
  });

  it('neither the parts, nor an unfinished part, nor a name shows the content', async () => {
    const marker = Buffer.from('KNOWN-MARKER-IN-EVIDENCE '.repeat(3_000));
    await stored(marker);
    const object = await start(PART_BYTES);
    const inspect = async () => {
      const names = (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) =>
        entry.isFile(),
      );
      expect(names.some((entry) => entry.name.endsWith('.unfinished'))).toBe(true);
      for (const entry of names) {
        const path = join(entry.parentPath, entry.name);
        expect((await readFile(path)).includes('KNOWN-MARKER'), path).toBe(false);
        expect((await stat(path)).mode & 0o077, path).toBe(0);
      }
    };
    const stuck = (async function* () {
      yield* inPieces(Buffer.concat(Array(40).fill(marker)));
      await inspect();
      throw new Error('gone');
    })();
    await expect(store.writeParts({ context, object, offset: 0, source: stuck })).rejects.toThrow(
      withCode('upload_interrupted'),
    );
  });
});

describe('an upload survives bad lines and restarts', () => {
  it('goes on part by part, in another process, from the position it is told', async () => {
    const bytes = Buffer.from(random.bytes(2 * PART_BYTES + 500));
    const object = await start(bytes.length);
    expect(await store.received({ context, object })).toBe(0);
    await store.writeParts({ context, object, offset: 0, source: inPieces(bytes.subarray(0, PART_BYTES)) });
    expect(await store.received({ context, object })).toBe(PART_BYTES);
    store = await reopen();
    const broken = (async function* () {
      yield* inPieces(bytes.subarray(PART_BYTES, PART_BYTES + 300_000));
      throw new Error('ECONNRESET');
    })();
    await expect(store.writeParts({ context, object, offset: PART_BYTES, source: broken })).rejects.toThrow(
      withCode('upload_interrupted'),
    );
    expect(await store.received({ context, object })).toBe(PART_BYTES);
    await expect(store.complete({ context, object })).rejects.toThrow(withCode('upload_incomplete'));
    const rest = await store.writeParts({
      context,
      object,
      offset: PART_BYTES,
      source: inPieces(bytes.subarray(PART_BYTES)),
    });
    expect(rest).toEqual({ received: bytes.length });
    const manifest = await store.complete({ context, object });
    expect((await readAll({ object, manifest })).bytes.equals(bytes)).toBe(true);
    expect(await store.complete({ context, object })).toEqual(manifest);
    expect(await store.received({ context, object })).toBe(bytes.length);
    await expect(store.writeParts({ context, object, offset: 0, source: inPieces(bytes) })).rejects.toThrow(
      withCode('upload_complete'),
    );
  });

  it('a retried part never shares a salt with the attempt before', async () => {
    const object = await start(PART_BYTES + 1);
    const first = Buffer.from(random.bytes(PART_BYTES));
    const salts = new Set<string>();
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await store.writeParts({ context, object, offset: 0, source: inPieces(first) });
      const file = join(folderOf('uploads', object), 'part-00000');
      salts.add((await readFile(file)).subarray(40, 64).toString('hex'));
      await rm(file);
    }
    expect(salts.size).toBe(3);
  });

  it('too few, too many, and misplaced bytes are refused, and leave nothing', async () => {
    const object = await start(1_000);
    const write = (length: number, offset = 0) =>
      store.writeParts({ context, object, offset, source: inPieces(random.bytes(length)) });
    await expect(write(999)).rejects.toThrow(withCode('upload_length_mismatch'));
    await expect(write(1_001)).rejects.toThrow(withCode('upload_length_mismatch'));
    await expect(write(1_000, 1)).rejects.toThrow(withCode('upload_offset_mismatch'));
    await expect(write(1_000, -1)).rejects.toThrow(withCode('upload_offset_mismatch'));
    expect(await readdir(folderOf('uploads', object))).toEqual([]);
    await write(1_000);
    await expect(write(0, 1_000)).rejects.toThrow(withCode('upload_offset_mismatch'));
  });

  it('two writers at once: one is refused', async () => {
    const object = await start(200_000);
    const write = () =>
      store.writeParts({ context, object, offset: 0, source: inPieces(random.bytes(200_000), 1_000) });
    const results = await Promise.allSettled([write(), write()]);
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected']);
    expect((results[1] as PromiseRejectedResult).reason).toMatchObject({ code: 'upload_busy' });
  });

  it('a process killed in the middle of a part loses that part only', async () => {
    const script = `
      import { openObjectStore } from ${JSON.stringify(new URL('./store.ts', import.meta.url).href)};
      import { systemRandom } from '@auditrax/base';
      const keys = { openObjectKey: async () => Buffer.alloc(32, 5), sealObjectKey: async () => Buffer.alloc(78) };
      const store = await openObjectStore({ directory: process.argv[1], random: systemRandom, keys, freeBytesFloor: 0 });
      const sealed = Buffer.from('a701000000010000', 'hex');
      const object = { objectId: process.argv[3], sizeBytes: ${3 * PART_BYTES}, sealedKey: Buffer.concat([sealed, Buffer.alloc(70)]) };
      await store.startUpload({ context: { tenantId: process.argv[2] }, objectId: object.objectId, sizeBytes: object.sizeBytes });
      const source = (async function* () {
        for (let sent = 0; sent < ${PART_BYTES} + 3_000_000; sent += 65_536) yield Buffer.alloc(Math.min(65_536, ${PART_BYTES} + 3_000_000 - sent), 9);
        process.stdout.write('writing');
        await new Promise((resolve) => setTimeout(resolve, 60_000));
      })();
      await store.writeParts({ context: { tenantId: process.argv[2] }, object, offset: 0, source });`;
    const objectId = uuidV4(random);
    const args = ['--input-type=module', '-e', script, directory, context.tenantId, objectId];
    const child = execFile(process.execPath, args, { cwd: fileURLToPath(new URL('.', import.meta.url)) });
    await new Promise<void>((resolve, reject) => {
      child.stdout!.once('data', () => resolve());
      child.once('exit', (code) => reject(new Error(`ended early: ${code}`)));
    });
    await sleep(50);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    const folder = join(directory, 'uploads', context.tenantId, objectId);
    expect((await readdir(folder)).some((name) => name.endsWith('.unfinished'))).toBe(true);
    keys = { openObjectKey: async () => Buffer.alloc(32, 5), sealObjectKey: keys.sealObjectKey };
    store = await reopen();
    expect(await readdir(folder)).toEqual(['part-00000']);
    const object = {
      objectId,
      sizeBytes: 3 * PART_BYTES,
      sealedKey: Buffer.concat([Buffer.from('a70100000001', 'hex'), Buffer.alloc(72)]),
    };
    expect(await store.received({ context, object })).toBe(PART_BYTES);
    await store.writeParts({ context, object, offset: PART_BYTES, source: inPieces(Buffer.alloc(2 * PART_BYTES, 9)) });
    const manifest = await store.complete({ context, object });
    expect(manifest.sha256).toBe(
      createHash('sha256')
        .update(Buffer.alloc(3 * PART_BYTES, 9))
        .digest('hex'),
    );
  });
});

describe('nothing opens that is not exactly what was stored', () => {
  it.each([0, 4, 5, 8, 20, 28, 39, 40, 70, 96, 20_000])(
    'a changed byte at %d is refused before any byte of its chunk',
    async (at) => {
      const bytes = Buffer.from(random.bytes(40_000));
      const kept = await stored(bytes);
      const file = join(folderOf('objects', kept.object), 'part-00000');
      const sealed = await readFile(file);
      sealed[at]! ^= 1;
      await writeFile(file, sealed);
      const found = await readAll(kept);
      expect(found.code).toBeDefined();
      expect(bytes.subarray(0, found.bytes.length).equals(found.bytes)).toBe(true);
      expect(found.bytes.length).toBeLessThanOrEqual(at < 16_496 ? 0 : 16_384);
    },
  );

  it('a truncated, a removed, an exchanged and a lengthened part are refused', async () => {
    const bytes = Buffer.from(random.bytes(2 * PART_BYTES + 10));
    const kept = await stored(bytes);
    const folder = folderOf('objects', kept.object);
    const [first, second] = [join(folder, 'part-00000'), join(folder, 'part-00001')];
    const sealed = await readFile(first);
    await truncate(first, sealed.length - 1);
    expect((await readAll(kept)).code).toBe('truncated');
    await writeFile(first, Buffer.concat([sealed, Buffer.alloc(1)]));
    expect((await readAll(kept)).code).toBe('truncated');
    await writeFile(first, await readFile(second));
    expect((await readAll(kept)).code).toBe('part_mismatch');
    await rm(first);
    expect(await readAll(kept)).toEqual({ bytes: Buffer.alloc(0), code: 'truncated' });
  });

  it('an earlier genuine attempt at the same part is not the recorded one', async () => {
    const object = await start(1_000);
    await store.writeParts({ context, object, offset: 0, source: inPieces(Buffer.alloc(1_000, 1)) });
    const file = join(folderOf('uploads', object), 'part-00000');
    const earlier = await readFile(file);
    await rm(file);
    await store.writeParts({ context, object, offset: 0, source: inPieces(Buffer.alloc(1_000, 2)) });
    const manifest = await store.complete({ context, object });
    await writeFile(join(folderOf('objects', object), 'part-00000'), earlier);
    expect(await readAll({ object, manifest })).toEqual({ bytes: Buffer.alloc(0), code: 'part_mismatch' });
  });

  it('another tenant gets nothing, also when the files are put into its folder', async () => {
    const kept = await stored(Buffer.from('evidence'));
    const other = tenant();
    expect((await readAll(kept, other)).code).toBe('object_missing');
    await mkdir(join(directory, 'objects', other.tenantId), { recursive: true });
    await cp(folderOf('objects', kept.object), folderOf('objects', kept.object, other), { recursive: true });
    expect((await readAll(kept, other)).code).toBe('authentication_failed');
    const plain = random.bytes(32);
    keys = { ...keys, openObjectKey: async () => Buffer.from(plain) };
    store = await reopen();
    // Even with one and the same object key for both tenants the parts do not open for the other one.
    const shared = await stored(Buffer.from('evidence'));
    await cp(folderOf('objects', shared.object), folderOf('objects', shared.object, other), { recursive: true });
    expect((await readAll(shared)).code).toBeUndefined();
    expect(await readAll(shared, other)).toEqual({ bytes: Buffer.alloc(0), code: 'commitment_mismatch' });
  });

  it('a damaged part is noticed before the object is published', async () => {
    const object = await start(50_000);
    await store.writeParts({ context, object, offset: 0, source: inPieces(random.bytes(50_000)) });
    const file = join(folderOf('uploads', object), 'part-00000');
    const sealed = await readFile(file);
    sealed[30_000]! ^= 1;
    await writeFile(file, sealed);
    await expect(store.complete({ context, object })).rejects.toThrow(withCode('authentication_failed'));
    await expect(stat(folderOf('objects', object))).rejects.toThrow();
  });
});

describe('limits', () => {
  it('refuses before the disk is full, at the start and at every part', async () => {
    let free = 10_000_000;
    store = await openObjectStore({ directory, random, keys, freeBytesFloor: 5_000_000, freeBytes: async () => free });
    const start = (sizeBytes: number) => store.startUpload({ context, objectId: uuidV4(random), sizeBytes });
    await expect(start(6_000_000)).rejects.toThrow(withCode('storage_full'));
    expect(await readdir(join(directory, 'uploads'))).toEqual([]);
    const objectId = uuidV4(random);
    const { sealedKey } = await store.startUpload({ context, objectId, sizeBytes: 1_000 });
    free = 5_000_500;
    const object = { objectId, sizeBytes: 1_000, sealedKey };
    const attempt = store.writeParts({ context, object, offset: 0, source: inPieces(random.bytes(1_000)) });
    await expect(attempt).rejects.toThrow(withCode('storage_full'));
  });

  it.each([OBJECT_BYTES_MAX + 1, -1, 1.5, Number.NaN])('an object of %d bytes is refused', async (sizeBytes) => {
    await expect(start(sizeBytes)).rejects.toThrow(withCode('object_too_large'));
  });

  it('removal is complete and may be repeated', async () => {
    const kept = await stored(Buffer.from('x'));
    await store.remove({ context, objectId: kept.object.objectId });
    await store.remove({ context, objectId: kept.object.objectId });
    expect((await readAll(kept)).code).toBe('object_missing');
    await expect(store.received({ context, object: kept.object })).rejects.toThrow(withCode('object_missing'));
  });

  it('the disk is asked, not the sender: no more than a write is read ahead of it', async () => {
    const object = await start(PART_BYTES);
    let sent = 0;
    const reached = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const source = (async function* () {
      while (sent < PART_BYTES) {
        sent += 65_536;
        yield new Uint8Array(65_536);
        if (sent !== 1_048_576) continue;
        reached.resolve();
        await release.promise;
      }
    })();
    const writing = store.writeParts({ context, object, offset: 0, source });
    await reached.promise;
    await sleep(20);
    expect(sent).toBe(1_048_576);
    release.resolve();
    await writing;
  });
});

const SIZE_BYTES = process.env['SLOW'] === '1' ? 2 * 1024 ** 3 : 256 * 1024 ** 2;
describe('memory does not grow with the file', () => {
  it(`${SIZE_BYTES / 1024 ** 2} MiB in and out cost less than 64 MiB`, { timeout: 300_000 }, async () => {
    const script = fileURLToPath(new URL('./testing/transfer.ts', import.meta.url));
    const run = await promisify(execFile)(process.execPath, [
      ...NODE_OPTIONS_FOR_TRANSFERS,
      script,
      directory,
      String(SIZE_BYTES),
    ]);
    const report = JSON.parse(run.stdout) as TransferReport;
    expect(report.sha256Matches).toBe(true);
    expect(report.rssGrowthBytes).toBeLessThan(64 * 1024 ** 2);
  });
});
