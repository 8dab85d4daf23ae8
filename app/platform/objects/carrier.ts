import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chown, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Uuid } from '@auditrax/base';
import { objectError } from './errors.ts';
import { fileBytes, KINDS, layoutOf, makeFolder, syncFolder, type ObjectKind } from './layout.ts';
import { UNFINISHED_SUFFIX } from './part-writer.ts';

/** What both stores have shown: number and length of the files, and SHA-256 (hex) over their names, lengths and digests. */
export interface FilesProof {
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Carries a tenant's files, as they are sealed, from the store of one region to that of another. In this order: `copy`
 * while people work, `freeze` once nothing may be written, then `clear` after the switch or `takeBack` instead of it. Each
 * may be called again after a crash, by another process: what has happened stands in the folders.
 */
export interface ObjectCarrier {
  /** Takes back what an earlier attempt left, then copies every finished file. `onFile` is told of each. */
  copy(onFile: () => Promise<void>): Promise<void>;
  /** Takes the files out of the writers' way, carries what came since, compares, and puts them in place at the target. */
  freeze(): Promise<FilesProof>;
  /** Removes everything of the tenant at the source. */
  clear(): Promise<void>;
  /** As before `copy`: the source writable and whole, nothing at the target. */
  takeBack(): Promise<void>;
}

export interface CarrierInput {
  readonly tenantId: Uuid;
  /** Folders of the two stores; both must be there. */
  readonly from: string;
  readonly to: string;
  /** Whose the files at the target are to be. Absent: ours. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

interface Found {
  readonly kind: ObjectKind;
  readonly objectId: string;
  readonly part: string;
  readonly size_bytes: number;
}

interface Carried extends Found {
  readonly sha256: string;
}

type FolderOf = (kind: ObjectKind) => string;

/** See `ObjectCarrier`. Throws `object_store_unavailable`, and `object_missing` when the two sides differ. */
export function openCarrier(input: CarrierInput): ObjectCarrier {
  return new DiskCarrier(input);
}

class DiskCarrier implements ObjectCarrier {
  readonly #input: CarrierInput;
  /** By object and part: an object keeps both when it is published. */
  readonly #carried = new Map<string, Carried>();
  readonly #source: FolderOf;
  readonly #aside: FolderOf;
  readonly #staged: FolderOf;
  readonly #target: FolderOf;

  constructor(input: CarrierInput) {
    const { tenantId, from, to } = input;
    this.#input = input;
    this.#source = (kind) => join(from, kind, tenantId);
    this.#aside = (kind) => join(layoutOf(from).leaving(tenantId), kind);
    this.#staged = (kind) => join(to, 'arriving', tenantId, kind);
    this.#target = (kind) => join(to, kind, tenantId);
  }

