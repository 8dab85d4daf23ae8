// Who may start a house and what its processes may do to each other: as root each has a user of its own, below a
// checkout that only root can read; as an ordinary user they share one and the database asks for passwords.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ServiceName } from '@auditrax/base';
import { buildBrowser } from '../app/bin/browser-build.ts';
import { SERVICES } from '../app/bin/house.ts';
import { enterHouse, runCommand } from './testing/command.ts';
import { makeStateFolder, openTestHouse, Person, removeFolder, seedSample, type TestHouse } from './testing/house.ts';
import { processesOf } from './testing/processes.ts';
import { beginWork, recordResult } from './testing/writers.ts';

const ROOT = join(import.meta.dirname, '..');
const NOBODY = 65_534;
/** Everything of a checkout that a start needs. */
const CHECKOUT = [
  'app',
  'packages',
  'xks-proxy',
  'dist',
  'start.mjs',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'vite.config.ts',
];
const asRoot = process.getuid!() === 0;
const folders: string[] = [];

function otherFolder(): string {
  const path = makeStateFolder();
  folders.push(path);
  return path;
}

afterAll(() => folders.forEach((path) => removeFolder(path)));

/** Signs in, writes what passes through every process, and reads it back. */
async function useHouse(lead: Person): Promise<void> {
  const work = await beginWork(lead, 'Written as somebody else');
  const reply = await recordResult(lead, work, { criterion: work.criteria[0]!, revision: 0, note: 'seen' });
  expect(reply.status, JSON.stringify(reply.body)).toBe(201);
  const bytes = Buffer.from('evidence of an ordinary user');
  const begun = await lead.send('POST', `/api/engagements/${work.engagement}/evidence/uploads`, {
    criterionId: work.criteria[0],
    fileName: 'evidence.txt',
    mediaType: 'text/plain',
    sizeBytes: bytes.length,
    speaksAbout: { from: '2026-01-01', to: '2026-01-31' },
  });
  expect(begun.status, JSON.stringify(begun.body)).toBe(201);
  const { uploadId } = begun.body as { uploadId: string };
  expect((await lead.send('PUT', `/api/evidence/uploads/${uploadId}?offset=0`, bytes)).status).toBe(200);
  const done = await lead.send('POST', `/api/evidence/uploads/${uploadId}/complete`);
  expect(done.status, JSON.stringify(done.body)).toBe(201);
  const { id } = done.body as { id: string };
  expect((await lead.send('GET', `/api/evidence/${id}/content`)).body).toEqual(bytes);
  for (const path of ['/api/audit-trail', '/api/audit-trail/checkpoint', '/app/', '/security']) {
    expect((await lead.send('GET', path)).status, path).toBe(200);
  }
  await lead.close();
}

describe.runIf(asRoot)('a checkout of root', () => {
  const checkout = mkdtempSync('/tmp/axp-');

  beforeAll(async () => {
    for (const name of CHECKOUT) {
      const from = join(ROOT, name);
      if (existsSync(from)) cpSync(from, join(checkout, name), { recursive: true, verbatimSymlinks: true });
    }
    // Hard links: half a gigabyte of packages, and only the folders are new.
    execFileSync('cp', ['-al', join(ROOT, 'node_modules'), join(checkout, 'node_modules')]);
    await buildBrowser(checkout, () => undefined);
  }, 180_000);
  afterAll(() => removeFolder(checkout));

  test('an ordinary user starts the house with passwords, uses it and stops it, and is told what that means', async () => {
    chmodSync(checkout, 0o755);
    const state = otherFolder();
    chownSync(state, NOBODY, NOBODY);
    const prefix = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
    const run = runCommand(['start', '--no-prove'], { state, prefix, root: checkout });
    await run.until(/Stop with Ctrl-C/);
    expect(run.said()).toContain('Started as an ordinary user');
    expect(readFileSync(join(state, 'postgres/data/pg_hba.conf'), 'utf8')).toMatch(/^local all all scram-sha-256$/m);
    await useHouse(await enterHouse(state));
    run.child.kill('SIGTERM');
    expect(await run.ended, run.said()).toBe(0);
    expect(processesOf(state)).toEqual([]);
  }, 300_000);

  test('below a folder that only root can enter, each process has read what it needs before it became its own user', async () => {
    chmodSync(checkout, 0o700);
    const state = otherFolder();
    const run = runCommand(['start'], { state, root: checkout });
    await run.until(/Stop with Ctrl-C/);
    expect(run.said()).not.toMatch(/EACCES|Cannot find module|ERR_MODULE_NOT_FOUND/);
    expect(run.said()).toMatch(/\d+ proven, .*\b0 failing/);
    await useHouse(await enterHouse(state));
    run.child.kill('SIGTERM');
    expect(await run.ended, run.said()).toBe(0);
    expect(processesOf(checkout)).toEqual([]);
  }, 400_000);
});

