// Backup and restore: the same data come back, the log goes on where it was, and a wrong key or a changed file restores nothing.
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemRandom, uuidV4 } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { House } from '../app/bin/house.ts';
import { HOME_OBJECTS, OTHER_OBJECTS } from '../app/bin/regions.ts';
import type { ProveReport } from '../app/probes/prove-report.ts';
import { CELLS_FACT, type CellAddress } from '../app/platform/supervisor/messages.ts';
import { runCommand } from './testing/command.ts';
import { makeStateFolder, openTestHouse, Person, removeFolder } from './testing/house.ts';
import { faultsOfRecord, openAsSuperuser, openCellAsSuperuser, whenSequenced } from './testing/log-check.ts';
import { beginWork, historyOf, recordResult, type Work } from './testing/writers.ts';

const folder = makeStateFolder();
const [state, file, keyFile] = [join(folder, 'state'), join(folder, 'backup.axb'), join(folder, 'recovery-key')];
let work: Work;
let logKeys: string[];
let resultId = '';
const FILE = Buffer.from('A file of evidence of the home region.');
let evidenceId = '';
/** Rows of evidence in the database of the other region, and the files of both regions by name, as they were backed up. */
let evidenceRows = 0;
let filesBefore: Readonly<Record<string, string>>;

async function write(lead: Person, revision: number): Promise<string> {
  const reply = await recordResult(lead, work, { criterion: work.criteria[0]!, revision, note: `result ${revision}` });
  expect(reply.status, JSON.stringify(reply.body)).toBe(201);
  return (reply.body as { id: string }).id;
}

/** A file of evidence of the home region, sent as a browser sends it. */
async function sendFile(lead: Person): Promise<string> {
  const begun = await lead.send('POST', `/api/engagements/${work.engagement}/evidence/uploads`, {
    criterionId: work.criteria[0],
    fileName: 'backed-up.txt',
    mediaType: 'text/plain',
    sizeBytes: FILE.length,
    speaksAbout: { from: '2026-01-01', to: '2026-12-31' },
  });
  expect(begun.status, JSON.stringify(begun.body)).toBe(201);
  const upload = `/api/evidence/uploads/${(begun.body as { uploadId: string }).uploadId}`;
  expect((await lead.send('PUT', `${upload}?offset=0`, FILE)).status).toBe(200);
  const done = await lead.send('POST', `${upload}/complete`);
  expect(done.status, JSON.stringify(done.body)).toBe(201);
  return (done.body as { id: string }).id;
}

/** The house tries it on its own tenant with a database and files in the other region. */
async function proveRegions(house: House): Promise<string[]> {
  await house.supervisor.ask('sentinel', 'begin', null);
  const claims = ['tenant.region', 'tenant.dedicated-db'];
  const asked = await house.supervisor.ask('sentinel', 'prove', { claims, rehearse: false });
  const { claims: seen } = asked as unknown as ProveReport;
  return seen.filter(({ id }) => claims.includes(id)).map(({ state: found }) => found);
}

async function evidenceElsewhere(house: House): Promise<number> {
  const cells = house.supervisor.peers().facts[CELLS_FACT] as unknown as CellAddress[];
  const client = await openCellAsSuperuser(
    house,
    cells.find(({ cell }) => cell !== 'home')!,
  );
  const { rows } = await client.query<{ rows: number }>('select count(*)::int as rows from app.evidence');
  await client.end();
  return rows[0]!.rows;
}

