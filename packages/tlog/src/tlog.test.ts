import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { generateKeyPairSync, hash, randomBytes, webcrypto } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as tlog from './index.ts';
import { browserPrimitives } from './verify-browser.ts';

const VECTORS = join(import.meta.dirname, '../../../../shared/vectors/merkle');

function vectorFiles(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? vectorFiles(path) : path.endsWith('.json') ? [path] : [];
  });
}

const b64 = (text: string | null): Uint8Array => Buffer.from(text ?? '', 'base64');

/** Reference from the definition in RFC 6962, without tiles: a list of all leaf hashes. */
function naiveInclusion(index: number, hashes: Uint8Array[]): Uint8Array[] {
  if (hashes.length <= 1) return [];
  const k = tlog.splitPoint(hashes.length);
  return index < k
    ? [...naiveInclusion(index, hashes.slice(0, k)), tlog.merkleRoot(hashes.slice(k))]
    : [...naiveInclusion(index - k, hashes.slice(k)), tlog.merkleRoot(hashes.slice(0, k))];
}

function leaves(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, at) => tlog.leafHash(Buffer.from(`leaf ${at}`)));
}

/** Tiles as a log would publish them: full ones from appends, partial ones from the edge. */
function tilesOf(hashes: Uint8Array[], step: number): { edge: tlog.Edge; reader: tlog.TileReader } {
  const stored = new Map<string, Uint8Array>();
  let edge = tlog.EMPTY_EDGE;
  for (let at = 0; at < hashes.length; at += step) {
    const grown = tlog.appendLeaves(edge, hashes.slice(at, at + step));
    edge = grown.edge;
    for (const tile of grown.full) stored.set(`${tile.level}/${tile.n}`, tile.data);
  }
  const reader: tlog.TileReader = async ({ level, n }) =>
    stored.get(`${level}/${n}`) ?? Buffer.concat((edge.partial[level] ?? []) as Uint8Array[]);
  return { edge, reader };
}

describe('T1 T2: published vectors', () => {
  it.skipIf(!existsSync(VECTORS) && process.env['CI'] !== 'true')(
    'inclusion and consistency cases of transparency-dev',
    async () => {
      let cases = 0;
      for (const file of vectorFiles(join(VECTORS, 'inclusion'))) {
        const test = JSON.parse(readFileSync(file, 'utf8'));
        const ok = await tlog.verifyInclusion({
          index: test.leafIdx,
          size: test.treeSize,
          root: b64(test.root),
          leafHash: b64(test.leafHash),
          proof: (test.proof ?? []).map(b64),
        });
        expect(ok, file).toBe(!test.wantErr);
        cases += 1;
      }
      for (const file of vectorFiles(join(VECTORS, 'consistency'))) {
        const test = JSON.parse(readFileSync(file, 'utf8'));
        const ok = await tlog.verifyConsistency({
          size1: test.size1,
          size2: test.size2,
          root1: b64(test.root1),
          root2: b64(test.root2),
          proof: (test.proof ?? []).map(b64),
        });
        expect(ok, file).toBe(!test.wantErr && test.size1 > 0);
        cases += 1;
      }
      expect(cases).toBeGreaterThanOrEqual(196);
    },
  );
});

