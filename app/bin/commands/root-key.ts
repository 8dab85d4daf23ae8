import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { AppError, systemClock, systemRandom } from '@auditrax/base';
import { formatRootKey, openKeyRing, rootKeyByPassphrase } from '@auditrax/seal';
import { openStateFolder } from '../../platform/supervisor/state-folder.ts';
import { openRootKey, readKeyMeans, readSecretFile } from '../key-means.ts';
import { readSettings } from '../settings.ts';

const HELP = `Usage: auditrax root-key new | set-passphrase FILE

  new                  prints a new root key, for systemd-creds before the first start:
                       auditrax root-key new | systemd-creds encrypt --name=auditrax-root-key - FILE
  set-passphrase FILE  puts the root key of the ring under the passphrase in FILE, in place of a passphrase before it or
                       of the root key file, which is removed. Only the root key is wrapped anew. Stop the house first.
`;
const ROOT_KEY_BYTES = 32;

/** Files of the keys process are changed as its user, so that they stay its own. */
async function asOwnerOf<T>(path: string, work: () => Promise<T>): Promise<T> {
  const { uid, gid } = statSync(path);
  if (process.getuid!() !== 0 || uid === 0) return work();
  process.setegid!(gid);
  process.seteuid!(uid);
  try {
    return await work();
  } finally {
    process.seteuid!(0);
    process.setegid!(0);
  }
}

async function setPassphrase(file: string): Promise<void> {
  const settings = readSettings(process.env);
  const keys = join(settings.state, 'keys');
  const path = join(keys, 'key-ring');
  if (!existsSync(path)) throw new AppError('ring_missing', `there is no key ring in ${keys}`);
  const passphrase = readSecretFile(file, 'the passphrase file');
  const folder = openStateFolder(settings.state); // refuses while the house is running
  try {
    const rootKey = await openRootKey(readKeyMeans(settings).root, keys);
    await asOwnerOf(path, async () => {
      const ring = await openKeyRing({ path, rootKey, clock: systemClock, random: systemRandom });
      await ring.setPassphrase(rootKey, passphrase);
      ring.close();
    });
    // Only what is proven to open the ring may replace the file that did so far.
    (await rootKeyByPassphrase(readFileSync(path), passphrase)).fill(0);
    rootKey.fill(0);
    rmSync(join(keys, 'root-key'), { force: true });
  } finally {
    folder.release();
  }
  process.stdout.write(
    `The key ring is under the passphrase: start with AUDITRAX_PASSPHRASE_FILE=${file}. Earlier generations of the ring, and backups, still open with what opened them.\n`,
  );
}

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' } },
  });
  const [verb, file] = positionals;
  if (verb === 'new' && file === undefined && values.help !== true) {
    process.stdout.write(`${formatRootKey(systemRandom.bytes(ROOT_KEY_BYTES))}\n`);
    return 0;
  }
  if (verb === 'set-passphrase' && file !== undefined && values.help !== true) {
    await setPassphrase(resolve(file));
    return 0;
  }
  (values.help === true ? process.stdout : process.stderr).write(HELP);
  return values.help === true ? 0 : 2;
}
