// `npm start` as issue 2 promises it: nothing is left behind, nothing is lost, and each fault is one line with its fix.
import { chownSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { enterHouse, runCommand, runInTerminal, supervisorOf } from './testing/command.ts';
import { makeStateFolder, removeFolder, type Person, type Reply } from './testing/house.ts';
import { processesOf } from './testing/processes.ts';
import { beginWork } from './testing/writers.ts';

const START = ['start', '--no-prove'] as const;
/** Longer than a child's own bound for draining. */
const GONE_MS_MAX = 20_000;
const state = makeStateFolder();
const others: string[] = [];
const asRoot = process.getuid!() === 0;

function otherFolder(): string {
  const path = makeStateFolder();
  others.push(path);
  return path;
}

afterAll(() => {
  for (const path of [state, ...others]) {
    for (const line of processesOf(path)) process.kill(Number.parseInt(line, 10), 'SIGKILL');
    removeFolder(path);
  }
});

/** The line for people, without the program's steps before it. */
async function refusal(run: ReturnType<typeof runCommand>): Promise<string> {
  const code = await run.ended;
  const lines = run
    .said()
    .split('\n')
    .filter((line) => line.startsWith('auditrax: '));
  expect(code, run.said()).toBe(1);
  expect(lines, run.said()).toHaveLength(1);
  return lines[0]!;
}

let recoveryKey = '';
let engagement = '';

/** What `auditrax id-key …` prints about the running house. */
async function idKeys(...args: readonly string[]): Promise<{ version: number; makesIds: boolean }[]> {
  const run = runCommand(['id-key', ...args, '--json'], { state });
  expect(await run.ended, run.said()).toBe(0);
  return JSON.parse(run.said()) as { version: number; makesIds: boolean }[];
}

/** A new key of ids in the running house, then the end of the old one; `old` is an id made with that. */
async function rotateIdKeys(lead: Person, old: string): Promise<void> {
  const read = async (id: string): Promise<Reply> => lead.send('GET', `/api/engagements/${id}`);
  const idOf = async (): Promise<unknown> => ((await read(old)).body as { id: unknown }).id;
  expect(await idKeys('rotate', '--prepare-seconds', '2')).toMatchObject([
    { version: 1, makesIds: true },
    { version: 2, makesIds: false },
  ]);
  expect(await idOf()).toBe(old);
  // Nobody is restarted: the same row soon has an id under the new key, and the old one goes on working.
  await expect.poll(idOf, { timeout: 20_000 }).not.toBe(old);
  const id = (await idOf()) as string;
  expect((await read(id)).status).toBe(200);
  expect(await idKeys('retire', '1')).toMatchObject([{ version: 2, makesIds: true }]);
  await expect.poll(async () => (await read(old)).status, { timeout: 20_000 }).toBe(404);
  expect((await read(id)).status).toBe(200);
}

describe('one state folder through its life', () => {
  test('an interrupted first start (Ctrl-C before it is ready) leaves nothing running', async () => {
    const run = runCommand(START, { state });
    await run.until(/processes: issuer/);
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(1);
    expect(run.said()).toContain('stopped before it was ready');
    expect(processesOf(state)).toEqual([]);
  }, 180_000);

  test('kill -9 of the supervisor: its processes end by themselves, the database waits', async () => {
    const run = runCommand(START, { state });
    await run.until(/sample organisation/);
    process.kill(supervisorOf(state), 'SIGKILL');
    await run.ended;
    await expect
      .poll(() => processesOf(state).filter((line) => !/postgres/.test(line)), { timeout: GONE_MS_MAX })
      .toEqual([]);
    expect(run.said()).not.toContain('Recovery key, shown');
  }, 180_000);

  test('the next start adopts the database, shows the recovery key, and Ctrl-C leaves nothing running', async () => {
    const run = runCommand(START, { state });
    recoveryKey = (await run.until(/Write it down:\n {2}(\S+)/))[1]!;
    await run.until(/Stop with Ctrl-C/);
    expect(run.said()).toContain(`State folder: ${state}`);
    const lead = await enterHouse(state);
    engagement = (await beginWork(lead, 'Kept over a restart')).engagement;
    await lead.close();
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(0);
    expect(processesOf(state)).toEqual([]);
    expect(existsSync(join(state, 'supervisor.pid'))).toBe(false);
  }, 180_000);

  test('a later start finds the same data; the key of ids is rotated as it runs; a second start beside it is refused, in one line', async () => {
    const run = runCommand(START, { state });
    await run.until(/Stop with Ctrl-C/);
    expect(run.said()).not.toContain(recoveryKey);
    expect(run.said()).toContain('has not been confirmed');
    const lead = await enterHouse(state);
    expect(await lead.send('GET', `/api/engagements/${engagement}`)).toMatchObject({
      status: 200,
      body: { title: 'Kept over a restart' },
    });
    await rotateIdKeys(lead, engagement);
    await lead.close();
    expect(await refusal(runCommand(START, { state }))).toMatch(/already running here \(process \d+.*AUDITRAX_STATE/);
    // Killed outright, the bootstrap passes nothing on.
    run.child.kill('SIGKILL');
    await run.ended;
    const next = runCommand(START, { state });
    await next.until(/Stop with Ctrl-C/);
    next.child.kill('SIGTERM');
    expect(await next.ended).toBe(0);
    expect(processesOf(state)).toEqual([]);
  }, 240_000);

  test('in a terminal the recovery key is asked for until it was right, and Ctrl-C at the question stops', async () => {
    const first = runInTerminal(START, { state });
    await first.until(/Type the recovery key/);
    first.child.stdin!.write('\x03');
    expect(await first.ended).toBe(0);
    expect(processesOf(state)).toEqual([]);

    const second = runInTerminal(START, { state });
    await second.until(/Type the recovery key/);
    second.child.stdin!.write(`${recoveryKey}\n`);
    await second.until(/ {2}confirmed/);
    await second.until(/Stop with Ctrl-C/);
    second.child.stdin!.write('\x03');
    expect(await second.ended).toBe(0);

    const third = runInTerminal(START, { state });
    await third.until(/Stop with Ctrl-C/);
    expect(third.said()).not.toContain('Type the recovery key');
    third.child.stdin!.write('\x03');
    expect(await third.ended).toBe(0);
    expect(processesOf(state)).toEqual([]);
  }, 300_000);

  test.each([
    ['root key', 'keys/root-key', /keys\/root-key is gone: put it back, or run .*auditrax restore/],
    ['key ring', 'keys/key-ring', /keys\/key-ring is gone/],
    ["log's key", 'signer/log-key.pem', /signing key .* is gone: restore it from a backup/],
    ["signer's journal", 'signer/journal', /journal .* is gone: restore it from a backup/],
    ['key of ids', 'issuer/id-key', /key of ids .* is gone: restore it from a backup/],
  ])(
    'a lost %s is named with the fix, and nothing is made in its place',
    async (_what, file, line) => {
      const [path, aside, marker] = [join(state, file), join(state, 'aside'), join(state, 'initialised')];
      renameSync(path, aside);
      rmSync(marker); // the marker may be lost with it: the data still need the old key
      try {
        expect(await refusal(runCommand(START, { state }))).toMatch(line);
        expect(existsSync(path)).toBe(false);
        expect(processesOf(state)).toEqual([]);
      } finally {
        rmSync(path, { recursive: true, force: true });
        renameSync(aside, path);
        writeFileSync(marker, '', { mode: 0o600 });
      }
    },
    120_000,
  );
});

describe('one line each', () => {
  test('a busy port is named with another one to try', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const folder = otherFolder();
    const line = await refusal(runCommand(START, { state: folder, environment: { AUDITRAX_PORT: String(port) } }));
    expect(line).toMatch(
      new RegExp(`port ${port} is in use by another program: stop it, or .*AUDITRAX_PORT=\\d+ npm start`),
    );
    expect(processesOf(folder)).toEqual([]);
    expect(existsSync(join(folder, 'supervisor.pid'))).toBe(false);
    server.close();
  }, 30_000);

  test.runIf(asRoot)(
    'a state folder of another user',
    async () => {
      const folder = join(otherFolder(), 'theirs');
      mkdirSync(folder);
      chownSync(folder, 65_534, 65_534);
      expect(await refusal(runCommand(START, { state: folder }))).toMatch(
        /belongs to user 65534, not to you \(0\).*AUDITRAX_STATE/,
      );
    },
    30_000,
  );

  test('an unsupported platform', async () => {
    const pretend = 'data:text/javascript,Object.defineProperty(process,"platform",{value:"darwin"})';
    const run = runCommand(START, { state: otherFolder(), nodeOptions: ['--import', pretend] });
    expect(await refusal(run)).toMatch(/darwin\/\w+ is not supported.*Linux/);
  }, 30_000);

  test('a setting that cannot be', async () => {
    const run = runCommand(START, { state: otherFolder(), environment: { DATABASE_URL: 'postgresql://a@b/c' } });
    expect(await refusal(run)).toMatch(/DATABASE_URL and DATABASE_MIGRATE_URL belong together/);
  }, 30_000);
});
