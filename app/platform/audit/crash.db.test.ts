// Writers, ledger, signer and PostgreSQL as real processes that are killed while they work.
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { openDatabase, type Database } from '@auditrax/tenancy';
import { appendLeaves, edgeRoot, EMPTY_EDGE, toBase64 } from '@auditrax/tlog';
import { Client } from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { DURABLE_SETTINGS, startTestDatabase, type TestDatabase } from '../db/testing.ts';
import { recordAudit } from './index.ts';
import { asSuperuser } from './testing.ts';
import { askProcess, type CrashOrder } from './testing/crash-process.ts';

const PREFIX = 'test.example/log/';
const TENANT = uuidV4(systemRandom);
const WRITERS = 6;
/** Work between two kills. */
const WORK_MS = 300;
/** What is acknowledged late counts as well; what never comes back ends the test. */
const SETTLE_MS_MAX = 30_000;
const TEST_MS_MAX = 120_000;
/** Nobody but a commit itself brings it to disk: the worst case for what is acknowledged too early, in both tests. */
const LAZY_LOG_WRITER = { wal_writer_delay: '10s', wal_writer_flush_after: '1GB', checkpoint_timeout: '1h' } as const;
const PROGRAM = join(import.meta.dirname, 'testing/crash-process.ts');

type Victim = 'ledger' | 'signer' | 'postgres';

const VICTIMS: readonly Victim[] = [
  'ledger',
  'signer',
  'postgres',
  'ledger',
  'postgres',
  'signer',
  'ledger',
  'postgres',
];

interface Acknowledged {
  readonly entryId: Uuid;
  readonly index: number;
  readonly size: number;
}

class House {
  readonly folder = mkdtempSync(join(tmpdir(), 'ax-crash-'));
  readonly server: TestDatabase;
  readonly writer: Database;
  readonly acknowledged: Acknowledged[] = [];
  readonly said: string[] = [];
  readonly #order: CrashOrder;
  readonly #children = new Map<'ledger' | 'signer', ChildProcess>();
  #isWriting = true;
  #isOver = false;
  #writers: Promise<unknown> = Promise.resolve();

