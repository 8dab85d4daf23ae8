import { spawn } from 'node:child_process';
import { hkdfSync } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  writeFileSync,
} from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError, isAppError, type Random } from '@auditrax/base';
import { decryptStream, encryptStream, recoverRootKey } from '@auditrax/seal';

/** Of a server's folder: what its next start makes anew. */
function serverLeavings(folder: string): readonly string[] {
  return [`${folder}/postgres-*`, `${folder}/socket`, `${folder}/postgres.log`, `${folder}/data/postmaster.pid`];
}

/** First bytes of a backup file: format and version. */
const MAGIC = Buffer.from('AXB1');
const SALT_BYTES = 24;
const KEY_BYTES = 32;
/** A ring of the largest size that the ring itself allows. */
const RING_BYTES_MAX = 64 * 1024 * 1024;
const RING_LENGTH_BYTES = 4;
/** Not in a backup: what the next start makes anew, the ring (it is in front, sealed) and the root key (never). */
const LEFT_OUT = [
  './keys/key-ring*',
  './keys/root-key',
  ...serverLeavings('./postgres'),
  './browser',
  './compile-cache',
  './supervisor/control',
  './supervisor/house.json',
  './supervisor.pid',
] as const;

/** Of the file that holds one region's part. */
const PART_MAGIC = Buffer.from('AXR1');
/** In the archive: which regions have a file of their own, as `Part`. */
const PARTS_FILE = 'supervisor/backup-regions.json';

export type BackupCode = 'backup_malformed' | 'backup_failed' | 'restore_not_empty' | 'restore_place_missing';

export interface BackupPlace {
  readonly statePath: string;
  readonly file: string;
}

/** What lies in another region, and is kept in a file of its own so that it need never leave it. */
export interface RegionFolders {
  readonly region: string;
  /** Below the state folder; that of the database server first. */
  readonly folders: readonly string[];
  /** In their place: one folder elsewhere, on a disk of that region, whole. */
  readonly outside?: string;
}

/** Where the folders outside the state folder lie, by region. */
export type OutsideFolders = ReadonlyMap<string, string>;

/** A region with a file of its own; `outside` when its folder is not one of the state folder's. */
type Part = string | { readonly region: string; readonly outside: true };

/** The file of one region's part, beside the backup's own when it is written and when it is restored. */
export function partFile(file: string, region: string): string {
  return `${file}.${region}`;
}

/** True for a file that begins as a backup or as a part of one; nothing else of it is looked at. */
export function isBackupFile(path: string): boolean {
  const handle = openSync(path, 'r');
  try {
    const front = Buffer.alloc(MAGIC.length);
    readSync(handle, front, 0, front.length, 0);
    return front.equals(MAGIC) || front.equals(PART_MAGIC);
  } finally {
    closeSync(handle);
  }
}

function archiveKey(rootKey: Uint8Array, salt: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha512', rootKey, salt, 'auditrax/backup/v1', KEY_BYTES));
}

function tar(args: readonly string[]): ReturnType<typeof spawn> {
  return spawn('tar', args, { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: '/usr/bin:/bin' } });
}

async function ended(child: ReturnType<typeof spawn>): Promise<void> {
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const code = await new Promise<number>((resolve, reject) =>
    child.on('exit', (status) => resolve(status ?? 1)).on('error', reject),
  );
  if (code !== 0)
    throw new AppError<BackupCode>('backup_failed', `tar ended with ${code}: ${said.trim().slice(0, 500)}`);
}

/** Encrypts a tar archive of `names` to a file that appears when it is complete and on disk. Throws `backup_failed`. */
async function writeArchive(
  { statePath, file }: BackupPlace,
  sealed: { readonly key: Uint8Array; readonly salt: Buffer; readonly context: Buffer },
  content: { readonly names: readonly string[]; readonly leftOut: readonly string[] },
): Promise<void> {
  const excluded = content.leftOut.map((path) => `--exclude=${path}`);
  const child = tar(['-C', statePath, '--numeric-owner', ...excluded, '-cf', '-', ...content.names]);
  child.stdin!.end();
  const done = ended(child);
  done.catch(() => {}); // awaited below
  async function* parts(): AsyncGenerator<Buffer> {
    yield Buffer.concat([sealed.context, sealed.salt]);
    yield* encryptStream(sealed, child.stdout as Readable);
  }
  const partial = `${file}.partial`;
  try {
    await pipeline(Readable.from(parts()), createWriteStream(partial, { mode: 0o600, flush: true }));
    await done;
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error instanceof AppError
      ? error
      : new AppError<BackupCode>('backup_failed', `the backup was not written: ${(error as Error).message}`, {
          cause: error,
        });
  }
}

