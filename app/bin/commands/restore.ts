import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { AppError, systemClock, systemRandom } from '@auditrax/base';
import { restoreKeyRing } from '@auditrax/seal';
import { unpackBackup } from '../../platform/backup/archive.ts';
import { ensureServiceUsers } from '../../platform/supervisor/service-users.ts';
import { openStateFolder } from '../../platform/supervisor/state-folder.ts';
import { SERVICES } from '../house.ts';
import { makeRootKey, readKeyMeans } from '../key-means.ts';
import { regionFolders } from '../regions.ts';
import { readSettings } from '../settings.ts';

const HELP = `Usage: auditrax restore FILE [--recovery-key-file KEYFILE]

Restores a backup into an empty state folder (AUDITRAX_STATE) and puts the keys under a new root key. The recovery key is
asked for, or read from KEYFILE. The parts of other regions (FILE.<region>) must lie beside FILE.
`;

async function readRecoveryKey(file: string | undefined): Promise<string> {
  if (file !== undefined) return readFileSync(file, 'utf8').trim();
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const typed = await prompt.question('Recovery key: ');
  prompt.close();
  return typed.trim();
}

/** On another machine the service users have other numbers: the folders go to the users of this one. */
function handOver(state: string): void {
  if (process.getuid!() !== 0) return;
  const users = ensureServiceUsers([...SERVICES, 'postgres'], () => {});
  const servers = ['postgres', ...regionFolders(state).map(({ folder }) => folder)].map((name) => `${name}/data`);
  for (const [service, user] of Object.entries(users)) {
    for (const name of service === 'postgres' ? servers : [service]) {
      const folder = join(state, name);
      if (existsSync(folder)) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, folder]);
    }
  }
}

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' }, 'recovery-key-file': { type: 'string' } },
  });
  const [name] = positionals;
  if (values.help || name === undefined) {
    (values.help ? process.stdout : process.stderr).write(HELP);
    return values.help ? 0 : 2;
  }
  const settings = readSettings(process.env);
  const { state } = settings;
  if (existsSync(state) && readdirSync(state).length > 0) {
    throw new AppError(
      'restore_not_empty',
      `${state} is not empty: set AUDITRAX_STATE to an empty folder, or move the old one away`,
    );
  }
  const recoveryKey = await readRecoveryKey(values['recovery-key-file']);
  const folder = openStateFolder(state);
  const path = join(folder.own('keys'), 'key-ring');
  try {
    const backup = await unpackBackup({ statePath: state, file: resolve(name) }, recoveryKey);
    const made = await makeRootKey(readKeyMeans(settings).root, { folder: join(state, 'keys'), random: systemRandom });
    await restoreKeyRing({ path, ...made, clock: systemClock, random: systemRandom, backup, recoveryKey });
    handOver(state);
    folder.release();
  } catch (error) {
    // Half a house must never be started: what was unpacked goes away again.
    folder.release();
    const aside = `${state}.failed-${process.pid}`;
    renameSync(state, aside);
    rmSync(aside, { recursive: true, force: true });
    throw error;
  }
  process.stdout.write(`restored to ${state}: start with \`npm start\`\n`);
  return 0;
}
