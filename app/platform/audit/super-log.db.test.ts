import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom, uuidV4, type Clock, type Uuid } from '@auditrax/base';
import { openDatabase, type Database } from '@auditrax/tenancy';
import {
  createNoteSigner,
  formatCheckpointText,
  fromBase64,
  leafHash,
  openCheckpoint,
  parseEpochLeaf,
  parseNote,
  parseVerifierKey,
  signNote,
  slotHash,
  verifyConsistency,
  verifyInclusion,
  type EpochEvidence,
} from '@auditrax/tlog';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestDatabase, type TestDatabase } from '../db/testing.ts';
import { EVERY_TENANT } from './ledger-queries.ts';
import { createSigner, type Signer } from './signer.ts';
import { memoryKeys } from './testing/log-keys.ts';
import { createSuperEvidence } from './super-evidence.ts';
import { createSuperLog, type SuperLog, type SuperLogDeps } from './super-log.ts';
import { SUPER_TABLES } from './super-queries.ts';
import { asSuperuser } from './testing.ts';

const PREFIX = 'test.example/log/';
const SOUTH = 'south/ax_00000000000000aa';
const { privateKey } = generateKeyPairSync('ed25519');
const MINUTE_MS = 60_000;

let server: TestDatabase;
let ledgerDb: Database;
let folder: string;
let signer: Signer;
let now_ms = 1_795_000_000_000;
const clock: Clock = { ...systemClock, nowMs: () => now_ms };

beforeAll(async () => {
  server = await startTestDatabase();
  ledgerDb = openDatabase({
    connection: server.connectionFor('ax_ledger'),
    poolSize: 3,
    clock: systemClock,
    onRefusal: async () => undefined,
    systemTables: [...SUPER_TABLES, 'audit.log', 'audit.checkpoint'],
  });
});
afterAll(async () => {
  await ledgerDb?.close();
  await server?.stop();
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ax-signer-'));
  signer = createSigner({ journalDirectory: folder, keys: memoryKeys(privateKey), originPrefix: PREFIX });
  await asSuperuser(server, `truncate ${[...SUPER_TABLES, 'audit.log', 'audit.checkpoint'].join(', ')}`);
});
afterEach(async () => {
  await signer.close();
  rmSync(folder, { recursive: true, force: true });
});

function superLog(more: Partial<SuperLogDeps> = {}): SuperLog {
  return createSuperLog({
    home: ledgerDb.system,
    cells: () => [{ cell: 'home', door: ledgerDb.system }],
    scopeOf: async () => EVERY_TENANT,
    signer,
    originPrefix: PREFIX,
    clock,
    random: systemRandom,
    ...more,
  });
}

async function epochOf(log: SuperLog): Promise<Awaited<ReturnType<SuperLog['runEpoch']>>> {
  now_ms += MINUTE_MS;
  return log.runEpoch();
}

const originOf = (tenant: Uuid, generation = 1): string => `${PREFIX}${tenant.replaceAll('-', '')}/${generation}`;

/** As the sequencer leaves it: the log of a tenant and a signed checkpoint of a size. */
async function signed(tenant: Uuid, size: number, generation = 1): Promise<string> {
  const origin = originOf(tenant, generation);
  const root = randomBytes(32);
  const note = signNote(formatCheckpointText({ origin, size, root }), [await createNoteSigner(origin, privateKey)]);
  await asSuperuser(
    server,
    'insert into audit.log (tenant_id, generation, origin) values ($1, $2, $3) on conflict do nothing',
    [tenant, generation, origin],
  );
  await asSuperuser(
    server,
    'insert into audit.checkpoint (tenant_id, generation, size, root, note) values ($1, $2, $3, $4, $5)',
    [tenant, generation, size, root, note],
  );
  return note;
}

