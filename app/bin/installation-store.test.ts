import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, systemClock, systemRandom, uuidV4 } from '@auditrax/base';
import { initKeyRing, type KeyRing } from '@auditrax/seal';
import { openToken } from '@auditrax/seal/pkcs11';
import { hasSoftToken, initSoftToken, type SoftToken } from '@auditrax/seal/soft-token';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hsmStores } from './hsm.ts';
import { openInstallation } from './installation-store.ts';
import { keyLines, writeExpectedKeys } from './key-checks.ts';
import { readSettings } from './settings.ts';

const mayRun = hasSoftToken() || process.env['CI'] === 'true';
const random = systemRandom;
/** The check's own key on the token. */
const CHECK_LABEL = 'ax-00000000-0000-4000-8000-00000000c4ec';

let root: string;
let ring: KeyRing;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'axi-'));
  const rootKey = random.bytes(32);
  const path = join(root, 'key-ring');
  ring = (await initKeyRing({ path, rootKey, clock: systemClock, random, wrappedKeysInStore: 0 })).ring;
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function newHsm(label: string): Promise<SoftToken> {
  const folder = join(root, label);
  mkdirSync(folder);
  return initSoftToken({ folder, label, pin: '1234' });
}

/** One start of the keys process. */
function start(state: string, hsm: SoftToken | null, change: { kekRefs?: string[]; kekProvider?: 'local' } = {}) {
  const stateDirectory = join(root, state);
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
  const means = {
    aws: { kind: 'none' } as const,
    root: { kind: 'file' } as const,
    hsm,
    kekProvider: change.kekProvider ?? ('pkcs11' as const),
  };
  const inHsm = hsm === null ? undefined : hsmStores(hsm, { stateDirectory, random });
  return openInstallation({ means, ring, inHsm, kekRefs: change.kekRefs ?? [], stateDirectory, random });
}

const refusal = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => expect.fail('it started'),
    (caught: unknown) => caught as AppError,
  );
  expect(error.code).toBe('installation_key_unfit');
  return error.message;
};

describe.skipIf(!mayRun)('the HSM of the installation (SoftHSM) is proven at each start', () => {
  it('the one that was used starts again; another one is refused with key expected and token found', async () => {
    const own = await newHsm('own');
    const provider = await start('a', own);
    const context = { tenantId: uuidV4(random), purpose: 'fields', dekId: uuidV4(random), version: 1 };
    const { dek, ...wrapped } = await provider.generateDek(context);
    expect(wrapped.kekRef).toMatch(/^pkcs11:/);
    expect(await (await start('a', own)).unwrap(wrapped, context)).toEqual(dek);
    expect(await (await start('a', own)).describe()).toMatchObject({ provider: 'pkcs11' });

    const other = await newHsm('other');
    const told = await refusal(start('a', other));
    expect(told).toMatch(
      /expected key pkcs11:[0-9a-f]+\/[0-9a-f]+ \(check value \S{16}\), found pkcs11:[0-9a-f]+ \("other"\)/,
    );
    // Nothing was made there in passing.
    const token = await openToken({ ...other, sessions: 1, deadline_ms: 20_000 });
    expect(await token.findKey({ label: CHECK_LABEL })).toBeUndefined();
    token.close();

    // A house that has lost what it remembered, beside data of the first HSM.
    const lost = await refusal(start('b', other, { kekRefs: [wrapped.kekRef] }));
    expect(lost).toContain(wrapped.kekRef);
    expect(lost).toContain('"other"');
    expect(await refusal(start('c', null, { kekRefs: [wrapped.kekRef], kekProvider: 'local' }))).toContain(
      wrapped.kekRef,
    );

    // Back to the ring: what the HSM wrapped still opens, what is new is the ring's.
    const back = await start('a', own, { kekRefs: [wrapped.kekRef], kekProvider: 'local' });
    expect(await back.unwrap(wrapped, context)).toEqual(dek);
    expect((await back.generateDek(context)).kekRef).toMatch(/^local:/);
  });

  it('a key of the same label and id that is another one is refused by its bytes', async () => {
    const hsm = await newHsm('same');
    await start('d', hsm);
    const token = await openToken({ ...hsm, sessions: 1, deadline_ms: 20_000 });
    const { id } = (await token.findKey({ label: CHECK_LABEL }))!;
    await token.destroyKey(id);
    await token.createAesKey({ label: CHECK_LABEL, use: 'gcm', id });
    token.close();
    expect(await refusal(start('d', hsm))).toContain('authentication_failed');
  });

  it('one that does not answer is refused, and serves again when it is back', async () => {
    const hsm = await newHsm('away');
    await start('e', hsm);
    renameSync(hsm.tokenFolder, `${hsm.tokenFolder}.away`);
    expect(await refusal(start('e', hsm))).toMatch(/expected key pkcs11:.*it answers kek_/);
    renameSync(`${hsm.tokenFolder}.away`, hsm.tokenFolder);
    await start('e', hsm);
  });
});

