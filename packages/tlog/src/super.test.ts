import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fromBase64, formatAddCheckpoint, formatCheckpointText, openCheckpointWith, toBase64 } from './core.ts';
import { createCosigner, readCosignatures } from './cosign.ts';
import { buildSlotTree, slotEvidence, slotHash, slotsFor, type SlotTree } from './epoch.ts';
import { formatEpochLeaf, parseEpochLeaf } from './epoch-leaf.ts';
import { consistencyProof, type TileReader } from './prove.ts';
import { createNoteSigner, signNote } from './sign.ts';
import { appendLeaves, EMPTY_EDGE, edgeRoot } from './tiles.ts';
import { leafHash } from './tree.ts';
import { nodePrimitives, parseVerifierKey, verifyInclusion } from './verify.ts';
import { judgeAddCheckpoint, originOf, readWitnessAnswer } from './witness.ts';

const ORIGIN = 'test.example/log/super/1';
const KEY = Buffer.alloc(32, 7);
const logKey = generateKeyPairSync('ed25519').privateKey;
const witnessKey = generateKeyPairSync('ed25519').privateKey;
const TIME_SECONDS = 1_795_000_000;

describe('T14: a slot of an epoch says what one log stood at, and nothing about the others', () => {
  const texts = new Map(Array.from({ length: 11 }, (_, slot) => [slot, `origin ${slot}\n${slot}\n`]));
  const build = (): Promise<SlotTree> => buildSlotTree(KEY, texts);

  it('is padded to a power of two; each slot, empty ones too, has a proof that only its own text satisfies', async () => {
    const tree = await build();
    expect(tree.slots).toBe(16);
    expect([0, 1, 2, 3, 1024, 1025].map(slotsFor)).toEqual([1, 1, 2, 4, 1024, 2048]);
    for (let slot = 0; slot < tree.slots; slot += 1) {
      const { salt, slotProof } = slotEvidence(KEY, tree, slot);
      const proof = slotProof.map((hash) => fromBase64(hash)!);
      const holds = (text: string, at = slot): Promise<boolean> =>
        verifyInclusion({ index: at, size: 16, leafHash: slotHash(fromBase64(salt)!, text), proof, root: tree.root });
      expect(await holds(texts.get(slot) ?? ''), String(slot)).toBe(true);
      expect(await holds('origin x\n9\n'), String(slot)).toBe(false);
      expect(await holds(texts.get(slot) ?? '', (slot + 1) % 16), String(slot)).toBe(false);
    }
    expect(() => tree.proof(16)).toThrow(RangeError);
  });

  it('gives equal texts different hashes, in one epoch and from one to the next', async () => {
    const same = new Map([0, 1].map((slot) => [slot, 'one text\n']));
    const [a, b] = [await buildSlotTree(KEY, same), await buildSlotTree(Buffer.alloc(32, 8), same)];
    const hashes = [a.proof(0)[0], a.proof(1)[0], b.proof(0)[0], b.proof(1)[0]].map((hash) => toBase64(hash!));
    expect(new Set(hashes).size).toBe(4);
  });

  it('has a leaf with one spelling', async () => {
    const tree = await build();
    const leaf = { epoch: 3, root: toBase64(tree.root), slots: 16, time: 1_795_000_000_000 };
    const text = formatEpochLeaf(leaf);
    expect(text).toBe(`{"epoch":3,"root":"${leaf.root}","slots":16,"time":1795000000000,"v":1}`);
    expect(parseEpochLeaf(text)).toEqual({ ...leaf, v: 1 });
    for (const [part, other] of [
      ['"slots":16', '"slots":15'],
      ['"v":1', '"v":2'],
      ['"epoch":3', '"epoch":3.0'],
      ['{"epoch"', '{ "epoch"'],
      ['"time"', '"more":1,"time"'],
      ['"time":1795000000000', '"time":-1'],
    ] as const) {
      expect(parseEpochLeaf(text.replace(part, other)), other).toBeUndefined();
    }
  });
});

const hashes = Array.from({ length: 30 }, (_, at) => leafHash(Buffer.from(`epoch ${at}`)));
const rewritten = hashes.map((hash, at) => (at === 2 ? leafHash(Buffer.from('another')) : hash));
const rootOf = (all: Uint8Array[], size: number): Uint8Array =>
  edgeRoot(appendLeaves(EMPTY_EDGE, all.slice(0, size)).edge);

async function bodyOf(from: number, to: number, all: Uint8Array[] = hashes): Promise<string> {
  const signer = await createNoteSigner(ORIGIN, logKey);
  const reader: TileReader = async () => Buffer.concat(all.slice(0, to));
  const proof = from === 0 || from >= to ? [] : await consistencyProof({ from, to }, reader);
  const text = formatCheckpointText({ origin: ORIGIN, size: to, root: rootOf(all, to) });
  return formatAddCheckpoint({ oldSize: from, proof, checkpoint: signNote(text, [signer]) });
}

