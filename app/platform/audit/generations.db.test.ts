import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { openDatabase, type Database } from '@auditrax/tenancy';
import {
  appendLeaves,
  consistencyProof,
  edgeRoot,
  EMPTY_EDGE,
  followRotationWith,
  formatAddCheckpoint,
  formatCheckpointText,
  inclusionProof,
  leafHash,
  nodePrimitives,
  parseNote,
  parseVerifierKey,
  verifySuccessionWith,
  type VerifierKey,
} from '@auditrax/tlog';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestDatabase, type TestDatabase, type TestRole } from '../db/testing.ts';
import { openGenerations } from './generations.ts';
import { OVERLAP_ENTRIES_MIN } from './signer-contract.ts';
import { guardError, recordAudit, type KeyChangeProof } from './index.ts';
import { allLogs, EVERY_TENANT, LEDGER_FUNCTIONS, latestCheckpoint } from './ledger-queries.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { createTileStore, findLog, type Log } from './log-store.ts';
import type { LogKeys } from './signer-keys.ts';
import { createSigner, type Signer } from './signer.ts';
import { memoryKeys } from './testing/log-keys.ts';
import { SUPER_TABLES } from './super-queries.ts';
import { asSuperuser } from './testing.ts';

const PREFIX = 'test.example/log/';
const TENANT = uuidV4(systemRandom);
const OTHER = uuidV4(systemRandom);
const REASON = 'the disk of the database was lost; the backup of last night was put back';
const LOG_TABLES = ['entry', 'pending', 'log', 'log_index', 'log_tile', 'log_head', 'checkpoint'];
const LEDGER_TABLES = [...LOG_TABLES.slice(1), 'beat'].map((name) => `audit.${name}`);
const { privateKey } = generateKeyPairSync('ed25519');

let server: TestDatabase;
let folder: string;
let logKeys: LogKeys;
let signer: Signer;
let ledger: Ledger;
let doors: Record<'ledger' | 'writer', Database>;

function open(role: TestRole): Database {
  return openDatabase({
    connection: server.connectionFor(role),
    poolSize: 3,
    clock: systemClock,
    onRefusal: async () => undefined,
    systemTables: role === 'ax_ledger' ? [...LEDGER_TABLES, ...SUPER_TABLES, 'platform.placement'] : [],
    functions: role === 'ax_ledger' ? [...LEDGER_FUNCTIONS] : [],
  });
}

/** Outside of the house's own database: copies and renames of it. */
async function onServer(...statements: string[]): Promise<void> {
  const client = new Client({ ...server.connectionFor('superuser'), database: 'postgres' });
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}

function openHouse(): void {
  doors = { ledger: open('ax_ledger'), writer: open('ax_workspace') };
  ledger = createLedger({
    home: doors.ledger.system,
    signer,
    originPrefix: PREFIX,
    onTrouble: () => undefined,
  });
}
async function closeHouse(): Promise<void> {
  await ledger.stop();
  await Promise.all(Object.values(doors).map((database) => database.close()));
}
/** Stops the house, does something to its database, opens the house again without starting its ledger. */
async function standingStill(...statements: string[]): Promise<void> {
  await closeHouse();
  await onServer(...statements);
  openHouse();
}

