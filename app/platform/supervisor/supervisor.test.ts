import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, test } from 'vitest';
import { AppError, manualClock, systemClock, type ServiceName } from '@auditrax/base';
import { openDeadMan, verifyWebhook } from './alarm.ts';
import { askHouse, openControl } from './control.ts';
import { openStateFolder } from './state-folder.ts';
import { Supervisor, type SupervisorDeps } from './supervisor.ts';

const PROGRAM = new URL('./testing/child.ts', import.meta.url).pathname;
const folders: string[] = [];
const supervisors: Supervisor[] = [];

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'auditrax-supervisor-'));
  folders.push(path);
  return path;
}

function supervise(
  log: string[] = [],
  provision?: SupervisorDeps['provision'],
  inventory?: SupervisorDeps['inventory'],
): Supervisor {
  const supervisor = new Supervisor({
    node: process.execPath,
    environment: {},
    log: (line) => log.push(line),
    ...(provision === undefined ? {} : { provision }),
    ...(inventory === undefined ? {} : { inventory }),
  });
  supervisors.push(supervisor);
  return supervisor;
}

function spec(service: ServiceName, options: Record<string, boolean> = {}, runAs?: { uid: number; gid: number }) {
  const boot = { service, stateDirectory: folder(), options, ...(runAs ? { runAs } : {}) };
  return { service, program: PROGRAM, execArgv: ['--disable-warning=ExperimentalWarning'], boot, arguments: [service] };
}

afterEach(async () => {
  for (const supervisor of supervisors.splice(0)) await supervisor.stop(['sentinel', 'signer', 'issuer']);
  for (const path of folders.splice(0)) rmSync(path, { recursive: true });
});

describe('the supervisor', () => {
  test('relays a signing request with the name it knows, not one the process could choose', async () => {
    const supervisor = supervise();
    await supervisor.start(spec('issuer'));
    await supervisor.start(spec('signer'));
    expect(await supervisor.ask('signer', 'certificate', null)).toBe('signer:csr of signer');
    expect(supervisor.peers().facts).toEqual({ issuerKey: 'public', signerKey: 'public' });
  });

  test('has a place made for the issuer alone, and nobody but it says where the databases are', async () => {
    const orders: unknown[] = [];
    const supervisor = supervise([], async (order) => {
      orders.push(order);
      if (order.region === 'nowhere') throw new AppError('region_unknown', 'no such region');
      return { cell: 'home', schema: 't_1', role: 'ax_t_1' };
    });
    supervisor.publishCells([{ cell: 'home', region: 'north', address: { host: '/run', port: 5432, database: 'a' } }]);
    await supervisor.start(spec('issuer'));
    await supervisor.start(spec('signer'));
    const order = { tenantId: 't', kind: 'schema', region: 'north' };
    expect(await supervisor.ask('issuer', 'provision', order)).toEqual({ cell: 'home', schema: 't_1', role: 'ax_t_1' });
    await expect(supervisor.ask('issuer', 'provision', { ...order, region: 'nowhere' })).rejects.toMatchObject({
      code: 'region_unknown',
    });
    await expect(supervisor.ask('signer', 'provision', order)).rejects.toMatchObject({ code: 'provision_refused' });
    expect(orders).toHaveLength(2);
    await supervisor.ask('signer', 'announce', { cells: 'mine', other: 1 });
    await expect.poll(() => supervisor.peers().facts).toMatchObject({ other: 1, cells: [{ cell: 'home' }] });
  });

  test('tells the sentinel alone what the house listens at', async () => {
    const inventory = { sockets: [], processes: 3, unread: 0, leftOut: [], known: [] };
    const supervisor = supervise([], undefined, () => Promise.resolve(inventory));
    await supervisor.start(spec('issuer'));
    await supervisor.start(spec('sentinel'));
    expect(await supervisor.ask('sentinel', 'inventory', null)).toEqual(inventory);
    await expect(supervisor.ask('issuer', 'inventory', null)).rejects.toMatchObject({ code: 'inventory_refused' });
  });

  test('starts a process again when it dies, and tells the others its new address', async () => {
    const supervisor = supervise();
    await supervisor.start(spec('issuer'));
    await supervisor.start(spec('signer'));
    const before = supervisor.pids().signer!;
    await expect(supervisor.ask('signer', 'die', null)).rejects.toThrow('ended before it had answered');
    await expect.poll(() => supervisor.peers().addresses.signer?.pid, { timeout: 10_000 }).not.toBe(before);
    await expect
      .poll(() => supervisor.ask('signer', 'certificate', null).catch(() => null), { timeout: 10_000 })
      .toBe('signer:csr of signer');
  });

  test('does not restart in a loop what only a person can mend, and passes on its words', async () => {
    const supervisor = supervise();
    await expect(supervisor.start(spec('signer', { fatal: true }))).rejects.toThrow(
      'the key is gone: restore the backup',
    );
  });

  test('an answer that is a refusal keeps its code', async () => {
    const supervisor = supervise();
    await supervisor.start(spec('issuer'));
    await expect(supervisor.ask('issuer', 'fail', null)).rejects.toMatchObject({ code: 'said_no' });
  });

  test.runIf(process.getuid!() === 0)('a process given a user has given up root and its groups', async () => {
    const supervisor = supervise();
    await supervisor.start(spec('issuer', {}, { uid: 65_534, gid: 65_534 }));
    expect(await supervisor.ask('issuer', 'identity', null)).toMatchObject({ uid: 65_534 });
  });
});