  private constructor(server: TestDatabase) {
    this.server = server;
    this.writer = openDatabase({
      connection: server.connectionFor('ax_workspace'),
      poolSize: WRITERS,
      clock: systemClock,
      onRefusal: async () => undefined,
      systemTables: [],
    });
    mkdirSync(join(this.folder, 'journal'));
    const { privateKey } = generateKeyPairSync('ed25519');
    this.#order = {
      folder: this.folder,
      originPrefix: PREFIX,
      keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      connection: server.connectionFor('ax_ledger'),
    };
  }

  static async start(durability: 'on' | 'off'): Promise<House> {
    const server = await startTestDatabase({ settings: { ...DURABLE_SETTINGS, ...LAZY_LOG_WRITER } });
    await asSuperuser(
      server,
      `alter database auditrax set synchronous_commit = ${durability};
       set role ax_owner;
       create table app.test_thing (tenant_id uuid not null, id uuid not null, primary key (tenant_id, id));
       select platform.protect_tenant_table('app.test_thing');
       select audit.guard_table('app.test_thing', 'thing');
       grant select, insert on app.test_thing to ax_workspace;
       insert into platform.tenant (id, part, kind, slug, display_name) values ('${TENANT}', 7, 'sample', 'one', 'One')`,
    );
    const house = new House(server);
    house.launch('signer');
    house.launch('ledger');
    house.#writers = Promise.all(Array.from({ length: WRITERS }, () => house.#write()));
    return house;
  }

  launch(which: 'ledger' | 'signer'): void {
    const args = ['--no-warnings', PROGRAM, which, JSON.stringify(this.#order)];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'pipe'] });
    child.stdin.on('error', () => undefined); // it is killed, that is the point
    child.stderr.on('data', (data: Buffer) => this.said.push(data.toString('utf8')));
    this.#children.set(which, child);
  }

  /** In the middle of a batch: the sequencer holds its lock, so something is claimed and not yet committed. */
  async midBatch(): Promise<void> {
    const client = new Client(this.server.connectionFor('superuser'));
    client.on('error', () => undefined); // its server may be the one that is killed next
    await client.connect();
    const end = performance.now() + SETTLE_MS_MAX;
    const text = `select from pg_locks where locktype = 'advisory' and objsubid = 1 and granted`;
    while ((await client.query({ name: 'held', text })).rowCount === 0) {
      if (performance.now() > end) throw new Error('the sequencer does not work');
    }
    void client.end().catch(() => undefined);
  }

  async kill(victim: Victim): Promise<void> {
    if (victim === 'postgres') return this.server.crash();
    const child = this.#children.get(victim)!;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode !== null) return;
    child.kill('SIGKILL');
    await gone;
  }

  /** One business row and its entry, then the receipt: only that is an acknowledgement. */
  async #write(): Promise<void> {
    while (this.#isWriting) {
      const entryId = await this.#commit().catch(() => undefined);
      if (entryId === undefined) await new Promise((resolve) => setTimeout(resolve, 20));
      else await this.#receipt(entryId);
    }
  }

  #commit(): Promise<Uuid> {
    const context = { tenantId: TENANT, tenantPart: 7, requestId: 'r-1' };
    return this.writer.tenant.transaction(context, async (tx) => {
      const id = uuidV4(systemRandom);
      await tx.query({ sql: 'insert into app.test_thing (tenant_id, id) values ($1, $2)', parameters: [TENANT, id] });
      const input = {
        type: 'thing.made',
        actor: { personId: TENANT },
        resource: ['thing', id],
        requestId: 'r-1',
      } as const;
      return (await recordAudit(tx, { ...input, outcome: 'allowed' })).entryId;
    });
  }

  async #receipt(entryId: Uuid): Promise<void> {
    const until = performance.now() + 3_000;
    while (!this.#isOver && performance.now() < until) {
      try {
        const asked = { tenantId: TENANT, entryId };
        const found = (await askProcess(join(this.folder, 'ledger'), '/receipt', asked)) as Omit<
          Acknowledged,
          'entryId'
        >;
        this.acknowledged.push({ entryId, ...found });
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  /** Until this many more are acknowledged, or the ledger has said that it stands still. */
  async work(more: number): Promise<void> {
    const goal = this.acknowledged.length + more;
    const end = performance.now() + SETTLE_MS_MAX;
    while (this.acknowledged.length < goal && this.said.length === 0) {
      if (performance.now() > end) throw new Error(`only ${this.acknowledged.length} were acknowledged`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async settle(): Promise<void> {
    this.#isWriting = false;
    await this.#writers;
    const end = performance.now() + SETTLE_MS_MAX;
    const waiting = async (): Promise<boolean> =>
      (await asSuperuser<{ n: string }>(this.server, 'select count(*) as n from audit.pending'))[0]!.n !== '0';
    while ((await waiting()) && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 50));
  }

  async stop(): Promise<void> {
    this.#isWriting = false;
    this.#isOver = true;
    for (const child of this.#children.values()) child.kill('SIGKILL');
    await this.#writers;
    await this.writer.close();
    await this.server.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

interface Findings {
  readonly lost: number;
  readonly unlogged: number;
  readonly unsequenced: number;
  readonly gaps: number;
  readonly checkpoints: number;
  readonly beside: number;
}

/** Compares what was promised, and what was signed, with what is there after all the crashes. */
async function examine(house: House): Promise<Findings> {
  const { server } = house;
  const rows = await asSuperuser<{ idx: string; entry_id: Uuid; leaf_hash: Buffer }>(
    server,
    'select idx, entry_id, leaf_hash from audit.log_index order by idx',
  );
  const places = new Map(rows.map((row) => [row.entry_id, Number(row.idx)]));
  const [counts] = await asSuperuser<{ unlogged: string; unsequenced: string }>(
    server,
    `select (select count(*) from app.test_thing t where not exists (
               select from audit.entry e where e.tenant_id = t.tenant_id and e.resource_id = t.id)) as unlogged,
            (select count(*) from audit.entry e where not exists (
               select from audit.log_index i where i.tenant_id = e.tenant_id and i.entry_id = e.id)) as unsequenced`,
  );
  const roots = new Map<number, string>();
  let edge = EMPTY_EDGE;
  for (const [at, row] of rows.entries()) {
    edge = appendLeaves(edge, [row.leaf_hash]).edge;
    roots.set(at + 1, toBase64(edgeRoot(edge)));
  }
  const journals = join(house.folder, 'journal');
  const signed = readdirSync(journals).flatMap((name) =>
    readFileSync(join(journals, name), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(' ')),
  );
  return {
    lost: house.acknowledged.filter(({ entryId, index, size }) => places.get(entryId) !== index || size <= index)
      .length,
    unlogged: Number(counts!.unlogged),
    unsequenced: Number(counts!.unsequenced),
    gaps: rows.filter((row, at) => Number(row.idx) !== at).length,
    checkpoints: signed.length,
    beside: signed.filter(([, size, root]) => roots.get(Number(size)) !== root).length,
  };
}

let house: House | undefined;
afterEach(async () => {
  await house?.stop();
  house = undefined;
});

describe('A24: what was acknowledged is there after every crash, and what was signed is its history', () => {
  it('kill -9 of ledger, signer and PostgreSQL while people work', { timeout: TEST_MS_MAX }, async () => {
    house = await House.start('on');
    await house.work(20);
    for (const victim of VICTIMS) {
      await new Promise((resolve) => setTimeout(resolve, WORK_MS));
      if (victim !== 'signer') await house.midBatch();
      await house.kill(victim);
      if (victim === 'postgres') await house.server.startAgain();
      else house.launch(victim);
      await house.work(20);
    }
    await house.settle();
    const found = await examine(house);
    process.stdout.write(`acknowledged ${house.acknowledged.length}: ${JSON.stringify(found)}\n`);
    const { checkpoints, ...faults } = found;
    expect(faults).toEqual({ lost: 0, unlogged: 0, unsequenced: 0, gaps: 0, beside: 0 });
    expect(checkpoints).toBeGreaterThan(10);
    expect(house.said).toEqual([]);
  });

  it(
    'a database that acknowledges before the commit is on disk is found out by the same examination',
    { timeout: TEST_MS_MAX },
    async () => {
      house = await House.start('off');
      await house.work(10);
      // The log itself is on disk, and some of its entries; what comes after is acknowledged from memory.
      await asSuperuser(house.server, 'checkpoint');
      await house.work(40);
      await house.kill('postgres');
      await house.kill('ledger');
      await house.server.startAgain();
      house.launch('ledger');
      const end = performance.now() + SETTLE_MS_MAX;
      while (house.said.length === 0 && performance.now() < end)
        await new Promise((resolve) => setTimeout(resolve, 50));
      const { lost, beside } = await examine(house);
      expect(lost).toBeGreaterThan(0);
      expect(beside).toBeGreaterThan(0);
      // And the house itself sees it: the signer has signed more than the database knows.
      expect(house.said.join('')).toContain('restored or rewritten');
    },
  );
});
