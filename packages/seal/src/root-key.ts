import type { Random } from '@auditrax/base';
import { fromBase64Url, toBase64Url } from '@auditrax/base';
import { sealError } from './errors.ts';
import { KEY_BYTES } from './gcm.ts';
import { createPrivateFile, readPrivateFile } from './private-file.ts';

/**
 * Makes a root key file (mode 0600, one line of base64url) and returns the key; refuses to replace one (`ring_exists`).
 * A file on the same disk as the ring is the development form: production hands the root key in from a credential store.
 */
export async function createRootKeyFile(path: string, random: Random): Promise<Buffer> {
  const key = Buffer.from(random.bytes(KEY_BYTES));
  await createPrivateFile(path, Buffer.from(`${formatRootKey(key)}\n`, 'ascii'));
  return key;
}

/** Reads a root key file. Throws `ring_missing`, `ring_permissions`, `ring_corrupt`. */
export async function readRootKeyFile(path: string): Promise<Buffer> {
  return parseRootKey((await readPrivateFile(path)).toString('latin1'), path);
}

/** A root key as text, one line, for a credential store. */
export function formatRootKey(key: Uint8Array): string {
  if (key.length !== KEY_BYTES) throw sealError('key_length', `a root key has ${KEY_BYTES} bytes, not ${key.length}`);
  return toBase64Url(key);
}

/** The root key in a text; `place` says in a message where it was. Throws `ring_corrupt`. */
export function parseRootKey(text: string, place: string): Buffer {
  const key = fromBase64Url(text.replace(/\r?\n$/, ''));
  if (key === undefined || key.length !== KEY_BYTES)
    throw sealError('ring_corrupt', `${place} does not hold a root key`);
  return key;
}
