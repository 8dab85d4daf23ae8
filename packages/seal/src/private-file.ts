import { constants } from 'node:fs';
import { link, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sealError } from './errors.ts';

const PRIVATE_FILE_MODE = 0o600;
const OTHERS_MASK = 0o077;
/** Far above a ring of 100 000 tenants; a larger file is not ours. */
const PRIVATE_FILE_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Reads a secret file, refusing one that anybody else could read or could have written: group or world bits, another
 * owner, a symbolic link. Throws `ring_permissions`, `ring_missing`, `ring_corrupt` (too large).
 */
export async function readPrivateFile(path: string): Promise<Buffer> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') throw sealError('ring_missing', `there is no file ${path}`, cause);
    throw sealError('ring_permissions', `${path} cannot be opened as a plain file of this user (${cause.code})`, cause);
  });
  try {
    const facts = await handle.stat();
    if ((facts.mode & OTHERS_MASK) !== 0) {
      throw sealError('ring_permissions', `${path} may be read or written by others: chmod 600 it`);
    }
    if (process.geteuid !== undefined && facts.uid !== process.geteuid()) {
      throw sealError('ring_permissions', `${path} belongs to user ${facts.uid}, not to ${process.geteuid()}`);
    }
    if (!facts.isFile() || facts.size > PRIVATE_FILE_BYTES_MAX)
      throw sealError('ring_corrupt', `${path} is not a key file`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/** Makes a new secret file, never over an existing one, durable before it returns. Throws `ring_exists`. */
export async function createPrivateFile(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  if (await exists(path)) throw sealError('ring_exists', `${path} exists already`);
  const temporary = await writeTemporary(path, bytes);
  try {
    // A link never replaces what is there, a rename would.
    await link(temporary, path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST')
      throw sealError('ring_exists', `${path} exists already`, cause);
    throw cause;
  } finally {
    await rm(temporary, { force: true });
  }
  await syncFolder(dirname(path));
}

/**
 * Replaces a secret file so that a crash at any moment leaves the old or the new content, whole; the old content stays
 * as `<path>.previous`.
 */
export async function replacePrivateFile(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = await writeTemporary(path, bytes);
  const oldName = `${path}.previous-new`;
  await rm(oldName, { force: true });
  await link(path, oldName);
  await rename(oldName, `${path}.previous`);
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

/** True when something stands at `path`, whatever it is. */
export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return false;
      throw cause;
    },
  );
}

async function writeTemporary(path: string, bytes: Uint8Array): Promise<string> {
  const temporary = `${path}.new`;
  // A left-over of a crash is ours and incomplete; it is removed, not trusted and not followed.
  await rm(temporary, { force: true });
  const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, PRIVATE_FILE_MODE);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return temporary;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
