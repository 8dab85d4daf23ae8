import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as tlog from './index.ts';
import { logOf, testKey, testWitness, type TestLog, type TestWitness } from './testing.ts';

// A published log of 70,000 entries, audited by this package and by Go's sumdb packages from Debian; then altered by an
// outsider, then by its operator, who holds the real key. What one of both cannot see is in the table as "-".

const GOCODE = '/usr/share/gocode';
const SUMDB = join(GOCODE, 'src/golang.org/x/mod/sumdb/tlog');
const SOURCE = join(import.meta.dirname, '../oracles/audit.go');
const PACKAGES = 'golang-go and golang-golang-x-mod-dev';
const ORIGIN = 'log.example/log/4f3a/1';
const ENTRIES = 70_000;
/** Attacks by the operator need a whole history each; the rules do not depend on its length. */
const ATTACKED_ENTRIES = 3000;
const HELD = [1, 255, 256, 257, 1024, 2000];
const T0 = 1_800_000_000;
const SPAN = tlog.TILE_WIDTH;
/** Some twenty programs run one after the other, each over the whole log. */
const AUDITS_MS_MAX = 180_000;

const hasGo = existsSync(SUMDB) && spawnSync('go', ['version']).status === 0;
let scratch: string;
let program: string;
let signer: tlog.NoteSigner;
let witnesses: TestWitness[];
let keys: string[];

const entry = (at: number, timeMs = (T0 + at) * 1000) => Buffer.from(`{"id":"${at}","time":${timeMs},"v":1}`);
const history = (count: number): Uint8Array[] => Array.from({ length: count }, (_, at) => entry(at));

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'tlog-foreign-'));
  program = join(scratch, 'audit');
  signer = await testKey().named(ORIGIN);
  witnesses = [await testWitness('witness.example/w1'), await testWitness('witness.example/w2')];
  keys = [signer.verifierKey, ...witnesses.map(({ vkey }) => vkey)];
  if (!hasGo) return;
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: GOCODE, GOFLAGS: '', GOCACHE: join(scratch, 'cache') };
  const built = spawnSync('go', ['build', '-o', program, SOURCE], { env, encoding: 'utf8' });
  if (built.status !== 0) throw new Error(built.stderr);
}, 300_000);

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function put(folder: string, name: string, bytes: Uint8Array | string): void {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), bytes);
}

/** tlog-tiles: each entry with its length in two bytes. */
function entryBundle(leaves: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    leaves.flatMap((leaf) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(leaf.length);
      return [length, leaf];
    }),
  );
}

const widthOf = (n: number, size: number) => Math.min(SPAN, size - n * SPAN);
const entriesName = (n: number, size: number) =>
  tlog.tilePath(0, n, widthOf(n, size)).replace('tile/0/', 'tile/entries/');

function cosign(note: string, seconds = T0 + 1_000_000): string {
  const { text } = tlog.parseNote(note)!;
  return note + witnesses.map((witness) => witness.line(text, seconds)).join('');
}

/** Everything that a log publishes, as files: entries, tiles, checkpoint. */
async function publish(folder: string, log: TestLog, note = cosign(log.note())): Promise<void> {
  const size = log.leaves.length;
  put(folder, 'checkpoint', note);
  for (let n = 0; n * SPAN < size; n += 1)
    put(folder, entriesName(n, size), entryBundle(log.leaves.slice(n * SPAN, n * SPAN + SPAN)));
  for (let level = 0; size >= SPAN ** level; level += 1) {
    const count = Math.floor(size / SPAN ** level);
    for (let n = 0; n * SPAN < count; n += 1) {
      const width = Math.min(SPAN, count - n * SPAN);
      put(folder, tlog.tilePath(level, n, width), await log.tiles({ level, n, width }));
    }
  }
}

/** Checkpoints that somebody has kept, with the bodies that lead from them to the newest. */
async function hold(folder: string, log: TestLog, sizes: readonly number[]): Promise<void> {
  const checkpoint = log.note();
  for (const size of sizes) {
    put(folder, `held/${size}`, logOf(log.signer, log.leaves.slice(0, size)).note());
    const proof = await log.consistency(size);
    put(folder, `consistency/${size}.add-checkpoint`, tlog.formatAddCheckpoint({ oldSize: size, proof, checkpoint }));
  }
}

