// Backup and restore: the same data come back, the log goes on where it was, and a wrong key or a changed file restores nothing.
import { copyFileSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from './testing/command.ts';
import { makeStateFolder, openTestHouse, Person, removeFolder } from './testing/house.ts';
import { faultsOfRecord, openAsSuperuser, whenSequenced } from './testing/log-check.ts';
import { beginWork, historyOf, recordResult, type Work } from './testing/writers.ts';

const folder = makeStateFolder();
const [state, file, keyFile] = [join(folder, 'state'), join(folder, 'backup.axb'), join(folder, 'recovery-key')];
let work: Work;
let logKeys: string[];
let resultId = '';

async function write(lead: Person, revision: number): Promise<string> {
  const reply = await recordResult(lead, work, { criterion: work.criteria[0]!, revision, note: `result ${revision}` });
  expect(reply.status, JSON.stringify(reply.body)).toBe(201);
  return (reply.body as { id: string }).id;
}

beforeAll(async () => {
  const { house, stop } = await openTestHouse(state);
  const recoveryKey = await house.supervisor.ask('keys', 'recovery-key-once', true);
  writeFileSync(keyFile, `${recoveryKey as string}\n`, { mode: 0o600 });
  const lead = await Person.signIn(house, 'Lead auditor');
  work = await beginWork(lead, 'In the backup');
  resultId = await write(lead, 0);
  logKeys = (await house.supervisor.ask('ledger', 'log-keys', null)) as string[];
  house.state.markInitialised();
  await lead.close();
  await stop();
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
  const outcome = await command(['restore', backup, '--recovery-key-file', key], place);
  expect(readdirSync(folder).filter((name) => name.startsWith('elsewhere'))).toEqual([]);
  return outcome;
}

describe('a backup', () => {
  test('is one file that shows nothing of what is in it and is refused to be written twice', async () => {
    expect(await command(['backup', file])).toMatchObject({ code: 0 });
    const bytes = readFileSync(file);
    for (const name of ['postgres/data', 'PG_VERSION', 'BEGIN PRIVATE KEY', 'root-key'])
      expect(bytes.includes(name), name).toBe(false);
    expect(await command(['backup', file])).toMatchObject({ code: 1, said: expect.stringContaining('exists already') });
    expect(existsSync(`${file}.partial`)).toBe(false);
  }, 120_000);

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

  test('brings back the same data under a new root key; the log verifies and grows on', async () => {
    const oldRoot = readFileSync(join(state, 'keys/root-key'), 'utf8');
    removeFolder(state);
    expect(await command(['restore', file, '--recovery-key-file', keyFile])).toMatchObject({ code: 0 });
    expect(readFileSync(join(state, 'keys/root-key'), 'utf8')).not.toBe(oldRoot);
    const { house, stop } = await openTestHouse(state);
    expect(house.isNew).toBe(false);
    const lead = await Person.signIn(house, 'Lead auditor');
    expect(await historyOf(lead, work, work.criteria[0]!)).toMatchObject([{ id: resultId, note: 'result 0' }]);
    await write(lead, 1);
    await lead.close();
    expect(await house.supervisor.ask('ledger', 'log-keys', null)).toEqual(logKeys);
    const client = await openAsSuperuser(house);
    await whenSequenced(client);
    expect(await faultsOfRecord(client, logKeys)).toEqual([]);
    await client.end();
    await stop();
  }, 240_000);

  test('is not restored over anything', async () => {
    const { code, said } = await command(['restore', file, '--recovery-key-file', keyFile]);
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
