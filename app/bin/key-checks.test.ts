import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { createRootKeyFile, formatRootKey, initKeyRing, type KeyRing } from '@auditrax/seal';
import { openToken } from '@auditrax/seal/pkcs11';
import { hasSoftToken, initSoftToken } from '@auditrax/seal/soft-token';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { run as rootKeyCommand } from './commands/root-key.ts';
import { hsmStores } from './hsm.ts';
import { keyLines, writeExpectedKeys } from './key-checks.ts';
import { readKeyMeans } from './key-means.ts';
import { readSettings } from './settings.ts';

const random = systemRandom;
const clock = systemClock;

let state: string;
let keys: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'axk-'));
  keys = join(state, 'keys');
  for (const name of ['keys', 'supervisor']) mkdirSync(join(state, name), { mode: 0o700 });
  writeFileSync(join(state, 'initialised'), '');
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(state, { recursive: true, force: true });
});

const settings = (change: Record<string, string> = {}) => readSettings({ AUDITRAX_STATE: state, ...change });
/** But the one that tells where new keys go: installation-store.test.ts. */
const lines = async (change: Record<string, string> = {}) =>
  (await keyLines(settings(change))).filter(({ check }) => check !== 'installation’s keys');
function secret(name: string, text: string): string {
  writeFileSync(join(state, name), text, { mode: 0o600 });
  return join(state, name);
}
async function ringIn(folder: string): Promise<{ ring: KeyRing; kekRef: string }> {
  for (const name of ['root-key', 'key-ring', 'key-ring.previous']) rmSync(join(folder, name), { force: true });
  const rootKey = await createRootKeyFile(join(folder, 'root-key'), random);
  const { ring } = await initKeyRing({ path: join(folder, 'key-ring'), rootKey, clock, random, wrappedKeysInStore: 0 });
  return { ring, kekRef: `local:${(await ring.kekOfTenant(uuidV4(random))).kekId}` };
}
const expectKeys = (ring: KeyRing, kekRefs: readonly string[]) =>
  writeExpectedKeys(state, {
    facts: { ringId: ring.ringId, ringFingerprint: ring.fingerprint, ringGeneration: ring.generation },
    kekRefs,
  });

describe('doctor names the key that the data expect and the one that it found', () => {
  it('a ring that fits is in order, and said to be for development when its root key lies beside it', async () => {
    const { ring, kekRef } = await ringIn(keys);
    expectKeys(ring, [kekRef]);
    expect(await lines()).toEqual([
      {
        check: 'key ring',
        ok: true,
        detail: expect.stringMatching(new RegExp(`^${ring.ringId}, 1 keys.*development`)),
      },
    ]);
  });

  it('another ring that opens well is named with both ids, the missing key and both root keys', async () => {
    const { ring, kekRef } = await ringIn(keys);
    const other = await ringIn(keys);
    for (const kekRefs of [[kekRef], []]) {
      expectKeys(ring, kekRefs);
      const [line] = await lines();
      expect(line!.ok).toBe(false);
      for (const part of [ring.ringId, ring.fingerprint, ...kekRefs, other.ring.ringId, other.ring.fingerprint])
        expect(line!.detail).toContain(part);
    }
  });

  it('an older generation of the ring, which lacks a key, is told by the key', async () => {
    const { ring, kekRef } = await ringIn(keys);
    const second = `local:${(await ring.kekOfTenant(uuidV4(random))).kekId}`;
    writeFileSync(join(keys, 'key-ring'), readFileSync(join(keys, 'key-ring.previous')), { mode: 0o600 });
    expectKeys(ring, [kekRef, second]);
    expect(await lines()).toMatchObject([{ ok: false, detail: expect.stringContaining(second) }]);
  });

  it('a key that was destroyed on purpose since the last start is no loss', async () => {
    const { ring } = await ringIn(keys);
    const tenantId = uuidV4(random);
    const { kekId } = await ring.kekOfTenant(tenantId);
    expectKeys(ring, [`local:${kekId}`]);
    await ring.destroyKekOf(tenantId);
    expect(await lines()).toMatchObject([{ ok: true }]);
  });

  it('missing files and unreadable secrets are named', async () => {
    await ringIn(keys);
    rmSync(join(keys, 'root-key'));
    expect(await lines()).toMatchObject([{ ok: false, detail: expect.stringContaining('root key is missing') }]);
    rmSync(join(keys, 'key-ring'));
    expect(await lines()).toMatchObject([{ ok: false, detail: expect.stringContaining('ring is missing') }]);
    expect(await lines({ AUDITRAX_PASSPHRASE_FILE: join(state, 'nowhere') })).toMatchObject([
      { ok: false, detail: expect.stringMatching(/AUDITRAX_ROOT_KEY: .*nowhere/) },
    ]);
  });
});

