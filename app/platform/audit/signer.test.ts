import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  EMPTY_EDGE,
  appendLeaves,
  consistencyProof,
  edgeRoot,
  formatAddCheckpoint,
  formatCheckpointText,
  leafHash,
  openCheckpoint,
  parseVerifierKey,
  type TileReader,
} from '@auditrax/tlog';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSigner, type Signer } from './signer.ts';
import { journalPath } from './signer-journal.ts';

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
  const start = (): Signer => createSigner({ journalDirectory: folder, privateKey, originPrefix: 'test.example/log/' });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ax-signer-'));
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
    await expect(signer.state(ORIGIN)).rejects.toMatchObject({ code: 'signer_journal_corrupt' });
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
});
