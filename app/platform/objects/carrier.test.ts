import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCarrier, type ObjectCarrier } from './carrier.ts';
import { PART_BYTES } from './layout.ts';
import { openRegionalStore, type ObjectStore, type StoredObject } from './store.ts';
import { tenantKeysInMemory } from './testing/tenant-keys.ts';

const random = systemRandom;
const withCode = (code: string) => expect.objectContaining({ code });
const tenant = (part: number): TenantContext => ({ tenantId: uuidV4(random), tenantPart: part, requestId: 'r' });

let folder: string;
let north: string;
let south: string;
let store: ObjectStore;
let mover: TenantContext;
let neighbour: TenantContext;
let carrier: ObjectCarrier;
const regions = new Map<Uuid, string>();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'carrier-'));
  [north, south] = [join(folder, 'north'), join(folder, 'south')];
  await mkdir(south);
  [mover, neighbour] = [tenant(1), tenant(2)];
  store = await openRegionalStore({
    stores: new Map([
      ['north', north],
      ['south', south],
    ]),
    regionOf: (tenantId) => Promise.resolve(regions.get(tenantId) ?? 'north'),
    random,
    keys: tenantKeysInMemory(random),
    freeBytesFloor: 0,
  });
  carrier = openCarrier({ tenantId: mover.tenantId, from: north, to: south });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function start(context: TenantContext, sizeBytes: number): Promise<StoredObject> {
  const objectId = uuidV4(random);
  const { sealedKey } = await store.startUpload({ context, objectId, sizeBytes });
  return { objectId, sizeBytes, sealedKey };
}

async function put(context: TenantContext, bytes: Uint8Array) {
  const object = await start(context, bytes.length);
  await store.writeParts({ context, object, offset: 0, source: once(bytes) });
  return { context, object, manifest: await store.complete({ context, object }) };
}

async function read(stored: Awaited<ReturnType<typeof put>>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of await store.readStream(stored)) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

/** Every file of a tenant below a store, wherever it lies. */
async function filesOf(region: string, { tenantId }: TenantContext): Promise<string[]> {
  const names = await readdir(region, { recursive: true, withFileTypes: true });
  return names.filter((entry) => entry.isFile() && entry.parentPath.includes(tenantId)).map((entry) => entry.name);
}

const quiet = () => Promise.resolve();

describe('each region has a store of its own', () => {
  it('what belongs to a tenant lies in the store of its region and no other', async () => {
    regions.set(mover.tenantId, 'south');
    const bytes = Buffer.from(random.bytes(1000));
    const stored = await put(mover, bytes);
    expect(await filesOf(south, mover)).toHaveLength(1);
    expect(await filesOf(north, mover)).toHaveLength(0);
    expect(await read(stored)).toEqual(bytes);
  });

  it('a region whose disk is away is refused, not served from another, and nothing is made in its stead', async () => {
    regions.set(mover.tenantId, 'south');
    await rm(south, { recursive: true });
    await expect(start(mover, 10)).rejects.toEqual(withCode('object_store_unavailable'));
    regions.set(mover.tenantId, 'east');
    await expect(start(mover, 10)).rejects.toEqual(withCode('object_store_unavailable'));
    expect(await readdir(folder)).toEqual(['north']);
    await put(neighbour, Buffer.from('still served'));
    await expect(carrier.copy(quiet)).rejects.toEqual(withCode('object_store_unavailable'));
  });
});

