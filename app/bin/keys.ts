// The keys process: holds the key-encryption keys, wraps and unwraps data keys, has no database.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AppError, isAppError, type Uuid } from '@auditrax/base';
import {
  createRootKeyFile,
  initKeyRing,
  localKekProvider,
  openKeyRing,
  readRootKeyFile,
  type KeyRing,
} from '@auditrax/seal';
import {
  createVault,
  installationProvider,
  keysRoutes,
  keyUseBook,
  openKeyStores,
  openSourceBook,
  problems,
  recordedVault,
  ringDestroyer,
  shreddingRoutes,
  vaultSourceRoutes,
  vaultSources,
} from '../domains/keys/index.ts';
import { openFloor, type Floor } from './floor.ts';
import { keyDrivers, type StandIns } from './key-drivers.ts';
import { serve } from './serve.ts';

/** How the local provider writes the id of a key-encryption key. */
const LOCAL_PREFIX = 'local:';

const floor = await openFloor('keys');

/**
 * Opens the ring, or makes it on a first start that the supervisor has said to be one. A ring that is missing later is
 * a loss: the message says so and nothing new is made in its place. `recovery-key-once` gives the recovery key to a
 * first start; when an earlier one was cut off before anybody had seen it, there is a new one, and the old opens nothing.
 */
async function openRing({ member, clock, random }: Floor): Promise<KeyRing> {
  const path = join(member.boot.stateDirectory, 'key-ring');
  const rootPath = join(member.boot.stateDirectory, 'root-key');
  const { create, wrappedKeys, kekRefs } = member.boot.options as {
    create: boolean;
    wrappedKeys: number;
    kekRefs: string[];
  };
  if (!existsSync(path) || !existsSync(rootPath)) {
    if (!create) {
      const lost = [rootPath, path].filter((file) => !existsSync(file)).join(' and ');
      throw new AppError(
        'ring_missing',
        `${lost} is gone: put it back, or run \`npm exec --no -- auditrax restore FILE\` with a backup and the recovery key; without it nothing that is stored can be read`,
      );
    }
    const rootKey = existsSync(rootPath) ? await readRootKeyFile(rootPath) : await createRootKeyFile(rootPath, random);
    const place = { path, rootKey, clock, random };
    const { ring, recoveryKey } = await initKeyRing({ ...place, wrappedKeysInStore: wrappedKeys });
    member.onAsk('recovery-key-once', () => Promise.resolve(recoveryKey));
    return ring;
  }
  const rootKey = await readRootKeyFile(rootPath);
  const ring = await openKeyRing({ path, rootKey, clock, random });
  refuseForeignRing(ring, kekRefs);
  member.onAsk('recovery-key-once', async (isFirstStart) =>
    isFirstStart === true && ring.recoveryConfirmedAtMs === undefined ? ring.renewRecoveryKey(rootKey) : null,
  );
  return ring;
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

/** The rooms of this process over its ring: the vault, and the sources that tenants bring. */
async function openRooms(ring: KeyRing) {
  const { member, clock, random, log } = floor;
  let standIns: StandIns | undefined;
  member.onAsk('stand-ins', (given) => {
    standIns = given as unknown as StandIns | undefined;
    return Promise.resolve(null);
  });
  const installation = installationProvider(localKekProvider({ ring, random }), {});
  const book = await openSourceBook({ path: join(member.boot.stateDirectory, 'source-book'), ring, clock, random });
  const openStore = keyDrivers({ inner: installation, clock, random, standIns: () => standIns });
  const stores = openKeyStores({ installation, book, openStore, clock });
  const uses = keyUseBook(clock);
  const vault = createVault({
    provider: stores,
    onRefusal: (refusal) =>
      log.warn('unwrap-refused', { code: refusal.code, peer: refusal.peer, requestId: refusal.requestId }),
  });
  const kinds = ['local', 'aws-kms', 'xks'] as const;
  const sources = vaultSources({ stores, book, uses, clock, random, kinds, installationAssurance: 'development' });
  const destroyer = {
    destroyKeks: ringDestroyer(ring),
    forgetSources: (tenantId: Uuid) => sources.forget(tenantId),
  };
  return [
    keysRoutes({ vault: recordedVault(vault, uses) }),
    vaultSourceRoutes({ sources }),
    shreddingRoutes(destroyer),
  ];
}

try {
  const ring = await openRing(floor);
  floor.member.onAsk('recovery-confirmed', () => Promise.resolve(ring.recoveryConfirmedAtMs !== undefined));
  floor.member.onAsk('confirm-recovery', async (typed) => {
    await ring.confirmRecoveryKey(typeof typed === 'string' ? typed : '');
    return null;
  });
  floor.member.announce({ kekProvider: 'local', ringFingerprint: ring.fingerprint });
  await serve(floor, 'keys', { rooms: await openRooms(ring), problems: [problems] });
} catch (error) {
  floor.member.fatal(error);
}
