import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { openDatabase, type Database } from '@auditrax/tenancy';
import { fromBase64, verifyConsistency } from '@auditrax/tlog';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestDatabase, type TestDatabase, type TestRole } from '../db/testing.ts';
import { guardError, recordAudit } from './index.ts';
import { LEDGER_FUNCTIONS } from './ledger-queries.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { createSigner, type Signer } from './signer.ts';
import { memoryKeys } from './testing/log-keys.ts';
import { asSuperuser } from './testing.ts';

const PREFIX = 'test.example/log/';
const SOUTH = 'south/ax_00000000000000aa';
/** Lives in home's shared tables. */
const STAYS = uuidV4(systemRandom);
/** Has a cell of its own, or is on its way there. */
const LEAVES = uuidV4(systemRandom);
const LEDGER_TABLES = [
  ...['log', 'log_index', 'log_tile', 'log_head', 'checkpoint', 'beat', 'pending'].map((name) => `audit.${name}`),
  'platform.placement',
];
const LOG_TABLES = ['entry', 'pending', 'log', 'log_index', 'log_tile', 'log_head', 'checkpoint'];
const { privateKey } = generateKeyPairSync('ed25519');

const servers: TestDatabase[] = [];
const doors: Database[] = [];
let home: TestDatabase;
let south: TestDatabase;
let folder: string;
let signer: Signer;
let ledgers: Ledger[] = [];
let troubles: { cell: string; stopped: boolean }[] = [];

function open(server: TestDatabase, role: TestRole): Database {
  const database = openDatabase({
    connection: server.connectionFor(role),
    poolSize: 3,
    clock: systemClock,
    onRefusal: async () => undefined,
    systemTables: role === 'ax_ledger' ? LEDGER_TABLES : [],
    functions: role === 'ax_ledger' ? LEDGER_FUNCTIONS : [],
  });
  doors.push(database);
  return database;
}

async function startServer(): Promise<TestDatabase> {
  const server = await startTestDatabase();
  servers.push(server);
  await asSuperuser(
    server,
    `set role ax_owner;
     create table app.test_thing (tenant_id uuid not null, id uuid not null, primary key (tenant_id, id));
     select platform.protect_tenant_table('app.test_thing');
     select audit.guard_table('app.test_thing', 'thing');
     grant select, insert on app.test_thing to ax_workspace;
     insert into platform.tenant (id, part, kind, slug, display_name)
     values ('${STAYS}', 7, 'sample', 'stays', 'S'), ('${LEAVES}', 8, 'sample', 'leaves', 'L')`,
  );
  return server;
}

let writers: Record<'home' | 'south', Database>;
let sequencers: Record<'home' | 'south', Database>;

beforeAll(async () => {
  [home, south] = await Promise.all([startServer(), startServer()]);
  sequencers = { home: open(home, 'ax_ledger'), south: open(south, 'ax_ledger') };
  writers = { home: open(home, 'ax_workspace'), south: open(south, 'ax_workspace') };
});
afterAll(async () => {
  await Promise.all(doors.map((database) => database.close()));
  await Promise.all(servers.map((server) => server.stop()));
});

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ax-signer-'));
  signer = createSigner({ journalDirectory: folder, keys: memoryKeys(privateKey), originPrefix: PREFIX });
  troubles = [];
  for (const server of [home, south]) {
    await asSuperuser(server, `truncate ${LOG_TABLES.map((name) => `audit.${name}`).join(', ')}, audit.disclosure`);
    await asSuperuser(server, `update audit.beat set beat = '-infinity'`);
  }
  await asSuperuser(home, 'delete from platform.placement');
  await asSuperuser(home, 'delete from platform.departure');
});
afterEach(async () => {
  await Promise.all(ledgers.splice(0).map((ledger) => ledger.stop()));
  await signer.close();
  rmSync(folder, { recursive: true, force: true });
});

