import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  EMPTY_EDGE,
  appendLeaves,
  consistencyProof,
  edgeRoot,
  GENERATION_OPENED_TYPE,
  inclusionProof,
  KEY_ROTATED_TYPE,
  toBase64,
  formatAddCheckpoint,
  formatCheckpointText,
  leafHash,
  openCheckpoint,
  parseNote,
  parseVerifierKey,
  verifierKeyOf,
  type TileReader,
} from '@auditrax/tlog';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSigner, type Signer } from './signer.ts';
import type { LogKeys } from './signer-keys.ts';
import { memoryKeys } from './testing/log-keys.ts';
import { journalPath } from '@auditrax/tlog/journal';

const ORIGIN = 'test.example/log/aa/1';
const { privateKey } = generateKeyPairSync('ed25519');
const honest = Array.from({ length: 40 }, (_, at) => leafHash(Buffer.from(`entry ${at}`)));
const rewritten = honest.map((hash, at) => (at === 3 ? leafHash(Buffer.from('something else')) : hash));

function rootOf(hashes: Uint8Array[], size: number): Uint8Array {
  return edgeRoot(appendLeaves(EMPTY_EDGE, hashes.slice(0, size)).edge);
}

function text(hashes: Uint8Array[], size: number, origin = ORIGIN): string {
  return formatCheckpointText({ origin, size, root: rootOf(hashes, size) });
}

async function growth(hashes: Uint8Array[], from: number, to: number): Promise<string> {
  const reader: TileReader = async () => Buffer.concat(hashes.slice(0, to));
  const proof = from === 0 || from >= to ? [] : await consistencyProof({ from, to }, reader);
  return formatAddCheckpoint({ oldSize: from, proof, checkpoint: text(hashes, to) });
}

