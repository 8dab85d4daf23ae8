import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scryptSync } from 'node:crypto';
import { systemClock, systemRandom, uuidV4 } from '@auditrax/base';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { localKekProvider } from './local-provider.ts';
import { parsePassphrase } from './passphrase.ts';
import {
  initKeyRing,
  inspectRing,
  openKeyRing,
  readRingClaims,
  recoverRootKey,
  restoreKeyRing,
  rootKeyByPassphrase,
} from './ring.ts';
import { formatRootKey, parseRootKey } from './root-key.ts';

const withCode = (code: string) => expect.objectContaining({ code });
const random = systemRandom;
const passphrase = 'correct horse battery staple';

let folder: string;
let path: string;
let rootKey: Buffer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'passphrase-'));
  path = join(folder, 'ring');
  rootKey = Buffer.from(random.bytes(32));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const place = () => ({ path, rootKey, clock: systemClock, random });
type Ring = Record<string, unknown> & { passphrase: Record<string, string | number>; entries: unknown };
const read = (bytes: Buffer) => JSON.parse(bytes.toString()) as Ring;

/** One ring for all: making one takes what a guess takes. */
let sharedFolder: string;
let shared: { bytes: Buffer; rootKey: Buffer; recoveryKey: string; ringId: string };
beforeAll(async () => {
  sharedFolder = await mkdtemp(join(tmpdir(), 'passphrase-'));
  const own = { path: join(sharedFolder, 'ring'), rootKey: Buffer.from(random.bytes(32)), clock: systemClock, random };
  const { ring, recoveryKey } = await initKeyRing({ ...own, wrappedKeysInStore: 0, passphrase });
  await ring.kekOfTenant(uuidV4(random));
  shared = { bytes: await readFile(own.path), rootKey: own.rootKey, recoveryKey, ringId: ring.ringId };
}, 60_000);
afterAll(() => rm(sharedFolder, { recursive: true, force: true }));

describe('R1: a passphrase gives the root key, at the cost of scrypt', () => {
  it('the ring opens with the passphrase alone, which is not in it; a wrong one names ring, expected and found', async () => {
    const { bytes } = shared;
    expect((await rootKeyByPassphrase(bytes, `${passphrase}\n`)).equals(shared.rootKey)).toBe(true);
    const { rootKey } = shared;
    for (const secret of [passphrase, formatRootKey(rootKey), rootKey.toString('hex'), rootKey.toString('base64')])
      expect(bytes.includes(secret)).toBe(false);
    await expect(rootKeyByPassphrase(bytes, 'another passphrase')).rejects.toThrow(
      expect.objectContaining({
        code: 'root_key_mismatch',
        message: expect.stringMatching(
          new RegExp(
            `key ring ${shared.ringId} expects the passphrase with check value \\S{22}; the one given has \\S{22}`,
          ),
        ),
      }),
    );
  });

  it('the ring tells the parameters it was stretched with: 2^17, 8, 1', () => {
    expect(read(shared.bytes).passphrase).toMatchObject({ kdf: 'scrypt', cost: 131_072, blockSize: 8, parallel: 1 });
    // The runtime's scrypt is RFC 7914's: one of its vectors.
    expect(
      scryptSync('pleaseletmein', 'SodiumChloride', 64, { N: 16_384, r: 8, p: 1, maxmem: 2 ** 26 }).toString('hex'),
    ).toMatch(/^7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2/);
  });

  it('a ring without one says so', async () => {
    await initKeyRing({ ...place(), wrappedKeysInStore: 0 });
    await expect(rootKeyByPassphrase(await readFile(path), passphrase)).rejects.toThrow(withCode('root_key_mismatch'));
    expect(readRingClaims(await readFile(path)).hasPassphrase).toBe(false);
  });

  it('short ones are refused, and one spelling is as good as another of the same text', async () => {
    for (const weak of ['', 'elevenchars', 'x'.repeat(1_025)])
      expect(() => parsePassphrase(weak)).toThrow(/passphrase/);
    await expect(initKeyRing({ ...place(), wrappedKeysInStore: 0, passphrase: 'too short' })).rejects.toThrow(
      withCode('passphrase_weak'),
    );
    expect(parsePassphrase('Z\u0075\u0308rich am See\r\n')).toBe(parsePassphrase('Z\u00fcrich am See'));
  });

  it('changed parameters are refused before any work is done, changed bytes by their tag', async () => {
    const whole = read(shared.bytes);
    const open = (ring: object) => rootKeyByPassphrase(Buffer.from(JSON.stringify(ring)), passphrase);
    for (const [name, value, code] of [
      ['cost', 2 ** 16, 'ring_corrupt'],
      ['cost', 2 ** 30, 'ring_corrupt'],
      ['cost', 2 ** 17 + 1, 'ring_corrupt'],
      ['parallel', 0, 'ring_corrupt'],
      ['blockSize', 1, 'ring_corrupt'],
      ['kdf', 'pbkdf2', 'ring_corrupt'],
      ['salt', 'AAAA', 'ring_corrupt'],
      ['sealedRoot', [...String(whole.passphrase['sealedRoot'])].reverse().join(''), 'authentication_failed'],
    ] as const) {
      const changed = { ...whole, passphrase: { ...whole.passphrase, [name]: value } };
      await expect(open(changed)).rejects.toThrow(withCode(code));
    }
    await expect(open({ ...whole, createdAtMs: 1 })).rejects.toThrow(withCode('ring_tampered'));
  });
});

