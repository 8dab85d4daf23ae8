import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { openDatabase, type Database, type ScopedTransaction, type TenantContext } from '@auditrax/tenancy';
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  openCheckpoint,
  parseVerifierKey,
  verifyConsistency,
  verifyInclusion,
} from '@auditrax/tlog';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestDatabase, type TestDatabase, type TestRole } from '../db/testing.ts';
import {
  attemptRecorder,
  createRecorder,
  guardError,
  observationRecorder,
  readFeed,
  recordAudit,
  recordMint,
  reconcileMints,
  withGuardErrors,
  type AuditInput,
} from './index.ts';
import { LEDGER_FUNCTIONS } from './ledger-queries.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { createSequencer, type Sequencer } from './sequencer.ts';
import { createSigner, type Signer } from './signer.ts';
import { memoryKeys } from './testing/log-keys.ts';
import { findLog, createTileStore } from './log-store.ts';
import { asSuperuser, setBeat } from './testing.ts';

const SYSTEM_TABLES = [
  'entry',
  'log',
  'log_index',
  'log_tile',
  'log_head',
  'checkpoint',
  'beat',
  'pending',
  'mint',
].map((name) => `audit.${name}`);
const PLACEMENT = 'platform.placement';
const PREFIX = 'test.example/log/';
const TENANT = uuidV4(systemRandom);
const OTHER = uuidV4(systemRandom);
const OPERATOR = uuidV4(systemRandom);
const context: TenantContext = { tenantId: TENANT, tenantPart: 7, requestId: 'r-1' };
const { privateKey } = generateKeyPairSync('ed25519');

let database: TestDatabase;
let workspace: Database;
let ledgerDb: Database;
let sentinel: Database;
let issuer: Database;
let folder: string;
let signer: Signer;

function open(role: TestRole): Database {
  return openDatabase({
    connection: database.connectionFor(role),
    poolSize: 4,
    clock: systemClock,
    onRefusal: async () => undefined,
    systemTables: [...SYSTEM_TABLES, PLACEMENT],
    functions: ['audit.append_observation', ...LEDGER_FUNCTIONS],
  });
}

function entryFor(id: Uuid, more: Partial<AuditInput> = {}): AuditInput {
  return {
    type: 'thing.changed',
    actor: { personId: TENANT },
    resource: ['thing', id],
    outcome: 'allowed',
    requestId: 'r-1',
    ...more,
  };
}

const insertThing = (id: Uuid) => ({
  sql: 'insert into app.test_thing (tenant_id, id, n) values ($1, $2, 1)',
  parameters: [TENANT, id],
});
const updateThing = (id: Uuid) => ({
  sql: 'update app.test_thing set n = n + 1 where tenant_id = $1 and id = $2',
  parameters: [TENANT, id],
});
const deleteThing = (id: Uuid) => ({
  sql: 'delete from app.test_thing where tenant_id = $1 and id = $2',
  parameters: [TENANT, id],
});

beforeAll(async () => {
  database = await startTestDatabase();
  await asSuperuser(
    database,
    `set role ax_owner;
     create table app.test_thing (tenant_id uuid not null, id uuid not null, n int, primary key (tenant_id, id));
     select platform.protect_tenant_table('app.test_thing');
     select audit.guard_table('app.test_thing', 'thing');
     grant select, insert, update, delete on app.test_thing to ax_workspace;
     insert into platform.tenant (id, part, kind, slug, display_name) values
       ('${TENANT}', 7, 'sample', 'one', 'One'), ('${OTHER}', 8, 'sample', 'two', 'Two'), ('${OPERATOR}', 9, 'operator', 'operator', 'Operator')`,
  );
  workspace = open('ax_workspace');
  ledgerDb = open('ax_ledger');
  sentinel = open('ax_sentinel');
  issuer = open('ax_issuer');
});

afterAll(async () => {
  await Promise.all([workspace, ledgerDb, sentinel, issuer].map((db) => db?.close()));
  await database?.stop();
});

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ax-signer-'));
  signer = createSigner({ journalDirectory: folder, keys: memoryKeys(privateKey), originPrefix: PREFIX });
  await asSuperuser(
    database,
    `set session_replication_role = replica;
     truncate audit.entry, audit.disclosure, audit.pending, audit.log, audit.log_index, audit.log_tile, audit.log_head, audit.checkpoint, audit.mint, app.test_thing cascade`,
  );
  await setBeat(database, 'running');
  return async () => {
    await signer.close();
    rmSync(folder, { recursive: true, force: true });
  };
});