async function proveSome(folder: string, log: TestLog): Promise<void> {
  for (const index of [0, 1, 255, 256, 65_535, 65_536, log.leaves.length - 1].filter((at) => at < log.leaves.length)) {
    const text = tlog.formatLogProof({
      extra: log.leaves[index],
      index,
      proof: await log.inclusion(index),
      checkpoint: log.note(),
    });
    put(folder, `proofs/${index}.tlog-proof`, text);
  }
}

/** `accepted`, with what was counted, or `refused` with the reason. */
type Verdict = string;

function goSays(folder: string): Verdict {
  const { status, stdout, stderr } = spawnSync(program, [folder, '2', ...keys], { encoding: 'utf8' });
  return status === 0 ? `accepted: ${stdout.trim()}` : `refused: ${stderr.trim().split('\n')[0]}`;
}

function* entriesOf(folder: string, size: number): Generator<Uint8Array[]> {
  for (let n = 0; n * SPAN < size; n += 1) {
    const bundle = readFileSync(join(folder, entriesName(n, size)));
    const leaves: Uint8Array[] = [];
    for (let at = 0; at < bundle.length; at += 2 + bundle.readUInt16BE(at)) {
      leaves.push(bundle.subarray(at + 2, at + 2 + bundle.readUInt16BE(at)));
      if (at + 2 + bundle.readUInt16BE(at) > bundle.length) throw new Error(`entries: bundle ${n} is cut short`);
    }
    yield leaves;
  }
}

const list = (folder: string, name: string) =>
  existsSync(join(folder, name)) ? readdirSync(join(folder, name)).map((file) => join(folder, name, file)) : [];

/** The same audit with this package: entries, tiles, held checkpoints through tiles, proofs, bodies, cosignatures. */
async function weSay(folder: string): Promise<Verdict> {
  try {
    await audit(folder);
    return 'accepted';
  } catch (error) {
    return `refused: ${(error as Error).message}`;
  }
}

const computedLogs = new Map<string, TestLog>();

