// Which store holds the keys of tenants without one of their own, and the proof at the start that it is the right one.
import { join } from 'node:path';
import { AppError, type Random } from '@auditrax/base';
import { localKekProvider, type KekProvider, type KeyRing } from '@auditrax/seal';
import { checkInstallationKey, installationProvider } from '../domains/keys/index.ts';
import type { hsmStores } from './hsm.ts';
import type { KeyMeans } from './key-means.ts';
import { ROOT_KEY_FROM } from './key-ring.ts';

const HSM_PREFIX = 'pkcs11:';

interface Given {
  readonly means: KeyMeans;
  readonly ring: KeyRing;
  readonly inHsm: ReturnType<typeof hsmStores> | undefined;
  /** Of the data: every key-encryption key that wraps something, but those that tenants have brought. */
  readonly kekRefs: readonly string[];
  readonly stateDirectory: string;
  readonly random: Random;
}

/**
 * The installation's store: what the settings name wraps, and what it was before still unwraps. An HSM that does not
 * answer, or lacks the keys of these data, ends the start. Throws `installation_key_unfit`, with the key that was expected
 * and what was found.
 */
export async function openInstallation(given: Given): Promise<KekProvider> {
  const { means, ring, inHsm, stateDirectory, random } = given;
  const local = localKekProvider({ ring, random, rootKeyFrom: ROOT_KEY_FROM[means.root.kind] });
  const inUse = given.kekRefs.filter((ref) => ref.startsWith(HSM_PREFIX));
  if (means.kekProvider === 'local') {
    if (inUse.length === 0) return installationProvider(local, {});
    if (inHsm === undefined) throw noHsm(inUse[0]!);
    return installationProvider(local, { pkcs11: await inHsm.installation({ mayCreate: false }) });
  }
  if (inHsm === undefined) throw noHsm(inUse[0] ?? HSM_PREFIX);
  const primary = await inHsm.installation({ mayCreate: true });
  const path = join(stateDirectory, 'installation-key');
  // Later one tenant's lost key is that tenant's: it must not keep the others from starting.
  const beforeFirstUse = () => refuseOtherHsm(inHsm, inUse);
  await checkInstallationKey({ path, ring, random, provider: primary, beforeFirstUse });
  return installationProvider(primary, { local });
}

/** Data that stand under keys of an HSM already, and one that has not got them. */
async function refuseOtherHsm(inHsm: ReturnType<typeof hsmStores>, kekRefs: readonly string[]): Promise<void> {
  const missing = await inHsm.missing(kekRefs);
  if (missing === undefined) return;
  throw new AppError(
    'installation_key_unfit',
    `the data expect key ${missing.kekRef}; found ${missing.found}, which has no such key: attach the HSM of these data, or restore the key there from the HSM’s own backup`,
  );
}

function noHsm(kekRef: string): AppError {
  return new AppError(
    'installation_key_unfit',
    `the data expect key ${kekRef} in an HSM; found no HSM configured: set AUDITRAX_PKCS11_MODULE, _TOKEN and _PIN_FILE`,
  );
}
