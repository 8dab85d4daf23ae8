import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock, systemRandom } from '@auditrax/base';
import { initKeyRing } from '@auditrax/seal';
import { partFile, unpackBackup, writeBackup } from './archive.ts';

const folder = mkdtempSync(join(tmpdir(), 'axb-'));
const state = join(folder, 'state');
const rootKey = Buffer.from(systemRandom.bytes(32));
const regions = [{ region: 'south', folder: 'postgres-south' }];
let recoveryKey: string;
let places = 0;

function put(name: string, text: string): void {
  mkdirSync(join(state, name, '..'), { recursive: true });
  writeFileSync(join(state, name), text);
}

/** Restores into a new folder, with the named parts beside a copy of the backup. */
async function restore(file: string, part: string | undefined): Promise<string> {
  places += 1;
  const [place, copy] = [join(folder, `restored-${places}`), join(folder, `copy-${places}.axb`)];
  mkdirSync(place);
  copyFileSync(file, copy);
  if (part !== undefined) copyFileSync(part, partFile(copy, 'south'));
  await unpackBackup({ statePath: place, file: copy }, recoveryKey);
  return place;
}

async function backUp(name: string): Promise<string> {
  const file = join(folder, name);
  await writeBackup({ statePath: state, file, rootKey, regions }, systemRandom);
  return file;
}

beforeAll(async () => {
  mkdirSync(join(state, 'keys'), { recursive: true, mode: 0o700 });
  mkdirSync(join(state, 'supervisor'));
  const [clock, random] = [systemClock, systemRandom];
  const path = join(state, 'keys/key-ring');
  ({ recoveryKey } = await initKeyRing({ path, rootKey, clock, random, wrappedKeysInStore: 0 }));
  put('postgres/data/rows', 'rows of the north');
  put('postgres-south/data/rows', 'rows of the south');
  put('postgres-south/data/postmaster.pid', '1');
});

afterAll(() => rmSync(folder, { recursive: true }));

describe('a backup of a house with two regions', () => {
  test('is a file for each region, and both together bring everything back', async () => {
    const file = await backUp('one.axb');
    expect(existsSync(join(state, 'supervisor/backup-regions.json'))).toBe(false);
    const place = await restore(file, partFile(file, 'south'));
    expect(readFileSync(join(place, 'postgres/data/rows'), 'utf8')).toBe('rows of the north');
    expect(readFileSync(join(place, 'postgres-south/data/rows'), 'utf8')).toBe('rows of the south');
    expect(existsSync(join(place, 'postgres-south/data/postmaster.pid'))).toBe(false);
  });

  test('is not restored without a region’s part, and the file that is missing is named', async () => {
    const file = await backUp('two.axb');
    await expect(restore(file, undefined)).rejects.toMatchObject({
      code: 'backup_malformed',
      message: expect.stringMatching(/part of region south is missing: put .*\.axb\.south beside/),
    });
  });

  test('is not restored with the part of another backup, or a changed one', async () => {
    const [file, other] = [await backUp('three.axb'), await backUp('four.axb')];
    await expect(restore(file, partFile(other, 'south'))).rejects.toMatchObject({
      code: 'backup_malformed',
      message: expect.stringContaining('was not written together with'),
    });
    const bytes = readFileSync(partFile(file, 'south'));
    for (const at of [5, bytes.length - 1]) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      writeFileSync(join(folder, 'changed'), changed);
      await expect(restore(file, join(folder, 'changed'))).rejects.toMatchObject({ code: 'backup_malformed' });
    }
  });
});