interface Tried {
  readonly folders: Readonly<Record<string, boolean>>;
  readonly roles: Readonly<Record<string, boolean>>;
  readonly kill: boolean;
}

/** Runs in a process of the service's user: which folders open, which roles let it in, may it signal the others? */
const TRY = `
const { readdirSync } = require('node:fs');
const { Client } = require(process.argv[1]);
const asked = JSON.parse(process.argv[2]);
const opens = (path) => { try { readdirSync(path); return true } catch { return false } };
const enters = (user) => { const client = new Client({ host: asked.host, port: asked.port, database: 'auditrax', user, password: '' });
  return client.connect().then(() => client.end()).then(() => true, () => false) };
const signals = (pid) => { try { process.kill(pid, 0); return true } catch { return false } };
(async () => {
  const roles = {};
  for (const role of asked.roles) roles[role] = await enters(role);
  const folders = Object.fromEntries(asked.folders.map((path) => [path, opens(path)]));
  console.log(JSON.stringify({ folders, roles, kill: asked.pids.some(signals) }));
})();`;

describe.runIf(asRoot)('processes of one house', () => {
  const state = makeStateFolder();
  const roles: Readonly<Partial<Record<ServiceName, string>>> = {
    issuer: 'ax_issuer',
    workspace: 'ax_workspace',
    ledger: 'ax_ledger',
    sentinel: 'ax_sentinel',
  };
  let running: TestHouse;

  beforeAll(async () => {
    const watched = ['--import', join(import.meta.dirname, 'testing/late-loads.mjs')];
    running = await openTestHouse(state, {
      execArgv: Object.fromEntries(SERVICES.map((service) => [service, watched])),
    });
  }, 240_000);
  afterAll(async () => {
    await running?.stop();
    removeFolder(state);
  });

  test.each(SERVICES)(
    '%s: its user opens only its own folder, logs in only as its own role, signals nobody',
    (service) => {
      const { house } = running;
      const line = readFileSync('/etc/passwd', 'utf8')
        .split('\n')
        .find((row) => row.startsWith(`auditrax-${service}:`))!;
      const [, , uid, gid] = line.split(':');
      const places = [...SERVICES, 'supervisor', 'postgres/data'].map((name) => join(state, name));
      const asked = {
        host: house.database.socketDirectory,
        port: house.database.port,
        folders: places,
        roles: ['ax_super', 'ax_owner', 'ax_migrate', ...Object.values(roles)],
        pids: [
          process.pid,
          house.database.pid,
          ...SERVICES.filter((other) => other !== service).map((other) => house.supervisor.pids()[other]!),
        ],
      };
      const pg = join(ROOT, 'node_modules/pg');
      const words = [
        `--reuid=${uid}`,
        `--regid=${gid}`,
        '--clear-groups',
        process.execPath,
        '-e',
        TRY,
        pg,
        JSON.stringify(asked),
      ];
      const ran = spawnSync('setpriv', words, { encoding: 'utf8', cwd: '/', env: { PATH: '/usr/bin:/bin' } });
      expect(ran.status, ran.stderr).toBe(0);
      const tried = JSON.parse(ran.stdout) as Tried;
      const open = Object.entries(tried.folders)
        .filter(([, opened]) => opened)
        .map(([path]) => path);
      expect(open).toEqual([join(state, service)]);
      const entered = Object.entries(tried.roles)
        .filter(([, let_in]) => let_in)
        .map(([role]) => role);
      expect(entered).toEqual(roles[service] === undefined ? [] : [roles[service]]);
      expect(tried.kill).toBe(false);
    },
    60_000,
  );

  test('load nothing from the checkout once they have given up root', async () => {
    const { house, lines } = running;
    await seedSample(house);
    await house.supervisor.ask('sentinel', 'begin', null);
    await house.supervisor.ask('sentinel', 'prove', { claims: [] });
    const lead = await Person.signIn(house, 'Lead auditor');
    await useHouse(lead);
    expect(lines.filter((line) => line.includes('late load:'))).toEqual([]);
  }, 240_000);

  test('run as these users, with no right left to become another', () => {
    for (const service of SERVICES) {
      const status = readFileSync(`/proc/${running.house.supervisor.pids()[service]!}/status`, 'utf8');
      const [real, effective, saved] = /^Uid:\t(\d+)\t(\d+)\t(\d+)/m.exec(status)!.slice(1);
      expect(new Set([real, effective, saved]).size, service).toBe(1);
      expect(Number(real), service).toBeGreaterThan(0);
      expect(/^Groups:\t(.*)$/m.exec(status)![1]!.trim(), service).toBe('');
      expect(/^CapEff:\t(\w+)$/m.exec(status)![1], service).toMatch(/^0+$/);
      expect(/^CapPrm:\t(\w+)$/m.exec(status)![1], service).toMatch(/^0+$/);
    }
  });
});