async function startLedger(): Promise<Ledger> {
  const ledger = createLedger({
    home: sequencers.home.system,
    signer,
    originPrefix: PREFIX,
    onTrouble: (_error, about) => troubles.push(about),
  });
  ledgers.push(ledger);
  await ledger.start();
  await until(() => isFresh(home));
  return ledger;
}

const openSouth = (ledger: Ledger): void => ledger.open({ cell: SOUTH, door: sequencers.south.system });

async function place(cell: string): Promise<void> {
  const database = cell !== 'home';
  await asSuperuser(
    home,
    `insert into platform.placement (tenant_id, kind, region, cell, role_name, state)
     values ($1, $2, 'south', $3, $4, 'active')
     on conflict (tenant_id) do update set kind = excluded.kind, cell = excluded.cell, role_name = excluded.role_name`,
    [LEAVES, database ? 'database' : 'shared', cell, database ? 'ax_t_00000000000000aa' : 'ax_workspace'],
  );
  // The writers here go where each test says, without a place in mind: home must not tell them that the tenant left.
  await asSuperuser(home, 'delete from platform.departure');
}

async function write(where: 'home' | 'south', tenantId: Uuid): Promise<Uuid> {
  const context = { tenantId, tenantPart: 1, requestId: 'r-1' };
  return writers[where].tenant.transaction(context, async (tx) => {
    const id = uuidV4(systemRandom);
    await tx.query({ sql: 'insert into app.test_thing (tenant_id, id) values ($1, $2)', parameters: [tenantId, id] });
    const input = {
      type: 'thing.made',
      actor: { personId: STAYS },
      resource: ['thing', id],
      requestId: 'r-1',
    } as const;
    return (await recordAudit(tx, { ...input, outcome: 'allowed' })).entryId;
  });
}

const sql = { fresh: 'select beat >= clock_timestamp() - audit.beat_age_max() as fresh from audit.beat' };
const isFresh = async (server: TestDatabase): Promise<boolean> =>
  (await asSuperuser<{ fresh: boolean }>(server, sql.fresh))[0]!.fresh;

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 5_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error('it did not come about');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** As whoever moves a tenant does it: by the owner's functions, without firing triggers, positions left to the server. */
async function copyLog(from: TestDatabase, to: TestDatabase): Promise<void> {
  for (const table of LOG_TABLES.filter((name) => name !== 'pending')) {
    const [names] = await asSuperuser<{ list: string }>(
      from,
      `select string_agg(quote_ident(attname), ', ') as list from pg_attribute
       where attrelid = 'audit.${table}'::regclass and attnum > 0 and attgenerated = '' and attidentity = '' and not attisdropped`,
    );
    const [rows] = await asSuperuser<{ rows: object[] }>(
      from,
      `select coalesce(json_agg(t), '[]') as rows from audit.${table} t where tenant_id = '${LEAVES}'`,
    );
    const { list } = names!;
    await asSuperuser(
      to,
      `with stopped as (select set_config('session_replication_role', 'replica', true) as role)
       insert into audit.${table} (${list})
       select ${list} from stopped, json_populate_recordset(null::audit.${table}, $1::json) where stopped.role = 'replica'`,
      [JSON.stringify(rows!.rows)],
    );
  }
  await asSuperuser(to, 'select audit.log_arrived($1)', [LEAVES]);
}

async function move(from: TestDatabase, to: TestDatabase, cell: string): Promise<void> {
  await asSuperuser(from, 'select * from audit.close_log($1, $2)', [LEAVES, cell]);
  await copyLog(from, to);
  await place(cell);
}

const indexRows = (server: TestDatabase): Promise<{ idx: string }[]> =>
  asSuperuser(server, 'select idx from audit.log_index where tenant_id = $1 order by idx', [LEAVES]);

