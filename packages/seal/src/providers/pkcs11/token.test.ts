import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasSoftToken, initSoftToken } from './soft-token.ts';
import type { SoftToken } from './soft-token.ts';
import { openToken, pkcs11Token } from './token.ts';
import type { Pkcs11Token, TokenOptions } from './token.ts';

const withCode = (code: string) => expect.objectContaining({ code });
const bytes = (length: number): Buffer => Buffer.from(systemRandom.bytes(length));

let folder: string;
let soft: SoftToken;
const open: Pkcs11Token[] = [];

/** SoftHSM missing is a failure in CI and a note elsewhere. */
const mayRun = hasSoftToken() || process.env['CI'] === 'true';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pkcs11-'));
  if (mayRun) soft = await initSoftToken({ folder, label: 'auditrax test', pin: '482915' });
});
afterAll(async () => {
  for (const token of open) token.close();
  await rm(folder, { recursive: true, force: true });
});

const options = (change: Partial<TokenOptions> = {}): TokenOptions => ({ ...soft, deadline_ms: 20_000, ...change });
const connect = async (change: Partial<TokenOptions> = {}): Promise<Pkcs11Token> => {
  const token = await openToken(options(change));
  open.push(token);
  return token;
};
const gcmKey = async (token: Pkcs11Token) => token.createAesKey({ label: `k-${bytes(6).toString('hex')}`, use: 'gcm' });

describe.skipIf(!mayRun)('P1: a key made on the token (SoftHSM) cannot leave it', () => {
  it('reads back as sensitive, never extractable, made there, not modifiable and of one use', async () => {
    const token = await connect();
    const key = await gcmKey(token);
    expect(await token.describeKey(key.id)).toEqual({
      id: key.id,
      label: key.label,
      givesValue: false,
      isAes: true,
      value_bytes: 32,
      token: true,
      private: true,
      sensitive: true,
      alwaysSensitive: true,
      extractable: false,
      neverExtractable: true,
      local: true,
      modifiable: false,
      encrypt: true,
      decrypt: true,
      wrap: false,
      unwrap: false,
    });
    const wrapping = await token.createAesKey({ label: 'wrapping', use: 'kwp' });
    expect(await token.describeKey(wrapping.id)).toMatchObject({
      encrypt: false,
      decrypt: false,
      wrap: true,
      unwrap: true,
    });
    await expect(token.wrapKwp(key.id, bytes(32))).rejects.toThrow(withCode('kek_denied'));
    const iv = bytes(12);
    await expect(token.encryptGcm({ keyId: wrapping.id, iv, aad: iv }, iv)).rejects.toThrow(withCode('kek_denied'));
  });
});

