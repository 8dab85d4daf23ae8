import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemRandom } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from './config.ts';
import { newCredential } from './credential.ts';

let folder: string;
const put = (name: string, value: unknown, mode = 0o600) =>
  writeFile(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value), { mode });

const valid = () => ({
  listen: { port: 8443 },
  tls: { certificateFile: 'server.pem', keyFile: 'server.key' },
  hsm: { modulePath: '/usr/lib/module.so', tokenLabel: 'one', pinFile: 'pin' },
  stores: [{ uriPathPrefix: '/a', credentialFiles: ['a.json'], keys: [{ id: 'foo' }] as object[] }] as object[],
});

const load = async (value: unknown) => {
  await put('config.json', value);
  return loadConfig(join(folder, 'config.json'));
};
const faultOf = (value: unknown) =>
  load(value).then(
    () => 'accepted',
    (error: { code: string; message: string }) => {
      expect(error.code).toBe('config_invalid');
      return error.message;
    },
  );

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xks-config-'));
  for (const name of ['server.pem', 'server.key', 'pin']) await put(name, ` ${name}-content \n`);
  await put('a.json', newCredential('/a', systemRandom));
  await put('b.json', newCredential('/b', systemRandom));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the configuration file', () => {
  it('is read with every file it names, and what is left out has its default', async () => {
    const config = await load(valid());
    expect(config).toMatchObject({
      pin: 'pin-content',
      listen: { host: '0.0.0.0' },
      hsm: { deadlineMilliseconds: 200, sessions: 2 },
      concurrentRequestsMax: 64,
    });
    const store = config.stores.get('/a')!;
    expect(store.requestsPerSecondMax).toBe(1800);
    expect(store.credentials.size).toBe(1);
    expect(store.keys.get('foo')).toMatchObject({ labels: ['foo'], operations: ['ENCRYPT', 'DECRYPT'], enabled: true });
  });

  it('is refused with the place of each fault', async () => {
    const base = valid();
    const withStore = (more: object) => ({ ...base, stores: [{ ...base.stores[0], ...more }] });
    const key = (...keys: object[]) => withStore({ keys });
    const cases: [unknown, RegExp][] = [
      ['{', /config\.json cannot be used:\n {2}it is not JSON/],
      [{ ...base, listen: {} }, /listen\.port/],
      [{ ...base, extra: 1 }, /extra/],
      [withStore({ uriPathPrefix: 'a' }), /stores\[0\]\.uriPathPrefix/],
      [withStore({ uriPathPrefix: '/a/' }), /stores\[0\]\.uriPathPrefix/],
      [withStore({ credentialFiles: [] }), /stores\[0\]\.credentialFiles/],
      [withStore({ credentialFiles: ['b.json'] }), /b\.json cannot be used:\n {2}XksProxyUriPath: is for \/b/],
      [withStore({ credentialFiles: ['a.json', 'a.json'] }), /stores\[0\]\.credentialFiles: two have one access key/],
      [withStore({ credentialFiles: ['none.json'] }), /none\.json cannot be used:\n {2}it cannot be read \(ENOENT\)/],
      [key({ id: '..' }), /stores\[0\]\.keys\[0\]\.id/],
      [key({ id: 'a/b' }), /stores\[0\]\.keys\[0\]\.id/],
      [key({ id: 'one' }, { id: 'one' }), /two have the id one/],
      [key({ id: 'one' }, { id: 'two', labels: ['one'] }), /two keys have the label "one"/],
      [key({ id: 'one', operations: ['SIGN'] }), /stores\[0\]\.keys\[0\]\.operations/],
      [{ ...base, stores: [base.stores[0], base.stores[0]] }, /two have the uriPathPrefix "\/a"/],
      [{ ...base, hsm: { ...base.hsm, deadlineMilliseconds: 1 } }, /hsm\.deadlineMilliseconds/],
    ];
    for (const [value, expected] of cases) expect(await faultOf(value)).toMatch(expected);
  });

  it('and its secrets may not be open to others, and are never quoted', async () => {
    for (const [name, mode] of [
      ['pin', 0o604],
      ['server.key', 0o644],
      ['a.json', 0o660],
      ['server.pem', 0o622],
    ] as const) {
      await chmod(join(folder, name), mode);
      expect(await faultOf(valid())).toMatch(new RegExp(`${name} cannot be used:\n {2}.*chmod 600`));
      await chmod(join(folder, name), 0o640);
      expect(await faultOf(valid())).toBe('accepted');
    }
    const secret = 'short-secret-that-must-not-show';
    await put('c.json', {
      XksProxyUriPath: '/a/kms/xks/v1',
      XksProxyAuthenticationCredential: { AccessKeyId: 'lower', RawSecretAccessKey: secret },
    });
    await put('d.json', `{"RawSecretAccessKey": ${secret}`);
    for (const file of ['c.json', 'd.json']) {
      const fault = await faultOf({ ...valid(), stores: [{ ...valid().stores[0], credentialFiles: [file] }] });
      expect(fault).toContain(file);
      expect(fault).not.toContain(secret);
    }
  });
});

describe('a new credential', () => {
  it('has the alphabet and lengths that KMS asks for, and is new each time', () => {
    const made = Array.from({ length: 50 }, () => newCredential('/a', systemRandom));
    for (const { XksProxyUriPath, XksProxyAuthenticationCredential: pair } of made) {
      expect(XksProxyUriPath).toBe('/a/kms/xks/v1');
      expect(pair.AccessKeyId).toMatch(/^[A-Z2-7]{20,30}$/);
      expect(pair.RawSecretAccessKey).toMatch(/^[A-Za-z0-9/+=]{43,64}$/);
    }
    expect(new Set(made.map((file) => file.XksProxyAuthenticationCredential.AccessKeyId)).size).toBe(50);
  });
});

describe('the command line', () => {
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, [join(import.meta.dirname, '../auditrax-xks-proxy.mjs'), ...args]).then(
      ({ stdout }) => ({ code: 0, said: stdout }),
      (error: { code: number; stderr: string }) => ({ code: error.code, said: error.stderr }),
    );

  it('helps, makes credentials, and says in one line what is wrong', async () => {
    const [help, made, nothing, absent, prefix] = await Promise.all([
      run('--help'),
      run('--new-credential', '/bank'),
      run(),
      run('--config', join(folder, 'absent.json')),
      run('--new-credential', 'bank'),
    ]);
    expect(help).toMatchObject({ code: 0, said: expect.stringContaining('Usage: auditrax-xks-proxy --config FILE') });
    expect(JSON.parse(made.said)).toMatchObject({ XksProxyUriPath: '/bank/kms/xks/v1' });
    expect(nothing).toEqual({ code: 1, said: 'auditrax-xks-proxy: --config FILE is missing; --help says more\n' });
    expect(absent).toMatchObject({ code: 1, said: expect.stringContaining('it cannot be read (ENOENT)') });
    expect(prefix.code).toBe(1);
  });
});