describe('settings about keys', () => {
  it('backups are kept a week at least, and AWS’s chain gets its own variables and no others', () => {
    const read = (change: Record<string, string>) => readSettings({ AUDITRAX_STATE: '/var/lib/x', ...change });
    expect(read({}).backupRetention_days).toBe(30);
    expect(read({ AUDITRAX_BACKUP_RETENTION_DAYS: '90' }).backupRetention_days).toBe(90);
    for (const days of ['6', '3651', '30.5', 'long'])
      expect(() => read({ AUDITRAX_BACKUP_RETENTION_DAYS: days })).toThrow(/AUDITRAX_BACKUP_RETENTION_DAYS/);
    const secrets = { AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/house', DATABASE_PASSWORD: 'x' };
    expect(read(secrets).awsIdentity).toEqual({ kind: 'none' });
    expect(read({ ...secrets, AUDITRAX_AWS_IDENTITY: 'default-chain' }).awsIdentity).toEqual({
      kind: 'default-chain',
      environment: { AWS_ROLE_ARN: secrets.AWS_ROLE_ARN },
    });
  });

  it('an HSM’s key that is not there yet is told without being made, and one that is lost is not called new', async () => {
    if (!mayRun) return;
    const hsm = await newHsm('dry');
    const folder = mkdtempSync(join(root, 'dry-'));
    const { open } = hsmStores(hsm, { stateDirectory: folder, random });
    const tenantId = uuidV4(random);
    const store = await open({ tenantId, keyLabel: 'main' });
    expect(await store.isUnmade()).toBe(true);
    expect(await store.isUnmade()).toBe(true);
    const { dek: _dek, kekRef } = await store.provider.generateDek({
      tenantId,
      purpose: 'trial',
      dekId: tenantId,
      version: 1,
    });
    expect(await store.isUnmade()).toBe(false);
    await store.provider.destroyKek(kekRef, tenantId);
    expect(await store.isUnmade()).toBe(false);
  });
});

describe('doctor says where the installation’s keys are', () => {
  it('in the ring or in the HSM, and what is left in the other', async () => {
    const state = mkdtempSync(join(root, 'state-'));
    for (const name of ['keys', 'supervisor']) mkdirSync(join(state, name), { mode: 0o700 });
    writeFileSync(join(state, 'initialised'), '');
    const facts = { ringId: ring.ringId, ringFingerprint: ring.fingerprint, ringGeneration: ring.generation };
    writeExpectedKeys(state, { facts, kekRefs: ['local:one', 'pkcs11:two/03'] });
    const line = async (change: Record<string, string>) =>
      (await keyLines(readSettings({ AUDITRAX_STATE: state, ...change }))).find(
        ({ check }) => check === 'installation’s keys',
      );
    expect((await line({}))?.detail).toBe(
      'in the key ring (AUDITRAX_KEK_PROVIDER=local); at the last start 1 keys in use were in the HSM, tenants’ own keys among them: keep it',
    );
    const pin = join(state, 'pin');
    writeFileSync(pin, '1234', { mode: 0o600 });
    const hsm = {
      AUDITRAX_KEK_PROVIDER: 'pkcs11',
      AUDITRAX_PKCS11_MODULE: '/nowhere/module.so',
      AUDITRAX_PKCS11_TOKEN: 'x',
      AUDITRAX_PKCS11_PIN_FILE: pin,
    };
    expect((await line(hsm))?.detail).toContain(
      'in the HSM (AUDITRAX_KEK_PROVIDER=pkcs11); at the last start 1 keys in use were in the key ring',
    );
    expect(() => readSettings({ AUDITRAX_KEK_PROVIDER: 'pkcs11' })).toThrow(/needs AUDITRAX_PKCS11_MODULE/);
  });
});
