import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { AppError, systemClock, systemRandom } from '@auditrax/base';
import { restoreKeyRing } from '@auditrax/seal';
import { ERASURE_REGISTER_FILE, mergeErasures, readErasures } from '../../platform/audit/index.ts';
import { unpackBackup, type OutsideFolders } from '../../platform/backup/archive.ts';
import { ensureServiceUsers } from '../../platform/supervisor/service-users.ts';
import { openStateFolder } from '../../platform/supervisor/state-folder.ts';
import { SERVICES } from '../house.ts';
import { makeRootKey, readKeyMeans } from '../key-means.ts';
import { outsideFolders, regionFolders } from '../regions.ts';
import { readSettings } from '../settings.ts';

const HELP = `Usage: auditrax restore FILE (--erasures REGISTER | --no-later-erasures) [--recovery-key-file KEYFILE]

Restores a backup into an empty state folder (AUDITRAX_STATE) and puts the keys under a new root key. The recovery key is
asked for, or read from KEYFILE. The parts of other regions (FILE.<region>) must lie beside FILE. Evidence files of a region
with a folder of its own go to the folder that AUDITRAX_REGIONS_FILE names, which must be empty.

A backup holds people who were erased by law after it was made. REGISTER is issuer/${ERASURE_REGISTER_FILE} of the state
folder that is being replaced, or your copy of it: the house erases those people again before anybody gets in. Say
--no-later-erasures only when nobody was erased since the backup, or when every copy of the register is lost.
`;

async function readRecoveryKey(file: string | undefined): Promise<string> {
  if (file !== undefined) return readFileSync(file, 'utf8').trim();
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const typed = await prompt.question('Recovery key: ');
  prompt.close();
  return typed.trim();
}

/** On another machine the service users have other numbers: the folders go to the users of this one. */
function handOver(state: string, outside: OutsideFolders): void {
  if (process.getuid!() !== 0) return;
  const users = ensureServiceUsers([...SERVICES, 'postgres'], () => {});
  const servers = ['postgres', ...regionFolders(state).map(({ folders }) => folders[0]!)].map((name) => `${name}/data`);
  for (const [service, user] of Object.entries(users)) {
    for (const name of service === 'postgres' ? servers : [service]) {
      const folder = join(state, name);
      if (existsSync(folder)) give(user, folder);
    }
  }
  for (const folder of outside.values()) give(users.workspace!, folder);
}

function give(user: { readonly uid: number; readonly gid: number }, folder: string): void {
  execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, folder]);
}

/** Empty folders, which are made when they are missing. Throws `restore_not_empty`. */
function emptyOutside(regionsFile: string | undefined): OutsideFolders {
  const outside = outsideFolders(regionsFile);
  for (const [region, folder] of outside) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (readdirSync(folder).length === 0) continue;
    throw new AppError('restore_not_empty', `${folder} of region ${region} is not empty: move what is in it away`);
  }
  return outside;
}

/** The register of erasures to go by, undefined when the operator says that there were none. Throws `erasures_unsaid`. */
function laterErasures(said: { erasures?: string; 'no-later-erasures'?: boolean }): string | undefined {
  if ((said.erasures === undefined) === (said['no-later-erasures'] !== true)) {
    throw new AppError(
      'erasures_unsaid',
      'say who was erased by law since this backup: --erasures with the register (issuer/erasures.jsonl of the old state folder, or your copy), or --no-later-erasures; nothing was restored',
    );
  }
  if (said.erasures === undefined) return undefined;
  const register = resolve(said.erasures);
  if (!existsSync(register)) throw new AppError('erasures_unsaid', `there is no ${register}; nothing was restored`);
  readErasures(register); // refused before anything is unpacked
  return register;
}

function repeatErasures(issuerFolder: string, later: string | undefined): void {
  if (later === undefined) return;
  const people = mergeErasures(join(issuerFolder, ERASURE_REGISTER_FILE), later);
  process.stdout.write(`${people} people were erased since this backup: the next start erases them again first\n`);
}

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      'recovery-key-file': { type: 'string' },
      erasures: { type: 'string' },
      'no-later-erasures': { type: 'boolean' },
    },
  });
  const [name] = positionals;
  if (values.help || name === undefined) {
    (values.help ? process.stdout : process.stderr).write(HELP);
    return values.help ? 0 : 2;
  }
  const later = laterErasures(values);
  const settings = readSettings(process.env);
  const { state } = settings;
  if (existsSync(state) && readdirSync(state).length > 0) {
    throw new AppError(
      'restore_not_empty',
      `${state} is not empty: set AUDITRAX_STATE to an empty folder, or move the old one away`,
    );
  }
  const outside = emptyOutside(settings.regionsFile);
  const recoveryKey = await readRecoveryKey(values['recovery-key-file']);
  const folder = openStateFolder(state);
  const path = join(folder.own('keys'), 'key-ring');
  try {
    const backup = await unpackBackup({ statePath: state, file: resolve(name), outside }, recoveryKey);
    const made = await makeRootKey(readKeyMeans(settings).root, { folder: join(state, 'keys'), random: systemRandom });
    await restoreKeyRing({ path, ...made, clock: systemClock, random: systemRandom, backup, recoveryKey });
    repeatErasures(folder.own('issuer'), later);
    handOver(state, outside);
    folder.release();
  } catch (error) {
    // Half a house must never be started: what was unpacked goes away again.
    folder.release();
    const aside = `${state}.failed-${process.pid}`;
    renameSync(state, aside);
    rmSync(aside, { recursive: true, force: true });
    for (const place of outside.values())
      for (const part of readdirSync(place)) rmSync(join(place, part), { recursive: true, force: true });
    throw error;
  }
  process.stdout.write(`restored to ${state}: start with \`npm start\`\n`);
  return 0;
}