function sequencer(using: Pick<Signer, 'addCheckpoint' | 'state'> = signer): Sequencer {
  return createSequencer({ door: ledgerDb.system, signer: using, originPrefix: PREFIX });
}

async function commit(id: Uuid, more: Partial<AuditInput> = {}): Promise<Uuid> {
  return workspace.tenant.transaction(context, async (tx) => {
    await tx.query(insertThing(id));
    return (await recordAudit(tx, entryFor(id, more))).entryId;
  });
}

async function expectRefused(work: (tx: ScopedTransaction) => Promise<unknown>, code: string): Promise<void> {
  const error = await workspace.tenant.transaction(context, work).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(guardError(error)?.code).toBe(code);
}

describe('A1: a privileged row commits with its entry or not at all', () => {
  it('refuses insert, update and delete without an entry, and accepts each with one', async () => {
    const id = uuidV4(systemRandom);
    await expectRefused((tx) => tx.query(insertThing(id)), 'audit_unlogged_commit');
    await commit(id);
    await expectRefused((tx) => tx.query(updateThing(id)), 'audit_unlogged_commit');
    await expectRefused((tx) => tx.query(deleteThing(id)), 'audit_unlogged_commit');
    const [row] = await workspace.tenant.scoped<{ n: number }>(context, {
      sql: 'select n from app.test_thing where tenant_id = $1 and id = $2',
      parameters: [TENANT, id],
    });
    expect(row?.n).toBe(1);
    for (const statement of [updateThing(id), deleteThing(id)]) {
      await workspace.tenant.transaction(context, async (tx) => {
        await recordAudit(tx, entryFor(id));
        await tx.query(statement);
      });
    }
  });

  it('wants an entry about this very row, of this kind, of this transaction', async () => {
    const id = uuidV4(systemRandom);
    await commit(id);
    await expectRefused((tx) => tx.query(updateThing(id)), 'audit_unlogged_commit'); // the earlier entry does not count
    await expectRefused(async (tx) => {
      await tx.query(updateThing(id));
      await recordAudit(tx, entryFor(uuidV4(systemRandom)));
    }, 'audit_unlogged_commit');
    await expectRefused(async (tx) => {
      await tx.query(updateThing(id));
      await recordAudit(tx, { ...entryFor(id), resource: ['other', id] });
    }, 'audit_unlogged_commit');
  });

  it('leaves neither row nor entry behind when the transaction fails', async () => {
    const id = uuidV4(systemRandom);
    await expect(
      workspace.tenant.transaction(context, async (tx) => {
        await tx.query(insertThing(id));
        await recordAudit(tx, entryFor(id));
        throw new Error('changed my mind');
      }),
    ).rejects.toThrow('changed my mind');
    expect(await asSuperuser(database, 'select 1 from audit.entry union all select 1 from audit.pending')).toEqual([]);
  });
});

describe('A2: fail closed', () => {
  it('refuses a logged change while the heartbeat is old, accepts it again after', async () => {
    const id = uuidV4(systemRandom);
    await setBeat(database, 'stopped');
    const door = withGuardErrors(workspace.tenant);
    await expect(
      door.transaction(context, async (tx) => {
        await tx.query(insertThing(id));
        await recordAudit(tx, entryFor(id));
      }),
    ).rejects.toMatchObject({ code: 'audit_log_down' });
    await asSuperuser(database, `update audit.beat set beat = now() - interval '3 seconds'`);
    await expect(commit(id)).rejects.toMatchObject({ code: 'database_rule', sqlState: 'AX102' });
    await asSuperuser(database, 'update audit.beat set beat = now()');
    await commit(id);
  });

  it('still writes a denied attempt while the log is away, and says that nobody sees it: evidence does not wait', async () => {
    await setBeat(database, 'stopped');
    const attempt = attemptRecorder(workspace.tenant).record(context, {
      ...entryFor(TENANT),
      type: 'tenant.attempt.refused',
      outcome: 'denied',
      requestId: 'r-unseen',
      public: { layer: 'guard' },
    });
    await expect(attempt).rejects.toMatchObject({ code: 'audit_log_down' });
    const kept = await asSuperuser(
      database,
      `select 1 from audit.pending p join audit.entry e on e.id = p.entry_id
       where convert_from(e.leaf, 'UTF8')::jsonb ->> 'request' = 'r-unseen'`,
    );
    expect(kept).toHaveLength(1);
  });
});

