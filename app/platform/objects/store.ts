import { createHash } from 'node:crypto';
import { readdir, rename, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { fromBase64Url, isAppError } from '@auditrax/base';
import type { Random, Uuid } from '@auditrax/base';
import { fieldKeyVersion, KEY_BYTES, sealedPartBytes } from '@auditrax/seal';
import type { PartHeader } from '@auditrax/seal';
import type { TenantContext } from '@auditrax/tenancy';
import { Cutter } from './cutter.ts';
import { objectError } from './errors.ts';
import {
  fileBytes,
  KINDS,
  layoutOf,
  makeFolder,
  OBJECT_BYTES_MAX,
  PART_BYTES,
  partCount,
  partFile,
  partPlainBytes,
  receivedBytes,
  syncFolder,
} from './layout.ts';
import type { Layout, ObjectName } from './layout.ts';
import { manifestPart } from './manifest.ts';
import type { Manifest } from './manifest.ts';
import { measurePart, readPart } from './part-reader.ts';
import type { PartSource } from './part-reader.ts';
import { UNFINISHED_SUFFIX, writePart } from './part-writer.ts';

/** Kept free for the database and its log: a full disk stops it, a refused upload does not. */
export const FREE_BYTES_FLOOR = 1024 * 1024 * 1024;

/**
 * For a process that moves files. Used buffers wait for the next young collection, and V8 lets about twice this space
 * of them wait: with its default of 16 MiB a long transfer may hold some 70 MiB that nobody needs.
 */
export const NODE_OPTIONS_FOR_TRANSFERS: readonly string[] = ['--max-semi-space-size=2'];

/** Wraps the random key of an object under the tenant's key for objects; the room that holds the keys does it. */
export interface ObjectKeys {
  sealObjectKey(input: { context: TenantContext; objectId: Uuid; key: Uint8Array }): Promise<Buffer>;
  openObjectKey(input: { context: TenantContext; objectId: Uuid; sealed: Uint8Array }): Promise<Buffer>;
}

/** What the owner keeps in its row from the start of an upload and hands back with every call. */
export interface StoredObject {
  readonly objectId: Uuid;
  readonly sizeBytes: number;
  /** The object's key under the tenant's key: without it the parts are noise, so deleting the row shreds the object. */
  readonly sealedKey: Uint8Array;
}

/** Every call belongs to the tenant of its context; another tenant's object is `object_missing` or does not open. */
export interface ObjectStore {
  readonly partBytes: number;
  /** Throws `object_too_large`, `storage_full`. Nothing secret touches the disk. */
  startUpload(input: { context: TenantContext; objectId: Uuid; sizeBytes: number }): Promise<{ sealedKey: Buffer }>;
  /** Bytes that are durable: where to go on. Throws `object_missing`; answers the whole size once complete. */
  received(input: { context: TenantContext; object: StoredObject }): Promise<number>;
  /**
   * Writes from `offset`, which must be the position to go on from, as many whole parts as the stream holds; reads no
   * faster than the disk takes. `received` in the reply is durable. Throws `upload_offset_mismatch`, `upload_busy`,
   * `upload_complete`, `upload_length_mismatch` (ends inside a part, or goes on past the end), `upload_interrupted` (the
   * stream failed), `storage_full`, `object_missing`; whole parts stay, a broken one leaves nothing.
   */
  writeParts(input: {
    context: TenantContext;
    object: StoredObject;
    offset: number;
    source: AsyncIterable<Uint8Array>;
  }): Promise<{ received: number }>;
  /** Reads everything back, then publishes it. May be repeated. Throws `upload_incomplete` and what reading throws. */
  complete(input: { context: TenantContext; object: StoredObject }): Promise<Manifest>;
  /** Verified plaintext, piece by piece. Throws (as the stream's error, too) `object_missing` and seal's codes. */
  readStream(input: { context: TenantContext; object: StoredObject; manifest: Manifest }): Promise<Readable>;
  /** Removes upload and object. Idempotent. */
  remove(input: { context: TenantContext; objectId: Uuid }): Promise<void>;
}

interface StoreParts {
  readonly random: Random;
  readonly keys: ObjectKeys;
  readonly freeBytesFloor?: number;
  /** Free bytes of the file system of a folder; handed in by tests. */
  readonly freeBytes?: (directory: string) => Promise<number>;
}

export interface ObjectStoreOptions extends StoreParts {
  readonly directory: string;
}

/** Opens the store, making the folder when missing, and removes what unfinished writes of an earlier run left. */
export async function openObjectStore({ directory, ...parts }: ObjectStoreOptions): Promise<ObjectStore> {
  await prepareStore(directory);
  return new DiskObjectStore(parts, () => Promise.resolve(directory));
}

async function prepareStore(directory: string): Promise<void> {
  for (const kind of KINDS) await makeFolder(join(directory, kind));
  await removeUnfinished(join(directory, 'uploads'));
}

export interface RegionalStoreOptions extends StoreParts {
  /** A folder for each region, that of home first. Only home's is made when it is missing. */
  readonly stores: ReadonlyMap<string, string>;
  /** Where a tenant lives now; asked for every part, so that a move is followed. */
  readonly regionOf: (tenantId: Uuid) => Promise<string>;
}

/**
 * One store a region: what belongs to a tenant is written to and read from the store of its region and no other. A region
 * whose folder is missing answers `object_store_unavailable`, and the others are served: making the folder would keep the
 * files of a region on whatever disk is there while its own is not.
 */
export async function openRegionalStore({ stores, regionOf, ...parts }: RegionalStoreOptions): Promise<ObjectStore> {
  const prepared = new Map<string, Promise<void>>();
  const prepare = (directory: string): Promise<void> => {
    const known = prepared.get(directory) ?? prepareStore(directory);
    prepared.set(directory, known);
    known.catch(() => prepared.delete(directory)); // tried again by the next who needs it
    return known;
  };
  const [home] = stores.values();
  if (home !== undefined) await prepare(home);
  return new DiskObjectStore(parts, async (tenantId) => {
    const region = await regionOf(tenantId);
    const directory = stores.get(region);
    const isThere = directory !== undefined && (await fileBytes(directory)) !== undefined;
    if (!isThere) throw objectError('object_store_unavailable', `the store of region ${region} is not there`);
    await prepare(directory);
    return directory;
  });
}

/** Looks at the place of a part that was gone: a tenant's files move at most once while one is read. */
const PART_LOOKS_MAX = 3;

class DiskObjectStore implements ObjectStore {
  readonly partBytes = PART_BYTES;
  readonly #options: StoreParts;
  readonly #directoryOf: (tenantId: Uuid) => Promise<string>;
  readonly #busy = new Set<string>();

  constructor(options: StoreParts, directoryOf: (tenantId: Uuid) => Promise<string>) {
    this.#options = options;
    this.#directoryOf = directoryOf;
  }

  async startUpload(input: {
    context: TenantContext;
    objectId: Uuid;
    sizeBytes: number;
  }): Promise<{ sealedKey: Buffer }> {
    const { context, objectId, sizeBytes } = input;
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > OBJECT_BYTES_MAX) {
      const publicDetail = `A file has at most ${OBJECT_BYTES_MAX} bytes.`;
      throw objectError('object_too_large', `an object of ${sizeBytes} bytes is refused`, { publicDetail });
    }
    const { tenantId } = context;
    const directory = await this.#directoryOf(tenantId);
    await this.#checkSpace(directory, sealedPartBytes(sizeBytes));
    const layout = layoutOf(directory);
    if ((await fileBytes(layout.leaving(tenantId))) !== undefined) throw moving(objectId);
    const key = this.#options.random.bytes(KEY_BYTES);
    const sealedKey = await this.#options.keys.sealObjectKey({ context, objectId, key });
    key.fill(0);
    await makeFolder(layout.uploads({ tenantId, objectId }));
    return { sealedKey };
  }

  async received(input: { context: TenantContext; object: StoredObject }): Promise<number> {
    const name = nameOf(input);
    const layout = await this.#layout(name);
    if ((await publishedFolder(layout, name)) !== undefined) return name.size_bytes;
    const folder = await firstThere([layout.uploads(name), layout.leavingUploads(name)]);
    if (folder === undefined) throw missing(name);
    return receivedBytes(folder, name);
  }

  async writeParts(input: Parameters<ObjectStore['writeParts']>[0]): Promise<{ received: number }> {
    const name = nameOf(input);
    return this.#exclusively(name, async () => {
      const folder = await uploadFolder(await this.#layout(name), name);
      const start = await receivedBytes(folder, name);
      if (input.offset !== start || (start === name.size_bytes && start > 0)) {
        throw objectError('upload_offset_mismatch', `offset ${input.offset}, expected ${start}`, {
          publicDetail: `Continue from byte ${start}.`,
        });
      }
      const cutter = new Cutter(input.source);
      const key = await this.#openKey(input);
      try {
        return { received: await this.#writeFrom({ name, folder, key, object: input.object }, cutter) };
      } catch (error) {
        if (isGone(error)) throw moving(name.objectId, error);
        if (isAppError(error) || isDiskError(error)) throw error;
        throw objectError('upload_interrupted', 'the sender went away', { cause: error });
      } finally {
        key.fill(0);
        await cutter.close();
      }
    });
  }

  async #writeFrom(
    upload: { name: ObjectName; folder: string; key: Buffer; object: StoredObject },
    cutter: Cutter,
  ): Promise<number> {
    const { name, folder, key, object } = upload;
    let received = await receivedBytes(folder, name);
    const first = received / PART_BYTES;
    for (let index = first; index < partCount(name.size_bytes); index += 1) {
      // An empty object is one empty part; otherwise the stream may stop at any part boundary.
      if (name.size_bytes > 0 && !(await cutter.hasMore())) return received;
      const size_bytes = partPlainBytes(name, index);
      await this.#checkSpace(folder, sealedPartBytes(size_bytes));
      const target = { ...this.#part({ name, folder, key, object }, index), random: this.#options.random };
      await writePart(target, target.header.last ? lastBytes(cutter, size_bytes) : cutter.take(size_bytes));
      received += size_bytes;
    }
    return received;
  }

  async complete(input: { context: TenantContext; object: StoredObject }): Promise<Manifest> {
    const name = nameOf(input);
    return this.#exclusively(name, async () => {
      const layout = await this.#layout(name);
      const published = layout.objects(name);
      const there = await publishedFolder(layout, name);
      const folder = there ?? (await uploadFolder(layout, name));
      const received = await receivedBytes(folder, name);
      if (received !== name.size_bytes || (await fileBytes(partFile(folder, 0))) === undefined) {
        throw objectError('upload_incomplete', `${received} of ${name.size_bytes} bytes arrived`, {
          publicDetail: `Continue from byte ${received}.`,
        });
      }
      const manifest = await this.#measure({ name, folder, object: input.object, key: await this.#openKey(input) });
      if (there === undefined) {
        await makeFolder(dirname(published));
        await rename(folder, published).catch((error: unknown) => {
          throw isGone(error) ? moving(name.objectId, error) : error;
        });
        await syncFolder(dirname(published));
        await syncFolder(dirname(folder));
      }
      return manifest;
    });
  }

  /** Reads what is on the disk, not what was once sent: the manifest describes bytes that open. */
  async #measure(upload: { name: ObjectName; folder: string; object: StoredObject; key: Buffer }): Promise<Manifest> {
    const { name, object } = upload;
    const whole = createHash('sha256');
    const parts: Manifest['parts'] = [];
    for (let index = 0; index < partCount(name.size_bytes); index += 1) {
      const facts = await measurePart(this.#part(upload, index), (piece) => void whole.update(piece));
      parts.push(manifestPart({ size_bytes: partPlainBytes(name, index), ...facts }));
    }
    upload.key.fill(0);
    return {
      format: 'AXM1',
      size_bytes: name.size_bytes,
      sha256: whole.digest('hex'),
      dekVersion: fieldKeyVersion(object.sealedKey),
      parts,
    };
  }

  async readStream(input: { context: TenantContext; object: StoredObject; manifest: Manifest }): Promise<Readable> {
    const name = nameOf(input);
    const { manifest } = input;
    const folder = await publishedFolder(await this.#layout(name), name);
    if (folder === undefined) throw missing(name);
    if (manifest.size_bytes !== name.size_bytes || manifest.parts.length !== partCount(name.size_bytes)) {
      throw objectError('object_missing', `the manifest of object ${name.objectId} does not describe it`);
    }
    const upload = { name, folder, object: input.object, key: await this.#openKey(input) };
    const pieces = this.#pieces(upload, manifest);
    // A stream of bytes, not of objects: its buffer counts bytes and stays small.
    return Readable.from(pieces, { objectMode: false, highWaterMark: 256 * 1024 });
  }

  async *#pieces(
    upload: { name: ObjectName; folder: string; object: StoredObject; key: Buffer },
    manifest: Manifest,
  ): AsyncGenerator<Buffer, void, undefined> {
    try {
      for (const [index, recorded] of manifest.parts.entries()) {
        const part = { ...this.#part(upload, index, manifest.dekVersion), salt: fromBase64Url(recorded.salt)! };
        // An empty piece would end a byte stream early.
        for await (const piece of this.#partOf(upload, index, part)) if (piece.length > 0) yield piece;
      }
    } finally {
      upload.key.fill(0);
    }
  }

  /** A part of an object whose tenant may move while it is read: one that is gone is looked for where it is now. */
  async *#partOf(
    upload: { name: ObjectName; folder: string },
    index: number,
    part: PartSource,
  ): AsyncGenerator<Buffer, void, undefined> {
    let path = part.path;
    for (let look = 1; ; look += 1) {
      let isBegun = false;
      try {
        for await (const piece of readPart({ ...part, path })) {
          isBegun = true;
          yield piece;
        }
        return;
      } catch (error) {
        if (isBegun || look >= PART_LOOKS_MAX || !isGone((error as Error).cause)) throw error;
        const folder = await publishedFolder(await this.#layout(upload.name), upload.name);
        if (folder === undefined) throw error;
        path = partFile(folder, index);
      }
    }
  }

  async remove(input: { context: TenantContext; objectId: Uuid }): Promise<void> {
    const name = { tenantId: input.context.tenantId, objectId: input.objectId, size_bytes: 0 };
    await this.#exclusively(name, async () => {
      const { uploads, objects, leavingUploads, leavingObjects } = await this.#layout(name);
      for (const folderOf of [uploads, objects, leavingUploads, leavingObjects]) {
        await rm(folderOf(name), { recursive: true, force: true });
      }
    });
  }

  async #layout({ tenantId }: Pick<ObjectName, 'tenantId'>): Promise<Layout> {
    return layoutOf(await this.#directoryOf(tenantId));
  }

  #part(
    upload: { name: ObjectName; folder: string; object: StoredObject; key: Buffer },
    index: number,
    dekVersion: number = fieldKeyVersion(upload.object.sealedKey),
  ): PartSource {
    const { name, folder, key } = upload;
    const header: PartHeader = {
      last: index === partCount(name.size_bytes) - 1,
      dekVersion,
      objectId: name.objectId,
      partIndex: index,
      size_bytes: partPlainBytes(name, index),
    };
    return { path: partFile(folder, index), header, owner: { tenantId: name.tenantId, rowId: name.objectId }, key };
  }

  #openKey(input: { context: TenantContext; object: StoredObject }): Promise<Buffer> {
    const { context, object } = input;
    return this.#options.keys.openObjectKey({ context, objectId: object.objectId, sealed: object.sealedKey });
  }

  async #checkSpace(directory: string, wanted_bytes: number): Promise<void> {
    const { freeBytesFloor = FREE_BYTES_FLOOR, freeBytes = freeBytesOf } = this.#options;
    const free = await freeBytes(directory);
    if (free - wanted_bytes < freeBytesFloor) {
      throw objectError(
        'storage_full',
        `${free} bytes are free, ${wanted_bytes} are wanted and ${freeBytesFloor} stay free`,
      );
    }
  }

  async #exclusively<T>(name: ObjectName, work: () => Promise<T>): Promise<T> {
    const token = `${name.tenantId}/${name.objectId}`;
    if (this.#busy.has(token)) throw objectError('upload_busy', `object ${name.objectId} is being written`);
    this.#busy.add(token);
    try {
      return await work();
    } finally {
      this.#busy.delete(token);
    }
  }
}