/** A part opens with the backup that it was written with, and with no other: half of each is no state that ever was. */
function partSeal(rootKey: Uint8Array, region: string, whole: Buffer): { key: Buffer; context: Buffer } {
  const context = Buffer.concat([PART_MAGIC, Buffer.from(`${region}\n`), whole]);
  return {
    key: Buffer.from(hkdfSync('sha512', rootKey, whole, `auditrax/backup/part/v1/${region}`, KEY_BYTES)),
    context,
  };
}

/**
 * Writes the whole state folder of a stopped house to one file: `AXB1 | u32 length | key ring | salt | chunked message`,
 * and the folders of each other region to a file of its own (`partFile`). The archives are encrypted under the ring's root
 * key, which only the recovery key can give back; the root key itself is not in them. The backup's own file appears last,
 * when everything is on disk. Throws `backup_failed`.
 */
export async function writeBackup(
  place: BackupPlace & { readonly rootKey: Uint8Array; readonly regions?: readonly RegionFolders[] },
  random: Random,
): Promise<void> {
  const { statePath, file, rootKey, regions = [] } = place;
  if (new Set(regions.map(({ region }) => region)).size !== regions.length)
    throw new AppError<BackupCode>('backup_failed', 'two regions have one name: their parts would be one file');
  const ring = readFileSync(join(statePath, 'keys/key-ring'));
  const salt = Buffer.from(random.bytes(SALT_BYTES));
  const length = Buffer.alloc(RING_LENGTH_BYTES);
  length.writeUInt32BE(ring.length);
  const parts = regions.map(({ region, outside }): Part =>
    outside === undefined ? region : { region, outside: true },
  );
  writeFileSync(join(statePath, PARTS_FILE), JSON.stringify(parts), { mode: 0o600 });
  try {
    for (const { region, folders, outside } of regions) {
      const seal = { ...partSeal(rootKey, region, salt), salt: Buffer.from(random.bytes(SALT_BYTES)) };
      const content = {
        names: outside === undefined ? folders.map((folder) => `./${folder}`) : ['.'],
        leftOut: folders.flatMap((folder) => serverLeavings(`./${folder}`)),
      };
      await writeArchive({ statePath: outside ?? statePath, file: partFile(file, region) }, seal, content);
    }
    const seal = { key: archiveKey(rootKey, salt), salt, context: Buffer.concat([MAGIC, length, ring]) };
    const elsewhere = regions.flatMap(({ folders }) => folders.map((folder) => `./${folder}`));
    await writeArchive(place, seal, { names: ['.'], leftOut: [...LEFT_OUT, ...elsewhere] });
  } catch (error) {
    for (const { region } of regions) await rm(partFile(file, region), { force: true });
    throw error;
  } finally {
    await rm(join(statePath, PARTS_FILE), { force: true });
  }
}

/** What the cipher says of a file that lost its end or that somebody changed. */
const CUT_OR_CHANGED: ReadonlySet<string> = new Set(['truncated', 'authentication_failed', 'commitment_mismatch']);

function malformed(file: string, cause: unknown): AppError<BackupCode> {
  const cut = isAppError(cause, 'truncated');
  const what = cut ? 'is cut off' : 'was changed, or is damaged';
  return new AppError<BackupCode>('backup_malformed', `${file} ${what}: nothing was restored; use another copy`, {
    cause,
  });
}

interface Head {
  readonly ring: Buffer;
  readonly salt: Buffer;
  readonly context: Buffer;
  readonly offset: number;
}

/** The sealed key ring in front of a backup, and where the archive begins. Throws `backup_malformed`. */
export async function readHead(file: string): Promise<Head> {
  const handle = await open(file, 'r').catch((cause: unknown) => {
    throw new AppError<BackupCode>('backup_malformed', `${file} cannot be read`, { cause });
  });
  try {
    const front = Buffer.alloc(MAGIC.length + RING_LENGTH_BYTES);
    await handle.read(front, 0, front.length, 0);
    const ringBytes = front.readUInt32BE(MAGIC.length);
    if (!front.subarray(0, MAGIC.length).equals(MAGIC) || ringBytes === 0 || ringBytes > RING_BYTES_MAX) {
      throw new AppError<BackupCode>('backup_malformed', `${file} is not a backup of Auditrax`);
    }
    const rest = Buffer.alloc(ringBytes + SALT_BYTES);
    const { bytesRead } = await handle.read(rest, 0, rest.length, front.length);
    if (bytesRead !== rest.length) throw new AppError<BackupCode>('backup_malformed', `${file} is cut off`);
    const ring = rest.subarray(0, ringBytes);
    return {
      ring,
      salt: rest.subarray(ringBytes),
      context: Buffer.concat([front, ring]),
      offset: front.length + rest.length,
    };
  } finally {
    await handle.close();
  }
}

