import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openHouseDatabase } from './database.ts';
import { readRegions } from './regions.ts';
import { readSettings } from './settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'axr-'));
afterAll(() => rmSync(folder, { recursive: true }));

const SECRET = 'correct-horse';
const server = (host: string): { url: string; migrateUrl: string } => ({
  url: `postgresql://app@${encodeURIComponent(`/run/${host}`)}/auditrax`,
  migrateUrl: `postgresql://super:${SECRET}@${encodeURIComponent(`/run/${host}`)}/auditrax`,
});

function regionsFile(content: unknown, mode = 0o600): string {
  const file = join(folder, 'regions.json');
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  chmodSync(file, mode);
  return file;
}

async function clustersWith(content: unknown): Promise<string[]> {
  const home = server('home');
  const settings = { databaseUrl: home.url, databaseMigrateUrl: home.migrateUrl, regionsFile: regionsFile(content) };
  const given = { settings, state: { path: '/var/lib/auditrax' } } as Parameters<typeof openHouseDatabase>[0];
  const database = await openHouseDatabase(given);
  return (await database.clusters()).map(({ region, objects }) => `${region} ${objects}`);
}

describe('the regions of an operator’s own servers', () => {
  test('are those of the file, that of home first', async () => {
    expect(await clustersWith({ us: { ...server('us'), objects: '/mnt/us' }, eu: server('home') })).toEqual([
      'eu /var/lib/auditrax/workspace/objects',
      'us /mnt/us',
    ]);
  });

  test.each([
    ['{"eu": ', /is not JSON/],
    [{}, /names no region/],
    [{ 'EU west': server('home') }, /named in lower case letters/],
    [{ eu: { url: 'postgresql://x@y/z' } }, /eu\.migrateUrl/],
    [{ us: { ...server('us'), objects: '/mnt/us' } }, /no region names the server of DATABASE_URL/],
    [{ eu: server('home'), us: server('home') }, /two regions name the server of DATABASE_URL/],
    [{ us: server('us'), eu: server('home') }, /us\.objects: region us needs a folder for evidence files/],
    [{ us: { ...server('us'), objects: 'mnt' }, eu: server('home') }, /us\.objects: must be an absolute path/],
    [{ eu: { ...server('home'), objects: '/mnt/eu' } }, /region eu is home, .*leave eu\.objects out/],
    [{ eu: { url: server('home').url, migrateUrl: server('us').migrateUrl } }, /must name the same host/],
    [Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`r${at}`, server(`r${at}`)])), /more than 32 regions/],
  ])('are refused with the reason and without a password: %j', async (content, reason) => {
    const refused = clustersWith(content);
    await expect(refused).rejects.toMatchObject({ code: 'bad_setting', message: expect.stringMatching(reason) });
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining(SECRET) });
  });

  test('are not read from a file that others may read', () => {
    expect(() => readRegions(regionsFile({ eu: server('home') }, 0o644))).toThrow(/may be read or written by others/);
  });

  test('need DATABASE_URL', () => {
    expect(() => readSettings({ AUDITRAX_REGIONS_FILE: '/etc/auditrax/regions.json' })).toThrow(/needs DATABASE_URL/);
  });
});