describe('a tenant that moves takes its files along', () => {
  it('all of them, also what came or was published meanwhile, proven, and readable at every moment', async () => {
    const bytes = Buffer.from(random.bytes(PART_BYTES + 1));
    const first = await put(mover, bytes);
    const others = await put(neighbour, Buffer.from('of somebody else'));
    const open = await start(mover, PART_BYTES + 5);
    await store.writeParts({ context: mover, object: open, offset: 0, source: once(bytes.subarray(0, PART_BYTES)) });
    const untouched = await start(mover, 4);
    const published = await start(mover, 6);
    await store.writeParts({ context: mover, object: published, offset: 0, source: once(Buffer.from('public')) });
    const dropped = await put(mover, Buffer.from('dropped'));
    let seen = 0;
    await carrier.copy(() => ((seen += 1), Promise.resolve()));
    expect(seen).toBe(5);

    const late = await put(mover, Buffer.from('late'));
    const manifest = await store.complete({ context: mover, object: published });
    await store.remove({ context: mover, objectId: dropped.object.objectId });
    const proof = await carrier.freeze();
    expect(proof).toEqual({ rows: 5, bytes: expect.any(Number), sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    // Frozen: read as before, written by nobody.
    expect((await read(first)).equals(bytes)).toBe(true);
    expect(await store.received({ context: mover, object: open })).toBe(PART_BYTES);
    const writing = store.writeParts({ context: mover, object: open, offset: PART_BYTES, source: once(bytes) });
    await expect(writing).rejects.toEqual(withCode('object_moving'));
    await expect(store.complete({ context: mover, object: untouched })).rejects.toEqual(withCode('object_moving'));
    await expect(start(mover, 1)).rejects.toEqual(withCode('object_moving'));

    regions.set(mover.tenantId, 'south');
    await carrier.clear();
    expect(await filesOf(north, mover)).toEqual([]);
    expect(await filesOf(south, mover)).toHaveLength(5);
    expect((await read(first)).equals(bytes)).toBe(true);
    expect((await read(late)).toString()).toBe('late');
    expect((await read({ context: mover, object: published, manifest })).toString()).toBe('public');
    await store.writeParts({ context: mover, object: open, offset: PART_BYTES, source: once(Buffer.from('12345')) });
    expect((await store.complete({ context: mover, object: open })).sha256).toBe(
      createHash('sha256').update(bytes.subarray(0, PART_BYTES)).update('12345').digest('hex'),
    );
    await store.writeParts({ context: mover, object: untouched, offset: 0, source: once(Buffer.from('four')) });
    expect((await read(others)).toString()).toBe('of somebody else');
  });

  it('a download that is under way goes on at the new place', async () => {
    const bytes = Buffer.from(random.bytes(3 * PART_BYTES));
    const stored = await put(mover, bytes);
    const pieces: Buffer[] = [];
    let isMoved = false;
    for await (const piece of await store.readStream(stored)) {
      pieces.push(piece as Buffer);
      if (isMoved) continue;
      isMoved = true;
      await carrier.copy(quiet);
      await carrier.freeze();
      regions.set(mover.tenantId, 'south');
      await carrier.clear();
    }
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
  });

  it('a part that is being written when it is taken away is kept nowhere, and the sender may go on later', async () => {
    const object = await start(mover, PART_BYTES);
    const slow = (async function* () {
      yield Buffer.alloc(PART_BYTES / 2);
      await carrier.copy(quiet);
      await carrier.freeze();
      yield Buffer.alloc(PART_BYTES / 2);
    })();
    const writing = store.writeParts({ context: mover, object, offset: 0, source: slow });
    await expect(writing).rejects.toEqual(withCode('object_moving'));
    regions.set(mover.tenantId, 'south');
    await carrier.clear();
    expect(await store.received({ context: mover, object })).toBe(0);
    await store.writeParts({ context: mover, object, offset: 0, source: once(Buffer.alloc(PART_BYTES)) });
  });

  it('is whole again where it was when the move is taken back, also by another process after a crash', async () => {
    const stored = await put(mover, Buffer.from('here'));
    await carrier.copy(quiet);
    await carrier.freeze();
    const next = openCarrier({ tenantId: mover.tenantId, from: north, to: south });
    await next.takeBack();
    expect(await filesOf(south, mover)).toEqual([]);
    expect((await read(stored)).toString()).toBe('here');
    const more = await put(mover, Buffer.from('more'));
    await next.copy(quiet);
    expect((await next.freeze()).rows).toBe(2);
    regions.set(mover.tenantId, 'south');
    await next.clear();
    expect((await read(more)).toString()).toBe('more');
  });

  it('is not believed to have arrived when a file has gone or another one is there', async () => {
    const stored = await put(mover, Buffer.from('here'));
    await carrier.copy(quiet);
    const staged = join(south, 'arriving', mover.tenantId, 'objects', stored.object.objectId);
    await rm(join(staged, 'part-00000'));
    await expect(carrier.freeze()).rejects.toEqual(withCode('object_missing'));
    await carrier.takeBack();
    await carrier.copy(quiet);
    await writeFile(join(staged, 'part-00000'), 'longer than what was copied');
    await expect(carrier.freeze()).rejects.toEqual(withCode('object_missing'));
  });
});