describe('T3: tree and tiles', () => {
  it('root from edge, root from tiles and root by definition agree', async () => {
    for (const count of [1, 2, 3, 255, 256, 257, 511, 512, 513, 1000, 65_536 + 300]) {
      const hashes = leaves(count);
      const { edge, reader } = tilesOf(hashes, 97);
      const root = tlog.merkleRoot(hashes);
      expect(Buffer.from(tlog.edgeRoot(edge)).equals(root), String(count)).toBe(true);
      expect(Buffer.from(await tlog.rootFromTiles(count, reader)).equals(root), String(count)).toBe(true);
    }
    expect(Buffer.from(tlog.edgeRoot(tlog.EMPTY_EDGE)).toString('hex')).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
  });

  it('proofs from tiles equal the definition, verify, and fail with one bit changed', async () => {
    const hashes = leaves(1400);
    const { reader } = tilesOf(hashes, 33);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1400 }), fc.nat(), fc.nat(), async (size, rawIndex, flip) => {
        const index = rawIndex % size;
        const root = tlog.merkleRoot(hashes.slice(0, size));
        const proof = await tlog.inclusionProof({ index, size }, reader);
        expect(proof.map((h) => Buffer.from(h).toString('hex'))).toEqual(
          naiveInclusion(index, hashes.slice(0, size)).map((h) => Buffer.from(h).toString('hex')),
        );
        expect(await tlog.verifyInclusion({ index, size, leafHash: hashes[index]!, proof, root })).toBe(true);
        if (proof.length === 0) return;
        const bent = proof.map((h) => Buffer.from(h));
        bent[flip % bent.length]![flip % 32]! ^= 1 << (flip % 8);
        expect(await tlog.verifyInclusion({ index, size, leafHash: hashes[index]!, proof: bent, root })).toBe(false);
        expect(
          await tlog.verifyInclusion({ index: (index + 1) % size, size, leafHash: hashes[index]!, proof, root }),
        ).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  it('consistency proofs from tiles verify; a rewritten past does not', async () => {
    const hashes = leaves(1400);
    const { reader } = tilesOf(hashes, 500);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1400 }), fc.integer({ min: 1, max: 1400 }), async (a, b) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const proof = await tlog.consistencyProof({ from, to }, reader);
        const root1 = tlog.merkleRoot(hashes.slice(0, from));
        const root2 = tlog.merkleRoot(hashes.slice(0, to));
        expect(await tlog.verifyConsistency({ size1: from, size2: to, root1, root2, proof })).toBe(true);
        const forged = hashes.slice(0, from);
        forged[0] = tlog.leafHash(Buffer.from('rewritten'));
        expect(
          await tlog.verifyConsistency({ size1: from, size2: to, root1: tlog.merkleRoot(forged), root2, proof }),
        ).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  it('T4: a tile that is cut short is an error, not another root', async () => {
    const { reader } = tilesOf(leaves(600), 600);
    const cut: tlog.TileReader = async (tile) => (await reader(tile)).subarray(0, 32);
    await expect(tlog.inclusionProof({ index: 5, size: 600 }, cut)).rejects.toMatchObject({
      code: 'tlog_tile_malformed',
    });
    await expect(tlog.inclusionProof({ index: 600, size: 600 }, reader)).rejects.toMatchObject({
      code: 'tlog_range_invalid',
    });
    await expect(tlog.consistencyProof({ from: 0, to: 600 }, reader)).rejects.toMatchObject({
      code: 'tlog_range_invalid',
    });
  });

  it('T5: tile paths have one spelling', () => {
    expect(tlog.tilePath(0, 1234067)).toBe('tile/0/x001/x234/067');
    expect(tlog.tilePath(1, 5, 17)).toBe('tile/1/005.p/17');
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 63 }),
        fc.integer({ min: 0, max: 2 ** 50 }),
        fc.integer({ min: 1, max: 256 }),
        (level, n, width) => {
          expect(tlog.parseTilePath(tlog.tilePath(level, n, width))).toEqual({ level, n, width });
        },
      ),
    );
    for (const bad of [
      'tile/0/5',
      'tile/0/000.p/256',
      'tile/0/x000/001',
      'tile/00/001',
      'tile/0/001.p/0',
      'tile/64/001',
      'tile/0/001/',
    ]) {
      expect(tlog.parseTilePath(bad), bad).toBeUndefined();
    }
  });
});

