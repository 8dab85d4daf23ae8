import { constants } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Uuid } from '@auditrax/base';
import { sealedPartBytes } from '@auditrax/seal';

/** Retried whole when a connection breaks; small enough for a bad line, large enough that 2 GiB are 256 files. */
export const PART_BYTES = 8 * 1024 * 1024;
/** 8 GiB in parts of 8 MiB, with room to spare; also the bound of every loop over parts. */
export const PARTS_MAX = 4_096;
export const OBJECT_BYTES_MAX = PART_BYTES * PARTS_MAX;

/** What the owner of an object keeps about it from the first request on. */
export interface ObjectName {
  readonly tenantId: Uuid;
  readonly objectId: Uuid;
  readonly size_bytes: number;
}

/** An empty object is one empty part. */
export function partCount(size_bytes: number): number {
  return Math.max(1, Math.ceil(size_bytes / PART_BYTES));
}

export function partPlainBytes(object: ObjectName, index: number): number {
  return Math.min(PART_BYTES, object.size_bytes - index * PART_BYTES);
}

/** Unfinished and published objects. */
export const KINDS = ['uploads', 'objects'] as const;
export type ObjectKind = (typeof KINDS)[number];
type FolderOf = (object: Pick<ObjectName, 'tenantId' | 'objectId'>) => string;

/**
 * Where things lie: `<directory>/<uploads|objects>/<tenant>/<object>/part-00000`. Ids are UUIDs: no name reaches a path.
 * While a tenant moves to another store, all of it lies in `<directory>/leaving/<tenant>`: there it is read, and nothing
 * that still writes by the usual path finds its folder.
 */
export interface Layout {
  readonly uploads: FolderOf;
  readonly objects: FolderOf;
  readonly leavingUploads: FolderOf;
  readonly leavingObjects: FolderOf;
  /** Folder of everything of a tenant that is leaving. */
  readonly leaving: (tenantId: Uuid) => string;
}

export function layoutOf(directory: string): Layout {
  const leaving = (tenantId: Uuid) => join(directory, 'leaving', tenantId);
  const place =
    (kind: ObjectKind): FolderOf =>
    ({ tenantId, objectId }) =>
      join(directory, kind, tenantId, objectId);
  const onItsWay =
    (kind: ObjectKind): FolderOf =>
    ({ tenantId, objectId }) =>
      join(leaving(tenantId), kind, objectId);
  return {
    uploads: place('uploads'),
    objects: place('objects'),
    leavingUploads: onItsWay('uploads'),
    leavingObjects: onItsWay('objects'),
    leaving,
  };
}

export function partFile(folder: string, index: number): string {
  return join(folder, `part-${String(index).padStart(5, '0')}`);
}

/** Bytes of the parts that are durable, counted from the start without a gap. */
export async function receivedBytes(folder: string, object: ObjectName): Promise<number> {
  let received = 0;
  for (let index = 0; index < partCount(object.size_bytes); index += 1) {
    const size = await fileBytes(partFile(folder, index));
    if (size !== sealedPartBytes(partPlainBytes(object, index))) break;
    received += partPlainBytes(object, index);
  }
  return received;
}

/** Size of a file, undefined when there is none. */
export async function fileBytes(path: string): Promise<number | undefined> {
  return stat(path).then(
    (facts) => facts.size,
    (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return undefined;
      throw cause;
    },
  );
}

/** Makes a folder whose name survives a power cut: each level is synced into the one above. */
export async function makeFolder(path: string): Promise<void> {
  if ((await fileBytes(path)) !== undefined) return;
  await makeFolder(dirname(path));
  await mkdir(path, { mode: 0o700, recursive: true });
  await syncFolder(dirname(path));
}

/** Makes renames and new names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