describe('the root key comes from the first of credential, passphrase and file that is there', () => {
  it('in this order, or as the setting says', () => {
    const credentials = join(state, 'credentials');
    const passphrase = secret('passphrase', 'a long enough passphrase');
    mkdirSync(credentials);
    const both = { CREDENTIALS_DIRECTORY: credentials, AUDITRAX_PASSPHRASE_FILE: passphrase };
    expect(settings().rootKey.kind).toBe('file');
    expect(settings(both).rootKey.kind).toBe('passphrase');
    writeFileSync(join(credentials, 'auditrax-root-key'), formatRootKey(random.bytes(32)), { mode: 0o400 });
    expect(settings(both).rootKey.kind).toBe('credential');
    expect(settings({ ...both, AUDITRAX_ROOT_KEY: 'passphrase-file' }).rootKey.kind).toBe('passphrase');
    expect(settings({ ...both, AUDITRAX_ROOT_KEY: 'file' }).rootKey.kind).toBe('file');
    for (const asked of ['credential', 'passphrase-file', 'tpm'])
      expect(() => settings({ AUDITRAX_ROOT_KEY: asked })).toThrow(/AUDITRAX_ROOT_KEY/);
  });

  it('a secret that others may read is refused, an empty one too', () => {
    const file = secret('passphrase', 'a long enough passphrase');
    expect(readKeyMeans(settings({ AUDITRAX_PASSPHRASE_FILE: file })).root.kind).toBe('passphrase');
    chmodSync(file, 0o640);
    expect(() => readKeyMeans(settings({ AUDITRAX_PASSPHRASE_FILE: file }))).toThrow(/chmod 600/);
    expect(() => readKeyMeans(settings({ AUDITRAX_PASSPHRASE_FILE: secret('empty', '') }))).toThrow(/holds no secret/);
  });

  it('the ring goes under a passphrase, and from there under another; the file goes away', async () => {
    const { ring } = await ringIn(keys);
    expectKeys(ring, []);
    const [first, second] = [secret('first', 'the first passphrase\n'), secret('second', 'the second passphrase\n')];
    // As in a house that root has started: the ring is another user's, and must stay so.
    const owner = process.getuid!() === 0 ? 65_534 : process.getuid!();
    chmodSync(state, 0o711);
    for (const path of [keys, join(keys, 'key-ring')]) chownSync(path, owner, process.getgid!());
    vi.stubEnv('AUDITRAX_STATE', state);
    vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    expect(await rootKeyCommand(['set-passphrase', first])).toBe(0);
    expect(existsSync(join(keys, 'root-key'))).toBe(false);
    vi.stubEnv('AUDITRAX_PASSPHRASE_FILE', first);
    expect(await rootKeyCommand(['set-passphrase', second])).toBe(0);
    vi.mocked(process.stdout.write).mockRestore();
    expect(statSync(join(keys, 'key-ring')).uid).toBe(owner);
    expect(process.geteuid!()).toBe(process.getuid!());
    expect(await lines({ AUDITRAX_PASSPHRASE_FILE: second })).toMatchObject([
      { ok: true, detail: expect.stringContaining(`root key ${ring.fingerprint} under a passphrase`) },
    ]);
    expect(await lines({ AUDITRAX_PASSPHRASE_FILE: first })).toMatchObject([
      { ok: false, detail: expect.stringMatching(/expects the passphrase with check value \S+; the one given has/) },
    ]);
  });
});