describe('A3: the writers cannot reach around it', () => {
  const forbidden = [
    `insert into audit.entry (tenant_id, id, leaf, xid) values ('${TENANT}', '${TENANT}', '{}', '1')`,
    `insert into audit.entry (tenant_id, id, leaf, writer) values ('${TENANT}', '${TENANT}', '{}', 'ax_issuer')`,
    `update audit.entry set leaf = '{}'`,
    'delete from audit.entry',
    'truncate audit.entry',
    'delete from audit.pending',
    `insert into audit.pending (tenant_id, entry_id, leaf_hash) values ('${TENANT}', '${TENANT}', '\\x00')`,
    `update audit.beat set beat = now()`,
    'alter table app.test_thing disable trigger audit_guard_update',
    'set session_replication_role = replica',
    `select audit.append_observation('{}')`,
    `select audit.guard_table('app.test_thing', 'x')`,
    'delete from audit.disclosure',
    `insert into audit.mint (token_hash, tenant_id, person_id, session_id, expires_at) values ('x', '${TENANT}', '${TENANT}', '${TENANT}', now())`,
  ];
  it.each(forbidden)('ax_workspace may not: %s', async (statement) => {
    const { Client } = await import('pg');
    const client = new Client(database.connectionFor('ax_workspace'));
    await client.connect();
    try {
      await expect(client.query(statement)).rejects.toMatchObject({ code: '42501' });
    } finally {
      await client.end();
    }
  });

  it('a leaf that names another id, or is no JSON, is refused by the server', async () => {
    const bad = (leaf: string) =>
      workspace.tenant.scoped(context, {
        sql: 'insert into audit.entry (tenant_id, id, leaf) values ($1, $2, $3)',
        parameters: [TENANT, uuidV4(systemRandom), Buffer.from(leaf)],
      });
    await expect(
      bad(`{"id":"${TENANT}","time":1,"type":"a.b","resource":["thing","${TENANT}"],"outcome":"allowed"}`),
    ).rejects.toMatchObject({ code: 'database_check' });
    await expect(bad('no json')).rejects.toMatchObject({ code: 'database_input_invalid' });
  });

  it('a tenant sees its own entries only; ax_ledger sees no leaf', async () => {
    await commit(uuidV4(systemRandom));
    const foreign = { ...context, tenantId: OTHER };
    expect(
      await workspace.tenant.scoped(foreign, {
        sql: 'select id from audit.entry where tenant_id = $1',
        parameters: [OTHER],
      }),
    ).toEqual([]);
    await expect(ledgerDb.system.system({ sql: 'select leaf from audit.entry', parameters: [] })).rejects.toMatchObject(
      { code: 'tenant_grant_refused' },
    );
  });
});