describe.skipIf(!mayRun)('P2: what the token (SoftHSM) does is probed and typed', () => {
  it('AES-GCM and RFC 5649 wrapping work as OpenSSL does them; the facts name the token', async () => {
    const token = await connect();
    expect(await token.mechanisms()).toMatchObject({ gcm: true, kwp: 0x210a });
    expect(await token.facts()).toMatchObject({ label: 'auditrax test', manufacturer: 'SoftHSM project' });
    expect(await token.health()).toEqual({ ok: true });
  });

  it('seals and opens with associated data and IVs of 12 and 16 bytes, empty associated data too', async () => {
    const token = await connect();
    const { id: keyId } = await gcmKey(token);
    for (const use of [
      { keyId, iv: bytes(12), aad: bytes(8192) },
      { keyId, iv: bytes(16), aad: Buffer.alloc(0) },
    ]) {
      const text = bytes(4300);
      const sealed = await token.encryptGcm(use, text);
      expect(sealed).toHaveLength(text.length + 16);
      expect(await token.decryptGcm(use, sealed)).toEqual(text);
    }
  });

  it('any changed byte, other associated data and another key are "authentication_failed", not a lost token', async () => {
    const token = await connect({ sessions: 1 });
    const [one, two] = [await gcmKey(token), await gcmKey(token)];
    const use = { keyId: one.id, iv: bytes(12), aad: Buffer.from('context') };
    const sealed = await token.encryptGcm(use, bytes(32));
    const [pid] = token.processIds;
    for (let at = 0; at < sealed.length; at += 7) {
      const changed = Buffer.from(sealed);
      changed[at]! ^= 1;
      await expect(token.decryptGcm(use, changed)).rejects.toThrow(withCode('authentication_failed'));
    }
    await expect(token.decryptGcm({ ...use, aad: Buffer.from('other') }, sealed)).rejects.toThrow(
      withCode('authentication_failed'),
    );
    await expect(token.decryptGcm({ ...use, keyId: two.id }, sealed)).rejects.toThrow(
      withCode('authentication_failed'),
    );
    await expect(token.decryptGcm(use, sealed.subarray(0, 9))).rejects.toThrow(withCode('truncated'));
    expect(await token.decryptGcm(use, sealed)).toHaveLength(32);
    expect(token.processIds).toEqual([pid]);
  });

  it('wraps by RFC 5649; changed bytes are "authentication_failed"', async () => {
    const token = await connect();
    const { id } = await token.createAesKey({ label: 'kwp', use: 'kwp' });
    const secret = bytes(64);
    const wrapped = await token.wrapKwp(id, secret);
    expect(wrapped).toHaveLength(72);
    await expect(token.wrapKwp(id, bytes(33))).rejects.toThrow(withCode('key_length'));
    expect(await token.unwrapKwp(id, wrapped)).toEqual(secret);
    wrapped[20]! ^= 0x80;
    await expect(token.unwrapKwp(id, wrapped)).rejects.toThrow(withCode('authentication_failed'));
  });

  it('keys are found by label and id, from every session; an absent one is absent, a destroyed one gone', async () => {
    const token = await connect({ sessions: 3 });
    const made = await token.createAesKey({ label: 'findable', use: 'gcm' });
    const found = await Promise.all(Array.from({ length: 9 }, () => token.findKey({ label: 'findable' })));
    expect(found).toEqual(Array.from({ length: 9 }, () => made));
    expect(await token.findKey({ id: made.id })).toEqual(made);
    expect(await token.findKey({ label: 'findable?' })).toBeUndefined();
    expect(await token.createAesKey({ label: 'other', use: 'gcm', id: made.id })).toEqual(made);
    await token.createAesKey({ label: 'findable', use: 'gcm' });
    await expect(token.findKey({ label: 'findable' })).rejects.toThrow(withCode('kek_misconfigured'));
    const use = { keyId: made.id, iv: bytes(12), aad: bytes(3) };
    const sealed = await token.encryptGcm(use, bytes(32));
    expect(await token.destroyKey(made.id)).toBe(true);
    expect(await token.destroyKey(made.id)).toBe(false);
    for (let i = 0; i < 4; i += 1) await expect(token.decryptGcm(use, sealed)).rejects.toThrow(withCode('kek_gone'));
  });

  it('a wrong module, token label or PIN is typed; a wrong PIN is sent once, whatever is asked after', async () => {
    await expect(openToken(options({ modulePath: '/nowhere.so' }))).rejects.toThrow(withCode('kek_misconfigured'));
    await expect(openToken(options({ modulePath: '/usr/lib/x86_64-linux-gnu/libc.so.6' }))).rejects.toThrow(
      withCode('kek_misconfigured'),
    );
    await expect(openToken(options({ tokenLabel: 'another' }))).rejects.toThrow(
      expect.objectContaining({ code: 'kek_unavailable', message: expect.stringContaining('"auditrax test"') }),
    );
    const token = pkcs11Token(options({ pin: '999999', sessions: 4 }));
    open.push(token);
    const answers = await Promise.allSettled(Array.from({ length: 8 }, () => token.facts()));
    expect(answers.map((answer) => (answer as PromiseRejectedResult).reason.code)).toEqual(
      Array.from({ length: 8 }, () => 'kek_denied'),
    );
    expect(token.processIds).toHaveLength(1);
    expect(await token.health()).toMatchObject({ ok: false, code: 'kek_denied' });
    // Not by a new child either: it would begin with a login.
    process.kill(token.processIds[0]!, 'SIGKILL');
    await expect.poll(() => token.processIds).toEqual([]);
    await expect(token.facts()).rejects.toThrow(withCode('kek_denied'));
    expect(token.processIds).toEqual([]);
  });

  it('the child has the PIN neither in its arguments nor in its environment', async () => {
    const { readFile } = await import('node:fs/promises');
    const token = await connect({ sessions: 1 });
    for (const name of ['cmdline', 'environ']) {
      const text = await readFile(`/proc/${token.processIds[0]}/${name}`, 'latin1');
      expect(text.length).toBeGreaterThan(0);
      expect(text).not.toContain(soft.pin);
    }
  });
});