describe('the state folder', () => {
  test('refuses a second supervisor and a folder that is a file, saying what to do', () => {
    const path = folder();
    openStateFolder(path);
    writeFileSync(join(path, 'x'), '');
    expect(() => openStateFolder(join(path, 'x'))).toThrow(/AUDITRAX_STATE/);
  });

  test('is new until it has been marked, so that a lost key is never replaced silently', () => {
    const path = folder();
    const first = openStateFolder(path);
    expect(first.isNew).toBe(true);
    first.markInitialised();
    expect(openStateFolder(path).isNew).toBe(false);
  });
});

describe('the control socket', () => {
  test('answers with progress, output and typed refusals', async () => {
    const path = join(folder(), 'control');
    const control = await openControl(path, (name, input, progress) => {
      progress('working');
      return name === 'echo' ? Promise.resolve(input) : Promise.reject(new Error('unknown'));
    });
    const lines: string[] = [];
    expect(await askHouse(path, { name: 'echo', input: { a: 1 } }, (line) => lines.push(line))).toEqual({ a: 1 });
    expect(lines).toEqual(['working']);
    await expect(askHouse(path, { name: 'other', input: null }, () => {})).rejects.toThrow('unknown');
    await control.close();
    await expect(askHouse(path, { name: 'echo', input: null }, () => {})).rejects.toMatchObject({
      code: 'not_running',
    });
  });
});

describe('the dead man', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const key = `whpk_${Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url').toString('base64')}`;

  function message(now_ms: number, body = '{}'): { headers: Record<string, string>; body: string } {
    const timestamp = String(Math.floor(now_ms / 1000));
    const signature = sign(null, Buffer.from(`m1.${timestamp}.${body}`), privateKey).toString('base64');
    return {
      headers: { 'webhook-id': 'm1', 'webhook-timestamp': timestamp, 'webhook-signature': `v1a,${signature}` },
      body,
    };
  }

  test('accepts only messages signed by the sentinel, fresh and unchanged', () => {
    const now = Date.now();
    const good = message(now);
    expect(verifyWebhook(key, good, now)).toBe(true);
    expect(verifyWebhook(key, { ...good, body: '{ }' }, now)).toBe(false);
    expect(verifyWebhook(key, good, now + 301_000)).toBe(false);
    const symmetric = new Webhook('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw').sign('m1', new Date(now), '{}');
    expect(verifyWebhook(key, { ...good, headers: { ...good.headers, 'webhook-signature': symmetric } }, now)).toBe(
      false,
    );
  });

  test('raises when canary pages stay away, and says when they are back', async () => {
    const clock = manualClock(systemClock.nowMs());
    const raised: string[] = [];
    const file = join(folder(), 'alarms.jsonl');
    const deadMan = await openDeadMan({
      clock,
      port: 0,
      silence_seconds_max: 60,
      file,
      raise: (line) => raised.push(line),
    });
    deadMan.trust(key);
    clock.advance(61_000);
    await expect.poll(() => raised.length, { timeout: 5_000 }).toBe(1);
    expect(readFileSync(file, 'utf8')).toContain('no canary page');
    const forged = await fetch(deadMan.url, {
      method: 'POST',
      headers: { ...message(clock.nowMs()).headers, 'webhook-id': 'm2' },
      body: '{}',
    });
    expect(forged.status).toBe(401);
    const real = message(clock.nowMs());
    expect((await fetch(deadMan.url, { method: 'POST', headers: real.headers, body: real.body })).status).toBe(204);
    expect(raised[1]).toContain('arrive again');
    await sleep(1_200);
    expect(raised).toHaveLength(2);
    await deadMan.close();
  });
});