describe('T6: notes', () => {
  const pair = generateKeyPairSync('ed25519');
  const other = generateKeyPairSync('ed25519');
  const text = tlog.formatCheckpointText({ origin: 'log.example/a', size: 7, root: tlog.leafHash(Buffer.from('x')) });

  async function keyOf(name: string, key = pair.privateKey) {
    const signer = await tlog.createNoteSigner(name, key);
    return { signer, key: (await tlog.parseVerifierKey(signer.verifierKey))! };
  }

  it('opens with the right key; every changed byte refuses it', async () => {
    const { signer, key } = await keyOf('log.example/a');
    const note = tlog.signNote(text, [signer]);
    expect(await tlog.openCheckpoint(note, [key])).toMatchObject({
      ok: true,
      checkpoint: { origin: 'log.example/a', size: 7 },
    });
    const bytes = Buffer.from(note);
    for (let at = 0; at < bytes.length; at += 1) {
      const bent = Buffer.from(bytes);
      bent[at]! ^= 1;
      const verdict = await tlog.openCheckpoint(tlog.textOf(bent) ?? '', [key]);
      expect(verdict.ok, `byte ${at}`).toBe(false);
    }
  });

  it('ignores foreign and unknown signatures, refuses a bad one of a known key', async () => {
    const { signer, key } = await keyOf('log.example/a');
    const foreign = await keyOf('witness.example/w', other.privateKey);
    const sameName = await keyOf('log.example/a', other.privateKey);
    const unknownType = `\u2014 pq.example/x ${tlog.toBase64(Buffer.alloc(2424, 7))}\n`;
    const note = tlog.signNote(text, [foreign.signer, sameName.signer, signer]) + unknownType;
    expect(await tlog.openCheckpoint(note, [key])).toMatchObject({ ok: true, verified: [{ name: 'log.example/a' }] });
    expect(await tlog.openCheckpoint(note, [foreign.key])).toMatchObject({ ok: false, reason: 'not-signed-by-log' });
    const stolen = await tlog.createNoteSigner('log.example/a', pair.privateKey);
    const bad = `${text}\n${stolen.signLine(`${text}x\n`)}`;
    expect(await tlog.openCheckpoint(bad, [key])).toMatchObject({ ok: false, reason: 'bad-signature' });
    expect(await tlog.openCheckpoint(tlog.signNote(text, [foreign.signer]), [key])).toMatchObject({
      ok: false,
      reason: 'no-known-signature',
    });
  });

  it('counts a timestamped cosignature only over its own time', async () => {
    const { signer, key } = await keyOf('log.example/a');
    const witness = await cosigner(other.privateKey, 'witness.example/w');
    const note = tlog.signNote(text, [signer]) + witness.line(text, 1_700_000_000n);
    const keys = [key, (await tlog.parseVerifierKey(witness.vkey))!];
    expect(await tlog.openCheckpoint(note, keys)).toMatchObject({ ok: true, verified: [{ type: 1 }, { type: 4 }] });
    const moved = tlog.signNote(text, [signer]) + witness.line(text, 1_700_000_000n, 1_700_000_001n);
    expect(await tlog.openCheckpoint(moved, keys)).toMatchObject({ ok: false, reason: 'bad-signature' });
  });

  it('T7: a verifier key whose id, name or base64 is bent is no key', async () => {
    const { signer } = await keyOf('log.example/a');
    expect(await tlog.parseVerifierKey(signer.verifierKey)).toBeDefined();
    for (const bad of [signer.verifierKey.replace('log', 'lag'), `${signer.verifierKey}=`, 'x+00000000+AQ==', '']) {
      expect(await tlog.parseVerifierKey(bad), bad).toBeUndefined();
    }
  });

  it('refuses keys and signatures of a wrong shape without throwing', async () => {
    const message = Buffer.from('m');
    for (const publicKey of [Buffer.alloc(31), Buffer.alloc(33), Buffer.alloc(32, 0xff)]) {
      expect(await tlog.nodePrimitives.ed25519Verify({ publicKey, message, signature: Buffer.alloc(64) })).toBe(false);
      expect(await browserPrimitives.ed25519Verify({ publicKey, message, signature: Buffer.alloc(64) })).toBe(false);
    }
  });
});