describe.skipIf(!mayRun)('P3: a lost token (SoftHSM), a killed child and a flood are survived', () => {
  it('16 callers at once get their own bytes back', async () => {
    const token = await connect({ sessions: 2 });
    const { id: keyId } = await gcmKey(token);
    const caller = async (n: number) => {
      for (let i = 0; i < 20; i += 1) {
        const use = { keyId, iv: bytes(12), aad: Buffer.from(`${n}/${i}`) };
        const text = bytes(32);
        expect(await token.decryptGcm(use, await token.encryptGcm(use, text))).toEqual(text);
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, n) => caller(n)));
  });

  it('more calls than the queue holds are "kek_throttled", the others are served', async () => {
    const token = await connect({ sessions: 1, queue_max: 8 });
    const { id: keyId } = await gcmKey(token);
    const use = { keyId, iv: bytes(12), aad: bytes(3) };
    const answers = await Promise.allSettled(Array.from({ length: 40 }, () => token.encryptGcm(use, bytes(32))));
    const refused = answers.filter((answer) => answer.status === 'rejected');
    expect(refused).toHaveLength(40 - 9);
    for (const answer of refused) expect(answer.reason).toMatchObject({ code: 'kek_throttled' });
  });

  it('a child killed in the middle of calls is a typed error, and the next call works', async () => {
    const token = await connect({ sessions: 1 });
    const { id: keyId } = await gcmKey(token);
    const use = { keyId, iv: bytes(12), aad: bytes(3) };
    const text = bytes(32);
    const sealed = await token.encryptGcm(use, text);
    for (let round = 0; round < 3; round += 1) {
      const [pid] = token.processIds;
      // Stopped first, so that the call surely is under way when its child dies.
      process.kill(pid!, 'SIGSTOP');
      const call = token.decryptGcm(use, sealed);
      call.catch(() => undefined); // looked at below
      await new Promise((resolve) => setTimeout(resolve, 20));
      process.kill(pid!, 'SIGKILL');
      await expect(call).rejects.toThrow(withCode('kek_unavailable'));
      expect(await token.decryptGcm(use, sealed)).toEqual(text);
      expect(token.processIds).not.toContain(pid);
    }
  });

  it('a module that hangs is ended at the deadline, and the next call works', async () => {
    const token = await connect({ sessions: 1, deadline_ms: 4_000 });
    const { id: keyId } = await gcmKey(token);
    const use = { keyId, iv: bytes(12), aad: bytes(3) };
    const [pid] = token.processIds;
    process.kill(pid!, 'SIGSTOP');
    await expect(token.encryptGcm(use, bytes(32))).rejects.toThrow(withCode('kek_unavailable'));
    expect(await token.encryptGcm(use, bytes(32))).toHaveLength(48);
    expect(token.processIds).not.toContain(pid);
  });

  it('a token moved away under load is "kek_unavailable" and comes back by itself, with no wrong answer', async () => {
    const own = await mkdtemp(join(tmpdir(), 'pkcs11-lost-'));
    const lost = await initSoftToken({ folder: own, label: 'removable', pin: '1234' });
    const token = await openToken({ ...lost, sessions: 2, deadline_ms: 20_000 });
    try {
      const { id: keyId } = await gcmKey(token);
      const seen = { good: 0, away: 0, goodAfter: 0, other: [] as unknown[] };
      let phase: 'present' | 'away' | 'back' = 'present';
      const caller = async (n: number) => {
        for (let i = 0; phase !== 'back' || seen.goodAfter < 200; i += 1) {
          const use = { keyId, iv: bytes(12), aad: Buffer.from(`${n}/${i}`) };
          const text = bytes(32);
          try {
            const opened = await token.decryptGcm(use, await token.encryptGcm(use, text));
            if (!opened.equals(text)) seen.other.push('wrong bytes');
            seen[phase === 'back' ? 'goodAfter' : 'good'] += 1;
          } catch (error) {
            if ((error as { code: string }).code === 'kek_unavailable') seen.away += 1;
            else seen.other.push(error);
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
        }
      };
      const callers = Array.from({ length: 16 }, (_, n) => caller(n));
      const until = async (done: () => boolean) => {
        while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
      };
      await until(() => seen.good > 100);
      const [before] = [token.processIds];
      phase = 'away';
      await rename(lost.tokenFolder, `${lost.tokenFolder}.away`);
      await until(() => seen.away > 100);
      expect(await token.health()).toMatchObject({ ok: false, code: 'kek_unavailable' });
      await expect(token.findKey({ id: keyId })).rejects.toThrow(withCode('kek_unavailable'));
      // An empty drive is no key store without keys.
      await mkdir(lost.tokenFolder);
      await expect(token.findKey({ id: keyId })).rejects.toThrow(withCode('kek_unavailable'));
      await rm(lost.tokenFolder, { recursive: true });
      await rename(`${lost.tokenFolder}.away`, lost.tokenFolder);
      phase = 'back';
      await Promise.all(callers);
      expect(seen.other).toEqual([]);
      expect(seen.goodAfter).toBeGreaterThanOrEqual(200);
      expect(token.processIds).toEqual(before);
      expect(await token.health()).toEqual({ ok: true });
    } finally {
      token.close();
      await rm(own, { recursive: true, force: true });
    }
  });
});