/** Everything that a verifier outside does with one piece of evidence. */
async function holds(evidence: EpochEvidence): Promise<boolean> {
  const head = parseNote(evidence.note)!.text.split('\n')[0]!;
  const key = (await parseVerifierKey((await signer.state(head)).verifierKey))!;
  const opened = await openCheckpoint(evidence.note, [key]);
  if (!opened.ok) return false;
  const { size, root } = opened.checkpoint;
  const leaf = parseEpochLeaf(evidence.leaf)!;
  const bytes = (all: readonly string[]): Uint8Array[] => all.map((hash) => fromBase64(hash)!);
  const inLog = await verifyInclusion({
    index: evidence.index,
    size,
    root,
    leafHash: leafHash(Buffer.from(evidence.leaf)),
    proof: bytes(evidence.proof),
  });
  const inSlot = await verifyInclusion({
    index: evidence.slot,
    size: leaf.slots,
    root: fromBase64(leaf.root)!,
    leafHash: slotHash(fromBase64(evidence.salt)!, parseNote(evidence.checkpoint)!.text),
    proof: bytes(evidence.slotProof),
  });
  return inLog && inSlot;
}

const sizeOf = (evidence: EpochEvidence): number => Number(evidence.checkpoint.split('\n')[1]);

describe('A21: each epoch commits to every log, each in a slot of its own', () => {
  it('takes what is newest, keeps slots, gives a newcomer the next one, and signs growth', async () => {
    const [one, two, three] = [1, 2, 3].map(() => uuidV4(systemRandom)) as [Uuid, Uuid, Uuid];
    const log = superLog();
    await signed(one, 3);
    await signed(two, 5);
    const first = await epochOf(log);
    await signed(one, 9);
    await signed(three, 1);
    const second = await epochOf(log);
    expect([first.size, second.size]).toEqual([1, 2]);
    const { epochs } = createSuperEvidence({ home: ledgerDb.system, superLog: log });
    const slots: number[] = [];
    for (const [tenant, from, to] of [
      [one, 3, 9],
      [two, 5, 5],
      [three, 1, 1],
    ] as const) {
      const found = await epochs({ tenantId: tenant, origin: originOf(tenant), from, to });
      expect(found.length).toBeGreaterThan(0);
      for (const evidence of found) expect(await holds(evidence)).toBe(true);
      slots.push(...new Set(found.map(({ slot }) => slot)));
    }
    expect(slots.toSorted()).toEqual([0, 1, 2]);
    expect(slots[2]).toBe(2);
    expect(await epochs({ tenantId: uuidV4(systemRandom), origin: 'nobody', from: 1, to: 1 })).toEqual([]);
  });

  it('brackets a range: the last epoch up to its beginning, the first from its end, and those in between', async () => {
    const tenant = uuidV4(systemRandom);
    const log = superLog();
    for (const size of [2, 2, 4, 6, 6, 8, 8]) {
      if (size !== (await newestSize(tenant))) await signed(tenant, size);
      await epochOf(log);
    }
    const { epochs } = createSuperEvidence({ home: ledgerDb.system, superLog: log });
    const ask = async (from: number, to: number): Promise<[number, number][]> =>
      (await epochs({ tenantId: tenant, origin: originOf(tenant), from, to })).map((one) => [one.index, sizeOf(one)]);
    expect(await ask(3, 7)).toEqual([
      [1, 2],
      [2, 4],
      [4, 6],
      [5, 8],
    ]);
    expect(await ask(0, 1)).toEqual([[0, 2]]);
    expect(await ask(8, 8)).toEqual([[5, 8]]);
    expect(await ask(7, 20)).toEqual([
      [4, 6],
      [6, 8],
    ]); // nothing that covers 20 yet
  });

  it('keeps the last known checkpoint of a cell that is away or was put back, and says which is away', async () => {
    const [here, there] = [uuidV4(systemRandom), uuidV4(systemRandom)];
    await signed(here, 3);
    await signed(there, 5);
    let isAway = false;
    const south = { ...ledgerDb.system, system: async () => Promise.reject(new Error('no route')) };
    const cells = (): ReturnType<SuperLogDeps['cells']> => [
      { cell: 'home', door: ledgerDb.system },
      { cell: SOUTH, door: isAway ? south : ledgerDb.system },
    ];
    const scopeOf: SuperLogDeps['scopeOf'] = async (cell) => ({ inside: cell !== 'home', tenants: [there] });
    const log = superLog({ cells, scopeOf });
    await epochOf(log);
    isAway = true;
    const since_ms = now_ms + MINUTE_MS;
    await epochOf(log);
    await epochOf(log);
    expect(log.status().away).toEqual([{ cell: SOUTH, since_ms }]);
    isAway = false;
    await asSuperuser(server, `delete from audit.checkpoint where tenant_id = '${there}'`);
    await signed(there, 4); // a backup of before
    await epochOf(log);
    expect(log.status().away).toEqual([]);
    const { epochs } = createSuperEvidence({ home: ledgerDb.system, superLog: log });
    const found = await epochs({ tenantId: there, origin: originOf(there), from: 5, to: 5 });
    expect(found.map(sizeOf)).toEqual([5]);
    await signed(there, 1, 2); // a generation later is news, though shorter
    await epochOf(log);
    const later = await epochs({ tenantId: there, origin: originOf(there, 2), from: 1, to: 1 });
    expect(later.map(({ slot }) => slot)).toEqual(found.map(({ slot }) => slot));
  });

  it('shows a tenant nothing of the others: no salt but its own opens a slot, and equal states look different', async () => {
    const tenants = Array.from({ length: 5 }, () => uuidV4(systemRandom));
    for (const tenant of tenants) await signed(tenant, 1);
    const log = superLog();
    await epochOf(log);
    await epochOf(log);
    const { epochs } = createSuperEvidence({ home: ledgerDb.system, superLog: log });
    const mine = tenants[0]!;
    const [evidence] = await epochs({ tenantId: mine, origin: originOf(mine), from: 1, to: 1 });
    const salt = fromBase64(evidence!.salt)!;
    const others = await asSuperuser<{ note: string }>(server, 'select note from audit.super_slot_state');
    const guesses = others.map(({ note }) => Buffer.from(slotHash(salt, parseNote(note)!.text)).toString('base64'));
    expect(evidence!.slotProof.some((hash) => guesses.includes(hash))).toBe(false);
    const roots = await asSuperuser<{ leaf: string }>(server, 'select leaf from audit.super_epoch');
    expect(new Set(roots.map(({ leaf }) => parseEpochLeaf(leaf)!.root)).size).toBe(2); // nothing grew, all looks new
  });
});

