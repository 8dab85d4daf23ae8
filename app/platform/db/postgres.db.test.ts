import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterAll, describe, expect, test } from 'vitest';
import { embeddedPackageDirectory, isReachable, prepareNative } from './native.ts';
import { launchPostgres, type LaunchOptions, type Launched } from './postgres.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const PACKAGE = embeddedPackageDirectory(resolve(HERE, '..', '..', '..'));
const root = mkdtempSync(join(tmpdir(), 'ax-pg-'));
chmodSync(root, 0o711);
const running = new Set<Launched>();
afterAll(async () => {
  for (const launched of running) await launched.stop();
  rmSync(root, { recursive: true, force: true });
});

const asRoot = process.getuid!() === 0;

async function launch(name: string, more: Partial<LaunchOptions> = {}): Promise<Launched> {
  const launched = await launchPostgres({
    stateDirectory: join(root, name),
    packageDirectory: PACKAGE,
    superuser: 'ax_super',
    log: () => undefined,
    ...more,
  });
  running.add(launched);
  return launched;
}

async function query(
  launched: Launched,
  text: string,
  login: { user?: string; password?: string } = {},
): Promise<Record<string, unknown>[]> {
  const password = login.password ?? launched.superuserPassword;
  const client = new Client({
    host: launched.socketDirectory,
    port: launched.port,
    database: 'postgres',
    user: login.user ?? 'ax_super',
    ...(password === undefined ? {} : { password }),
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

describe('D1: the launcher', () => {
  test('starts a server without a network port, without a trust line, with its data closed to others', async () => {
    const launched = await launch('first');
    expect(launched.adopted).toBe(false);
    expect(await query(launched, 'show listen_addresses')).toEqual([{ listen_addresses: '' }]);
    const sockets =
      readFileSync(`/proc/${launched.pid}/net/tcp`, 'utf8') + readFileSync(`/proc/${launched.pid}/net/tcp6`, 'utf8');
    const inodes = new Set(
      execFileSync('ls', ['-l', `/proc/${launched.pid}/fd`], { encoding: 'utf8' }).match(/(?<=socket:\[)\d+/g) ?? [],
    );
    expect(sockets.split('\n').filter((line) => inodes.has(line.trim().split(/\s+/)[9] ?? ''))).toEqual([]);
    for (const file of ['pg_hba.conf', 'pg_ident.conf'])
      expect(readFileSync(join(launched.dataDirectory, file), 'utf8')).not.toContain('trust');
    expect(statSync(launched.dataDirectory).mode & 0o777).toBe(0o700);
    expect(
      await query(
        launched,
        "select count(*)::int as n from pg_hba_file_rules where auth_method not in ('peer', 'scram-sha-256')",
      ),
    ).toEqual([{ n: 0 }]);
    const status = readFileSync(`/proc/${launched.pid}/status`, 'utf8');
    expect(status).toMatch(/CapEff:\s+0000000000000000/);
    expect(status).not.toMatch(/^Uid:\s+0\b/m);
    await launched.stop();
    expect(
      existsSync(`/proc/${launched.pid}`) &&
        !readFileSync(`/proc/${launched.pid}/status`, 'utf8').includes('Z (zombie)'),
    ).toBe(false);
  });

  test('D2: adopts the server that a killed starter left behind, with the same data', async () => {
    const state = join(root, 'orphan');
    const script = `const { launchPostgres } = await import(${JSON.stringify(join(HERE, 'postgres.ts'))});
      await launchPostgres({ stateDirectory: ${JSON.stringify(state)}, packageDirectory: ${JSON.stringify(PACKAGE)}, superuser: 'ax_super', log: () => undefined });
      process.kill(process.pid, 'SIGKILL');`;
    expect(spawnSync(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' }).signal).toBe(
      'SIGKILL',
    );
    const adopted = await launch('orphan');
    expect(adopted.adopted).toBe(true);
    await query(adopted, 'create table kept as select 7 as n');
    const again = await launch('orphan');
    expect(again).toMatchObject({ adopted: true, pid: adopted.pid });
    await again.stop();
    const later = await launch('orphan');
    expect(later.adopted).toBe(false);
    expect(await query(later, 'select n from kept')).toEqual([{ n: 7 }]);
    await later.stop();
  });

  test('D2: starts after its server was killed with SIGKILL, and keeps what was committed', async () => {
    const first = await launch('killed');
    await query(first, 'create table kept as select 8 as n');
    process.kill(first.pid, 'SIGKILL');
    const second = await launch('killed');
    expect(second.adopted).toBe(false);
    expect(await query(second, 'select n from kept')).toEqual([{ n: 8 }]);
    await second.stop();
  });

  test('D2: is not deceived by a pid file whose number now belongs to somebody else', async () => {
    const first = await launch('stale');
    await first.stop();
    const file = join(first.dataDirectory, 'postmaster.pid');
    writeFileSync(file, `${process.pid}\n${first.dataDirectory}\n0\n5432\n${first.socketDirectory}\n\n0 0\nready   \n`);
    const second = await launch('stale');
    expect(second.adopted).toBe(false);
    await second.stop();
  });

  test('D3: with SCRAM a password is asked for, and only the right one opens', async () => {
    const launched = await launch('scram', { authentication: 'scram' });
    expect(launched.superuserPassword).toMatch(/^[\w-]{43}$/);
    expect(statSync(join(root, 'scram', 'superuser.secret')).mode & 0o777).toBe(0o600);
    expect(await query(launched, 'select current_user::text as who')).toEqual([{ who: 'ax_super' }]);
    await expect(query(launched, 'select 1', { password: 'wrong' })).rejects.toMatchObject({ code: '28P01' });
    await expect(query(launched, 'select 1', { password: '' })).rejects.toThrow();
    await launched.stop();
  });

  // An ordinary user has no second user to try with; the page then calls the separation "asserted".
  const withSeveralUsers = asRoot ? test : (): void => undefined;
  withSeveralUsers('D3: with peer authentication only the mapped user of the system may be the role', async () => {
    const launched = await launch('peer', { peerMap: [{ osUser: 'nobody', role: 'mapped' }] });
    await query(launched, 'create role mapped login; create role other login');
    // The kernel notes who connects at the moment of connect(), which happens before the first await.
    const asNobody = async (user: string): Promise<Record<string, unknown>[]> => {
      process.seteuid!(65534);
      try {
        return query(launched, 'select current_user::text as who', { user });
      } finally {
        process.seteuid!(0);
      }
    };
    expect(await asNobody('mapped')).toEqual([{ who: 'mapped' }]);
    await expect(asNobody('other')).rejects.toMatchObject({ code: '28000' });
    await expect(asNobody('ax_super')).rejects.toMatchObject({ code: '28000' });
    await expect(query(launched, 'select 1', { user: 'mapped' })).rejects.toMatchObject({ code: '28000' });
    await expect(query(launched, 'select 1', { user: 'other' })).rejects.toMatchObject({ code: '28000' });
    await launched.stop();
  });

  test('D4: says what to do about a path that is too long', async () => {
    const deep = join(root, 'x'.repeat(60), 'y'.repeat(60));
    await expect(
      launchPostgres({ stateDirectory: deep, packageDirectory: PACKAGE, superuser: 'ax_super', log: () => undefined }),
    ).rejects.toMatchObject({
      code: 'socket_path_too_long',
      message: expect.stringContaining('shorter path') as string,
    });
  });

  test('D4: says why a broken database does not start, without waiting', async () => {
    const launched = await launch('broken');
    await launched.stop();
    rmSync(join(launched.dataDirectory, 'global', 'pg_control'));
    await expect(launch('broken')).rejects.toMatchObject({
      code: 'postgres_start_failed',
      message: expect.stringContaining('pg_control') as string,
    });
  });

  test('D4: a folder with a database that was only half made is made anew', async () => {
    mkdirSync(join(root, 'half', 'data.partial'), { recursive: true });
    writeFileSync(join(root, 'half', 'data.partial', 'PG_VERSION'), '18');
    chmodSync(join(root, 'half'), 0o711);
    const launched = await launch('half');
    expect(await query(launched, 'select 1 as n')).toEqual([{ n: 1 }]);
    await launched.stop();
  });
});

describe('D4: the server program', () => {
  test('gets its library links, in place or in a copy that the server user can reach', () => {
    const closed = join(root, 'closed', 'package');
    mkdirSync(dirname(closed), { mode: 0o700 });
    cpSync(PACKAGE, closed, { recursive: true, filter: (path) => !path.endsWith('.so') });
    const somebody = { uid: 65534, gid: 65534 };
    const reachable = isReachable(closed, somebody);
    const native = prepareNative({ packageDirectory: closed, copyDirectory: join(root, 'copy'), runAs: somebody });
    expect(reachable ? native.startsWith(closed) : native.startsWith(join(root, 'copy'))).toBe(true);
    expect(existsSync(join(native, 'lib', 'libpq.so.5'))).toBe(true);
    expect(prepareNative({ packageDirectory: closed, copyDirectory: join(root, 'copy'), runAs: somebody })).toBe(
      native,
    );
    expect(execFileSync(join(native, 'bin', 'postgres'), ['--version'], { encoding: 'utf8' })).toContain('18');
  });
});