describe('A11: the signer signs growth and nothing else', () => {
  let folder: string;
  let signer: Signer;
  let logKeys: LogKeys;
  const start = (): Signer =>
    createSigner({ journalDirectory: folder, keys: logKeys, originPrefix: 'test.example/log/' });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ax-signer-'));
    logKeys = memoryKeys(privateKey);
    signer = start();
  });
  afterEach(async () => {
    await signer.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('first seen, then growth, then the same again; each note opens with the published key', async () => {
    for (const [from, to] of [
      [0, 7],
      [7, 20],
      [20, 20],
      [20, 40],
    ] as const) {
      const verdict = await signer.addCheckpoint(await growth(honest, from, to));
      expect(verdict).toMatchObject({ ok: true });
      const { verifierKey } = await signer.state(ORIGIN);
      const key = (await parseVerifierKey(verifierKey))!;
      expect(verdict.ok && (await openCheckpoint(verdict.note, [key]))).toMatchObject({
        ok: true,
        checkpoint: { size: to },
      });
    }
  });

  it('refuses rollback, fork, an inconsistent past, a wrong old size, unknown logs and garbage', async () => {
    await signer.addCheckpoint(await growth(honest, 0, 20));
    expect(await signer.addCheckpoint(await growth(honest, 0, 10))).toMatchObject({
      ok: false,
      reason: 'rollback',
      state: { size: 20 },
    });
    expect(await signer.addCheckpoint(await growth(rewritten, 20, 20))).toMatchObject({ ok: false, reason: 'fork' });
    expect(await signer.addCheckpoint(await growth(rewritten, 20, 40))).toMatchObject({
      ok: false,
      reason: 'inconsistent',
    });
    expect(await signer.addCheckpoint(await growth(honest, 7, 40))).toMatchObject({ ok: false, reason: 'old-size' });
    expect(await signer.addCheckpoint(await growth(honest, 0, 40))).toMatchObject({ ok: false, reason: 'old-size' });
    const foreign = formatAddCheckpoint({
      oldSize: 0,
      proof: [],
      checkpoint: text(honest, 3, 'elsewhere.example/log/1'),
    });
    expect(await signer.addCheckpoint(foreign)).toMatchObject({ ok: false, reason: 'unknown-log' });
    expect(await signer.addCheckpoint('old 1\n\nx')).toMatchObject({ ok: false, reason: 'malformed' });
    expect((await signer.state(ORIGIN)).size).toBe(20);
  });

  it('remembers over a restart; a torn last line is dropped, a damaged one stops it', async () => {
    await signer.addCheckpoint(await growth(honest, 0, 20));
    await signer.close();
    const path = journalPath(folder, ORIGIN);
    appendFileSync(path, `${ORIGIN} 40 AAAA`);
    signer = start();
    expect((await signer.state(ORIGIN)).size).toBe(20);
    expect(await signer.addCheckpoint(await growth(rewritten, 20, 40))).toMatchObject({
      ok: false,
      reason: 'inconsistent',
    });
    expect(await signer.addCheckpoint(await growth(honest, 20, 40))).toMatchObject({ ok: true });
    await signer.close();
    const whole = readFileSync(path, 'utf8');
    writeFileSync(path, whole.replace(' 40 ', ' 30 '));
    signer = start();
    await expect(signer.state(ORIGIN)).rejects.toMatchObject({ code: 'journal_corrupt' });
    writeFileSync(path, whole);
    expect((await signer.state(ORIGIN)).size).toBe(40);
  });

  it('writes its journal before a signature leaves, and concurrent requests cannot slip past each other', async () => {
    await signer.addCheckpoint(await growth(honest, 0, 10));
    expect(existsSync(journalPath(folder, ORIGIN))).toBe(true);
    const [a, b] = await Promise.all([
      signer.addCheckpoint(await growth(honest, 10, 20)),
      signer.addCheckpoint(await growth(rewritten, 10, 30)),
    ]);
    expect([a.ok, b.ok].filter(Boolean)).toHaveLength(1);
    expect(readFileSync(journalPath(folder, ORIGIN), 'utf8').trim().split('\n')).toHaveLength(2);
  });

  it('A46: opens a later generation only over an entry that names all that it signed, and then ends the one before', async () => {
    const [second, third] = ['test.example/log/aa/2', 'test.example/log/aa/3'];
    await signer.addCheckpoint(await growth(honest, 0, 20));
    const leaf = (over: Record<string, unknown> = {}) =>
      Buffer.from(
        JSON.stringify({
          type: GENERATION_OPENED_TYPE,
          public: {
            previousOrigin: ORIGIN,
            keptSize: 7,
            keptRoot: toBase64(rootOf(honest, 7)),
            signedSize: 20,
            signedRoot: toBase64(rootOf(honest, 20)),
            reason: 'restored',
            ...over,
          },
        }),
      );
    const opening = async (said: Buffer, origin = second, stands = said) => {
      const hashes = [leafHash(stands), ...honest.slice(0, 4)];
      const reader: TileReader = async () => Buffer.concat(hashes);
      const proof = await inclusionProof({ index: 0, size: 5 }, reader);
      return signer.addCheckpoint(
        formatAddCheckpoint({ oldSize: 0, proof, checkpoint: text(hashes, 5, origin) }),
        said,
      );
    };
    const noOpening = { ok: false, reason: 'no-opening' };
    for (const bad of [
      leaf({ signedSize: 19 }),
      leaf({ signedRoot: toBase64(rootOf(rewritten, 20)) }),
      leaf({ signedSize: undefined }),
      leaf({ previousOrigin: 'test.example/log/bb/1' }),
      Buffer.from('no json'),
    ])
      expect(await opening(bad), bad.toString()).toEqual(noOpening);
    expect(await opening(leaf(), second, leaf({ reason: 'another' }))).toEqual(noOpening);
    expect(await opening(leaf(), third)).toEqual(noOpening);
    const bare = formatAddCheckpoint({ oldSize: 0, proof: [], checkpoint: text(honest, 5, second) });
    expect(await signer.addCheckpoint(bare)).toEqual(noOpening);
    expect(await signer.addCheckpoint(await growth(honest, 20, 30))).toMatchObject({ ok: true });
    expect(await opening(leaf())).toEqual(noOpening);

    const whole = leaf({ signedSize: 30, signedRoot: toBase64(rootOf(honest, 30)) });
    expect(await opening(whole)).toMatchObject({ ok: true });
    for (const restart of [false, true]) {
      if (restart) {
        await signer.close();
        signer = start();
      }
      for (const to of [30, 40])
        expect(await signer.addCheckpoint(await growth(honest, 30, to))).toMatchObject({
          ok: false,
          reason: 'superseded',
          state: { size: 30 },
        });
    }
    expect(await opening(whole)).toMatchObject({ ok: false, reason: 'old-size' });
    expect((await signer.state(second)).size).toBe(5);
  });

  describe('A50: a key of the signer’s own, named in the log and signed for by the one before', () => {
    const OVERLAP = 5;
    const AT = 20;
    const entry = (facts: object) => Buffer.from(JSON.stringify({ type: KEY_ROTATED_TYPE, public: facts }));
    /** The log with the entry at `AT`; the signer has signed 25 entries of it. */
    async function grown(leaf: Uint8Array) {
      const hashes = [...honest.slice(0, AT), leafHash(leaf), ...honest.slice(AT)];
      const proof = async (size: number) =>
        inclusionProof({ index: AT, size }, async () => Buffer.concat(hashes.slice(0, size)));
      expect(await signer.addCheckpoint(await growth(hashes, 7, 25))).toMatchObject({ ok: true });
      return { hashes, request: { origin: ORIGIN, size: 25, leaf, index: AT, proof: await proof(25) } };
    }
    beforeEach(async () => {
      await signer.addCheckpoint(await growth(honest, 0, 7));
    });

    it('signs from its entry on, beside the old one until the overlap ends; remembered over a restart', async () => {
      expect(await signer.offerKey(ORIGIN, OVERLAP)).toBeUndefined();
      await signer.makeKey();
      expect(await signer.offerKey('test.example/log/never/1', OVERLAP)).toBeUndefined();
      const offered = (await signer.offerKey(ORIGIN, OVERLAP))!;
      const { hashes, request } = await grown(entry(offered));
      expect(await signer.handOver(request)).toEqual({ ok: true });
      expect(await signer.handOver(request)).toEqual({ ok: true });
      const by = async (from: number, to: number): Promise<string[]> => {
        const verdict = await signer.addCheckpoint(await growth(hashes, from, to));
        return verdict.ok ? parseNote(verdict.note)!.signatures.map(({ id }) => id) : [verdict.reason];
      };
      const [oldId, newId] = [offered.oldKey, offered.newKey].map((key) => key.split('+')[1]!);
      expect(await by(25, 25)).toEqual([oldId, newId]);
      await signer.close();
      signer = start();
      expect(await by(25, 26)).toEqual([oldId, newId]);
      expect(await signer.retireKeys()).toEqual([]);
      expect(await by(26, 27)).toEqual([newId]);
      expect(await signer.retireKeys()).toEqual([1]);
      expect(logKeys.privateKey(1)).toBeUndefined();
      expect(await by(27, 30)).toEqual([newId]);
      expect((await signer.state(ORIGIN)).terms.map(({ until }) => until)).toEqual([AT + 1 + OVERLAP, null]);
    });

    it('not one that somebody brings along, not without the entry or the old key’s word, not for another place', async () => {
      await signer.makeKey();
      const offered = (await signer.offerKey(ORIGIN, OVERLAP))!;
      const thief = generateKeyPairSync('ed25519').privateKey;
      const stolen = await verifierKeyOf(ORIGIN, thief);
      const { request } = await grown(entry(offered));
      const refused = { ok: false, reason: 'refused' };
      for (const facts of [
        { ...offered, newKey: stolen },
        { ...offered, oldKey: stolen },
        { ...offered, overlap: OVERLAP + 1 },
        { ...offered, handover: Buffer.alloc(64).toString('base64') },
      ])
        expect(await signer.handOver({ ...request, leaf: entry(facts) })).toEqual(refused);
      expect(await signer.handOver({ ...request, index: AT + 1 })).toEqual(refused);
      expect(await signer.handOver({ ...request, proof: [] })).toEqual(refused);
      expect(await signer.handOver({ ...request, size: 24 })).toMatchObject({
        reason: 'old-size',
        state: { size: 25 },
      });
      expect(await signer.handOver({ ...request, origin: 'test.example/log/bb/1' })).toMatchObject({
        reason: 'unknown-log',
      });
      expect((await signer.state(ORIGIN)).terms).toHaveLength(1);
    });

    it('what says which key signs is not guessed when it is damaged', async () => {
      await signer.makeKey();
      const { request } = await grown(entry((await signer.offerKey(ORIGIN, OVERLAP))!));
      await signer.handOver(request);
      await signer.close();
      const path = journalPath(folder, ORIGIN).replace(/journal$/, 'keys');
      writeFileSync(path, readFileSync(path, 'utf8').replace(ORIGIN, 'test.example/log/bb/1'));
      signer = start();
      await expect(signer.state(ORIGIN)).rejects.toMatchObject({ code: 'log_key_terms_corrupt' });
    });
  });
});