describe('R2: another passphrase wraps the root key anew and nothing else', () => {
  it('entries, root key and recovery key stay; the old passphrase opens nothing', async () => {
    await writeFile(path, shared.bytes, { mode: 0o600 });
    const ring = await openKeyRing({ ...place(), rootKey: shared.rootKey });
    await ring.setPassphrase(shared.rootKey, 'another passphrase');
    const bytes = await readFile(path);
    const [before, after] = [read(shared.bytes), read(bytes)];
    expect(after.entries).toEqual(before.entries);
    expect(after['rootCheck']).toEqual(before['rootCheck']);
    for (const name of ['salt', 'check', 'sealedRoot'])
      expect(after.passphrase[name]).not.toBe(before.passphrase[name]);
    expect((await rootKeyByPassphrase(bytes, 'another passphrase')).equals(shared.rootKey)).toBe(true);
    await expect(rootKeyByPassphrase(bytes, passphrase)).rejects.toThrow(withCode('root_key_mismatch'));
    expect(recoverRootKey(bytes, shared.recoveryKey).equals(shared.rootKey)).toBe(true);
    await expect(ring.setPassphrase(random.bytes(32), 'a third passphrase')).rejects.toThrow(
      withCode('root_key_mismatch'),
    );
    await expect(ring.setPassphrase(shared.rootKey, 'short')).rejects.toThrow(withCode('passphrase_weak'));
  });

  it('a backup is restored under another root key and another passphrase', async () => {
    const { bytes: backup, recoveryKey } = shared;
    await restoreKeyRing({ ...place(), backup, recoveryKey, passphrase: 'the new one!' });
    const restored = await readFile(path);
    expect((await rootKeyByPassphrase(restored, 'the new one!')).equals(rootKey)).toBe(true);
    expect(inspectRing(restored, rootKey)).toMatchObject({ ringId: shared.ringId, hasPassphrase: true });
  });
});

describe('R3: a description tells where the root key comes from', () => {
  it('the file beside the ring is called what it is, for development', async () => {
    const { ring } = await initKeyRing({ ...place(), wrappedKeysInStore: 0 });
    expect((await localKekProvider({ ring, random }).describe()).details['rootKey']).toBe('development-file');
    expect((await localKekProvider({ ring, random, rootKeyFrom: 'credential' }).describe()).details['rootKey']).toBe(
      'credential',
    );
  });

  it('a root key of a credential store is one line of text, and nothing else is taken for one', () => {
    expect(parseRootKey(`${formatRootKey(rootKey)}\n`, 'the credential').equals(rootKey)).toBe(true);
    for (const text of ['', 'AAAA', `${formatRootKey(rootKey)}A`, ` ${formatRootKey(rootKey)}`])
      expect(() => parseRootKey(text, 'the credential')).toThrow(/the credential does not hold a root key/);
  });
});
