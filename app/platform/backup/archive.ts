import { spawn } from 'node:child_process';
import { hkdfSync } from 'node:crypto';
import { createReadStream, createWriteStream, readFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError, isAppError, type Random } from '@auditrax/base';
import { decryptStream, encryptStream, recoverRootKey } from '@auditrax/seal';

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
  './postgres/postgres-*',
  './postgres/socket',
  './postgres/postgres.log',
  './postgres/data/postmaster.pid',
  './browser',
  './compile-cache',
  './supervisor/control',
  './supervisor/house.json',
  './supervisor.pid',
] as const;

export type BackupCode = 'backup_malformed' | 'backup_failed' | 'restore_not_empty';

export interface BackupPlace {
  readonly statePath: string;
  readonly file: string;
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

/**
 * Writes the whole state folder of a stopped house to one file: `AXB1 | u32 length | key ring | salt | chunked message`.
 * The archive is encrypted under the ring's root key, which only the recovery key can give back; the root key itself is
 * not in the file. The file appears under its name only when it is complete and on disk. Throws `backup_failed`.
 */
export async function writeBackup(
  place: BackupPlace & { readonly rootKey: Uint8Array },
  random: Random,
): Promise<void> {
  const ring = readFileSync(join(place.statePath, 'keys/key-ring'));
  const salt = Buffer.from(random.bytes(SALT_BYTES));
  const length = Buffer.alloc(RING_LENGTH_BYTES);
  length.writeUInt32BE(ring.length);
  const child = tar([
    '-C',
    place.statePath,
    '--numeric-owner',
    ...LEFT_OUT.map((path) => `--exclude=${path}`),
    '-cf',
    '-',
    '.',
  ]);
  child.stdin!.end();
  const done = ended(child);
  done.catch(() => {}); // awaited below
  const context = Buffer.concat([MAGIC, length, ring]);
  async function* parts(): AsyncGenerator<Buffer> {
    yield Buffer.concat([context, salt]);
    yield* encryptStream({ key: archiveKey(place.rootKey, salt), salt, context }, child.stdout as Readable);
  }
  const partial = `${place.file}.partial`;
  try {
    await pipeline(Readable.from(parts()), createWriteStream(partial, { mode: 0o600, flush: true }));
    await done;
    await rename(partial, place.file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error instanceof AppError
      ? error
      : new AppError<BackupCode>('backup_failed', `the backup was not written: ${(error as Error).message}`, {
          cause: error,
        });
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

/**
 * Unpacks a backup into an empty state folder and returns the sealed ring, which the caller opens under a new root key.
 * Every byte is authenticated before it is unpacked; on any fault the folder holds nothing usable. Throws
 * `backup_malformed`, and what the recovery key can throw (`recovery_key_malformed`, `recovery_key_mismatch`).
 */
export async function unpackBackup(place: BackupPlace, recoveryKey: string): Promise<Buffer> {
  const head = await readHead(place.file);
  const rootKey = recoverRootKey(head.ring, recoveryKey);
  const child = tar(['-C', place.statePath, '--numeric-owner', '--same-permissions', '-xf', '-']);
  const done = ended(child);
  done.catch(() => {}); // awaited below
  const sealed = createReadStream(place.file, { start: head.offset });
  const key = archiveKey(rootKey, head.salt);
  rootKey.fill(0);
  try {
    await pipeline(Readable.from(decryptStream({ key, context: head.context }, sealed)), child.stdin!);
    await done;
  } catch (error) {
    // The caller clears the folder away: nothing may be unpacked into it any more.
    child.kill('SIGKILL');
    await done.catch(() => undefined);
    if (!isAppError(error)) throw malformed(place.file, error);
    throw CUT_OR_CHANGED.has(error.code) ? malformed(place.file, error) : error;
  }
  return head.ring;
}