describe('A4: the sequencer', () => {
  it('has no gap and no double under concurrent writers', async () => {
    const WRITERS = 6;
    const EACH = 25;
    const one = sequencer();
    const writers = Array.from({ length: WRITERS }, async () => {
      for (let n = 0; n < EACH; n += 1) await commit(uuidV4(systemRandom));
    });
    const state = { writing: true };
    const finished = Promise.all(writers).then(() => (state.writing = false));
    const seen: { index: number; entryId: string }[] = [];
    while (state.writing || (await one.waiting())) seen.push(...(await one.sequenceBatch()));
    await finished;
    expect(seen.map((entry) => entry.index).sort((a, b) => a - b)).toEqual(
      Array.from({ length: WRITERS * EACH }, (_, at) => at),
    );
    expect(new Set(seen.map((entry) => entry.entryId)).size).toBe(WRITERS * EACH);
    const rows = await asSuperuser<{ ok: boolean }>(
      database,
      'select bool_and(e.leaf_hash = i.leaf_hash) as ok from audit.log_index i join audit.entry e on e.id = i.entry_id',
    );
    expect(rows[0]?.ok).toBe(true);
  });

  it('two sequencers at once cannot both extend a tree', async () => {
    const pair = [sequencer(), sequencer()];
    const refused: unknown[] = [];
    for (let round = 0; round < 8; round += 1) {
      await Promise.all([commit(uuidV4(systemRandom)), commit(uuidV4(systemRandom))]);
      await Promise.all(
        pair.map((one) => one.sequenceBatch().catch((error: { code: string }) => refused.push(error.code))),
      );
    }
    expect(
      refused.every((code) =>
        ['audit_head_moved', 'audit_log_behind_signer', 'database_unique'].includes(code as string),
      ),
    ).toBe(true);
    const last = sequencer();
    await last.recover();
    while (await last.waiting()) await last.sequenceBatch();
    const [row] = await asSuperuser<{ n: string; top: string; size: string }>(
      database,
      'select count(*) as n, max(idx) + 1 as top, (select size from audit.log_head) as size from audit.log_index',
    );
    expect(row).toEqual({ n: '16', top: '16', size: '16' });
  });

  it('every entry verifies against the signed checkpoint, and old checkpoints stay prefixes, over full tiles', async () => {
    const s = sequencer();
    await asSuperuser(database, bulkEntries(600));
    expect(await s.sequenceBatch()).toHaveLength(600);
    await asSuperuser(database, bulkEntries(100));
    await s.sequenceBatch();
    const log = (await findLog(ledgerDb.system, TENANT))!;
    expect(log.size).toBe(700);
    const reader = createTileStore(ledgerDb.system).readerFor(log);
    const notes = await asSuperuser<{ size: string; root: Buffer; note: string }>(
      database,
      'select size, root, note from audit.checkpoint order by size',
    );
    expect(notes.map((row) => Number(row.size))).toEqual([600, 700]);
    const key = (await parseVerifierKey((await signer.state(log.origin)).verifierKey))!;
    for (const row of notes)
      expect(await openCheckpoint(row.note, [key])).toMatchObject({ ok: true, checkpoint: { size: Number(row.size) } });
    const leaves = await asSuperuser<{ idx: string; leaf: Buffer }>(
      database,
      'select i.idx, e.leaf from audit.log_index i join audit.entry e on e.id = i.entry_id order by idx',
    );
    for (const { idx, leaf } of leaves.filter((_, at) => at % 37 === 0)) {
      const proof = await inclusionProof({ index: Number(idx), size: 700 }, reader);
      expect(
        await verifyInclusion({ index: Number(idx), size: 700, leafHash: leafHash(leaf), proof, root: log.root }),
      ).toBe(true);
    }
    const proof = await consistencyProof({ from: 600, to: 700 }, reader);
    expect(
      await verifyConsistency({ size1: 600, size2: 700, root1: notes[0]!.root, root2: notes[1]!.root, proof }),
    ).toBe(true);
  });

  it('survives a crash between commit and signature, and between signature and publication', async () => {
    await commit(uuidV4(systemRandom));
    const dead = {
      ...signer,
      addCheckpoint: async () => {
        throw new Error('killed before signing');
      },
    };
    await expect(sequencer(dead).sequenceBatch()).rejects.toThrow('killed before signing');
    expect(await asSuperuser(database, 'select 1 from audit.checkpoint')).toEqual([]);
    await sequencer().recover();
    expect(await asSuperuser(database, 'select 1 from audit.checkpoint')).toHaveLength(1);

    await commit(uuidV4(systemRandom));
    const lost = {
      ...signer,
      addCheckpoint: async (request: string) => {
        await signer.addCheckpoint(request);
        throw new Error('killed after signing');
      },
    };
    const half = sequencer(lost);
    await expect(half.sequenceBatch()).rejects.toThrow('killed after signing');
    await sequencer().recover();
    expect(await asSuperuser(database, 'select 1 from audit.checkpoint')).toHaveLength(2);
  });

  it('goes on after a lost reply without being restarted', async () => {
    let lose = true;
    const flaky = {
      ...signer,
      addCheckpoint: async (request: string) => {
        const verdict = await signer.addCheckpoint(request);
        if (lose) {
          lose = false;
          throw new Error('reply lost');
        }
        return verdict;
      },
    };
    const s = sequencer(flaky);
    await commit(uuidV4(systemRandom));
    await expect(s.sequenceBatch()).rejects.toThrow('reply lost');
    expect(await s.sequenceBatch()).toMatchObject([{ index: 0, size: 1 }]);
  });

  it('A5: refuses to append to a restored or rewritten database', async () => {
    const s = sequencer();
    await commit(uuidV4(systemRandom));
    await s.sequenceBatch();
    await commit(uuidV4(systemRandom));
    await s.sequenceBatch();
    await asSuperuser(
      database,
      'delete from audit.log_index where idx = 1; delete from audit.checkpoint where size = 2',
    );
    await asSuperuser(
      database,
      'update audit.log_head set size = 1, root = (select root from audit.checkpoint where size = 1)',
    );
    await expect(sequencer().recover()).rejects.toMatchObject({ code: 'audit_log_behind_signer' });
    await commit(uuidV4(systemRandom));
    await expect(sequencer().sequenceBatch()).rejects.toMatchObject({ code: 'audit_log_behind_signer' });
  });

  it('A6: notices an edited hash table before it appends', async () => {
    await commit(uuidV4(systemRandom));
    await sequencer().sequenceBatch();
    await asSuperuser(database, `update audit.log_index set leaf_hash = sha256('other')`);
    await expect(sequencer().recover()).rejects.toMatchObject({ code: 'audit_head_corrupt' });
  });
});