function demand(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

async function audit(folder: string): Promise<void> {
  const known = (await Promise.all(keys.map(tlog.parseVerifierKey))).map((key) => key!);
  const open = async (note: string) => {
    const verdict = await tlog.openCheckpoint(note, known);
    if (!verdict.ok) throw new Error(`checkpoint: ${verdict.reason}`);
    return verdict;
  };
  const note = readFileSync(join(folder, 'checkpoint'), 'utf8');
  const { checkpoint, cosignatures } = await open(note);
  const { size, root } = checkpoint;
  demand(cosignatures.length >= 2, 'cosignatures: too few');
  const audited = await tlog.auditLogWith(tlog.nodePrimitives, { note, keys: known }, entriesOf(folder, size));
  demand(audited.ok, `root: ${audited.ok || audited.reason}`);
  const tiles: tlog.TileReader = async ({ level, n, width }) =>
    readFileSync(join(folder, tlog.tilePath(level, n, width)));
  // The audit has just shown that these entries give this root: the tiles of that root need not be computed twice.
  const name = tlog.toHex(root);
  const computed = computedLogs.get(name) ?? logOf(signer, [...entriesOf(folder, size)].flat());
  computedLogs.set(name, computed);
  for (let level = 0; size >= SPAN ** level; level += 1)
    for (let n = 0; n * SPAN < Math.floor(size / SPAN ** level); n += 1) {
      const tile = { level, n, width: Math.min(SPAN, Math.floor(size / SPAN ** level) - n * SPAN) };
      demand(Buffer.compare(await tiles(tile), await computed.tiles(tile)) === 0, `tiles: ${level}/${n} differs`);
    }
  const held = new Map<number, tlog.Checkpoint>();
  for (const path of list(folder, 'held')) {
    const { checkpoint: old } = await open(readFileSync(path, 'utf8'));
    demand(old.size <= size, 'held: the log is shorter than it was');
    const proof = await tlog.consistencyProof({ from: old.size, to: size }, tiles);
    const consistent = { size1: old.size, size2: size, root1: old.root, root2: root, proof };
    demand(await tlog.verifyConsistency(consistent), `held: ${old.size} is no prefix`);
    held.set(old.size, old);
  }
  for (const path of list(folder, 'proofs')) {
    const proof = tlog.parseLogProof(readFileSync(path, 'utf8'));
    demand(proof?.extra !== undefined, 'proofs: malformed');
    const under = (await open(proof!.checkpoint)).checkpoint;
    const at = { index: proof!.index, proof: proof!.proof, leafHash: tlog.leafHash(proof!.extra!), ...under };
    demand(await tlog.verifyInclusion(at), 'proofs: not in the log');
  }
  for (const path of list(folder, 'consistency')) {
    const body = tlog.parseAddCheckpoint(readFileSync(path, 'utf8'));
    const old = held.get(body?.oldSize ?? -1);
    demand(body !== undefined && old !== undefined, 'consistency: malformed');
    const { size: size2, root: root2 } = (await open(body!.checkpoint)).checkpoint;
    const input = { size1: old!.size, size2, root1: old!.root, root2, proof: body!.proof };
    demand(await tlog.verifyConsistency(input), 'consistency: does not hold');
  }
}

interface Row {
  readonly what: string;
  readonly ours: Verdict;
  readonly go: Verdict;
}
const table: Row[] = [];
const short = (verdict: Verdict) => verdict.replaceAll(scratch, '').slice(0, 58);

function mustHaveGo(context: { skip(reason: string): void }): boolean {
  if (hasGo) return true;
  if (process.env['CI'] === 'true') throw new Error(`${PACKAGES} are missing`);
  context.skip(`${PACKAGES} are not installed`);
  return false;
}

function printTable(title: string, rows: readonly Row[]): void {
  const lines = rows.map(({ what, ours, go }) => `  ${what.padEnd(34)} ${short(ours).padEnd(60)} ${short(go)}`);
  console.log(`${title}\n  ${'change'.padEnd(34)} ${'this package'.padEnd(60)} Go sumdb\n${lines.join('\n')}`);
}

describe('T13 T1 T2 T3: a published log of 70,000 entries', () => {
  let folder: string;
  let log: TestLog;

  beforeAll(async () => {
    folder = join(scratch, 'log');
    log = logOf(signer, history(ENTRIES));
    await publish(folder, log);
    await hold(folder, log, [...HELD, 65_535, 65_536, 65_537, ENTRIES - 1]);
    await proveSome(folder, log);
  });

  it('both audit all of it: entries, tiles, proofs, bodies, held checkpoints, cosignatures', async (context) => {
    if (!mustHaveGo(context)) return;
    expect(await weSay(folder)).toBe('accepted');
    expect(goSays(folder)).toBe(
      'accepted: entries 70000 tiles 277 inclusions 200 held 10 proofs 7 consistency 10 cosignatures 2',
    );
  });

  it(
    'T24: whoever alters one thing of it is refused by both',
    async (context) => {
      if (!mustHaveGo(context)) return;
      const bundle = entriesName(100, ENTRIES);
      const record = 2 + entry(25_600).length;
      const replaced = (from: string, to: string) => (bytes: Buffer) =>
        Buffer.from(bytes.toString('utf8').replace(from, to));
      const flipped = (at: number) => (bytes: Buffer) =>
        Buffer.from(bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)));
      const cut = (from: number, to: number) => (bytes: Buffer) =>
        Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
      const swapped = (bytes: Buffer) =>
        Buffer.concat([bytes.subarray(record, 2 * record), bytes.subarray(0, record), bytes.subarray(2 * record)]);
      const changes: [string, string, (bytes: Buffer) => Buffer][] = [
        ['a byte of an entry', bundle, flipped(10)],
        ['two entries swapped', bundle, swapped],
        ['an entry removed', bundle, cut(record, 2 * record)],
        ['a byte of a tile', tlog.tilePath(0, 77), flipped(4000)],
        ['a byte of an upper tile', tlog.tilePath(1, 0), flipped(31)],
        ['a tile cut short', tlog.tilePath(0, 3), cut(8160, 8192)],
        ['the size in the checkpoint', 'checkpoint', replaced('\n70000\n', '\n69999\n')],
        ['the root in the checkpoint', 'checkpoint', flipped(ORIGIN.length + 10)],
        ['the origin in the checkpoint', 'checkpoint', replaced('/4f3a/', '/4f3b/')],
        ['a cosignature', 'checkpoint', (bytes) => flipped(bytes.length - 10)(bytes)],
        ['a cosignature left out', 'checkpoint', (bytes) => bytes.subarray(0, bytes.lastIndexOf('\u2014'))],
        ['the index of a proof', 'proofs/256.tlog-proof', replaced('index 256', 'index 257')],
        ['the leaf of a proof', 'proofs/256.tlog-proof', flipped('c2sp.org/tlog-proof@v1\nextra '.length + 8)],
        ['a hash of a proof', 'proofs/65535.tlog-proof', flipped(120)],
        ['the old size of a body', 'consistency/257.add-checkpoint', replaced('old 257', 'old 256')],
        ['a hash of a body', 'consistency/2000.add-checkpoint', flipped(30)],
        ['a held checkpoint', 'held/1024', flipped(ORIGIN.length + 12)],
      ];
      const rows: Row[] = [];
      for (const [what, name, change] of changes) {
        const before = readFileSync(join(folder, name));
        const after = change(before);
        expect(after.equals(before), what).toBe(false);
        writeFileSync(join(folder, name), after);
        rows.push({ what, ours: await weSay(folder), go: goSays(folder) });
        writeFileSync(join(folder, name), before);
      }
      printTable('Altered by somebody:', rows);
      for (const { what, ours, go } of rows)
        expect(
          [ours, go].map((said) => said.slice(0, 8)),
          what,
        ).toEqual(['refused:', 'refused:']);
      expect(await weSay(folder)).toBe('accepted');
    },
    AUDITS_MS_MAX,
  );
});