describe('T15: a witness puts its name under growth of a log it knows, and under nothing else', () => {
  const known = async (size?: number) => ({
    keys: [(await parseVerifierKey((await createNoteSigner(ORIGIN, logKey)).verifierKey))!],
    state: size === undefined ? undefined : { size, root: rootOf(hashes, size) },
  });

  it('accepts a first sight without a proof, growth with one, and the same again', async () => {
    expect(await judgeAddCheckpoint(await bodyOf(0, 7), await known())).toMatchObject({ status: 200 });
    expect(await judgeAddCheckpoint(await bodyOf(7, 20), await known(7))).toMatchObject({ status: 200 });
    expect(await judgeAddCheckpoint(await bodyOf(20, 20), await known(20))).toMatchObject({ status: 200 });
    expect(originOf(await bodyOf(0, 7))).toBe(ORIGIN);
  });

  it('answers each refusal with the status of the protocol', async () => {
    const answers = await Promise.all([
      judgeAddCheckpoint('old 1\n\nx', await known(7)),
      judgeAddCheckpoint(await bodyOf(20, 7), await known(20)),
      judgeAddCheckpoint((await bodyOf(7, 20)).replace('\u2014', '-'), await known(7)),
      judgeAddCheckpoint(await bodyOf(7, 20), { ...(await known(7)), keys: [] }),
      judgeAddCheckpoint(await bodyOf(7, 20), undefined),
      judgeAddCheckpoint(await bodyOf(0, 7), await known(20)),
      judgeAddCheckpoint(await bodyOf(7, 20), await known(8)),
      judgeAddCheckpoint(await bodyOf(20, 20, rewritten), await known(20)),
      judgeAddCheckpoint(await bodyOf(7, 20, rewritten), await known(7)),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 403, 404, 409, 409, 409, 422]);
    expect(answers.filter(({ status }) => status === 409)).toMatchObject([{ size: 20 }, { size: 8 }, { size: 20 }]);
  });
});

describe('T16: a cosignature counts for the text, the key and the time it was made with', () => {
  const text = formatCheckpointText({ origin: ORIGIN, size: 7, root: rootOf(hashes, 7) });

  it('is read back with its time, and the note that carries it opens with both keys', async () => {
    const cosigner = await createCosigner('witness.example', witnessKey);
    const line = cosigner.cosignLine(text, TIME_SECONDS);
    const key = (await parseVerifierKey(cosigner.verifierKey))!;
    expect(await readCosignatures({ text, lines: line }, [key])).toEqual([{ key, seconds: TIME_SECONDS, line }]);
    const signer = await createNoteSigner(ORIGIN, logKey);
    const keys = [key, (await parseVerifierKey(signer.verifierKey))!];
    const verdict = await openCheckpointWith(nodePrimitives, `${signNote(text, [signer])}${line}`, keys);
    expect(verdict.ok && verdict.verified).toHaveLength(2);
  });

  it('does not hold for another text, time or key; a stranger’s line is nobody’s', async () => {
    const cosigner = await createCosigner('witness.example', witnessKey);
    const key = (await parseVerifierKey(cosigner.verifierKey))!;
    const line = cosigner.cosignLine(text, TIME_SECONDS);
    expect(await readCosignatures({ text: text.replace('7', '8'), lines: line }, [key])).toBeUndefined();
    const bytes = Buffer.from(line.split(' ')[2]!, 'base64');
    bytes[11]! ^= 1; // the lowest byte of the time
    const later = `\u2014 witness.example ${bytes.toString('base64')}\n`;
    expect(await readCosignatures({ text, lines: later }, [key])).toBeUndefined();
    expect(await readCosignatures({ text, lines: `${line}more\n` }, [key])).toBeUndefined();
    expect(await readCosignatures({ text, lines: line }, [])).toEqual([]);
  });

  it('is what the log makes of an answer; 409 names where to go on', async () => {
    const cosigner = await createCosigner('witness.example', witnessKey);
    const key = (await parseVerifierKey(cosigner.verifierKey))!;
    const read = (status: number, body: string) => readWitnessAnswer({ status, body }, { text, key });
    expect(await read(200, cosigner.cosignLine(text, TIME_SECONDS))).toMatchObject({ kind: 'cosigned' });
    expect(await read(409, '12\n')).toEqual({ kind: 'resume', size: 12 });
    for (const [status, body] of [
      [409, 'later'],
      [200, ''],
      [200, (await createNoteSigner('witness.example', witnessKey)).signLine(text)],
      [422, ''],
      [500, 'oops'],
    ] as const)
      expect(await read(status, body), body).toMatchObject({ kind: 'refused' });
  });
});