describe('A7: receipts', () => {
  let ledger: Ledger;
  const troubles: unknown[] = [];
  beforeEach(() => {
    troubles.length = 0;
    ledger = createLedger({
      home: ledgerDb.system,
      originPrefix: PREFIX,
      signer,
      onTrouble: (error) => troubles.push(error),
    });
    return () => ledger.stop();
  });

  it('come when a signed checkpoint covers the entry; before and after a restart', async () => {
    await ledger.start();
    const entryId = await commit(uuidV4(systemRandom));
    const receipt = await ledger.receipt({ tenantId: TENANT, entryId });
    expect(receipt).toEqual({ index: 0, size: 1 });
    await ledger.stop();
    const again = createLedger({
      home: ledgerDb.system,
      originPrefix: PREFIX,
      signer,
      onTrouble: () => undefined,
    });
    await again.start();
    expect(await again.receipt({ tenantId: TENANT, entryId })).toEqual({ index: 0, size: 1 });
    await expect(again.receipt({ tenantId: TENANT, entryId: uuidV4(systemRandom), waitMs: 50 })).rejects.toMatchObject({
      code: 'audit_receipt_timeout',
    });
    await again.stop();
    expect(troubles).toEqual([]);
  });

  it('keeps the heartbeat within the bound while idle, and lets it grow old when stopped', async () => {
    await setBeat(database, 'stopped');
    await ledger.start();
    await new Promise((resolve) => setTimeout(resolve, 1200));
    const fresh = `select beat >= clock_timestamp() - audit.beat_age_max() as fresh from audit.beat`;
    expect(await asSuperuser(database, fresh)).toEqual([{ fresh: true }]);
    await ledger.stop();
    await new Promise((resolve) => setTimeout(resolve, 2100));
    expect(await asSuperuser(database, fresh)).toEqual([{ fresh: false }]);
  });
});

