import { chmod, link, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manualClock, systemRandom, uuidV4 } from '@auditrax/base';
import type { Uuid } from '@auditrax/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkCommitment, dekCommitment } from './commitment.ts';
import type { DekContext } from './kek.ts';
import { localKekProvider } from './local-provider.ts';
import { formatRecoveryKey, parseRecoveryKey } from './recovery.ts';
import { initKeyRing, openKeyRing, recoverRootKey, restoreKeyRing } from './ring.ts';
import { createRootKeyFile, readRootKeyFile } from './root-key.ts';

const clock = manualClock(1_800_000_000_000);
const random = systemRandom;
const uuid = (): Uuid => uuidV4(random);
const withCode = (code: string) => expect.objectContaining({ code });

let folder: string;
let path: string;
let rootKey: Buffer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ring-'));
  path = join(folder, 'keys', 'ring.json');
  rootKey = Buffer.from(random.bytes(32));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const place = () => ({ path, rootKey, clock, random });
const init = () => initKeyRing({ ...place(), wrappedKeysInStore: 0 });
const context = (change: Partial<DekContext> = {}): DekContext => ({
  tenantId: uuid(),
  purpose: 'fields',
  dekId: uuid(),
  version: 1,
  ...change,
});

describe('S10: a ring is made once, on purpose, and never silently again', () => {
  it('opening does not make one', async () => {
    await expect(openKeyRing(place())).rejects.toThrow(withCode('ring_missing'));
    expect(await readdir(folder)).toEqual([]);
  });

  it('a second init, an init over a lost ring and an init beside wrapped keys are refused', async () => {
    await init();
    await expect(init()).rejects.toThrow(withCode('ring_exists'));
    await link(path, `${path}.previous`);
    await rm(path);
    await expect(init()).rejects.toThrow(withCode('ring_exists'));
    await rm(`${path}.previous`);
    await expect(initKeyRing({ ...place(), wrappedKeysInStore: 2 })).rejects.toThrow(withCode('ring_init_refused'));
    await expect(stat(path)).rejects.toThrow();
  });

  it('two inits at the same moment make one ring', async () => {
    const results = await Promise.allSettled([init(), init()]);
    const made = results.filter((result) => result.status === 'fulfilled');
    expect(made.length).toBeLessThanOrEqual(1);
  });
});

describe('S11: the ring file is private, whole and ours', () => {
  it('is 0600 in a 0700 folder, with one previous generation after a change', async () => {
    const { ring } = await init();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'keys'))).mode & 0o777).toBe(0o700);
    const first = await readFile(path);
    await ring.kekOfTenant(uuid());
    await ring.kekOfTenant(uuid());
    expect((await readdir(join(folder, 'keys'))).sort()).toEqual(['ring.json', 'ring.json.previous']);
    expect((await readFile(`${path}.previous`)).equals(first)).toBe(false);
    expect([ring.generation, ring.keyCount]).toEqual([3, 2]);
  });

  it.each([0o640, 0o604, 0o660])('mode %o is refused', async (mode) => {
    await init();
    await chmod(path, mode);
    await expect(openKeyRing(place())).rejects.toThrow(withCode('ring_permissions'));
  });

  it('a symbolic link is refused', async () => {
    await init();
    const other = join(folder, 'linked.json');
    await symlink(path, other);
    await expect(openKeyRing({ ...place(), path: other })).rejects.toThrow(withCode('ring_permissions'));
  });

  it('another root key is named as such, with ring, expected and found value', async () => {
    const { ring } = await init();
    const other = Buffer.from(random.bytes(32));
    const attempt = openKeyRing({ ...place(), rootKey: other });
    await expect(attempt).rejects.toThrow(withCode('root_key_mismatch'));
    await expect(attempt).rejects.toThrow(
      new RegExp(`${ring.ringId} expects .*${ring.fingerprint}; the one given has`),
    );
  });

  it('any changed value is noticed', async () => {
    const { ring } = await init();
    await ring.kekOfTenant(uuid());
    const text = await readFile(path, 'utf8');
    const document = JSON.parse(text);
    const changes: [string, unknown][] = [
      ['generation', 9],
      ['createdAtMs', 1],
      ['entries', []],
      ['entries', [{ ...document.entries[0], tenantId: uuid() }]],
      ['recovery', { ...document.recovery, confirmedAtMs: 5 }],
      ['extra', 1],
    ];
    for (const [name, value] of changes) {
      await writeFile(path, JSON.stringify({ ...document, [name]: value }));
      await expect(openKeyRing(place()), name).rejects.toThrow(withCode('ring_tampered'));
    }
    await writeFile(path, JSON.stringify({ ...document, suite: 2 }));
    await expect(openKeyRing(place())).rejects.toThrow(withCode('suite_unknown'));
    await writeFile(path, text.slice(0, text.length / 2));
    await expect(openKeyRing(place())).rejects.toThrow(withCode('ring_corrupt'));
    await writeFile(path, text);
    expect((await openKeyRing(place())).keyCount).toBe(1);
  });

  it('a second writer is refused instead of losing a key', async () => {
    const { ring } = await init();
    const second = await openKeyRing(place());
    await second.kekOfTenant(uuid());
    await expect(ring.kekOfTenant(uuid())).rejects.toThrow(withCode('ring_changed'));
    expect((await openKeyRing(place())).keyCount).toBe(1);
  });

  it('left-overs of a crash do not block the next save', async () => {
    const { ring } = await init();
    await writeFile(`${path}.new`, 'half');
    await writeFile(`${path}.previous-new`, 'half');
    await ring.kekOfTenant(uuid());
    expect((await openKeyRing(place())).keyCount).toBe(1);
  });
});