beforeAll(async () => {
  server = await startTestDatabase();
  await asSuperuser(
    server,
    `set role ax_owner;
     create table app.test_thing (tenant_id uuid not null, id uuid not null, primary key (tenant_id, id));
     select platform.protect_tenant_table('app.test_thing');
     select audit.guard_table('app.test_thing', 'thing');
     grant select, insert on app.test_thing to ax_workspace;
     insert into platform.tenant (id, part, kind, slug, display_name)
     values ('${TENANT}', 7, 'sample', 'one', 'One'), ('${OTHER}', 8, 'sample', 'two', 'Two')`,
  );
});
afterAll(() => server.stop());
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ax-signer-'));
  logKeys = memoryKeys(privateKey);
  signer = createSigner({ journalDirectory: folder, keys: logKeys, originPrefix: PREFIX });
  const tables = [...LOG_TABLES.map((name) => `audit.${name}`), 'audit.disclosure', ...SUPER_TABLES];
  await asSuperuser(server, `truncate ${tables.join(', ')}`);
  await asSuperuser(server, `update audit.beat set beat = '-infinity'`);
  openHouse();
  await start();
});
afterEach(async () => {
  await closeHouse();
  await signer.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Until the first heartbeat: writers are refused before it. */
async function running(): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await isFresh())) {
    if (performance.now() > end) throw new Error('the log does not run');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
async function start(): Promise<void> {
  await ledger.start();
  await running();
}

/** A row with its entry, each in a checkpoint of its own; the place it got. */
async function write(count: number, tenantId: Uuid = TENANT): Promise<{ index: number; size: number }[]> {
  const receipts = [];
  for (let at = 0; at < count; at += 1) {
    const context = { tenantId, tenantPart: 1, requestId: 'r-1' };
    const { entryId } = await doors.writer.tenant.transaction(context, async (tx) => {
      const id = uuidV4(systemRandom);
      await tx.query({ sql: 'insert into app.test_thing (tenant_id, id) values ($1, $2)', parameters: [tenantId, id] });
      const resource = ['thing', id] as const;
      const actor = { personId: OTHER };
      return recordAudit(tx, { type: 'thing.made', actor, resource, requestId: 'r-1', outcome: 'allowed' });
    });
    receipts.push(await ledger.receipt({ tenantId, entryId, waitMs: 4_000 }));
  }
  return receipts;
}

const logOf = async (tenantId: Uuid = TENANT): Promise<Log> => (await findLog(doors.ledger.system, tenantId))!;
const readerOf = (log: Log) => createTileStore(doors.ledger.system).readerFor(log);
const noteOf = async (log: Log): Promise<string> => (await doors.ledger.system.system(latestCheckpoint(log)))[0]!.note;
const keys = async (): Promise<VerifierKey[]> =>
  Promise.all((await ledger.verifierKeys()).map(async (one) => (await parseVerifierKey(one.verifierKey))!));
const isFresh = async (): Promise<boolean> =>
  (
    await asSuperuser<{ fresh: boolean }>(
      server,
      'select beat >= clock_timestamp() - audit.beat_age_max() as fresh from audit.beat',
    )
  )[0]!.fresh;
const count = async (table: string): Promise<number> =>
  Number((await asSuperuser<{ n: string }>(server, `select count(*) as n from ${table}`))[0]!.n);

async function openingOf(log: Log): Promise<Buffer> {
  const [row] = await asSuperuser<{ leaf: Buffer }>(
    server,
    `select e.leaf from audit.log_index i join audit.entry e on e.tenant_id = i.tenant_id and e.id = i.entry_id
     where i.tenant_id = $1 and i.generation = $2 and i.idx = 0`,
    [log.tenantId, log.generation],
  );
  return row!.leaf;
}

/** What somebody outside does who holds a note of the generation before. */
async function succeed(held: string, consistency: readonly Uint8Array[] = []) {
  const log = await logOf();
  const proof = await inclusionProof({ index: 0, size: log.size }, readerOf(log));
  const input = { note: await noteOf(log), leaf: await openingOf(log), proof, held, consistency };
  return verifySuccessionWith(nodePrimitives, await keys(), input);
}

const COPY = ['create database earlier template auditrax'];
const PUT_BACK = ['alter database auditrax rename to later', 'alter database earlier rename to auditrax'];
const UNDO = ['drop database if exists later', 'drop database if exists earlier'];

describe('a restored database', () => {
  afterEach(() => onServer(...UNDO));

  it('A40: is refused first, then goes on as a new generation whose signed opening states the gap', async () => {
    await write(3);
    const early = await noteOf(await logOf());
    await write(2);
    const kept = await noteOf(await logOf());
    const first = await logOf();
    await ledger.superLog.runEpoch();
    await standingStill(...COPY);
    await start();
    await write(2);
    const inGap = await noteOf(await logOf());
    const toGap = await consistencyProof({ from: 5, to: 7 }, readerOf(await logOf()));
    await ledger.superLog.runEpoch();
    await ledger.superLog.runEpoch();
    await write(2);

    await standingStill(...PUT_BACK);
    const refusal = await ledger.start().catch((error: unknown) => error as Error & { code: string });
    expect(refusal).toMatchObject({ code: 'audit_log_behind_signer' });
    expect((refusal as Error).message).toMatch(/5 entries, 9 were signed.*log-keys new-generation --reason/);
    await expect(ledger.superLog.runEpoch()).rejects.toMatchObject({ code: 'audit_log_behind_signer' });
    while (await isFresh()) await new Promise((resolve) => setTimeout(resolve, 50));
    const things = await count('app.test_thing');
    const refused = await write(1).catch((error: unknown) => guardError(error) ?? error);
    expect(refused).toMatchObject({ code: 'audit_log_down' });
    expect([await count('app.test_thing'), (await logOf()).size]).toEqual([things, 5]);

    const { opened, troubles } = await ledger.newGeneration({ reason: REASON });
    expect(troubles).toEqual([]);
    expect(opened.map(({ keptSize, signedSize }) => [keptSize, signedSize])).toEqual([
      [5, 9],
      [1, 3],
    ]);
    await start();
    expect(await write(2)).toMatchObject([{ index: 1 }, { index: 2 }]);

    const expected = {
      ok: true,
      lost: { from: 5, to: 9 },
      generation: { reason: REASON, previousOrigin: first.origin },
    };
    const toKept = await consistencyProof({ from: 3, to: 5 }, readerOf(first));
    expect(await succeed(kept)).toMatchObject(expected);
    expect(await succeed(early, toKept)).toMatchObject(expected);
    expect(await succeed(inGap, toGap)).toMatchObject(expected);
    expect(await succeed(early)).toMatchObject({ ok: false, reason: 'fork' });

    // The super-log too, and no epoch gets a number that was given before.
    const head = await ledger.superLog.runEpoch();
    expect(head).toMatchObject({ origin: `${PREFIX}super/2`, size: 3 });
    const epochs = await asSuperuser<{ epoch: string; generation: number }>(
      server,
      'select epoch, generation from audit.super_epoch order by epoch',
    );
    expect(epochs.map(({ epoch, generation }) => [Number(epoch), generation])).toEqual([
      [0, 1],
      [3, 2],
      [4, 2],
      [5, 2],
    ]);
    const entries = await ledger.verifierKeys();
    expect(entries.map(({ origin, generation, size }) => [origin, generation, size])).toEqual([
      [`${PREFIX}super/1`, 1, 1],
      [`${PREFIX}super/2`, 2, 3],
      [first.origin, 1, 5],
      [first.origin.replace(/1$/, '2'), 2, 3],
    ]);

    // And if the lost database turns up after all: two histories do not both go on.
    await standingStill('alter database auditrax rename to earlier', 'alter database later rename to auditrax');
    await expect(ledger.start()).rejects.toMatchObject({ code: 'audit_log_behind_signer' });
    expect((await logOf()).size).toBe(9);
  });

  it('A41: one from before an earlier opening follows on what the signer knows, and keeps no number twice', async () => {
    await write(2);
    await standingStill(...COPY);
    await start();
    await write(1);
    await ledger.newGeneration({ reason: 'keys were seen elsewhere', tenantId: TENANT });
    await running();
    await write(1);
    expect(await logOf()).toMatchObject({ generation: 2, size: 2 });
    await standingStill(...PUT_BACK);
    await expect(ledger.start()).rejects.toMatchObject({ code: 'audit_log_behind_signer' });
    const { opened } = await ledger.newGeneration({ reason: REASON });
    expect(opened).toMatchObject([{ keptSize: 0, signedSize: 2 }]);
    expect(opened[0]!.previousOrigin).toMatch(/\/2$/);
    await start();
    await write(1);
    expect(await logOf()).toMatchObject({ generation: 3, size: 2 });
  });
});

describe('a new generation', () => {
  it('A42: of a rewritten log keeps what was signed, and gives the other entries a new place', async () => {
    await write(5);
    const held = await noteOf(await logOf());
    await closeHouse();
    const hashes = (
      await asSuperuser<{ leaf_hash: Buffer }>(server, 'select leaf_hash from audit.log_index order by idx')
    ).map((row) => row.leaf_hash);
    hashes[3] = Buffer.from(leafHash(Buffer.from('another')));
    await asSuperuser(server, 'update audit.log_index set leaf_hash = $1 where idx = 3', [hashes[3]]);
    await asSuperuser(server, 'update audit.log_head set root = $1', [edgeRoot(appendLeaves(EMPTY_EDGE, hashes).edge)]);
    openHouse();
    await expect(ledger.start()).rejects.toMatchObject({ code: 'audit_log_behind_signer' });
    const { opened } = await ledger.newGeneration({ reason: 'rewritten below the tree' });
    expect(opened).toMatchObject([{ keptSize: 3, signedSize: 5 }]);
    await running();
    expect(await write(1)).toMatchObject([{ index: 3 }]);
    expect(await count('audit.log_index')).toBe(3 + 4);
    // Whoever holds the five that were signed sees that they do not go on from the three, unless shown that they do.
    expect(await succeed(held)).toMatchObject({ ok: false, reason: 'fork' });
  });

  it('A43: after a compromise loses nothing and concerns that log alone, while the house runs', async () => {
    await write(2);
    await write(2, OTHER);
    const held = await noteOf(await logOf());
    expect((await ledger.newGeneration({ reason: 'nothing is behind' })).opened).toEqual([]);
    const { opened } = await ledger.newGeneration({ reason: 'compromise', tenantId: TENANT });
    expect(opened).toMatchObject([{ keptSize: 2, signedSize: 2 }]);
    await running();
    expect(await write(1)).toMatchObject([{ index: 1 }]);
    expect(await write(1, OTHER)).toMatchObject([{ index: 2 }]);
    expect(await succeed(held)).toMatchObject({ ok: true, lost: { from: 2, to: 2 } });
    await expect(ledger.newGeneration({ reason: 'x', tenantId: uuidV4(systemRandom) })).rejects.toMatchObject({
      code: 'audit_entry_unknown',
    });
    for (const reason of ['', 'x'.repeat(201), 'two\nlines'])
      await expect(ledger.newGeneration({ reason })).rejects.toMatchObject({ code: 'audit_input_invalid' });
  });

  it('A44: is signed after a crash between its commit and its signature, and ends the one before for good', async () => {
    await write(2);
    await ledger.stop();
    const first = await logOf();
    const rows = await doors.ledger.system.system(allLogs(EVERY_TENANT));
    const deps = { signer, clock: systemClock, random: systemRandom, reason: REASON, behindOnly: false };
    await openGenerations(doors.ledger.system, rows, deps);
    expect((await signer.state(first.origin.replace(/1$/, '2'))).size).toBe(0);
    await start();
    expect((await signer.state(first.origin.replace(/1$/, '2'))).size).toBe(1);
    const again = formatAddCheckpoint({ oldSize: 2, proof: [], checkpoint: formatCheckpointText(first) });
    expect(await signer.addCheckpoint(again)).toMatchObject({ ok: false, reason: 'superseded' });
    expect(await write(1)).toMatchObject([{ index: 1 }]);
  });

  it('A45: is the only entry that the ledger can write or read', async () => {
    await write(2);
    const log = await logOf();
    const id = uuidV4(systemRandom);
    const good = {
      id,
      v: 1,
      time: 1,
      type: 'log.generation.opened',
      actor: ['service', 'ledger'],
      resource: ['log', TENANT],
      outcome: 'allowed',
      public: { previousOrigin: log.origin, keptSize: 2, keptRoot: Buffer.from(log.root).toString('base64') },
    };
    const put = (leaf: object) =>
      doors.ledger.system.system({
        sql: 'select g.log_origin from audit.open_generation($1, $2) g',
        parameters: [TENANT, Buffer.from(JSON.stringify(leaf))],
      });
    for (const bad of [
      { ...good, type: 'thing.made' },
      { ...good, actor: ['person', OTHER] },
      { ...good, resource: ['log', OTHER] },
      { ...good, public: { ...good.public, keptSize: 3 } },
      { ...good, public: { ...good.public, previousOrigin: `${PREFIX}ffff/1` } },
      { ...good, public: { ...good.public, previousOrigin: 'none' } },
      { ...good, public: {} },
    ])
      await expect(put(bad), JSON.stringify(bad)).rejects.toThrow();
    expect(await count('audit.entry')).toBe(2);
    const read = { sql: 'select audit.log_opening($1, $2) as leaf', parameters: [TENANT, 1] };
    expect(await doors.ledger.system.system(read)).toEqual([{ leaf: null }]);
    await expect(doors.ledger.system.system({ sql: 'select leaf from audit.entry', parameters: [] })).rejects.toThrow();
  });
});

describe('a change of the key', () => {
  const ORDER = { reason: 'the yearly change, ticket 4711', overlap: OVERLAP_ENTRIES_MIN };
  const signaturesOf = (note: string): string[] => parseNote(note)!.signatures.map(({ id }) => id);
  const idOf = (verifierKey: string): string => verifierKey.split('+')[1]!;
  const keyOf = async (text: string): Promise<VerifierKey> => (await parseVerifierKey(text))!;
  const termsOf = async (origin: string) => (await signer.state(origin)).terms;

  /** From a key that somebody holds to the one that follows, by what the ledger tells. */
  async function followed(tenantId: Uuid | null, held: string) {
    const { body } = (await ledger.routes.handlers.keyChanges!({ body: { tenantId } } as never)) as {
      body: { changes: KeyChangeProof[] };
    };
    const changes = body.changes.map(({ note, leaf, index, proof }) => ({
      note,
      index,
      leaf: Buffer.from(leaf, 'base64'),
      proof: proof.map((hash) => Buffer.from(hash, 'base64')),
    }));
    const trusted = [await keyOf(held)];
    return Promise.all(changes.map((change) => followRotationWith(nodePrimitives, trusted, change)));
  }

  it('A47: an entry in every log names it; both sign during the overlap, whoever trusts either one finds the other', async () => {
    await write(2);
    await write(1, OTHER);
    const [own, other] = [await logOf(), await logOf(OTHER)];
    const { origin: superOrigin } = await ledger.superLog.runEpoch();
    const [old] = await termsOf(own.origin);
    const told = await ledger.changeKey(ORDER);
    expect(told).toMatchObject({ isResumed: false, troubles: [] });
    expect(told.changed.map(({ origin }) => origin).toSorted()).toEqual(
      [superOrigin, own.origin, other.origin].toSorted(),
    );
    await write(1);
    const terms = await termsOf(own.origin);
    const newKey = terms[1]!.verifierKey;
    expect(terms).toEqual([
      { verifierKey: old!.verifierKey, from: 0, until: 3 + OVERLAP_ENTRIES_MIN },
      { verifierKey: newKey, from: 2, until: null },
    ]);
    expect(signaturesOf(await noteOf(await logOf()))).toEqual([idOf(old!.verifierKey), idOf(newKey)]);
    for (const held of [old!.verifierKey, newKey])
      expect(await followed(TENANT, held)).toMatchObject([{ newKey: { text: newKey }, index: 2 }]);
    await ledger.superLog.runEpoch();
    const superKeys = (await termsOf(superOrigin)).map(({ verifierKey }) => verifierKey);
    expect(await followed(null, superKeys[0]!)).toMatchObject([{ newKey: { text: superKeys[1] } }]);
    expect(logKeys.privateKey(1)).toBeDefined();
    expect(await ledger.verifierKeys()).toHaveLength(6);
  });

  it('A48: cut off between the entry and the handover, the next start, or the same order, finishes it', async () => {
    await write(1);
    await ledger.superLog.runEpoch();
    const { origin } = await logOf();
    const handOver = signer.handOver;
    signer.handOver = () => Promise.reject(new Error('the ledger ended here'));
    const told = await ledger.changeKey(ORDER);
    expect(told.troubles).toMatchObject([{ cell: 'super' }, { cell: 'home', why: 'the ledger ended here' }]);
    expect(await termsOf(origin)).toHaveLength(1);
    signer.handOver = handOver;
    await standingStill();
    await start();
    expect(await termsOf(origin)).toHaveLength(2);
    const again = await ledger.changeKey(ORDER);
    expect(again).toMatchObject({ isResumed: true, troubles: [] });
    expect(again.changed.every((one) => one.origin !== origin)).toBe(true);
    expect(logKeys.newest()).toBe(2);
  });

  it('A49: the old key signs nothing after the overlap, and is destroyed when the last log has left it', async () => {
    await write(1);
    await ledger.superLog.runEpoch();
    await ledger.changeKey(ORDER);
    await write(1, OTHER); // its log began under the new key
    expect(await termsOf((await logOf(OTHER)).origin)).toHaveLength(1);
    await asSuperuser(
      server,
      `insert into audit.entry (tenant_id, id, leaf) select '${TENANT}', g.id, convert_to(jsonb_build_object(
         'id', g.id, 'v', 1, 'time', 1, 'type', 'thing.made', 'actor', jsonb_build_array('service', 'workspace'),
         'resource', jsonb_build_array('thing', g.id), 'outcome', 'allowed', 'request', 'r')::text, 'UTF8')
       from (select gen_random_uuid() as id from generate_series(1, ${OVERLAP_ENTRIES_MIN})) g`,
    );
    const { size } = (await write(1)).at(-1)!;
    expect(size).toBeGreaterThan(2 + OVERLAP_ENTRIES_MIN);
    const [, term] = await termsOf((await logOf()).origin);
    expect(signaturesOf(await noteOf(await logOf()))).toEqual([idOf(term!.verifierKey)]);
    expect(await signer.retireKeys()).toEqual([]); // the super-log is slow
    expect(logKeys.privateKey(1)).toBeDefined();
    await ledger.newGeneration({ reason: 'the old key was seen elsewhere', isNewKey: true });
    expect([1, 2, 3].map((number) => logKeys.privateKey(number) !== undefined)).toEqual([false, false, true]);
    await running();
    await write(1);
    expect(await termsOf((await logOf()).origin)).toHaveLength(1);
    expect((await logOf()).generation).toBe(2);
  });

  it('a bad order is refused before a key is made', async () => {
    for (const order of [
      { reason: '' },
      { reason: 'two\nlines' },
      { reason: 'x', overlap: OVERLAP_ENTRIES_MIN - 1 },
      { reason: 'x', overlap: 1.5 },
    ])
      await expect(ledger.changeKey(order), JSON.stringify(order)).rejects.toMatchObject({
        code: 'audit_input_invalid',
      });
    await expect(ledger.newGeneration({ reason: 'x', tenantId: TENANT, isNewKey: true })).rejects.toMatchObject({
      code: 'audit_input_invalid',
    });
    expect(logKeys.newest()).toBe(1);
  });
});
