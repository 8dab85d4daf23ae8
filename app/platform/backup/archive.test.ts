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
const regions = [{ region: 'south', folders: ['postgres-south', 'workspace/objects-south'] }];
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
  put('workspace/objects/part', 'file of the north');
  put('workspace/objects-south/part', 'file of the south');
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
    expect(readFileSync(join(place, 'workspace/objects/part'), 'utf8')).toBe('file of the north');
    expect(readFileSync(join(place, 'workspace/objects-south/part'), 'utf8')).toBe('file of the south');
  });

  test('is not restored without a region’s part, and the file that is missing is named', async () => {
    const file = await backUp('two.axb');
    await expect(restore(file, undefined)).rejects.toMatchObject({
      code: 'backup_malformed',
      message: expect.stringMatching(/part of region south is missing: put .*\.axb\.south beside/),
    });
    // Everything of home was in the backup's own file, and nothing of the other region.
    const unpacked = join(folder, `restored-${places}`);
    expect(existsSync(join(unpacked, 'workspace/objects/part'))).toBe(true);
    expect(existsSync(join(unpacked, 'workspace/objects-south'))).toBe(false);
    expect(existsSync(join(unpacked, 'postgres-south'))).toBe(false);
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

describe('a region with a folder outside the state folder', () => {
  const outside = join(folder, 'disk-of-us');
  const backUpBoth = async (name: string): Promise<string> => {
    mkdirSync(outside, { recursive: true });
    writeFileSync(join(outside, 'part'), 'file of us');
    const file = join(folder, name);
    const both = [...regions, { region: 'us', folders: [], outside }];
    await writeBackup({ statePath: state, file, rootKey, regions: both }, systemRandom);
    return file;
  };

  test('has a part like the others, which comes back in the folder named for it', async () => {
    const file = await backUpBoth('five.axb');
    const [place, there] = [join(folder, 'whole'), join(folder, 'new-disk-of-us')];
    for (const made of [place, there]) mkdirSync(made);
    await unpackBackup({ statePath: place, file, outside: new Map([['us', there]]) }, recoveryKey);
    expect(readFileSync(join(there, 'part'), 'utf8')).toBe('file of us');
    expect(readFileSync(join(place, 'workspace/objects-south/part'), 'utf8')).toBe('file of the south');
    expect(existsSync(join(place, 'part'))).toBe(false);
  });

  test('is not restored while nobody names a folder for it', async () => {
    const file = await backUpBoth('six.axb');
    const place = join(folder, 'placeless');
    mkdirSync(place);
    await expect(unpackBackup({ statePath: place, file }, recoveryKey)).rejects.toMatchObject({
      code: 'restore_place_missing',
      message: expect.stringContaining('region us keeps its evidence files outside'),
    });
  });
});