describe('T24: the operator, who holds the real key, cannot', () => {
  const honest = history(ATTACKED_ENTRIES);
  const changedAt = (at: number, leaf: Uint8Array) => honest.map((old, index) => (index === at ? leaf : old));
  const attacks: [string, Uint8Array[]][] = [
    ['rewrite an entry', changedAt(1500, Buffer.from('{"rewritten":true}'))],
    ['shorten the log', honest.slice(0, 1900)],
    ['reorder two entries', changedAt(700, honest[701]!).map((old, at) => (at === 701 ? honest[700]! : old))],
    ['insert an entry in the past', [...honest.slice(0, 900), entry(0, T0 * 1000), ...honest.slice(900)]],
    ['remove an entry of the past', [...honest.slice(0, 900), ...honest.slice(901)]],
    ['fork: another end from 1,900 on', [...honest.slice(0, 1900), ...history(1100).reverse()]],
  ];

  it(
    're-sign another history to whoever holds one checkpoint, says either program',
    async (context) => {
      if (!mustHaveGo(context)) return;
      const rows: Row[] = [];
      const log = logOf(signer, honest);
      for (const [what, leaves] of [['go on honestly', honest] as [string, Uint8Array[]], ...attacks]) {
        const folder = join(scratch, what.replaceAll(/[^a-z]/g, ''));
        const forged = logOf(signer, leaves);
        await publish(folder, forged, cosign(forged.note()));
        for (const size of HELD) put(folder, `held/${size}`, logOf(signer, log.leaves.slice(0, size)).note());
        rows.push({ what, ours: await weSay(folder), go: goSays(folder) });
      }
      table.push(...rows);
      expect(rows[0]!.ours).toBe('accepted');
      expect(rows[0]!.go).toContain('accepted');
      for (const { what, ours, go } of rows.slice(1))
        expect(
          [ours, go].map((said) => said.slice(0, 13)),
          what,
        ).toEqual(['refused: held', 'refused: held']);
    },
    AUDITS_MS_MAX,
  );

  it('date a new entry back: no tree sees it, the time bracket does', async (context) => {
    if (!mustHaveGo(context)) return;
    const DAY_MS = 86_400_000;
    const late = [...honest, entry(ATTACKED_ENTRIES, T0 * 1000 - DAY_MS)];
    const folder = join(scratch, 'late');
    const log = logOf(signer, late);
    await publish(folder, log);
    await hold(folder, log, HELD);
    expect(await weSay(folder)).toBe('accepted');
    const marks = [
      { size: 2000, timeMs: (T0 + 2000) * 1000 },
      { size: late.length, timeMs: (T0 + 4000) * 1000 },
    ];
    const inTime = late.map((leaf, index) =>
      tlog.isInBracket(tlog.leafObject(leaf)['time'] as number, tlog.bracketOf(marks, index)),
    );
    expect(inTime.lastIndexOf(false)).toBe(ATTACKED_ENTRIES);
    expect(inTime.filter((held) => !held)).toHaveLength(1);
    table.push({ what: 'date a new entry back by a day', ours: 'refused: time bracket', go: `- ${goSays(folder)}` });
    printTable('Re-signed by the operator:', table);
    expect(table.at(-1)!.go).toContain('accepted');
  });
});
