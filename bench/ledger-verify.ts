import {
  appendLeaves,
  auditTreeWith,
  edgeRoot,
  EMPTY_EDGE,
  equalBytes,
  inclusionProof,
  leafHash,
  nodePrimitives,
  toBase64,
  verifyInclusion,
  type TileReader,
} from '@auditrax/tlog';
import { inChromium, type InPage } from '@auditrax/tlog/testing-browser';

/** A leaf of the size that the house writes; the content does not matter to a hash, but it must differ. */
const LEAF_BYTES = 300;
const AUDIT_ENTRIES = 300_000;
const AUDIT_ROUNDS = 5;
const PROOF_TREE_ENTRIES = 1_000_000;
const PROOFS = 40;
const BROWSER_ENTRIES = 60_000;
const BROWSER_ROUNDS = 5;
const BATCH_ENTRIES = 4096;

/** What an auditor's verifier does, in figures. */
export interface VerifyFigures {
  readonly audit_entries_per_cpu_s: number;
  readonly proof_cold_cpu_ms: number;
  readonly browser_entries_per_s: number;
}

/** Of this process: user and system time. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000_000;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1] ?? Number.NaN;
}

function leaf(at: number): Uint8Array {
  return Buffer.from(`{"id":"${at}"`.padEnd(LEAF_BYTES, 'x'));
}

function batchesOf(count: number): Uint8Array[][] {
  return Array.from({ length: Math.ceil(count / BATCH_ENTRIES) }, (_, at) =>
    Array.from({ length: Math.min(BATCH_ENTRIES, count - at * BATCH_ENTRIES) }, (_, more) =>
      leaf(at * BATCH_ENTRIES + more),
    ),
  );
}

/** Every entry hashed again up to the root, one thread; the entries are in memory, as after one read of a file. */
async function measureAudit(): Promise<number> {
  const batches = batchesOf(AUDIT_ENTRIES);
  const expected = edgeRoot(appendLeaves(EMPTY_EDGE, batches.flat().map(leafHash)).edge);
  const rates: number[] = [];
  for (let round = 0; round < AUDIT_ROUNDS; round += 1) {
    const before = cpuSeconds();
    const { root } = await auditTreeWith(nodePrimitives, batches);
    rates.push(AUDIT_ENTRIES / (cpuSeconds() - before));
    if (!equalBytes(root, expected)) throw new Error('the audit came to another root than the log');
  }
  return median(rates);
}

/** Nothing is kept between two proofs but the tiles themselves, as bytes. */
async function measureProof(): Promise<number> {
  const hashes = Array.from({ length: PROOF_TREE_ENTRIES }, (_, at) => leafHash(Buffer.from(String(at))));
  const { edge, full } = appendLeaves(EMPTY_EDGE, hashes);
  const stored = new Map(full.map((tile) => [`${tile.level}/${tile.n}`, tile.data]));
  const tiles: TileReader = async ({ level, n }) =>
    stored.get(`${level}/${n}`) ?? Buffer.concat(edge.partial[level] ?? []);
  const root = edgeRoot(edge);
  const times: number[] = [];
  for (let turn = 0; turn < PROOFS; turn += 1) {
    const index = Math.floor((turn + 0.37) * (PROOF_TREE_ENTRIES / PROOFS));
    const before = cpuSeconds();
    const proof = await inclusionProof({ index, size: PROOF_TREE_ENTRIES }, tiles);
    times.push((cpuSeconds() - before) * 1000);
    const input = { index, size: PROOF_TREE_ENTRIES, leafHash: hashes[index]!, proof, root };
    if (!(await verifyInclusion(input))) throw new Error(`the proof of entry ${index} does not hold`);
  }
  return median(times);
}

/** The same audit in Debian's Chromium with Web Crypto, wall clock, its best round. */
async function measureBrowser(): Promise<number> {
  const input = { entries: BROWSER_ENTRIES, rounds: BROWSER_ROUNDS, batch: BATCH_ENTRIES, bytes: LEAF_BYTES };
  const { root, rates } = await inChromium(auditInPage, input);
  const expected = edgeRoot(appendLeaves(EMPTY_EDGE, batchesOf(BROWSER_ENTRIES).flat().map(leafHash)).edge);
  if (root !== toBase64(expected)) throw new Error('the browser came to another root than the log');
  return Math.max(...rates);
}

interface Measured {
  readonly root: string;
  readonly rates: readonly number[];
}

interface Given {
  readonly entries: number;
  readonly rounds: number;
  readonly batch: number;
  readonly bytes: number;
}

/** Runs in the page: nothing of this file is there. */
async function auditInPage(input: Given, verifier: InPage): Promise<Measured> {
  const { auditTreeWith, browserPrimitives, bytesOf, toBase64 } = verifier;
  const leaves = Array.from({ length: input.entries }, (_, at) => bytesOf(`{"id":"${at}"`.padEnd(input.bytes, 'x')));
  const batches: Uint8Array[][] = [];
  for (let at = 0; at < leaves.length; at += input.batch) batches.push(leaves.slice(at, at + input.batch));
  const rates: number[] = [];
  let root = '';
  for (let round = 0; round < input.rounds; round += 1) {
    const before = performance.now();
    root = toBase64((await auditTreeWith(browserPrimitives, batches)).root);
    rates.push((input.entries / (performance.now() - before)) * 1000);
  }
  return { root, rates };
}

/** The verifier's speeds: full audit, cold proof at a million entries, the same audit in a browser. */
export async function measureVerification(progress: (line: string) => void): Promise<VerifyFigures> {
  progress(`full audit of ${AUDIT_ENTRIES} entries of ${LEAF_BYTES} bytes, ${AUDIT_ROUNDS} rounds`);
  const audit = await measureAudit();
  progress(`inclusion proofs from tiles alone, ${PROOF_TREE_ENTRIES} entries`);
  const proof = await measureProof();
  progress(`full audit of ${BROWSER_ENTRIES} entries in Chromium`);
  const browser = await measureBrowser();
  return {
    audit_entries_per_cpu_s: Math.round(audit),
    proof_cold_cpu_ms: Number(proof.toFixed(3)),
    browser_entries_per_s: Math.round(browser),
  };
}
