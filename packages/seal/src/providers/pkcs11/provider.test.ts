import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom, uuidV4 } from '@auditrax/base';
import type { Uuid } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DekContext } from '../../kek.ts';
import { fileTokenKeyBook, WRAPS_MAX } from './key-book.ts';
import { kekLabel, pkcs11KekProvider } from './provider.ts';
import type { Pkcs11KekOptions } from './provider.ts';
import { hasSoftToken, initSoftToken } from './soft-token.ts';
import type { SoftToken } from './soft-token.ts';
import { openToken } from './token.ts';
import type { Pkcs11Token } from './token.ts';

const withCode = (code: string) => expect.objectContaining({ code });
const random = systemRandom;
const bytes = (length: number): Buffer => Buffer.from(random.bytes(length));
const uuid = (): Uuid => uuidV4(random);
const context = (change: Partial<DekContext> = {}): DekContext => ({
  tenantId: uuid(),
  purpose: 'fields',
  dekId: uuid(),
  version: 1,
  ...change,
});
const mayRun = hasSoftToken() || process.env['CI'] === 'true';

let folder: string;
let soft: SoftToken;
let token: Pkcs11Token;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pkcs11-kek-'));
  if (!mayRun) return;
  soft = await initSoftToken({ folder, label: 'keys', pin: '5511' });
  token = await openToken({ ...soft, sessions: 1, deadline_ms: 20_000 });
});
afterAll(async () => {
  token?.close();
  await rm(folder, { recursive: true, force: true });
});

const newBook = () => fileTokenKeyBook(join(folder, `book-${bytes(4).toString('hex')}`));
const provider = (change: Partial<Pkcs11KekOptions> = {}) =>
  pkcs11KekProvider({ token, random, book: newBook(), mayCreate: true, ...change });
/** The same token, seen as one that has no GCM. */
const withoutGcm = (): Pkcs11Token => ({
  ...token,
  mechanisms: async () => ({ ...(await token.mechanisms()), gcm: false }),
});

describe.skipIf(!mayRun)('P4: a data key wrapped by a token (SoftHSM) opens only in its own context', () => {
  for (const [name, seen] of [
    ['AES-GCM', () => token],
    ['RFC 5649', withoutGcm],
  ] as const) {
    it(`${name}: opens for its tenant, purpose, id and version, and for no other`, async () => {
      const keks = provider({ token: seen() });
      const own = context();
      const { dek, wrapped, kekRef } = await keks.generateDek(own);
      expect(kekRef).toMatch(/^pkcs11:[0-9a-f]{16}\/[0-9a-f]{32}$/);
      expect(wrapped.length).toBeGreaterThanOrEqual(48);
      expect(wrapped.includes(dek)).toBe(false);
      expect(await keks.unwrap({ wrapped, kekRef }, own)).toEqual(dek);
      for (const change of [{ purpose: 'objects' }, { dekId: uuid() }, { version: 2 }]) {
        await expect(keks.unwrap({ wrapped, kekRef }, { ...own, ...change })).rejects.toThrow(
          withCode('authentication_failed'),
        );
      }
      await expect(keks.unwrap({ wrapped, kekRef }, { ...own, tenantId: uuid() })).rejects.toThrow(
        withCode('kek_foreign'),
      );
    });

    it(`${name}: any changed byte is refused with a typed error`, async () => {
      const keks = provider({ token: seen() });
      const own = context();
      const { wrapped, kekRef } = await keks.generateDek(own);
      for (let at = 0; at < wrapped.length; at += 1) {
        const changed = Buffer.from(wrapped);
        changed[at]! ^= 1;
        await expect(keks.unwrap({ wrapped: changed, kekRef }, own)).rejects.toThrow(
          expect.objectContaining({
            code: expect.stringMatching(/^(authentication_failed|blob_malformed|suite_unknown|kek_unknown)$/),
          }),
        );
      }
      for (const length of [0, 3, wrapped.length - 1]) {
        await expect(keks.unwrap({ wrapped: wrapped.subarray(0, length), kekRef }, own)).rejects.toThrow(
          withCode('blob_malformed'),
        );
      }
    });
  }

  it('a new process opens what an old one wrapped, by the record alone', async () => {
    const own = context();
    const { dek, ...record } = await provider().generateDek(own);
    expect(await provider({ mayCreate: false }).unwrap(record, own)).toEqual(dek);
  });

  it('records of another token, another key or another kind name what was expected and found', async () => {
    const keks = provider();
    const own = context();
    const { wrapped, kekRef } = await keks.generateDek(own);
    const other = await keks.generateDek(context({ tenantId: own.tenantId, purpose: 'objects' }));
    expect(other.kekRef).toBe(kekRef);
    const { serial } = await token.facts();
    const id = kekRef.split('/')[1]!;
    for (const [ref, code] of [
      [`pkcs11:${serial}/${'0'.repeat(32)}`, 'kek_gone'],
      [`pkcs11:feedfeedfeedfeed/${'0'.repeat(32)}`, 'kek_unknown'],
      [`local:${uuid()}`, 'kek_unknown'],
    ] as const) {
      await expect(keks.unwrap({ wrapped, kekRef: ref }, own)).rejects.toThrow(withCode(code));
    }
    await expect(keks.unwrap({ wrapped, kekRef: `pkcs11:feedfeedfeedfeed/${'0'.repeat(32)}` }, own)).rejects.toThrow(
      expect.objectContaining({ message: expect.stringMatching(`feedfeedfeedfeed.*${serial}`) }),
    );
    // The same key on new hardware, restored from the vendor's backup: another serial number, the same id.
    expect(await keks.unwrap({ wrapped, kekRef: `pkcs11:feedfeedfeedfeed/${id}` }, own)).toHaveLength(32);
  });
});