async function newestSize(tenant: Uuid): Promise<number> {
  const [row] = await asSuperuser<{ size: string }>(
    server,
    'select coalesce(max(size), 0) as size from audit.checkpoint where tenant_id = $1',
    [tenant],
  );
  return Number(row!.size);
}

describe('A22: the super-log is signed as growth only, whatever becomes of its process or its database', () => {
  it('goes on after a restart and after a crash between the commit and the signature', async () => {
    const tenant = uuidV4(systemRandom);
    await signed(tenant, 1);
    const first = await epochOf(superLog());
    const down = { ...signer, addCheckpoint: () => Promise.reject(new Error('the signer is away')) };
    const crashing = superLog({ signer: { ...signer, addCheckpoint: down.addCheckpoint } });
    await expect(epochOf(crashing)).rejects.toThrow('the signer is away');
    for (let n = 0; n < 300; n += 1) await epochOf(superLog()); // every epoch a new process; over a full tile
    const log = superLog();
    const last = await epochOf(log);
    expect(await gaps()).toBe(0);
    const proof = await consistencyOf(log, first.size, last.size);
    const sizes = { size1: first.size, size2: last.size };
    expect(await verifyConsistency({ ...sizes, root1: first.root, root2: last.root, proof })).toBe(true);
    const { epochs } = createSuperEvidence({ home: ledgerDb.system, superLog: log });
    const found = await epochs({ tenantId: tenant, origin: originOf(tenant), from: 1, to: 1 });
    for (const evidence of found) expect(await holds(evidence)).toBe(true);
  });

  it('refuses a home that was put back, or rewritten', async () => {
    await signed(uuidV4(systemRandom), 1);
    const log = superLog();
    for (let n = 0; n < 3; n += 1) await epochOf(log);
    const before = await asSuperuser<{ root: Buffer }>(server, 'select root from audit.super_log');
    await asSuperuser(server, `update audit.super_epoch set leaf_hash = sha256('x') where idx = 1`);
    await expect(epochOf(superLog())).rejects.toMatchObject({ code: 'audit_head_corrupt' });
    const other = await consistentRewrite();
    await expect(epochOf(superLog())).rejects.toMatchObject({ code: 'audit_log_behind_signer' });
    expect(other.equals(before[0]!.root)).toBe(false);
    await asSuperuser(
      server,
      'delete from audit.super_checkpoint where size = 3; delete from audit.super_epoch where idx = 2',
    );
    await asSuperuser(server, 'update audit.super_log set size = 2');
    await expect(epochOf(superLog())).rejects.toMatchObject({ code: 'audit_log_behind_signer' });
  });
});

