import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { AppError, systemRandom } from '@auditrax/base';
import { ERASURE_DEADLINE_DAYS } from '../../platform/audit/index.ts';
import { isBackupFile, partFile, writeBackup, type RegionFolders } from '../../platform/backup/archive.ts';
import { openStateFolder } from '../../platform/supervisor/state-folder.ts';
import { openRootKey, readKeyMeans } from '../key-means.ts';
import { outsideFolders, regionFolders } from '../regions.ts';
import { readSettings } from '../settings.ts';

const HELP = `Usage: auditrax backup FILE

Writes database, evidence, key ring (sealed), log journal and all else of the state folder to FILE, encrypted so that
only the recovery key opens it. What is kept in another region goes to FILE.<region>, so that it need not leave it: also
the evidence files of a region whose folder AUDITRAX_REGIONS_FILE names. Databases on servers of your own are not in it.
Stop the house first: a backup is of one instant. It holds people who are erased by law later on, so the command says by
when it has to be destroyed and names files beside it whose time is over.
`;

/** Each with a folder that is there: one that is not mounted would look like a region without a single file. */
function readableOutside(regionsFile: string | undefined): RegionFolders[] {
  return [...outsideFolders(regionsFile)].map(([region, outside]) => {
    if (existsSync(outside)) return { region, folders: [], outside };
    throw new AppError(
      'region_folder_missing',
      `region ${region} keeps its evidence files in ${outside}, which is not there: mount it, then back up`,
    );
  });
}

const DAY_MS = 86_400_000;

/**
 * What whoever keeps the file has to know about people who are erased after it was made: by when it goes, whether that is
 * within the law's deadline, and which backups beside it should be gone already (by the time of their file).
 */
export function retentionLines(file: string, retention_days: number, nowMs = Date.now()): string[] {
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  const lines = [
    `Destroy it by ${day(nowMs + retention_days * DAY_MS)} (AUDITRAX_BACKUP_RETENTION_DAYS=${retention_days}).`,
  ];
  if (retention_days > ERASURE_DEADLINE_DAYS) {
    lines.push(
      `WARNING: that is longer than the ${ERASURE_DEADLINE_DAYS} days within which the values of people who are erased by law have to be gone everywhere.`,
    );
  }
  const folder = dirname(file);
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isFile() !== true || nowMs - stat.mtimeMs <= retention_days * DAY_MS || !isBackupFile(path)) continue;
    lines.push(
      `WARNING: ${path} is of ${day(stat.mtimeMs)} and should be gone: it may hold people who were erased since.`,
    );
  }
  return lines;
}

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
  const regions = [...regionFolders(state), ...readableOutside(settings.regionsFile)];
  const files = [file, ...regions.map(({ region }) => partFile(file, region))];
  const present = files.find((path) => existsSync(path));
  if (present !== undefined) throw new AppError('file_exists', `${present} exists already: name another file`);
  if (!existsSync(join(state, 'keys/key-ring')))
    throw new AppError('nothing_to_back_up', `there is no house in ${state}`);
  const folder = openStateFolder(state); // refuses while the house is running
  try {
    const servers = ['postgres', ...regions.map(({ folders }) => folders[0]!)];
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
  for (const line of retentionLines(file, settings.backupRetention_days)) process.stdout.write(`${line}\n`);
  if (databaseUrl !== undefined) {
    process.stdout.write(
      'The databases of DATABASE_URL and of other regions are not in it: back them up with their own tools while the house is stopped.\n',
    );
  }
  return 0;
}
