// The real program, by its own command line.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAppError } from '@auditrax/base';
import { createCosigner, parseVerifierKey, readCosignatures, type VerifierKey } from '@auditrax/tlog';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from './config.ts';
import { freePort, makeLog, startProgram, type Program, type TestLog } from './testing/rig.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
const NAME = 'witness.test.example/1';
/** Each start of a process costs seconds on a busy machine. */
const KILLS_MS_MAX = 90_000;
const PATH = '/w/add-checkpoint';

let folder: string;
let log: TestLog;
let port: number;
let program: Program;
let witnessKey: VerifierKey;

const run = (...args: string[]): string =>
  execFileSync(process.execPath, ['--no-warnings', MAIN, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
const start = (): Program =>
  startProgram([process.execPath, '--no-warnings', MAIN, '--config', join(folder, 'config.json')], { port });

function writeConfig(more: object = {}): void {
  const config = {
    name: NAME,
    keyFile: 'witness.pem',
    journalFolder: 'journal',
    listen: { host: '127.0.0.1', port },
    uriPathPrefix: '/w',
    logs: [{ keys: [log.verifierKey] }],
    ...more,
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ax-witness-'));
  mkdirSync(join(folder, 'journal'));
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(join(folder, 'witness.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  log = await makeLog(() => 'test.example/log/super/1');
  port = await freePort();
  writeConfig();
  witnessKey = (await parseVerifierKey((await createCosigner(NAME, privateKey)).verifierKey))!;
});
afterEach(async () => {
  rmSync(folder, { recursive: true, force: true });
});

const ask = async (from: number, to: number, past?: 'other'): Promise<number> =>
  (await program.post(PATH, await log.body(from, to, past))).status;

describe('W1: the witness puts its name under growth, and never forgets what it did', () => {
  beforeEach(() => {
    program = start();
  });
  afterEach(() => program.end('SIGKILL'));

  it('co-signs a first sight, growth and the same again, with its key and a time of now', async () => {
    for (const [from, to] of [
      [0, 7],
      [7, 20],
      [20, 20],
    ] as const) {
      const reply = await program.post(PATH, await log.body(from, to));
      expect(reply.status).toBe(200);
      const [cosignature] = (await readCosignatures({ text: log.textAt(to), lines: reply.body }, [witnessKey]))!;
      expect(Math.abs(cosignature!.seconds - Date.now() / 1000)).toBeLessThan(30);
    }
  });

  it(
    'remembers over kill -9 in the middle of its work: no rollback, no fork, no other past',
    { timeout: KILLS_MS_MAX },
    async () => {
      let size = 0;
      for (let round = 0; round < 2; round += 1) {
        for (const to of [size + 2, size + 5]) {
          expect(await ask(size, to)).toBe(200);
          size = to;
        }
        // One more is under way; whether it was answered is not known, whether it is remembered must not matter.
        const racing = program.post(PATH, await log.body(size, size + 1)).catch(() => undefined);
        await program.end('SIGKILL');
        await racing;
        appendFileSync(join(folder, 'journal', readdirSync(join(folder, 'journal'))[0]!), 'torn');
        program = start();
        const { status, body, type } = await program.post(PATH, await log.body(0, 1));
        expect([status, type]).toEqual([409, 'text/x.tlog.size']);
        expect([size, size + 1]).toContain(Number(body));
        size = Number(body);
        expect(await ask(size, size, 'other')).toBe(409);
        expect(await ask(size, size + 1, 'other')).toBe(422);
      }
    },
  );

  it('stops at a journal that somebody has changed, and signs nothing', async () => {
    expect(await ask(0, 7)).toBe(200);
    await program.end('SIGTERM');
    const path = join(folder, 'journal', readdirSync(join(folder, 'journal'))[0]!);
    writeFileSync(path, `${log.origin} 3 ${'A'.repeat(43)}= ${'0'.repeat(16)}\n`);
    program = start();
    expect(await ask(7, 20)).toBe(500);
  });

  it('answers strangers and floods: another log, another key, too long, too many, another path', async () => {
    const other = await makeLog(() => 'elsewhere.example/log/super/1');
    const impostor = await makeLog(() => log.origin);
    expect((await program.post(PATH, await other.body(0, 7))).status).toBe(404);
    expect((await program.post(PATH, await impostor.body(0, 7))).status).toBe(403);
    expect((await program.post(PATH, 'x'.repeat(20_000)).catch(() => ({ status: 413 }))).status).toBe(413);
    expect((await program.post('/add-checkpoint', await log.body(0, 7))).status).toBe(404);
    expect((await fetch(`http://127.0.0.1:${port}${PATH}`)).status).toBe(405);
    const body = await log.body(0, 7);
    const flood = await Promise.all(Array.from({ length: 80 }, () => program.post(PATH, body)));
    expect(new Set(flood.map(({ status }) => status))).toContain(429);
    expect(program.lines.some((line) => line.includes('"event":"refused"'))).toBe(true);
  });
});

describe('the configuration', () => {
  it('is told wrong by its place, and used only when everything in it is right', async () => {
    const refusal = async (more: object): Promise<string> => {
      writeConfig(more);
      return loadConfig(join(folder, 'config.json')).then(
        () => 'accepted',
        (error: unknown) => (isAppError(error) ? error.message : String(error)),
      );
    };
    expect(await refusal({})).toBe('accepted');
    expect(await refusal({ name: 'two words' })).toContain('name:');
    expect(await refusal({ more: 1 })).toContain('config.json');
    expect(await refusal({ logs: [{ keys: [witnessKey.text] }] })).toContain('logs[0].keys[0]');
    expect(await refusal({ logs: [{ keys: [log.verifierKey] }, { keys: [log.verifierKey] }] })).toContain('again');
    chmodSync(join(folder, 'witness.pem'), 0o644);
    expect(await refusal({})).toContain('others may read it');
    writeFileSync(join(folder, 'witness.pem'), run('--new-key'));
    chmodSync(join(folder, 'witness.pem'), 0o600);
    const line = run('--config', join(folder, 'config.json'), '--policy-line').trim().split(' ');
    expect([line[0], line[1], line[3]]).toEqual(['witness', 'witness-test-example-1', `http://127.0.0.1:${port}/w`]);
    expect(await parseVerifierKey(line[2]!)).toMatchObject({ name: NAME });
  });
});