/** The end of an object: what goes on after it is refused before the last part is stored. */
async function* lastBytes(cutter: Cutter, size_bytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  yield* cutter.take(size_bytes);
  if (await cutter.hasMore()) throw objectError('upload_length_mismatch', 'more than the announced bytes arrived');
}

async function firstThere(folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) if ((await fileBytes(folder)) !== undefined) return folder;
  return undefined;
}

function publishedFolder(layout: Layout, name: ObjectName): Promise<string | undefined> {
  return firstThere([layout.objects(name), layout.leavingObjects(name)]);
}

async function uploadFolder(layout: Layout, name: ObjectName): Promise<string> {
  if ((await publishedFolder(layout, name)) !== undefined) {
    throw objectError('upload_complete', `object ${name.objectId} is complete`);
  }
  const folder = layout.uploads(name);
  if ((await fileBytes(folder)) !== undefined) return folder;
  throw (await fileBytes(layout.leavingUploads(name))) === undefined ? missing(name) : moving(name.objectId);
}

async function freeBytesOf(directory: string): Promise<number> {
  const facts = await statfs(directory);
  return facts.bavail * facts.bsize;
}

function nameOf(input: { context: TenantContext; object: StoredObject }): ObjectName {
  return { tenantId: input.context.tenantId, objectId: input.object.objectId, size_bytes: input.object.sizeBytes };
}

function missing(name: ObjectName): Error {
  return objectError('object_missing', `there is no object ${name.objectId}`);
}

function moving(objectId: Uuid, cause?: unknown): Error {
  return objectError('object_moving', `the tenant of object ${objectId} is being moved`, { cause });
}

/** The folder was taken away under the writer's or reader's hands. */
function isGone(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

/** Errors of this machine, as against a sender that went away. */
function isDiskError(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return (
    code !== undefined &&
    ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EACCES', 'EPERM', 'EMFILE', 'ENFILE', 'ENOENT'].includes(code)
  );
}

async function removeUnfinished(uploads: string): Promise<void> {
  for (const name of await readdir(uploads, { recursive: true })) {
    if (name.endsWith(UNFINISHED_SUFFIX)) await rm(join(uploads, name), { force: true });
  }
}