const mayRun = hasSoftToken() || process.env['CI'] === 'true';

describe.skipIf(!mayRun)('an HSM (SoftHSM) that is not the one of these data', () => {
  const hsm = async (label: string, pin: string): Promise<Record<string, string>> => {
    const soft = await initSoftToken({ folder: join(state, label), label, pin });
    vi.stubEnv('SOFTHSM2_CONF', soft.environment['SOFTHSM2_CONF']!);
    return {
      AUDITRAX_PKCS11_MODULE: soft.modulePath,
      AUDITRAX_PKCS11_TOKEN: label,
      AUDITRAX_PKCS11_PIN_FILE: secret(`${label}-pin`, `${pin}\n`),
      AUDITRAX_PKCS11_ENVIRONMENT: 'SOFTHSM2_CONF',
      SOFTHSM2_CONF: soft.environment['SOFTHSM2_CONF']!,
    };
  };

  it('is named with the key and token expected and the token found; a wrong PIN and no HSM are told', async () => {
    const { ring } = await ringIn(keys);
    const own = await hsm('own', '1234');
    const stores = hsmStores(readKeyMeans(settings(own)).hsm!, { stateDirectory: keys, random });
    const { provider } = await stores.open({ tenantId: uuidV4(random), keyLabel: 'main' });
    const context = { tenantId: uuidV4(random) as Uuid, purpose: 'fields', dekId: uuidV4(random), version: 1 };
    const { dek, ...record } = await provider.generateDek(context);
    expect(await provider.unwrap(record, context)).toEqual(dek);
    expect(existsSync(join(keys, 'token-keys'))).toBe(true);
    expectKeys(ring, [record.kekRef]);
    const [serial, id] = record.kekRef.slice('pkcs11:'.length).split('/') as [string, string];

    expect((await lines(own))[1]).toEqual({
      check: 'HSM',
      ok: true,
      detail: expect.stringMatching(new RegExp(`^token ${serial} .*AES-GCM, AES-KWP, 1 keys of these data`)),
    });
    const other = await hsm('other', '4321');
    const token = await openToken({ ...readKeyMeans(settings(other)).hsm!, sessions: 1, deadline_ms: 20_000 });
    const found = (await token.facts()).serial;
    token.close();
    const wrong = (await lines(other))[1]!;
    expect(wrong.ok).toBe(false);
    for (const part of [id, serial, found]) expect(wrong.detail).toContain(part);
    const pin = { ...other, AUDITRAX_PKCS11_PIN_FILE: secret('wrong-pin', '9999') };
    expect((await lines(pin))[1]).toMatchObject({ ok: false, detail: expect.stringContaining('CKR_PIN_INCORRECT') });
    expect((await lines())[1]).toMatchObject({ ok: false, detail: expect.stringContaining('no HSM is configured') });
  });

  it('destroys there the keys of a deleted tenant, and nobody else’s', async () => {
    const own = await hsm('shred', '1234');
    const folder = mkdtempSync(join(state, 'shred-'));
    const stores = hsmStores(readKeyMeans(settings(own)).hsm!, { stateDirectory: folder, random });
    const tenantId = uuidV4(random) as Uuid;
    const { provider } = await stores.open({ tenantId, keyLabel: 'main' });
    const context = { tenantId, purpose: 'fields', dekId: uuidV4(random), version: 1 };
    const { dek: _dek, ...record } = await provider.generateDek(context);
    const refs = [`local:${uuidV4(random)}`, record.kekRef];
    await expect(stores.destroyKeks(uuidV4(random), refs)).rejects.toMatchObject({ code: 'kek_foreign' });
    await provider.unwrap(record, context);
    expect(await stores.destroyKeks(tenantId, refs)).toEqual([record.kekRef]);
    await expect(provider.unwrap(record, context)).rejects.toThrow();
    expect(await stores.destroyKeks(tenantId, refs)).toEqual([]);
  });
});
