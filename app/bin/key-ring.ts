import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError, isAppError, type Uuid } from '@auditrax/base';
import {
  initKeyRing,
  openKeyRing,
  readRingClaims,
  readRootKeyFile,
  type KeyRing,
  type RootKeyFrom,
} from '@auditrax/seal';
import type { Floor } from './floor.ts';
import { makeRootKey, openRootKey, type RootMeans } from './key-means.ts';

/** How the local provider writes the id of a key-encryption key. */
const LOCAL_PREFIX = 'local:';

/** Where the ring's root key comes from, in the provider's words. */
export const ROOT_KEY_FROM: Readonly<Record<RootMeans['kind'], RootKeyFrom>> = {
  credential: 'credential',
  passphrase: 'passphrase',
  file: 'development-file',
};

interface RingOptions {
  readonly create: boolean;
  readonly wrappedKeys: number;
  readonly kekRefs: readonly string[];
  readonly root: RootMeans;
}

/**
 * Opens the ring, or makes it on a first start that the supervisor has said to be one. A ring that is missing later is
 * a loss: the message says so and nothing new is made in its place. `recovery-key-once` gives the recovery key to a
 * first start; when an earlier one was cut off before anybody had seen it, there is a new one, and the old opens nothing.
 */
export async function openRing({ member, clock, random }: Floor): Promise<KeyRing> {
  const folder = member.boot.stateDirectory;
  const path = join(folder, 'key-ring');
  const { create, wrappedKeys, kekRefs, root } = member.boot.options as unknown as RingOptions;
  const lost = [...(root.kind === 'file' ? [join(folder, 'root-key')] : []), path].filter((file) => !existsSync(file));
  if (lost.length > 0) {
    if (!create) throw missing(lost, path);
    const made = await rootKeyToBegin(root, { folder, random });
    const init = await initKeyRing({ path, ...made, clock, random, wrappedKeysInStore: wrappedKeys });
    member.onAsk('recovery-key-once', () => Promise.resolve(init.recoveryKey));
    return init.ring;
  }
  const rootKey =
    root.kind === 'file' ? await readRootKeyFile(join(folder, 'root-key')) : await openRootKey(root, folder);
  const ring = await openKeyRing({ path, rootKey, clock, random });
  refuseForeignRing(ring, kekRefs);
  member.onAsk('recovery-key-once', async (isFirstStart) =>
    isFirstStart === true && ring.recoveryConfirmedAtMs === undefined ? ring.renewRecoveryKey(rootKey) : null,
  );
  return ring;
}

/** A first start that was cut off between the two files has left a root key; it is used. */
async function rootKeyToBegin(root: RootMeans, place: Parameters<typeof makeRootKey>[1]) {
  const left = join(place.folder, 'root-key');
  if (root.kind === 'file' && existsSync(left)) return { rootKey: await readRootKeyFile(left) };
  return makeRootKey(root, place);
}

function missing(lost: readonly string[], path: string): AppError {
  const underPassphrase = existsSync(path) && readRingClaims(readFileSync(path)).hasPassphrase;
  const way = underPassphrase ? 'set AUDITRAX_PASSPHRASE_FILE (the ring is under a passphrase)' : 'put it back';
  return new AppError(
    'ring_missing',
    `${lost.join(' and ')} is gone: ${way}, or run \`npm exec --no -- auditrax restore FILE\` with a backup and the recovery key; without it nothing that is stored can be read`,
  );
}

/** A ring of another house opens well and decrypts nothing: better said now, by name, than at the first reading. */
function refuseForeignRing(ring: KeyRing, kekRefs: readonly string[]): void {
  for (const ref of kekRefs.filter((ref) => ref.startsWith(LOCAL_PREFIX))) {
    try {
      ring.kek(ref.slice(LOCAL_PREFIX.length) as Uuid);
    } catch (error) {
      if (!isAppError(error, 'kek_unknown')) throw error;
      throw new AppError(
        'ring_foreign',
        `the database expects key ${ref}; found key ring ${ring.ringId} with ${ring.keyCount} other keys: put back the ring of this database, or restore a backup with \`npm exec --no -- auditrax restore FILE\``,
        { cause: error },
      );
    }
  }
}