interface Sealed {
  readonly file: string;
  readonly key: Uint8Array;
  readonly context: Buffer;
  readonly offset: number;
}

async function unpackArchive(statePath: string, { file, key, context, offset }: Sealed): Promise<void> {
  const child = tar(['-C', statePath, '--numeric-owner', '--same-permissions', '-xf', '-']);
  const done = ended(child);
  done.catch(() => {}); // awaited below
  const sealed = createReadStream(file, { start: offset });
  try {
    await pipeline(Readable.from(decryptStream({ key, context }, sealed)), child.stdin!);
    await done;
  } catch (error) {
    // The caller clears the folder away: nothing may be unpacked into it any more.
    child.kill('SIGKILL');
    await done.catch(() => undefined);
    if (!isAppError(error)) throw malformed(file, error);
    throw CUT_OR_CHANGED.has(error.code) ? malformed(file, error) : error;
  }
}

/** Where a part is unpacked to. Throws `restore_place_missing` for one that nobody has named a folder for. */
function placeOf(part: Part, statePath: string, outside: OutsideFolders): { region: string; statePath: string } {
  if (typeof part === 'string') return { region: part, statePath };
  const folder = outside.get(part.region);
  if (folder !== undefined) return { region: part.region, statePath: folder };
  throw new AppError<BackupCode>(
    'restore_place_missing',
    `region ${part.region} keeps its evidence files outside the state folder: name it with its folder in AUDITRAX_REGIONS_FILE; nothing was restored`,
  );
}

/** The part of another region, which has to lie beside the backup. */
async function unpackPart(
  place: BackupPlace,
  region: string,
  sealed: { rootKey: Buffer; whole: Buffer },
): Promise<void> {
  const file = partFile(place.file, region);
  if (!existsSync(file)) {
    throw new AppError<BackupCode>(
      'backup_malformed',
      `the part of region ${region} is missing: put ${file} beside the backup; nothing was restored`,
    );
  }
  const { key, context } = partSeal(sealed.rootKey, region, sealed.whole);
  const offset = context.length + SALT_BYTES;
  const handle = await open(file, 'r');
  const front = Buffer.alloc(context.length);
  try {
    await handle.read(front, 0, front.length, 0);
  } finally {
    await handle.close();
  }
  if (!front.equals(context)) {
    throw new AppError<BackupCode>(
      'backup_malformed',
      `${file} was not written together with ${place.file}: nothing was restored; use the one that was`,
    );
  }
  await unpackArchive(place.statePath, { file, key, context, offset });
}

/**
 * Unpacks a backup, and the parts of other regions beside it, into an empty state folder and returns the sealed ring,
 * which the caller opens under a new root key. Every byte is authenticated before it is unpacked; on any fault the folder
 * holds nothing usable. `outside` names the empty folders of regions that keep theirs elsewhere; on a fault whoever
 * called empties them. Throws `backup_malformed`, `restore_place_missing`, and what the recovery key can throw (`recovery_key_malformed`,
 * `recovery_key_mismatch`).
 */
export async function unpackBackup(
  place: BackupPlace & { readonly outside?: OutsideFolders },
  recoveryKey: string,
): Promise<Buffer> {
  const head = await readHead(place.file);
  const rootKey = recoverRootKey(head.ring, recoveryKey);
  try {
    await unpackArchive(place.statePath, { file: place.file, key: archiveKey(rootKey, head.salt), ...head });
    const list = join(place.statePath, PARTS_FILE);
    const parts = existsSync(list) ? (JSON.parse(readFileSync(list, 'utf8')) as Part[]) : [];
    for (const part of parts) {
      const { region, statePath } = placeOf(part, place.statePath, place.outside ?? new Map());
      await unpackPart({ statePath, file: place.file }, region, { rootKey, whole: head.salt });
    }
    await rm(list, { force: true });
  } finally {
    rootKey.fill(0);
  }
  return head.ring;
}