/** What an administrator with SQL and the sources of this program can do: another past whose hashes fit. */
async function consistentRewrite(): Promise<Buffer> {
  const rows = await asSuperuser<{ leaf_hash: Buffer }>(server, 'select leaf_hash from audit.super_epoch order by idx');
  const { appendLeaves, edgeRoot, EMPTY_EDGE } = await import('@auditrax/tlog');
  const { edge } = appendLeaves(
    EMPTY_EDGE,
    rows.map((row) => row.leaf_hash),
  );
  const root = Buffer.from(edgeRoot(edge));
  await asSuperuser(server, 'update audit.super_log set root = $1', [root]);
  return root;
}

async function gaps(): Promise<number> {
  const [row] = await asSuperuser<{ gaps: string }>(
    server,
    `select (max(idx) + 1 - count(*)) + (max(epoch) + 1 - count(*)) as gaps from audit.super_epoch`,
  );
  return Number(row!.gaps);
}

async function consistencyOf(log: SuperLog, from: number, to: number): Promise<Uint8Array[]> {
  const { consistencyProof } = await import('@auditrax/tlog');
  return consistencyProof({ from, to }, log.tilesOf(1));
}

describe('cost of an epoch', () => {
  it('at ten thousand tenants stays far below the minute', async () => {
    const spent: Record<number, number> = {};
    for (const count of [100, 1000, 10_000]) {
      await asSuperuser(server, `truncate ${[...SUPER_TABLES, 'audit.log', 'audit.checkpoint'].join(', ')}`);
      await asSuperuser(
        server,
        `with l as (insert into audit.log (tenant_id, origin)
           select u, '${PREFIX}' || replace(u::text, '-', '') || '/1' from (select gen_random_uuid() as u from generate_series(1, ${count})) t
           returning tenant_id, origin)
         insert into audit.checkpoint (tenant_id, generation, size, root, note)
         select tenant_id, 1, 7, sha256(''), origin || E'\\n7\\n' || encode(sha256(''), 'base64') || E'\\n\\n\\u2014 x y\\n' from l`,
      );
      await signer.close();
      rmSync(folder, { recursive: true, force: true });
      folder = mkdtempSync(join(tmpdir(), 'ax-signer-'));
      signer = createSigner({ journalDirectory: folder, keys: memoryKeys(privateKey), originPrefix: PREFIX });
      const log = superLog();
      await epochOf(log);
      const began = performance.now();
      await epochOf(log);
      spent[count] = Math.round(performance.now() - began);
    }
    process.stdout.write(`one epoch, milliseconds by tenants: ${JSON.stringify(spent)}\n`);
    expect(spent[10_000]).toBeLessThan(MINUTE_MS / 6);
  });
});
