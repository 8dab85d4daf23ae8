import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { AppError, systemRandom } from '@auditrax/base';
import { partFile, writeBackup } from '../../platform/backup/archive.ts';
import { openStateFolder } from '../../platform/supervisor/state-folder.ts';
import { openRootKey, readKeyMeans } from '../key-means.ts';
import { regionFolders } from '../regions.ts';
import { readSettings } from '../settings.ts';

const HELP = `Usage: auditrax backup FILE

Writes database, evidence, key ring (sealed), log journal and all else of the state folder to FILE, encrypted so that
only the recovery key opens it. What is kept in another region goes to FILE.<region>, so that it need not leave it.
Stop the house first: a backup is of one instant.
`;

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' } },
  });
  const [name] = positionals;
  if (values.help || name === undefined) {
    (values.help ? process.stdout : process.stderr).write(HELP);
    return values.help ? 0 : 2;
  }
  const settings = readSettings(process.env);
  const { state, databaseUrl } = settings;
  const file = resolve(name);
  const regions = regionFolders(state);
  const files = [file, ...regions.map(({ region }) => partFile(file, region))];
  const present = files.find((path) => existsSync(path));
  if (present !== undefined) throw new AppError('file_exists', `${present} exists already: name another file`);
  if (!existsSync(join(state, 'keys/key-ring')))
    throw new AppError('nothing_to_back_up', `there is no house in ${state}`);
  const folder = openStateFolder(state); // refuses while the house is running
  try {
    const servers = ['postgres', ...regions.map(({ folder }) => folder)];
    if (servers.some((folder) => existsSync(join(state, folder, 'data/postmaster.pid')))) {
      throw new AppError(
        'database_running',
        'the database is still running (was the house killed?): start the house and stop it with Ctrl-C, then back up',
      );
    }
    const { root } = readKeyMeans(settings);
    const rootKey = await openRootKey(root, join(state, 'keys'));
    await writeBackup({ statePath: state, file, rootKey, regions }, systemRandom);
    rootKey.fill(0);
  } finally {
    folder.release();
  }
  for (const path of files)
    process.stdout.write(
      `${path}: ${(statSync(path).size / 1e6).toFixed(1)} MB. Keep it apart from the recovery key.\n`,
    );
  if (databaseUrl !== undefined) {
    process.stdout.write(
      'The databases of DATABASE_URL and of other regions are not in it: back them up with their own tools while the house is stopped.\n',
    );
  }
  return 0;
}
