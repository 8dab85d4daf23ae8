// Key stores of a tenant for the journeys in a browser: the rehearsal's stand-ins in this process, and an HSM of the
// house itself. All are simulators or SoftHSM: what passes here is rehearsed, never proven.
import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@auditrax/base';
import { initSoftToken } from '@auditrax/seal/soft-token';
import type { HouseOptions } from '../../app/bin/house.ts';
import { ensureServiceUsers } from '../../app/platform/supervisor/service-users.ts';
import { startRehearsal, type Rehearsal } from '../../app/rehearsal/index.ts';
import { replacing } from '../mutants/hook.ts';
import { makeStateFolder, removeFolder } from './house.ts';

const PIN = '271828';
const TOOL = join(import.meta.dirname, '../../app/bin/auditrax.mjs');

/** Whoever owns the keys, outside of the house: gives them, takes them away, gives them back. */
export interface KeyOwners {
  readonly rehearsal: Rehearsal;
  /** Changes that a house needs to meet them. */
  readonly house: Partial<HouseOptions> & { readonly environment: Readonly<Record<string, string>> };
  /** The token of the house is pulled out until `plugIn`. */
  pullOut(): void;
  plugIn(): void;
  /** Makes key material on the owner's own machine, or takes what was made before, and packs it under this key. */
  packMaterial(publicKeyDer: Buffer): Buffer;
  close(): Promise<void>;
}

/** The keys process alone may open the token, as in an installation. */
function handOver(path: string): void {
  if (process.getuid!() !== 0) return;
  const { uid, gid } = ensureServiceUsers(['keys'], () => undefined)['keys']!;
  chownSync(path, uid, gid);
  for (const entry of readdirSync(path, { recursive: true, encoding: 'utf8' })) chownSync(join(path, entry), uid, gid);
}

function tool(...args: string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [TOOL, 'byok', ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`auditrax byok ${args.join(' ')}: ${stderr}`);
}

/** Starts them; needs Debian's softhsm2. */
export async function openKeyOwners(): Promise<KeyOwners> {
  const folder = makeStateFolder();
  const hsm = join(folder, 'hsm');
  mkdirSync(hsm);
  const token = await initSoftToken({ folder: hsm, label: 'house', pin: PIN });
  handOver(hsm);
  const pinFile = join(folder, 'pin');
  writeFileSync(pinFile, PIN, { mode: 0o600 });
  const own = join(folder, 'owner');
  mkdirSync(own, { mode: 0o700 });
  const rehearsal = await startRehearsal({ folder: own, mode: 'test', clock: systemClock, random: systemRandom });
  const standIns = JSON.stringify(rehearsal.standIns);
  const material = join(own, 'material.bin');
  let packed = 0;
  return {
    rehearsal,
    house: {
      environment: {
        AUDITRAX_PKCS11_MODULE: token.modulePath,
        AUDITRAX_PKCS11_TOKEN: token.tokenLabel,
        AUDITRAX_PKCS11_PIN_FILE: pinFile,
        AUDITRAX_PKCS11_ENVIRONMENT: 'SOFTHSM2_CONF',
        ...token.environment,
      },
      // Only the sentinel can tell the keys process which stand-ins it may dial; these are not the sentinel's.
      execArgv: {
        keys: replacing({
          file: 'app/bin/key-drivers.ts',
          export: 'keyDrivers',
          nothing: `((make) => (deps) => make({ ...deps, standIns: () => (${standIns}) }))(keyDrivers)`,
        }),
      },
    },
    pullOut: () => renameSync(token.tokenFolder, `${token.tokenFolder}-away`),
    plugIn: () => renameSync(`${token.tokenFolder}-away`, token.tokenFolder),
    packMaterial: (publicKeyDer) => {
      packed += 1;
      const [key, blob] = [join(own, `key-${packed}.der`), join(own, `blob-${packed}.bin`)];
      writeFileSync(key, publicKeyDer);
      if (packed === 1) tool('new-material', '--out', material);
      tool('wrap', '--public-key', key, '--material', material, '--out', blob);
      return readFileSync(blob);
    },
    close: async () => {
      await rehearsal.close();
      removeFolder(folder);
    },
  };
}