describe('T8: texts have one spelling', () => {
  it('proofs and add-checkpoint bodies round-trip and refuse bent lines', () => {
    const proof = {
      extra: Buffer.from('leaf'),
      index: 12,
      proof: [tlog.leafHash(Buffer.from('a'))],
      checkpoint: 'o\n1\nx\n\n\u2014 a b\n',
    };
    const text = tlog.formatLogProof(proof);
    expect(tlog.parseLogProof(text)).toMatchObject({ index: 12, checkpoint: proof.checkpoint });
    for (const bad of [
      text.replace('index 12', 'index 012'),
      text.replace('@v1', '@v2'),
      text.replace('extra ', 'extra  '),
      text.replace('index', 'Index'),
    ]) {
      expect(tlog.parseLogProof(bad)).toBeUndefined();
    }
    const body = tlog.formatAddCheckpoint({ oldSize: 3, proof: proof.proof, checkpoint: 'x\n' });
    expect(tlog.parseAddCheckpoint(body)).toMatchObject({ oldSize: 3, checkpoint: 'x\n' });
    expect(tlog.parseAddCheckpoint(body.replace('old 3', 'old 03'))).toBeUndefined();
    expect(tlog.fromBase64('AB==')).toBeUndefined();
  });
});

describe('T9: the browser verifies the same', () => {
  it('hashes many short inputs as node:crypto does, at every length around the edges of a block, and long ones too', async () => {
    const lengths = [...Array.from({ length: 260 }, (_, length) => length), 1023, 1024, 1025, 5000];
    // Views into one memory, as an audit makes them: an offset that is overlooked would show.
    const inputs = lengths.map((length) => randomBytes(length + 7).subarray(3, length + 3));
    const digests = await browserPrimitives.sha256Many!(inputs);
    expect(digests.map(tlog.toBase64)).toEqual(inputs.map((input) => hash('sha256', input, 'base64')));
    // FIPS 180-4's example of two blocks.
    const text = 'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq';
    const [digest] = await browserPrimitives.sha256Many!([Buffer.from(text)]);
    expect(Buffer.from(digest!).toString('hex')).toBe(
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    );
  });

  it('Web Crypto and node:crypto agree on proofs and checkpoints', async () => {
    expect(webcrypto.subtle).toBeDefined();
    const hashes = leaves(300);
    const { reader } = tilesOf(hashes, 300);
    const root = tlog.merkleRoot(hashes);
    const proof = await tlog.inclusionProof({ index: 41, size: 300 }, reader);
    const input = { index: 41, size: 300, leafHash: hashes[41]!, proof, root };
    expect(await tlog.verifyInclusionWith(browserPrimitives, input)).toBe(true);
    expect(await tlog.verifyInclusionWith(browserPrimitives, { ...input, index: 42 })).toBe(false);
    const signer = await tlog.createNoteSigner('log.example/a', generateKeyPairSync('ed25519').privateKey);
    const key = (await tlog.parseVerifierKeyWith(browserPrimitives, signer.verifierKey))!;
    const note = tlog.signNote(tlog.formatCheckpointText({ origin: 'log.example/a', size: 300, root }), [signer]);
    expect(await tlog.openCheckpointWith(browserPrimitives, note, [key])).toMatchObject({ ok: true });
    expect(await tlog.openCheckpointWith(browserPrimitives, note.replace('300', '301'), [key])).toMatchObject({
      ok: false,
    });
  });
});

async function cosigner(privateKey: import('node:crypto').KeyObject, name: string) {
  const { createPublicKey, sign } = await import('node:crypto');
  const publicKey = Buffer.from(createPublicKey(privateKey).export({ format: 'jwk' }).x!, 'base64url');
  const id = await tlog.keyIdWith(tlog.nodePrimitives, { name, type: tlog.SIGNATURE_COSIGNATURE, publicKey });
  return {
    vkey: `${name}+${id}+${tlog.toBase64(Buffer.concat([Buffer.of(tlog.SIGNATURE_COSIGNATURE), publicKey]))}`,
    line: (text: string, seconds: bigint, said: bigint = seconds): string => {
      const time = Buffer.alloc(8);
      time.writeBigUInt64BE(said);
      const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`), privateKey);
      return `\u2014 ${name} ${Buffer.concat([Buffer.from(id, 'hex'), time, signature]).toString('base64')}\n`;
    },
  };
}