describe('A13: each cell has a log of its own', () => {
  it('a cell that nobody sequences refuses its writers, one that is opened while running takes them', async () => {
    await place(SOUTH);
    const ledger = await startLedger();
    await write('home', STAYS);
    const refused = await write('south', LEAVES).catch((error: unknown) => guardError(error)?.code);
    expect(refused).toBe('audit_log_down');
    openSouth(ledger);
    await until(() => isFresh(south));
    const entryId = await write('south', LEAVES);
    expect(await ledger.receipt({ tenantId: LEAVES, entryId })).toEqual({ index: 0, size: 1 });
    expect(await indexRows(home)).toEqual([]);
    expect(await ledger.verifierKeys()).toHaveLength(2);
    expect(troubles).toEqual([]);
  });

  it('one that was restored stops itself, and nobody else', async () => {
    await place(SOUTH);
    const first = await startLedger();
    openSouth(first);
    await until(() => isFresh(south));
    for (let n = 0; n < 2; n += 1) {
      await first.receipt({ tenantId: LEAVES, entryId: await write('south', LEAVES) });
    }
    await first.stop();
    await asSuperuser(south, 'delete from audit.log_index where idx = 1; delete from audit.checkpoint where size = 2');
    await asSuperuser(south, 'update audit.log_head set size = 1, root = (select root from audit.checkpoint)');
    await asSuperuser(south, `update audit.beat set beat = '-infinity'`);
    const second = await startLedger();
    openSouth(second);
    await until(() => troubles.length > 0);
    expect(troubles).toEqual([{ cell: SOUTH, stopped: true }]);
    expect(second.trouble(SOUTH)).toContain('restored or rewritten');
    expect(await isFresh(south)).toBe(false);
    const entryId = await write('home', STAYS);
    expect(await second.receipt({ tenantId: STAYS, entryId })).toMatchObject({ index: 0 });
    expect(second.trouble('home')).toBeUndefined();
  });

  it('one that is away has trouble of its own and comes back by itself', async () => {
    await place(SOUTH);
    const ledger = await startLedger();
    const away = sequencers.south.system;
    let reachable = false;
    const reach = <T>(work: () => Promise<T>): Promise<T> =>
      reachable ? work() : Promise.reject(new Error('no route to the south'));
    const door = {
      system: <Row>(statement: Parameters<typeof away.system<Row>>[0]) => reach(() => away.system<Row>(statement)),
      transaction: <T>(work: Parameters<typeof away.transaction<T>>[0]) => reach(() => away.transaction<T>(work)),
    };
    ledger.open({ cell: SOUTH, door });
    await until(() => troubles.length > 0);
    const entryId = await write('home', STAYS);
    expect(await ledger.receipt({ tenantId: STAYS, entryId })).toMatchObject({ index: 0 });
    expect(ledger.trouble(SOUTH)).toBe('no route to the south');
    reachable = true;
    await until(() => isFresh(south));
    expect(ledger.trouble(SOUTH)).toBeUndefined();
    expect(troubles).toEqual([{ cell: SOUTH, stopped: false }]); // told once, not with every try
  });
});

