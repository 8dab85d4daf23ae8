// The keys process: holds the key-encryption keys, wraps and unwraps data keys, has no database.
import { join } from 'node:path';
import type { Uuid } from '@auditrax/base';
import type { KeyRing } from '@auditrax/seal';
import {
  createVault,
  keysRoutes,
  keyUseBook,
  openKeyStores,
  openSourceBook,
  openSuiteBook,
  problems,
  recordedVault,
  ringDestroyer,
  shreddingRoutes,
  vaultSourceRoutes,
  vaultSources,
  vaultSuiteRoutes,
} from '../domains/keys/index.ts';
import { openFloor } from './floor.ts';
import { hsmStores } from './hsm.ts';
import { openInstallation } from './installation-store.ts';
import { keyDrivers, type StandIns } from './key-drivers.ts';
import type { KeyMeans } from './key-means.ts';
import { openRing } from './key-ring.ts';
import { serve } from './serve.ts';

const floor = await openFloor('keys');

/** The rooms of this process over its ring: the vault, and the sources that tenants bring. */
async function openRooms(ring: KeyRing) {
  const { member, clock, random, log } = floor;
  const { stateDirectory } = member.boot;
  const means = member.boot.options as unknown as KeyMeans;
  const { root, hsm, kekProvider, aws } = means;
  // Where AWS's own chain looks for them; this process starts with nothing of the environment.
  if (aws.kind === 'default-chain') Object.assign(process.env, aws.environment);
  let standIns: StandIns | undefined;
  const isTryOut = member.boot.options['tryOut'] === true;
  const suites = await openSuiteBook({ path: join(stateDirectory, 'suite-book'), ring, random });
  const book = await openSourceBook({ path: join(stateDirectory, 'source-book'), ring, clock, random });
  const inHsm = hsm === null ? undefined : hsmStores(hsm, { stateDirectory, random });
  const brought = new Set(book.entries().map((entry) => entry.kekRef));
  const kekRefs = (member.boot.options['kekRefs'] as readonly string[]).filter((ref) => !brought.has(ref));
  const installation = await openInstallation({ means, ring, inHsm, kekRefs, stateDirectory, random });
  const openStore = keyDrivers({
    inner: installation,
    clock,
    random,
    standIns: () => standIns,
    openPkcs11: inHsm?.open,
    awsIdentity: aws.kind,
  });
  const stores = openKeyStores({ installation, book, openStore, clock });
  const uses = keyUseBook(clock);
  const vault = createVault({
    provider: stores,
    onRefusal: (refusal) =>
      log.warn('unwrap-refused', { code: refusal.code, peer: refusal.peer, requestId: refusal.requestId }),
  });
  const kinds = ['local', 'aws-kms', 'xks', ...(hsm === null ? [] : (['pkcs11'] as const))] as const;
  const isInRing = kekProvider === 'local';
  const installationAssurance = isInRing && root.kind === 'file' ? 'development' : 'software';
  const sources = vaultSources({ stores, book, uses, clock, random, kinds, installationAssurance });
  const destroyInRing = ringDestroyer(ring);
  const destroyer = {
    destroyKeks: async (tenantId: Uuid, kekRefs: readonly string[]) => [
      ...(await destroyInRing(tenantId)),
      ...((await inHsm?.destroyKeks(tenantId, kekRefs)) ?? []),
    ],
    forgetSources: async (tenantId: Uuid) => {
      await suites.keep(tenantId, undefined);
      return sources.forget(tenantId);
    },
  };
  return [
    keysRoutes({ vault: recordedVault(vault, uses), suites }),
    vaultSourceRoutes({ sources, onStandIns: isTryOut ? (given) => (standIns = given) : undefined }),
    vaultSuiteRoutes({ suites }),
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
  floor.member.announce({
    kekProvider: (floor.member.boot.options as unknown as KeyMeans).kekProvider,
    ringId: ring.ringId,
    ringFingerprint: ring.fingerprint,
    ringGeneration: ring.generation,
  });
  await serve(floor, 'keys', { rooms: await openRooms(ring), problems: [problems] });
} catch (error) {
  floor.member.fatal(error);
}
