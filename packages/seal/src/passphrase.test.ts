import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scryptSync } from 'node:crypto';
import { systemClock, systemRandom, uuidV4 } from '@auditrax/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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
const init = (given: string | undefined = passphrase) =>
  initKeyRing({ ...place(), wrappedKeysInStore: 0, passphrase: given });
type Ring = Record<string, unknown> & { passphrase: Record<string, string | number>; entries: unknown };
const read = async () => JSON.parse(await readFile(path, 'utf8')) as Ring;

describe('R1: a passphrase gives the root key, at the cost of scrypt', () => {
  it('the ring opens with the passphrase alone, which is not in it; a wrong one names ring, expected and found', async () => {
    const { ring } = await init();
    const bytes = await readFile(path);
    expect((await rootKeyByPassphrase(bytes, `${passphrase}\n`)).equals(rootKey)).toBe(true);
    for (const secret of [passphrase, formatRootKey(rootKey), rootKey.toString('hex'), rootKey.toString('base64')])
      expect(bytes.includes(secret)).toBe(false);
    await expect(rootKeyByPassphrase(bytes, 'another passphrase')).rejects.toThrow(
      expect.objectContaining({
        code: 'root_key_mismatch',
        message: expect.stringMatching(
          new RegExp(
            `key ring ${ring.ringId} expects the passphrase with check value \\S{22}; the one given has \\S{22}`,
          ),
        ),
      }),
    );
  });

  it('the ring tells the parameters it was stretched with: 2^17, 8, 1, and a salt of its own', async () => {
    await init();
    const { passphrase: header } = await read();
    expect(header).toMatchObject({ kdf: 'scrypt', cost: 131_072, blockSize: 8, parallel: 1 });
    await rm(path);
    await init();
    const second = (await read()).passphrase;
    expect(second['salt']).not.toBe(header['salt']);
    expect(second['sealedRoot']).not.toBe(header['sealedRoot']);
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
    await expect(init('too short')).rejects.toThrow(withCode('passphrase_weak'));
    expect(parsePassphrase('Z\u0075\u0308rich am See\r\n')).toBe(parsePassphrase('Z\u00fcrich am See'));
  });

  it('changed parameters are refused before any work is done, changed bytes by their tag', async () => {
    await init();
    const whole = await read();
    for (const [name, value, code] of [
      ['cost', 2 ** 16, 'ring_corrupt'],
      ['cost', 2 ** 30, 'ring_corrupt'],
      ['cost', 2 ** 17 + 1, 'ring_corrupt'],
      ['parallel', 0, 'ring_corrupt'],
      ['blockSize', 1, 'ring_corrupt'],
      ['kdf', 'pbkdf2', 'ring_corrupt'],
      ['salt', 'AAAA', 'ring_corrupt'],
      ['cost', 2 ** 18, 'root_key_mismatch'],
      ['sealedRoot', [...String(whole.passphrase['sealedRoot'])].reverse().join(''), 'authentication_failed'],
    ] as const) {
      await writeFile(path, JSON.stringify({ ...whole, passphrase: { ...whole.passphrase, [name]: value } }));
      await expect(rootKeyByPassphrase(await readFile(path), passphrase)).rejects.toThrow(withCode(code));
    }
    await writeFile(path, JSON.stringify({ ...whole, createdAtMs: 1 }));
    await expect(rootKeyByPassphrase(await readFile(path), passphrase)).rejects.toThrow(withCode('ring_tampered'));
  });
});

describe('R2: another passphrase wraps the root key anew and nothing else', () => {
  it('entries, root key and recovery key stay; the old passphrase opens nothing', async () => {
    const { ring, recoveryKey } = await init();
    const { kekId } = await ring.kekOfTenant(uuidV4(random));
    const before = await read();
    await ring.setPassphrase(rootKey, 'another passphrase');
    const after = await read();
    expect(after.entries).toEqual(before.entries);
    expect(after['rootCheck']).toEqual(before['rootCheck']);
    expect(after.passphrase['salt']).not.toBe(before.passphrase['salt']);
    const bytes = await readFile(path);
    const opened = await rootKeyByPassphrase(bytes, 'another passphrase');
    expect(opened.equals(rootKey)).toBe(true);
    await expect(rootKeyByPassphrase(bytes, passphrase)).rejects.toThrow(withCode('root_key_mismatch'));
    expect((await openKeyRing({ ...place(), rootKey: opened })).kek(kekId).kekId).toBe(kekId);
    expect(recoverRootKey(bytes, recoveryKey).equals(rootKey)).toBe(true);
    await expect(ring.setPassphrase(random.bytes(32), 'a third passphrase')).rejects.toThrow(
      withCode('root_key_mismatch'),
    );
    await expect(ring.setPassphrase(rootKey, 'short')).rejects.toThrow(withCode('passphrase_weak'));
  });

  it('a ring may go under a passphrase later, and a backup be restored under another', async () => {
    const { ring, recoveryKey } = await initKeyRing({ ...place(), wrappedKeysInStore: 0 });
    await ring.setPassphrase(rootKey, passphrase);
    expect(ring.hasPassphrase).toBe(true);
    const backup = await readFile(path);
    const elsewhere = join(folder, 'restored');
    const fresh = Buffer.from(random.bytes(32));
    await restoreKeyRing({
      ...place(),
      path: elsewhere,
      rootKey: fresh,
      backup,
      recoveryKey,
      passphrase: 'the new one!',
    });
    const restored = await readFile(elsewhere);
    expect((await rootKeyByPassphrase(restored, 'the new one!')).equals(fresh)).toBe(true);
    expect(inspectRing(restored, fresh).ringId).toBe(ring.ringId);
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