describe('A14: a log is open in one cell only', () => {
  it('waits until everything is sequenced and signed, then takes no entry any more', async () => {
    const ledger = await startLedger();
    const entryId = await write('home', LEAVES);
    await ledger.receipt({ tenantId: LEAVES, entryId });
    await ledger.stop();
    await asSuperuser(home, `update audit.beat set beat = 'infinity'`);
    await write('home', LEAVES);
    const close = (): Promise<unknown> => asSuperuser(home, 'select * from audit.close_log($1, $2)', [LEAVES, SOUTH]);
    await expect(close()).rejects.toMatchObject({ code: 'AX104', message: expect.stringContaining('place') });
    const again = await startLedger();
    await until(async () => (await indexRows(home)).length === 2);
    await asSuperuser(home, 'delete from audit.checkpoint where size = 2');
    await expect(close()).rejects.toMatchObject({ code: 'AX104', message: expect.stringContaining('signature') });
    await again.stop();
    await startLedger(); // recovery signs what is not signed
    expect(await close()).toMatchObject([{ generation: 1, size: '2' }]);
    const refused = await write('home', LEAVES).catch((error: unknown) => guardError(error)?.code);
    expect(refused).toBe('audit_log_elsewhere');
    await asSuperuser(home, 'select audit.reopen_log($1)', [LEAVES]);
    await write('home', LEAVES);
  });

  it('goes on where the rows are now, as the same tree, and comes back the same way', async () => {
    const ledger = await startLedger();
    openSouth(ledger);
    await until(() => isFresh(south));
    const old = await write('home', LEAVES);
    await ledger.receipt({ tenantId: LEAVES, entryId: old });
    await move(home, south, SOUTH);
    const entryId = await write('south', LEAVES);
    expect(await ledger.receipt({ tenantId: LEAVES, entryId })).toEqual({ index: 1, size: 2 });
    expect(await ledger.receipt({ tenantId: LEAVES, entryId: old })).toMatchObject({ index: 0 });
    expect(await indexRows(home)).toEqual([{ idx: '0' }]);
    const notes = await asSuperuser<{ root: Buffer }>(south, 'select root from audit.checkpoint order by size');
    const proof = await proofOf(ledger, { from: 1, to: 2 });
    const [root1, root2] = notes.map(({ root }) => root);
    expect(await verifyConsistency({ size1: 1, size2: 2, root1: root1!, root2: root2!, proof })).toBe(true);
    // The rows that were left behind do not count as a database that was restored.
    await ledger.stop();
    const again = await startLedger();
    openSouth(again);
    await until(async () => (await isFresh(south)) && again.trouble(SOUTH) === undefined);
    await asSuperuser(home, `delete from audit.log where tenant_id = '${LEAVES}'`);
    for (const table of ['log_index', 'log_head', 'checkpoint', 'entry']) {
      await asSuperuser(home, `delete from audit.${table} where tenant_id = '${LEAVES}'`);
    }
    await move(south, home, 'home');
    const third = await write('home', LEAVES);
    expect(await again.receipt({ tenantId: LEAVES, entryId: third })).toEqual({ index: 2, size: 3 });
    expect(troubles).toEqual([]);
  });

  it('never grows in the cell it has left, whatever stands in the queue there', async () => {
    const ledger = await startLedger();
    openSouth(ledger);
    await until(() => isFresh(south));
    await ledger.receipt({ tenantId: LEAVES, entryId: await write('home', LEAVES) });
    await move(home, south, SOUTH);
    const stray = `insert into audit.pending (tenant_id, entry_id, leaf_hash) values ('${LEAVES}', gen_random_uuid(), sha256('x'))`;
    await asSuperuser(home, stray);
    await ledger.receipt({ tenantId: STAYS, entryId: await write('home', STAYS) }); // the queue goes on around it
    expect(await indexRows(home)).toHaveLength(1);
    // A database that was put back from before the move does not know that the log has left: the placement does.
    await ledger.stop();
    await asSuperuser(home, 'update audit.log set moved_to = null');
    const again = await startLedger();
    await again.receipt({ tenantId: STAYS, entryId: await write('home', STAYS) });
    expect(await indexRows(home)).toHaveLength(1);
    expect(again.trouble('home')).toBeUndefined();
    expect(troubles).toEqual([]);
  });
});

/** By the route, as other processes ask. */
async function proofOf(ledger: Ledger, range: { from: number; to: number }): Promise<Uint8Array[]> {
  const handler = ledger.routes.handlers['consistency'] as unknown as (
    call: object,
  ) => Promise<{ body: { proof: string[] } }>;
  const { body } = await handler({ body: { tenantId: LEAVES, ...range } });
  return body.proof.map((hash) => fromBase64(hash)!);
}
