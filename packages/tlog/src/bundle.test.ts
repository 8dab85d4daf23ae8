import { spawnSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import * as tlog from './index.ts';

const ORIGIN = 'log.example/tenant/1';
const FROM = 5;
const TO = 8;
const SIZE = 300;
const pair = generateKeyPairSync('ed25519');

interface Made {
  files: Map<string, Uint8Array>;
  key: string;
  other: string;
}
let made: Made;

beforeAll(async () => {
  const signer = await tlog.createNoteSigner(ORIGIN, pair.privateKey);
  const other = await tlog.createNoteSigner(ORIGIN, generateKeyPairSync('ed25519').privateKey);
  const leaves = Array.from({ length: SIZE }, (_, at) =>
    Buffer.from(JSON.stringify({ id: at, type: 'thing.changed' })),
  );
  const base = await tlog.beginBundle({
    origin: ORIGIN,
    from: FROM,
    leaves: leaves.slice(FROM, TO),
    verifierKey: signer.verifierKey,
    title: 'Example',
  });
  const EXPORT_AT = 290;
  leaves[EXPORT_AT] = Buffer.from(JSON.stringify({ public: { bundle: base.digest }, type: 'log.exported' }));
  const hashes = leaves.map((leaf) => tlog.leafHash(leaf));
  const { edge, full } = tlog.appendLeaves(tlog.EMPTY_EDGE, hashes);
  const reader: tlog.TileReader = async ({ level, n }) =>
    full.find((tile) => tile.level === level && tile.n === n)?.data ??
    Buffer.concat(edge.partial[level] as Uint8Array[]);
  const proofOf = (index: number) => tlog.inclusionProof({ index, size: SIZE }, reader);
  const checkpoint = tlog.signNote(
    tlog.formatCheckpointText({ origin: ORIGIN, size: SIZE, root: tlog.edgeRoot(edge) }),
    [signer],
  );
  const proofs = await Promise.all(Array.from({ length: TO - FROM }, (_, at) => proofOf(FROM + at)));
  const files = tlog.completeBundle(base, {
    checkpoint,
    proofs,
    exported: { leaf: leaves[EXPORT_AT]!, index: EXPORT_AT, proof: await proofOf(EXPORT_AT) },
  });
  made = { files, key: signer.verifierKey, other: other.verifierKey };
});

const verify = (files: tlog.BundleFiles, keys: string[]) =>
  tlog.verifyBundleFiles(tlog.nodePrimitives, { files, keys });

function unpack(files: tlog.BundleFiles): string {
  const folder = mkdtempSync(join(tmpdir(), 'tlog-bundle-'));
  for (const [name, bytes] of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
  return folder;
}

function run(folder: string, command: string, args: string[]): { status: number | null; stdout: string } {
  const { status, stdout } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
  return { status, stdout };
}

function bent(files: tlog.BundleFiles, name: string, at: number): Map<string, Uint8Array> {
  const copy = new Map(files);
  const bytes = Buffer.from(copy.get(name)!);
  bytes[at]! ^= 1;
  copy.set(name, bytes);
  return copy;
}

describe('T10 T11 T12: bundles', () => {
  it('verifies with the outside key; with its own key only it says so; with another key it is refused', async () => {
    expect(await verify(made.files, [made.key])).toMatchObject({
      exitCode: 0,
      verdict: 'verified',
      witnesses: 0,
      range: { from: FROM, to: TO },
      treeSize: SIZE,
      entries: { expected: 3, verified: 3, missing: 0 },
    });
    expect(await verify(made.files, [])).toMatchObject({ exitCode: 2, keySource: 'bundle' });
    expect(await verify(made.files, [made.other])).toMatchObject({ exitCode: 1 });
    expect(tlog.formatReport(await verify(made.files, [made.key]))).toContain('0 independent witnesses');
  });

  it('any byte of any file, any missing file and any extra file refuses it', async () => {
    for (const [name, bytes] of made.files) {
      const step = Math.max(1, Math.floor(bytes.length / 12));
      for (let at = 0; at < bytes.length; at += step) {
        expect((await verify(bent(made.files, name, at), [made.key])).exitCode, `${name} byte ${at}`).toBe(1);
      }
      const without = new Map(made.files);
      without.delete(name);
      expect((await verify(without, [made.key])).exitCode, `without ${name}`).toBe(1);
    }
    expect(
      (await verify(new Map([...made.files, ['entries/extra.json', Buffer.from('x')]]), [made.key])).exitCode,
    ).toBe(1);
    for (const name of ['checkpoint', 'export.tlog-proof', tlog.proofName(FROM)]) {
      for (let at = 0; at < made.files.get(name)!.length; at += 1) {
        expect((await verify(bent(made.files, name, at), [made.key])).exitCode, `${name} byte ${at}`).toBe(1);
      }
    }
  });

  it('swapped entries, swapped proofs and a shrunk range are refused', async () => {
    const swap = (a: string, b: string) => {
      const copy = new Map(made.files);
      copy.set(a, made.files.get(b)!).set(b, made.files.get(a)!);
      return copy;
    };
    expect((await verify(swap(tlog.entryName(5), tlog.entryName(6)), [made.key])).exitCode).toBe(1);
    expect((await verify(swap(tlog.proofName(5), tlog.proofName(6)), [made.key])).exitCode).toBe(1);
    const shrunk = new Map(made.files);
    shrunk.set(
      'manifest.json',
      tlog.bytesOf(tlog.formatManifest({ format: tlog.BUNDLE_FORMAT, origin: ORIGIN, from: FROM, to: TO - 1 })),
    );
    shrunk.delete(tlog.entryName(TO - 1));
    shrunk.delete(tlog.proofName(TO - 1));
    shrunk.set('SHA256SUMS', tlog.bytesOf(await tlog.formatSums(tlog.nodePrimitives, shrunk)));
    expect(await verify(shrunk, [made.key])).toMatchObject({
      exitCode: 1,
      problems: ['the log entry of this export names another bundle'],
    });
  });
});

describe('T13: the verifiers that travel along', () => {
  it('verify.mjs: one file, same verdicts', () => {
    const folder = unpack(made.files);
    const node = (files: string, ...args: string[]) => run(files, process.execPath, ['verify.mjs', ...args]);
    expect(node(folder, '--key', made.key)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('3 expected, 3 verified, 0 missing'),
    });
    expect(node(folder).status).toBe(2);
    expect(node(folder, '--key', made.other).status).toBe(1);
    const broken = unpack(bent(made.files, tlog.entryName(7), 3));
    expect(node(broken, '--key', made.key).status).toBe(1);
    for (const path of [folder, broken]) rmSync(path, { recursive: true });
  });

  it('verify.sh: openssl and coreutils, same verdicts', () => {
    const folder = unpack(made.files);
    const sh = (files: string, ...args: string[]) => run(files, 'sh', ['verify.sh', ...args]);
    expect(sh(folder, made.key)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('3 expected, 3 verified, 0 missing'),
    });
    const pem = join(folder, '..', `${Date.now()}.pem`);
    writeFileSync(pem, createPublicKey(pair.privateKey).export({ type: 'spki', format: 'pem' }));
    expect(sh(folder, pem).status).toBe(0);
    expect(sh(folder).status).toBe(2);
    expect(sh(folder, made.other).status).toBe(1);
    expect(sh(folder, 'nonsense').status).toBe(1);
    rmSync(folder, { recursive: true });
    rmSync(pem);
    const touched = [
      'checkpoint',
      'SHA256SUMS',
      'manifest.json',
      'policy',
      'export.json',
      'export.tlog-proof',
      tlog.entryName(6),
      tlog.proofName(7),
    ];
    for (const [turn, name] of touched.entries()) {
      const length = made.files.get(name)!.length;
      const at = [0, Math.floor(length / 2), length - 2][turn % 3]!;
      const broken = unpack(bent(made.files, name, at));
      expect(sh(broken, made.key).status, `${name} byte ${at}`).toBe(1);
      rmSync(broken, { recursive: true });
    }
  });
});