describe.skipIf(!mayRun)('P5: one fit key per tenant on the token (SoftHSM), made on purpose, never replaced', () => {
  it('16 first callers make one key, with the attributes that keep it inside', async () => {
    const keks = provider();
    const tenantId = uuid();
    const made = await Promise.all(Array.from({ length: 16 }, () => keks.generateDek(context({ tenantId }))));
    expect(new Set(made.map(({ kekRef }) => kekRef)).size).toBe(1);
    expect(await keks.describeKek(tenantId)).toMatchObject({
      label: kekLabel(tenantId),
      sensitive: true,
      alwaysSensitive: true,
      extractable: false,
      neverExtractable: true,
      local: true,
      wrap: false,
    });
    expect(await keks.describe()).toMatchObject({
      provider: 'pkcs11',
      hardware: false,
      keyCount: 1,
      details: { mechanism: 'AES-256-GCM', neverExtractable: true, manufacturer: 'SoftHSM project' },
    });
  });

  it('a missing key is "kek_gone" with its label, unless making it was asked for', async () => {
    const tenantId = uuid();
    await expect(provider({ mayCreate: false }).generateDek(context({ tenantId }))).rejects.toThrow(
      expect.objectContaining({ code: 'kek_gone', message: expect.stringContaining(kekLabel(tenantId)) }),
    );
    expect(await token.findKey({ label: kekLabel(tenantId) })).toBeUndefined();
  });

  it('a destroyed key opens nothing and is not replaced by a new one', async () => {
    const book = newBook();
    const keks = provider({ book });
    const own = context();
    const { wrapped, kekRef } = await keks.generateDek(own);
    expect(await keks.health()).toEqual({ ok: true });
    await expect(keks.destroyKek(kekRef, uuid())).rejects.toThrow(withCode('kek_foreign'));
    await token.destroyKey(kekRef.split('/')[1]!);
    expect(await keks.health()).toMatchObject({ ok: false, code: 'kek_gone' });
    await expect(keks.unwrap({ wrapped, kekRef }, own)).rejects.toThrow(withCode('kek_gone'));
    for (let i = 0; i < 3; i += 1) await expect(keks.generateDek(own)).rejects.toThrow(withCode('kek_gone'));
    expect(await keks.destroyKek(kekRef, own.tenantId)).toBe(false);

    // Not after a restart either, and not by another key that somebody has put in its place.
    const next = provider({ book });
    await expect(next.generateDek(own)).rejects.toThrow(withCode('kek_gone'));
    await token.createAesKey({ label: kekLabel(own.tenantId), use: 'gcm' });
    await expect(next.generateDek(own)).rejects.toThrow(
      expect.objectContaining({ code: 'kek_unknown', message: expect.stringContaining(kekRef) }),
    );

    const second = await provider({ keyLabel: 'second' }).generateDek(own);
    expect(await next.destroyKek(second.kekRef, own.tenantId)).toBe(true);
    await expect(next.unwrap(second, own)).rejects.toThrow(withCode('kek_gone'));
  });

  it('a key label names only keys of the tenant, whatever it says', async () => {
    const [mine, theirs] = [uuid(), uuid()];
    await provider().generateDek(context({ tenantId: theirs }));
    for (const keyLabel of [kekLabel(theirs), 'main']) {
      const { kekRef } = await provider({ keyLabel }).generateDek(context({ tenantId: mine }));
      expect((await token.findKey({ label: `ax-${mine}-${keyLabel}` }))?.id).toBe(kekRef.split('/')[1]);
    }
    for (const keyLabel of ['', 'a b', '../x', 'x'.repeat(65)]) {
      await expect(provider({ keyLabel }).generateDek(context({ tenantId: mine }))).rejects.toThrow(
        withCode('kek_misconfigured'),
      );
    }
  });

  it('a key that may leave the token, or serves two uses, wraps nothing', async () => {
    const weaknesses: Parameters<typeof weakened>[0][] = [
      { givesValue: true },
      { extractable: true },
      { neverExtractable: false },
      { sensitive: false },
      { alwaysSensitive: undefined },
      { private: false },
      { isAes: false },
      { value_bytes: 16 },
      { wrap: true },
      { decrypt: false },
    ];
    function weakened(change: Partial<Awaited<ReturnType<Pkcs11Token['describeKey']>>>): Pkcs11Token {
      return { ...token, describeKey: async (id) => ({ ...(await token.describeKey(id)), ...change }) };
    }
    const own = context();
    const { dek, ...record } = await provider().generateDek(own);
    for (const weakness of weaknesses) {
      const keks = provider({ token: weakened(weakness) });
      await expect(keks.generateDek(own)).rejects.toThrow(withCode('kek_misconfigured'));
      expect(await keks.unwrap(record, own)).toEqual(dek);
    }
  });

  it('a lost token is "kek_unavailable", not a lost key; the provider recovers by itself', async () => {
    const keks = provider();
    const own = context();
    const { dek, ...record } = await keks.generateDek(own);
    await rename(soft.tokenFolder, `${soft.tokenFolder}.away`);
    try {
      await expect(keks.unwrap(record, own)).rejects.toThrow(withCode('kek_unavailable'));
      await expect(provider().unwrap(record, own)).rejects.toThrow(withCode('kek_unavailable'));
      await expect(provider().generateDek(context())).rejects.toThrow(withCode('kek_unavailable'));
      expect(await keks.health()).toMatchObject({ ok: false, code: 'kek_unavailable' });
    } finally {
      await rename(`${soft.tokenFolder}.away`, soft.tokenFolder);
    }
    await expect.poll(() => keks.unwrap(record, own).catch(() => undefined), { timeout: 5_000 }).toEqual(dek);
  });
});