describe('S12: the recovery key opens a backup, and a person proves to hold it', () => {
  it('reads back as typed, and a typing error is noticed', () => {
    const key = Buffer.from(random.bytes(32));
    const text = formatRecoveryKey(key);
    expect(text).toMatch(/^([0-9A-Z]{4}-){13}[0-9A-Z]{4}$/);
    expect(
      parseRecoveryKey(text.toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l')).equals(key),
    ).toBe(true);
    for (let at = 0; at < text.length; at += 1) {
      if (text[at] === '-') continue;
      const wrong = text.slice(0, at) + (text[at] === '7' ? '8' : '7') + text.slice(at + 1);
      expect(() => parseRecoveryKey(wrong)).toThrow(withCode('recovery_key_malformed'));
    }
    expect(() => parseRecoveryKey(text.slice(1))).toThrow(withCode('recovery_key_malformed'));
    expect(() => parseRecoveryKey(text.replace(/^./, '*'))).toThrow(withCode('recovery_key_malformed'));
  });

  it('confirmation is recorded, and another ring’s key is refused by name', async () => {
    const { ring, recoveryKey } = await init();
    expect(ring.recoveryConfirmedAtMs).toBeUndefined();
    const foreign = formatRecoveryKey(random.bytes(32));
    await expect(ring.confirmRecoveryKey(foreign)).rejects.toThrow(withCode('recovery_key_mismatch'));
    await ring.confirmRecoveryKey(recoveryKey);
    expect((await openKeyRing(place())).recoveryConfirmedAtMs).toBe(clock.nowMs());
    expect(await readFile(path, 'utf8')).not.toContain(recoveryKey);
  });

  it('a recovery key that nobody noted can be replaced by who holds the root key', async () => {
    const { ring, recoveryKey } = await init();
    await ring.confirmRecoveryKey(recoveryKey);
    await expect(ring.renewRecoveryKey(random.bytes(32))).rejects.toThrow(withCode('root_key_mismatch'));
    const renewed = await ring.renewRecoveryKey(rootKey);
    expect(ring.recoveryConfirmedAtMs).toBeUndefined();
    await expect(ring.confirmRecoveryKey(recoveryKey)).rejects.toThrow(withCode('recovery_key_mismatch'));
    expect(recoverRootKey(await readFile(path), renewed).equals(rootKey)).toBe(true);
  });

  it('a backup is restored under a new root key and opens what was wrapped before', async () => {
    const { ring, recoveryKey } = await init();
    const before = localKekProvider({ ring, random });
    const bound = context();
    const { dek, ...wrapped } = await before.generateDek(bound);
    const backup = await readFile(path);
    expect(recoverRootKey(backup, recoveryKey).equals(rootKey)).toBe(true);

    const newRoot = Buffer.from(random.bytes(32));
    await expect(restoreKeyRing({ ...place(), rootKey: newRoot, backup, recoveryKey })).rejects.toThrow(
      withCode('ring_exists'),
    );
    const newPath = join(folder, 'restored', 'ring.json');
    await restoreKeyRing({ path: newPath, rootKey: newRoot, clock, random, backup, recoveryKey });
    const reopened = await openKeyRing({ path: newPath, rootKey: newRoot, clock, random });
    expect((await localKekProvider({ ring: reopened, random }).unwrap(wrapped, bound)).equals(dek)).toBe(true);
    expect(reopened.fingerprint).not.toBe(ring.fingerprint);
    await reopened.confirmRecoveryKey(recoveryKey);
    await expect(openKeyRing({ path: newPath, rootKey, clock, random })).rejects.toThrow(withCode('root_key_mismatch'));
  });
});

describe('S13: a wrapped data key opens only in its context', () => {
  it('each tenant has a key of its own, and health uses one for real', async () => {
    const { ring } = await init();
    const provider = localKekProvider({ ring, random });
    expect(await provider.health()).toEqual({ ok: true });
    const a = context();
    const b = context();
    const wrappedA = await provider.generateDek(a);
    const wrappedB = await provider.generateDek(b);
    expect(wrappedA.kekRef).not.toBe(wrappedB.kekRef);
    expect((await provider.unwrap(wrappedA, a)).equals(wrappedA.dek)).toBe(true);
    await expect(provider.unwrap(wrappedA, b)).rejects.toThrow(withCode('kek_foreign'));
    expect(await provider.health()).toEqual({ ok: true });
    expect(await provider.describe()).toMatchObject({ provider: 'local', hardware: false, keyCount: 2 });
    ring.close();
    expect(await provider.health()).toMatchObject({ ok: false });
  });

  it.each([{ purpose: 'objects' }, { dekId: uuid() }, { version: 2 }])('another %o fails closed', async (change) => {
    const { ring } = await init();
    const provider = localKekProvider({ ring, random });
    const bound = context();
    const wrapped = await provider.generateDek(bound);
    await expect(provider.unwrap(wrapped, { ...bound, ...change })).rejects.toThrow(withCode('authentication_failed'));
    const otherRef = { ...wrapped, kekRef: `local:${uuid()}` };
    await expect(provider.unwrap(otherRef, bound)).rejects.toThrow(withCode('kek_unknown'));
  });

  it('a destroyed key is in no generation, opens nothing, and leaves the others alone', async () => {
    const { ring } = await init();
    const provider = localKekProvider({ ring, random });
    const [mine, other] = [context(), context()];
    const wrapped = await provider.generateDek(mine);
    const kept = await provider.generateDek(other);
    const kekId = wrapped.kekRef.slice('local:'.length);
    expect(await ring.destroyKekOf(mine.tenantId)).toBe(kekId);
    await expect(provider.unwrap(wrapped, mine)).rejects.toThrow(withCode('kek_unknown'));
    for (const file of [path, `${path}.previous`]) expect(await readFile(file, 'utf8')).not.toContain(kekId);
    expect(await ring.destroyKekOf(mine.tenantId)).toBeUndefined();
    const reopened = localKekProvider({ ring: await openKeyRing(place()), random });
    await expect(reopened.unwrap(wrapped, mine)).rejects.toThrow(withCode('kek_unknown'));
    expect((await reopened.unwrap(kept, other)).equals(kept.dek)).toBe(true);
  });

  it('a ring that lacks the key says which one', async () => {
    const { ring } = await init();
    const missing = uuid();
    expect(() => ring.kek(missing)).toThrow(new RegExp(`${ring.ringId} .* has no key ${missing}`));
  });
});

describe('S14: a data key is fixed by its commitment', () => {
  it('another key, and the same key under another name, are refused', () => {
    const bound = context();
    const dek = random.bytes(32);
    const commitment = dekCommitment(dek, bound);
    checkCommitment(dek, bound, commitment);
    expect(() => checkCommitment(random.bytes(32), bound, commitment)).toThrow(withCode('commitment_mismatch'));
    for (const change of [{ tenantId: uuid() }, { purpose: 'objects' }, { dekId: uuid() }, { version: 2 }]) {
      expect(() => checkCommitment(dek, { ...bound, ...change }, commitment)).toThrow(withCode('commitment_mismatch'));
    }
    expect(() => checkCommitment(dek, bound, commitment.subarray(0, 16))).toThrow(withCode('commitment_mismatch'));
  });
});

describe('S15: a root key file is private', () => {
  it('is made once and read only while nobody else may', async () => {
    const file = join(folder, 'root.key');
    const key = await createRootKeyFile(file, random);
    expect((await readRootKeyFile(file)).equals(key)).toBe(true);
    await expect(createRootKeyFile(file, random)).rejects.toThrow(withCode('ring_exists'));
    await chmod(file, 0o644);
    await expect(readRootKeyFile(file)).rejects.toThrow(withCode('ring_permissions'));
  });
});