/** Digests of the evidence files below the state folder, by path. */
function evidenceFiles(): Record<string, string> {
  const found = [HOME_OBJECTS, OTHER_OBJECTS].flatMap((place) =>
    readdirSync(join(state, place), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
  return Object.fromEntries(found.map((path) => [path, digest(path)]));
}

beforeAll(async () => {
  const { house, stop } = await openTestHouse(state);
  const recoveryKey = await house.supervisor.ask('keys', 'recovery-key-once', true);
  writeFileSync(keyFile, `${recoveryKey as string}\n`, { mode: 0o600 });
  const lead = await Person.signIn(house, 'Lead auditor');
  work = await beginWork(lead, 'In the backup');
  resultId = await write(lead, 0);
  evidenceId = await sendFile(lead);
  expect(await proveRegions(house)).toEqual(['green', 'green']);
  logKeys = (await house.supervisor.ask('ledger', 'log-keys', null)) as string[];
  house.state.markInitialised();
  await lead.close();
  evidenceRows = await evidenceElsewhere(house);
  await stop();
  filesBefore = evidenceFiles();
}, 300_000);

afterAll(() => removeFolder(folder));

async function command(args: readonly string[], place = state): Promise<{ code: number | string; said: string }> {
  const run = runCommand(args, { state: place });
  const code = await run.ended;
  return { code, said: run.said() };
}

/** Tries a restore into a folder of its own; nothing of it may be left when it fails. */
async function tryRestore(backup: string, key = keyFile): Promise<{ code: number | string; said: string }> {
  const place = join(folder, 'elsewhere');
  const outcome = await command(['restore', backup, '--no-later-erasures', '--recovery-key-file', key], place);
  expect(readdirSync(folder).filter((name) => name.startsWith('elsewhere'))).toEqual([]);
  return outcome;
}

describe('a backup', () => {
  test('is a file for each region that shows nothing of what is in it and is refused to be written twice', async () => {
    expect(await command(['backup', file])).toMatchObject({ code: 0 });
    for (const path of [file, `${file}.south`]) {
      const bytes = readFileSync(path);
      for (const name of ['postgres/data', 'postgres-south/data', 'PG_VERSION', 'BEGIN PRIVATE KEY', 'root-key'])
        expect(bytes.includes(name), name).toBe(false);
    }
    expect(await command(['backup', file])).toMatchObject({ code: 1, said: expect.stringContaining('exists already') });
    expect(existsSync(`${file}.partial`)).toBe(false);
  }, 120_000);

  test('is restored only by somebody who says who was erased since', async () => {
    for (const said of [[], ['--erasures', join(folder, 'nowhere')], ['--erasures', file, '--no-later-erasures']]) {
      const place = join(folder, 'elsewhere');
      const outcome = await command(['restore', file, ...said, '--recovery-key-file', keyFile], place);
      expect(outcome).toMatchObject({ code: 1, said: expect.stringContaining('nothing was restored') });
      expect(existsSync(place)).toBe(false);
    }
  }, 60_000);

  test('is refused with another recovery key, naming what was expected and found', async () => {
    const other = join(folder, 'other-key');
    writeFileSync(
      other,
      readFileSync(keyFile, 'utf8').replace(/^..../, (text) => (text === 'ZZZZ' ? 'YYYY' : 'ZZZZ')),
    );
    const { code, said } = await tryRestore(file, other);
    expect(code).toBe(1);
    expect(said).toMatch(/auditrax: .*recovery key/i);
  }, 60_000);

  test('is refused when it is cut off', async () => {
    const cut = join(folder, 'cut.axb');
    const { length } = readFileSync(file);
    for (const bytes of [3, 40, 2_000, Math.floor(length / 2), length - 1]) {
      copyFileSync(file, cut);
      truncateSync(cut, bytes);
      const { code, said } = await tryRestore(cut);
      expect(code, `${bytes} bytes: ${said}`).toBe(1);
      expect(said, `${bytes} bytes`).toMatch(/auditrax: .*(is cut off|is not a backup|was changed, or is damaged)/);
    }
  }, 120_000);

  test('is refused when one byte is another: in the ring, the salt, the middle, the end', async () => {
    const bytes = readFileSync(file);
    const ringBytes = bytes.readUInt32BE(4);
    for (const at of [0, 9, 8 + ringBytes + 3, Math.floor(bytes.length / 2), bytes.length - 1]) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      const path = join(folder, 'changed.axb');
      writeFileSync(path, changed);
      const { code, said } = await tryRestore(path);
      expect(code, `byte ${at}: ${said}`).toBe(1);
      expect(said.trim().split('\n'), `byte ${at}`).toHaveLength(1);
    }
  }, 120_000);

  test('brings back the same data and files of both regions under a new root key; the log verifies and grows on', async () => {
    const oldRoot = readFileSync(join(state, 'keys/root-key'), 'utf8');
    removeFolder(state);
    const erasures = join(folder, 'erasures.jsonl');
    const gone = { v: 1, tenant: uuidV4(systemRandom), subject: uuidV4(systemRandom), at: 1 };
    writeFileSync(erasures, `${JSON.stringify(gone)}\n`);
    const restored = await command(['restore', file, '--erasures', erasures, '--recovery-key-file', keyFile]);
    expect(restored).toMatchObject({
      code: 0,
      said: expect.stringContaining('1 people were erased since this backup'),
    });
    expect(readFileSync(join(state, 'issuer/erasures.jsonl'), 'utf8')).toBe(readFileSync(erasures, 'utf8'));
    expect(readFileSync(join(state, 'keys/root-key'), 'utf8')).not.toBe(oldRoot);
    expect(evidenceFiles()).toEqual(filesBefore);
    expect(Object.keys(filesBefore).some((path) => path.includes(`${OTHER_OBJECTS}/`))).toBe(true);
    const { house, stop } = await openTestHouse(state);
    expect(house.isNew).toBe(false);
    const lead = await Person.signIn(house, 'Lead auditor');
    expect(await historyOf(lead, work, work.criteria[0]!)).toMatchObject([{ id: resultId, note: 'result 0' }]);
    await write(lead, 1);
    expect((await lead.send('GET', `/api/evidence/${evidenceId}/content`)).body).toEqual(FILE);
    await lead.close();
    expect(evidenceRows).toBeGreaterThan(0);
    expect(await evidenceElsewhere(house)).toBe(evidenceRows);
    expect(await house.supervisor.ask('ledger', 'log-keys', null)).toEqual(logKeys);
    const client = await openAsSuperuser(house);
    await whenSequenced(client);
    expect(await faultsOfRecord(client, logKeys)).toEqual([]);
    await client.end();
    // Last: from then on the house attacks itself, and the log grows.
    expect(await proveRegions(house)).toEqual(['green', 'green']);
    await stop();
  }, 240_000);

  test('is not restored over anything', async () => {
    const { code, said } = await command(['restore', file, '--no-later-erasures', '--recovery-key-file', keyFile]);
    expect([code, said]).toEqual([1, expect.stringContaining(`${state} is not empty`)]);
  }, 60_000);
});

describe('doctor', () => {
  test('names a wrong root key with the ring, the expected and the found check value', async () => {
    const path = join(state, 'keys/root-key');
    const right = readFileSync(path);
    expect((await command(['doctor'])).said).toMatch(/ok {3}key ring +[0-9a-f-]{36}, \d+ keys, root key \S+/);
    writeFileSync(path, Buffer.alloc(32, 7).toString('base64url'));
    const { code, said } = await command(['doctor']);
    writeFileSync(path, right);
    expect(code).toBe(1);
    expect(said).toMatch(
      /BAD {2}key ring +key ring [0-9a-f-]{36} expects the root key with check value \S+; the one given has \S+/,
    );
  }, 60_000);

  test('a ring of another house, put in after a restore, is named with what the data expect, at rest and at a start', async () => {
    const other = join(dirname(state), 'other');
    const passphraseFile = join(folder, 'passphrase');
    writeFileSync(passphraseFile, 'the passphrase of the other house\n', { mode: 0o600 });
    const environment = { AUDITRAX_PASSPHRASE_FILE: passphraseFile };
    const { stop } = await openTestHouse(other, { environment });
    await stop();
    expect(existsSync(join(other, 'keys/root-key'))).toBe(false);
    const own = readFileSync(join(state, 'keys/key-ring'));
    const ringId = (ring: Buffer) => (JSON.parse(ring.toString()) as { ringId: string }).ringId;
    copyFileSync(join(other, 'keys/key-ring'), join(state, 'keys/key-ring'));
    const run = runCommand(['doctor'], { state, environment });
    expect(await run.ended).toBe(1);
    const [, expected, key, found] =
      /BAD {2}key ring +the data expect key ring (\S+), .* key (local:\S+); found key ring (\S+), /.exec(
        run.said(),
      ) ?? [run.said()];
    expect([expected, found]).toEqual([ringId(own), ringId(readFileSync(join(other, 'keys/key-ring')))]);
    expect(own.includes(key!.slice('local:'.length))).toBe(true);
    await expect(openTestHouse(state, { environment })).rejects.toThrow(
      /the database expects key local:[0-9a-f-]{36}; found key ring [0-9a-f-]{36}/,
    );
  }, 240_000);
});