describe('P6: a key wraps a bounded number of times', () => {
  const wraps = async (path: string) =>
    (JSON.parse(await readFile(path, 'utf8')) as { wraps: Record<string, number> }).wraps['pkcs11:a/1']!;

  it('the count survives a restart, and a crash wastes numbers but repeats none', async () => {
    const path = join(folder, 'book');
    const first = fileTokenKeyBook(path);
    await Promise.all(Array.from({ length: 5 }, () => first.take('pkcs11:a/1')));
    const saved = await wraps(path);
    expect(saved).toBeGreaterThanOrEqual(5);
    await fileTokenKeyBook(path).take('pkcs11:a/1');
    expect(await wraps(path)).toBeGreaterThan(saved);
  });

  it('the last one is refused, for this key only; a file that is none is refused', async () => {
    const path = join(folder, 'book-full');
    await writeFile(path, JSON.stringify({ labels: {}, wraps: { 'pkcs11:a/1': WRAPS_MAX } }), { mode: 0o600 });
    const book = fileTokenKeyBook(path);
    await expect(book.take('pkcs11:a/1')).rejects.toThrow(withCode('kek_misconfigured'));
    await book.take('pkcs11:a/2');
    for (const text of ['x', '[]', '{"labels":{},"wraps":{"a":"1"}}']) {
      await writeFile(path, text, { mode: 0o600 });
      await expect(fileTokenKeyBook(path).take('pkcs11:a/2')).rejects.toThrow(withCode('kek_misconfigured'));
    }
  });
});
