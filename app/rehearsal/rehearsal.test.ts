import { lstat, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom, uuidV4 } from '@auditrax/base';
import type { DekContext, KekProvider, WrappedDek } from '@auditrax/seal';
import { awsKmsProvider } from '@auditrax/seal/aws-kms';
import { outgoingGuard } from '@auditrax/seal/guard/outgoing';
import { openToken } from '@auditrax/seal/pkcs11';
import { hasSoftToken } from '@auditrax/seal/providers/pkcs11/soft-token';
import { xksKekProvider, type XksKekProvider } from '@auditrax/seal/xks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRehearsal, type Rehearsal } from './index.ts';

const random = systemRandom;
const clock = systemClock;
const context: DekContext = { tenantId: uuidV4(random), purpose: 'fields', dekId: uuidV4(random), version: 1 };

if (process.env['CI'] === 'true' && !hasSoftToken()) throw new Error('softhsm2 is missing: apt-get install softhsm2');

/** Only passes on what it is given: the wrapping below the store is not what is rehearsed. */
const plainInner: KekProvider = {
  generateDek: async () => {
    const dek = Buffer.from(random.bytes(32));
    return { dek, wrapped: Buffer.concat([Buffer.alloc(32), dek]), kekRef: 'local:test' };
  },
  wrap: async (dek) => ({ wrapped: Buffer.concat([Buffer.alloc(32), dek]), kekRef: 'local:test' }),
  unwrap: async ({ wrapped }) => Buffer.from(wrapped.subarray(32)),
  describe: async () => ({ provider: 'test', hardware: false, fingerprint: '', keyCount: 1, details: {} }),
  health: async () => ({ ok: true }),
};

describe.skipIf(!hasSoftToken())('a rehearsal (needs softhsm2)', () => {
  let folder: string;
  let rehearsal: Rehearsal;
  let xks: XksKekProvider;
  let wrapped: WrappedDek & { dek: Buffer };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rehearsed-'));
    rehearsal = await startRehearsal({ folder, mode: 'test', clock, random });
    const { kind: _kind, ...source } = rehearsal.store.source;
    const guard = outgoingGuard({ loopbackOrigins: rehearsal.standIns.origins });
    xks = xksKekProvider({ sourceId: 'one', source, inner: plainInner, guard, clock, random });
    wrapped = await xks.generateDek(context);
  });
  afterAll(async () => {
    await xks?.close();
    await rehearsal?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** A fresh data key each time, so that nothing is answered from memory. */
  const codeOfUnwrap = () =>
    xks.unwrap(wrapped, context).then(
      (dek) => (dek.equals(wrapped.dek) ? 'ok' : 'wrong'),
      (error: { code: string }) => error.code,
    );

  it('serves a tenant’s external key store, logged as its owner would see it', async () => {
    expect(await codeOfUnwrap()).toBe('ok');
    const asked = rehearsal.store.log().filter(({ operation }) => operation === 'decrypt');
    expect(asked.at(-1)).toMatchObject({ status: 200, accessKeyId: rehearsal.store.source.accessKeyId });
  });

  it('withdraws the key, and gives it back', async () => {
    rehearsal.store.setKeyEnabled(false);
    expect(await codeOfUnwrap()).toBe('kek_disabled');
    rehearsal.store.setKeyEnabled(true);
    await expect.poll(codeOfUnwrap, { timeout: 15_000 }).toBe('ok');
  });

  it('is slow, loses its HSM, is gone, and comes back', async () => {
    rehearsal.store.slowDown(1_000);
    expect(await codeOfUnwrap()).toBe('kek_unavailable');
    rehearsal.store.slowDown(0);
    await expect.poll(codeOfUnwrap, { timeout: 15_000 }).toBe('ok');
    await rehearsal.storeHsm.goAway();
    expect(await codeOfUnwrap()).toBe('kek_unavailable');
    await rehearsal.storeHsm.comeBack();
    await expect.poll(codeOfUnwrap, { timeout: 15_000 }).toBe('ok');
    await rehearsal.store.goAway();
    expect(await codeOfUnwrap()).toBe('kek_unavailable');
    await rehearsal.store.comeBack();
    await expect.poll(codeOfUnwrap, { timeout: 15_000 }).toBe('ok');
  });

  it('has a KMS simulator whose key can be disabled', async () => {
    const { kms, standIns } = rehearsal;
    const provider = awsKmsProvider({
      source: kms.source,
      clock,
      random,
      tenantId: context.tenantId,
      endpoints: standIns.origins,
      ca: standIns.ca,
    });
    try {
      const made = await provider.generateDek(context);
      expect((await provider.unwrap(made, context)).equals(made.dek)).toBe(true);
      kms.simulator.setEnabled(kms.source.keyArn, false);
      await expect(provider.unwrap(made, context)).rejects.toMatchObject({ code: 'kek_disabled' });
      kms.simulator.setEnabled(kms.source.keyArn, true);
      expect((await provider.unwrap(made, context)).equals(made.dek)).toBe(true);
    } finally {
      provider.close();
    }
  });

  it('has a token of the house’s own, called a rehearsal', async () => {
    const token = await openToken({ ...rehearsal.hsm.options, sessions: 1 });
    try {
      expect((await token.facts()).label).toBe('rehearsal-house');
    } finally {
      token.close();
    }
  });

  it('keeps no secret of its authority or store in a file, and opens none to others', async () => {
    const paths = await readdir(folder, { recursive: true });
    expect(paths.length).toBeGreaterThan(4);
    expect((await lstat(join(folder, paths[0]!))).mode & 0o077).toBe(0);
    for (const path of paths) {
      if (!(await lstat(join(folder, path))).isFile()) continue;
      const text = await readFile(join(folder, path), 'latin1');
      expect(text).not.toContain('PRIVATE KEY');
      expect(text).not.toContain(rehearsal.store.source.secretAccessKey);
    }
  });

  it('is refused to an installation in earnest', async () => {
    const wanted = { folder, mode: 'production' as 'test', clock, random };
    await expect(startRehearsal(wanted)).rejects.toMatchObject({ code: 'rehearsal_refused' });
  });

  it('leaves nothing behind', async () => {
    const other = await mkdtemp(join(tmpdir(), 'rehearsed-'));
    const short = await startRehearsal({ folder: other, mode: 'test', clock, random });
    await short.close();
    expect(await readdir(other)).toEqual([]);
    await expect(fetch(short.store.source.endpoint)).rejects.toThrow();
    await rm(other, { recursive: true });
  });
});