describe('A8: the sentinel sees, and writes under its own name only', () => {
  it('reads every tenant in one order and appends observations to the operator log', async () => {
    await commit(uuidV4(systemRandom));
    const { entryId } = await observationRecorder(sentinel.system).record({
      type: 'probe.run',
      resource: ['probe', OPERATOR],
      outcome: 'allowed',
      requestId: 'r-2',
      public: { green: true },
    });
    await sequencer().sequenceBatch();
    const feed = await readFeed(sentinel.system, 0);
    expect(feed.map((entry) => entry.tenantId).sort()).toEqual([TENANT, OPERATOR].sort());
    expect(feed.find((entry) => entry.entryId === entryId)?.tenantId).toBe(OPERATOR);
    const forged = Buffer.from(
      JSON.stringify({
        id: uuidV4(systemRandom),
        time: 1,
        type: 'a.b',
        actor: ['person', TENANT],
        resource: ['thing', TENANT],
        outcome: 'allowed',
      }),
    );
    await expect(
      sentinel.system.system({ sql: 'select audit.append_observation($1) as id', parameters: [forged] }),
    ).rejects.toMatchObject({ sqlState: 'AX103' });
    await expect(
      sentinel.system.system({
        sql: 'insert into audit.entry (tenant_id, id, leaf) values ($1, $2, $3)',
        parameters: [OPERATOR, OPERATOR, forged],
      }),
    ).rejects.toMatchObject({ code: 'tenant_grant_refused' });
  });

  it('A9: finds each way of putting somebody else under a deed', async () => {
    const mint = {
      tokenHash: 'good',
      tenantId: TENANT,
      personId: TENANT,
      sessionId: TENANT,
      expiresAtMs: Date.now() + 30_000,
    };
    await issuer.system.transaction((tx) => recordMint(tx, mint));
    await issuer.system.transaction((tx) => recordMint(tx, { ...mint, tokenHash: 'other-tenant', tenantId: OTHER }));
    await issuer.system.transaction((tx) =>
      recordMint(tx, { ...mint, tokenHash: 'over', expiresAtMs: Date.now() - 60_000 }),
    );
    await commit(uuidV4(systemRandom), { tokenHash: 'good' });
    await commit(uuidV4(systemRandom));
    await commit(uuidV4(systemRandom), { tokenHash: 'invented' });
    await commit(uuidV4(systemRandom), { tokenHash: 'other-tenant' });
    await commit(uuidV4(systemRandom), { tokenHash: 'good', actor: { personId: OTHER } });
    await commit(uuidV4(systemRandom), { tokenHash: 'over' });
    await sequencer().sequenceBatch();
    const result = await reconcileMints({ entries: sentinel.system, mints: sentinel.system }, 0);
    expect(result.checked).toBe(6);
    expect(result.mismatches.map((mismatch) => mismatch.reason)).toEqual([
      'no-token',
      'never-minted',
      'other-tenant',
      'other-person',
      'outside-its-life',
    ]);
    expect(await reconcileMints({ entries: sentinel.system, mints: sentinel.system }, result.position)).toMatchObject({
      checked: 0,
      mismatches: [],
    });
  });
});

/** The form that a sealed column demands, nothing encrypted. */
const sealedForm = (value: string): Buffer =>
  Buffer.concat([Buffer.of(0xa7, 1, 0, 0, 0, 1), Buffer.alloc(24), Buffer.from(value), Buffer.alloc(16)]);

describe('A10: withheld values', () => {
  it('reach the leaf as salted digests only, the sealed value its own table', async () => {
    const sealed: string[] = [];
    const record = createRecorder({
      sealer: {
        seal: async ({ value }) => {
          sealed.push(value);
          return sealedForm(`sealed:${value}`);
        },
      },
    });
    const id = uuidV4(systemRandom);
    await workspace.tenant.transaction(context, async (tx) => {
      await tx.query(insertThing(id));
      await record(tx, entryFor(id, { disclosures: { email: 'somebody@example.org', reason: 'because' } }));
    });
    const rows = await asSuperuser<{ leaf: Buffer; digest: string }>(
      database,
      'select e.leaf, d.digest from audit.entry e join audit.disclosure d on d.entry_id = e.id',
    );
    expect(rows).toHaveLength(2);
    expect(rows[0]!.leaf.toString()).not.toContain('example.org');
    expect(JSON.parse(rows[0]!.leaf.toString())._sd.sort()).toEqual(rows.map((row) => row.digest).sort());
    await expectRefusedSealer(id);
  });

  async function expectRefusedSealer(id: Uuid): Promise<void> {
    await expect(
      workspace.tenant.transaction(context, (tx) =>
        createRecorder()(tx, entryFor(id, { disclosures: { email: 'x' } })),
      ),
    ).rejects.toMatchObject({ code: 'audit_sealer_missing' });
  }
});

/** Entries straight into the table, for volume. */
function bulkEntries(count: number): string {
  return `insert into audit.entry (tenant_id, id, leaf)
    select '${TENANT}', id, convert_to(json_build_object('id', id, 'time', 1, 'type', 'a.b', 'actor', json_build_array('service', 'workspace'), 'resource', json_build_array('thing', '${TENANT}'), 'outcome', 'allowed')::text, 'UTF8')
    from (select gen_random_uuid() as id from generate_series(1, ${count})) s`;
}