  async copy(onFile: () => Promise<void>): Promise<void> {
    for (const store of [this.#input.from, this.#input.to]) await requireStore(store);
    await this.takeBack();
    for (const found of await listFiles(this.#source)) {
      // An upload may be given up or published meanwhile; what is there in the end is looked at under the freeze.
      await this.#carry(this.#source, found).catch(passOverGone);
      await onFile();
    }
  }

  async freeze(): Promise<FilesProof> {
    for (const kind of KINDS) await this.#moveFolder(this.#source(kind), this.#aside(kind));
    const files = await listFiles(this.#aside);
    for (const found of files) {
      const known = this.#carried.get(nameOf(found));
      if (known?.size_bytes !== found.size_bytes) await this.#carry(this.#aside, found);
      else if (known.kind !== found.kind) await this.#follow(known, found);
    }
    await this.#dropOthers(files);
    // An upload that has no part yet is its folder.
    for (const objectId of await namesIn(this.#aside('uploads'))) {
      await this.#makeFolder(join(this.#staged('uploads'), objectId));
    }
    const proof = await this.#prove(files);
    for (const kind of KINDS) await this.#moveFolder(this.#staged(kind), this.#target(kind));
    await rm(dirname(this.#staged('objects')), { recursive: true, force: true });
    return proof;
  }

  clear(): Promise<void> {
    return emptyStore(this.#input.from, this.#input.tenantId);
  }

  async takeBack(): Promise<void> {
    for (const kind of KINDS) await this.#mergeFolder(this.#aside(kind), this.#source(kind));
    await rm(dirname(this.#aside('objects')), { recursive: true, force: true });
    await emptyStore(this.#input.to, this.#input.tenantId);
    this.#carried.clear();
  }

  /** Copies a file, reads the copy back from the disk's view, and believes it when both have the same digest. */
  async #carry(from: FolderOf, found: Found): Promise<void> {
    const source = pathIn(from, found);
    const target = pathIn(this.#staged, found);
    await this.#makeFolder(dirname(target));
    const sha256 = await copyFile(source, target);
    await this.#handOver(target);
    if ((await digestOf(target)) !== sha256) {
      throw objectError('object_missing', `${nameOf(found)} did not arrive as it was`);
    }
    this.#carried.set(nameOf(found), { ...found, sha256 });
  }

  /** What was published after it had been copied changes its folder, not its bytes. */
  async #follow(known: Carried, found: Found): Promise<void> {
    const target = pathIn(this.#staged, found);
    await this.#makeFolder(dirname(target));
    await rename(pathIn(this.#staged, known), target);
    this.#carried.set(nameOf(found), { ...known, kind: found.kind });
  }

  /** What was copied and is gone since. */
  async #dropOthers(files: readonly Found[]): Promise<void> {
    const there = new Set(files.map((found) => `${found.kind}/${nameOf(found)}`));
    for (const found of await listFiles(this.#staged)) {
      if (!there.has(`${found.kind}/${nameOf(found)}`)) await rm(pathIn(this.#staged, found));
    }
  }

  async #prove(files: readonly Found[]): Promise<FilesProof> {
    const arrived = await listFiles(this.#staged);
    const summary = (list: readonly Found[]): string =>
      list.map((one) => `${one.kind}/${nameOf(one)} ${one.size_bytes}`).join();
    if (summary(arrived) !== summary(files)) {
      throw objectError('object_missing', `${arrived.length} of ${files.length} files arrived, or not the same ones`);
    }
    const whole = createHash('sha256');
    let bytes = 0;
    for (const found of files) {
      const { sha256 } = this.#carried.get(nameOf(found))!;
      whole.update(`${nameOf(found)} ${found.size_bytes} ${sha256}\n`);
      bytes += found.size_bytes;
    }
    return { rows: files.length, bytes, sha256: whole.digest('hex') };
  }

  async #makeFolder(path: string): Promise<void> {
    if ((await fileBytes(path)) !== undefined) return;
    await this.#makeFolder(dirname(path));
    await makeFolder(path);
    await this.#handOver(path);
  }

  /** In one step; nothing to do when there is no such folder. */
  async #moveFolder(from: string, to: string): Promise<void> {
    if ((await fileBytes(from)) === undefined) return;
    await this.#makeFolder(dirname(to));
    await rename(from, to);
    await syncFolder(dirname(from));
    await syncFolder(dirname(to));
  }

  /** Object by object: a writer may have begun a folder of the tenant anew meanwhile. */
  async #mergeFolder(from: string, to: string): Promise<void> {
    const names = await namesIn(from);
    if (names.length === 0) return;
    await this.#makeFolder(to);
    for (const name of names) await rename(join(from, name), join(to, name));
    await syncFolder(to);
  }

  async #handOver(path: string): Promise<void> {
    const { owner } = this.#input;
    if (owner !== undefined) await chown(path, owner.uid, owner.gid);
  }
}

const nameOf = ({ objectId, part }: Found): string => `${objectId}/${part}`;
const pathIn = (folderOf: FolderOf, found: Found): string => join(folderOf(found.kind), found.objectId, found.part);

/** A folder that is not there is another disk's: nothing is made in its stead. */
async function requireStore(folder: string): Promise<void> {
  if ((await fileBytes(folder)) === undefined) throw objectError('object_store_unavailable', `${folder} is not there`);
}

/** Every finished part, in the order of the names. */
async function listFiles(folderOf: FolderOf): Promise<Found[]> {
  const found: Found[] = [];
  for (const kind of KINDS) {
    for (const objectId of await namesIn(folderOf(kind))) {
      for (const part of await namesIn(join(folderOf(kind), objectId))) {
        if (part.endsWith(UNFINISHED_SUFFIX)) continue;
        const size_bytes = await fileBytes(join(folderOf(kind), objectId, part));
        if (size_bytes !== undefined) found.push({ kind, objectId, part, size_bytes });
      }
    }
  }
  return found;
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).then(
    (names) => names.sort(),
    (error: unknown) => {
      passOverGone(error);
      return [];
    },
  );
}

function passOverGone(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

async function copyFile(source: string, target: string): Promise<string> {
  const whole = createHash('sha256');
  const reading = createReadStream(source);
  const file = await open(target, 'w', 0o600);
  try {
    for await (const piece of reading) {
      whole.update(piece as Buffer);
      await file.writeFile(piece as Buffer);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await syncFolder(dirname(target));
  return whole.digest('hex');
}

async function digestOf(path: string): Promise<string> {
  const whole = createHash('sha256');
  for await (const piece of createReadStream(path)) whole.update(piece as Buffer);
  return whole.digest('hex');
}

async function emptyStore(store: string, tenantId: Uuid): Promise<void> {
  const folders = [...KINDS, 'leaving', 'arriving'].map((kind) => join(store, kind, tenantId));
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
}
