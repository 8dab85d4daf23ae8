// A log, a super-log and witnesses in memory, for tests and measurements: with real keys, and able to lie.
import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import {
  formatCheckpointText,
  keyIdWith,
  parseNote,
  parseVerifierKeyWith,
  SIGNATURE_COSIGNATURE,
  toBase64,
} from './core.ts';
import { formatEpochLeaf, type EpochEvidence } from './epoch-leaf.ts';
import { slotLeaf } from './evidence-core.ts';
import { consistencyProof, inclusionProof, type TileReader } from './prove.ts';
import { createNoteSigner, signNote, type NoteSigner } from './sign.ts';
import { handoverText } from './succession-core.ts';
import { appendLeaves, edgeRoot, EMPTY_EDGE } from './tiles.ts';
import { leafHash } from './tree.ts';
import { nodePrimitives } from './verify.ts';

export interface TestLog {
  readonly origin: string;
  readonly signer: NoteSigner;
  readonly leaves: readonly Uint8Array[];
  readonly tiles: TileReader;
  root(): Uint8Array;
  /** The signed checkpoint of the whole log. */
  note(signers?: readonly NoteSigner[]): string;
  inclusion(index: number): Promise<Uint8Array[]>;
  consistency(from: number): Promise<Uint8Array[]>;
}

/** A log of exactly these leaves, signed by this key. Anything can be put in: a history that never was, too. */
export function logOf(signer: NoteSigner, leaves: readonly Uint8Array[]): TestLog {
  const { edge, full } = appendLeaves(
    EMPTY_EDGE,
    leaves.map((leaf) => leafHash(leaf)),
  );
  const stored = new Map(full.map((tile) => [`${tile.level}/${tile.n}`, tile.data]));
  const tiles: TileReader = async ({ level, n }) =>
    stored.get(`${level}/${n}`) ?? Buffer.concat(edge.partial[level] ?? []);
  const origin = signer.name;
  const size = leaves.length;
  const root = () => edgeRoot(edge);
  return {
    origin,
    signer,
    leaves,
    tiles,
    root,
    note: (signers = [signer]) => signNote(formatCheckpointText({ origin, size, root: root() }), signers),
    inclusion: (index) => inclusionProof({ index, size }, tiles),
    consistency: (from) => consistencyProof({ from, to: size }, tiles),
  };
}

/** The facts of an entry by which one key names another, signed for by the first. */
export async function handedOver(from: NoteSigner, to: NoteSigner, overlap: number) {
  const newKey = (await parseVerifierKeyWith(nodePrimitives, to.verifierKey))!;
  const line = from.signLine(handoverText({ newKey, overlap }));
  const handover = Buffer.from(line.split(' ')[2]!, 'base64').subarray(4).toString('base64');
  return { oldKey: from.verifierKey, newKey: to.verifierKey, overlap, handover };
}

export interface TestKey {
  readonly privateKey: KeyObject;
  /** Signer of a log under this name with the same key. */
  named(origin: string): Promise<NoteSigner>;
}

export function testKey(): TestKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  return { privateKey, named: (origin) => createNoteSigner(origin, privateKey) };
}

export interface TestWitness {
  readonly vkey: string;
  /** One line over a note's text; `said` is the time that is written down, for lies. */
  line(noteText: string, seconds: number, said?: number): string;
}

/** A witness of C2SP tlog-cosignature, written from the specification and not with the code under test. */
export async function testWitness(name: string): Promise<TestWitness> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const publicKey = Buffer.from(createPublicKey(privateKey).export({ format: 'jwk' }).x!, 'base64url');
  const id = await keyIdWith(nodePrimitives, { name, type: SIGNATURE_COSIGNATURE, publicKey });
  return {
    vkey: `${name}+${id}+${toBase64(Buffer.concat([Buffer.of(SIGNATURE_COSIGNATURE), publicKey]))}`,
    line: (text, seconds, said = seconds) => {
      const time = Buffer.alloc(8);
      time.writeBigUInt64BE(BigInt(said));
      const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`), privateKey);
      return `\u2014 ${name} ${Buffer.concat([Buffer.from(id, 'hex'), time, signature]).toString('base64')}\n`;
    },
  };
}

export interface EpochInput {
  readonly epoch: number;
  /** The tenant's signed checkpoint. */
  readonly checkpoint: string;
  readonly slot?: number;
  readonly seconds: number;
  /** When the ledger says that it collected the checkpoints; the witnesses' second otherwise. */
  readonly collectedMs?: number;
  readonly witnesses: readonly TestWitness[];
}

const SLOTS = 8;

/** A super-log that takes one tenant's checkpoint an epoch, among slots of others. */
export function superLogOf(signer: NoteSigner) {
  const leaves: Buffer[] = [];
  return {
    signer,
    async epoch({
      epoch,
      checkpoint,
      slot = 5,
      seconds,
      collectedMs = seconds * 1000,
      witnesses,
    }: EpochInput): Promise<EpochEvidence> {
      const salts = Array.from({ length: SLOTS }, (_, at) => Buffer.alloc(32, epoch * SLOTS + at));
      const text = parseNote(checkpoint)!.text;
      const slots = logOf(
        signer,
        salts.map((salt, at) => slotLeaf(salt, at === slot ? text : `other.example/log/${at}/1\n0\n\n`)),
      );
      const leaf = formatEpochLeaf({ epoch, root: toBase64(slots.root()), slots: SLOTS, time: collectedMs });
      leaves.push(Buffer.from(leaf));
      const log = logOf(signer, leaves);
      const index = leaves.length - 1;
      const note = log.note();
      return {
        note: note + witnesses.map((witness) => witness.line(parseNote(note)!.text, seconds)).join(''),
        leaf,
        index,
        proof: (await log.inclusion(index)).map(toBase64),
        slot,
        salt: toBase64(salts[slot]!),
        slotProof: (await slots.inclusion(slot)).map(toBase64),
        checkpoint,
      };
    },
  };
}
