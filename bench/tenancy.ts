import { once } from 'node:events';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { Worker } from 'node:worker_threads';
import { systemClock, systemRandom, uuidV7, type Uuid } from '@auditrax/base';
import {
  formatId,
  idKeys,
  openDatabase,
  wallStatements,
  type Database,
  type Statement,
  type TenantContext,
  type WallForm,
} from '@auditrax/tenancy';
import fastify from 'fastify';
import { Client, Pool } from 'pg';
import type { BenchResult } from '../app/bin/commands/bench.ts';
import { startTestDatabase, type TestDatabase } from '../app/platform/db/testing.ts';
import { readIds } from '../app/platform/http/id-gate.ts';

/** Each contender runs once in each round, in an order that changes. */
const ROUNDS = 41;
const POINT_READS = 300;
const REQUESTS_OF_FIVE = 80;
const LISTS = 150;
const HTTP_REQUESTS = 400;
const HTTP_CLIENTS = 8;
const LIST_ROWS = 50;
const [FEW_TENANTS, MANY_TENANTS, ROWS_PER_TENANT, LONG_LIST_ROWS] = [10, 10_000, 20, 1_000_000];
const MOVED_TENANTS = 200;
const POOL_SIZE = HTTP_CLIENTS;

/** A contender does `count` of its operations, one after the other unless it says otherwise. */
type Contender = (count: number) => Promise<void>;

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Microseconds an operation, by contender: each round times all of them, so that a busy machine is busy for all. */
async function race(contenders: Readonly<Record<string, Contender>>, count: number): Promise<Record<string, number[]>> {
  const names = Object.keys(contenders);
  const times: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = -2; round < ROUNDS; round += 1) {
    const order = round % 2 === 0 ? names : names.toReversed();
    for (const name of order) {
      const started = performance.now();
      await contenders[name]!(count);
      // The first two rounds warm up plans and caches.
      if (round >= 0) times[name]!.push(((performance.now() - started) * 1000) / count);
    }
  }
  return times;
}

const ratio = (times: Record<string, number[]>, name: string, base: string): number =>
  Number(median(times[name]!.map((time, round) => time / times[base]![round]!)).toFixed(3));
const microseconds = (times: Record<string, number[]>): Record<string, number> =>
  Object.fromEntries(Object.entries(times).map(([name, all]) => [name, Number(median(all).toFixed(1))]));

const repeat =
  (operation: () => Promise<unknown>): Contender =>
  async (count) => {
    for (let i = 0; i < count; i += 1) await operation();
  };

/** Random rows of a table: whose, and which. */
interface Ground {
  readonly table: string;
  readonly tenants: readonly TenantContext[];
  readonly rows: readonly (readonly Uuid[])[];
}

const COLUMNS = `tenant_id uuid not null, id uuid not null, n integer not null, title text not null,
  created_at timestamptz not null default now(), primary key (tenant_id, id)`;

function makeGround(table: string, tenants: number): Ground {
  const uuid = (): Uuid => uuidV7(systemClock, systemRandom);
  return {
    table,
    tenants: Array.from({ length: tenants }, (_, part) => ({ tenantId: uuid(), tenantPart: part, requestId: 'bench' })),
    rows: Array.from({ length: tenants }, () => Array.from({ length: ROWS_PER_TENANT }, uuid)),
  };
}

async function createTable(admin: Client, table: string, form: WallForm): Promise<void> {
  await admin.query(`create table ${table} (${COLUMNS}); create index on ${table} (tenant_id, n)`);
  await admin.query(`alter table ${table} owner to ax_owner; grant select on ${table} to ax_workspace`);
  for (const statement of wallStatements(table, form)) await admin.query(statement);
}

async function fill(admin: Client, ground: Ground): Promise<void> {
  const ids = ground.rows.flat();
  const owners = ground.rows.flatMap((rows, i) => rows.map(() => ground.tenants[i]!.tenantId));
  await admin.query(
    `insert into ${ground.table} (tenant_id, id, n, title)
     select r.t, r.i, r.o, 'Quarterly review of access rights ' || r.o
     from unnest($1::uuid[], $2::uuid[]) with ordinality r(t, i, o)`,
    [owners, ids],
  );
}

/** A tenant with a million rows, among a few others. */
async function fillLongList(admin: Client, ground: Ground): Promise<void> {
  await admin.query(
    `insert into ${ground.table} (tenant_id, id, n, title)
     select $1, gen_random_uuid(), i, 'Quarterly review of access rights ' || i from generate_series(1, ${LONG_LIST_ROWS}) i`,
    [ground.tenants[0]!.tenantId],
  );
}

/** As in every house that has moved a tenant: the scope step must tell these from all others. */
async function moveSomeTenants(admin: Client): Promise<void> {
  await admin.query(
    `insert into platform.tenant (id, part, kind, slug, display_name)
     select gen_random_uuid(), i, 'customer', 'moved-' || i, 'Moved' from generate_series(1, ${MOVED_TENANTS}) i`,
  );
  await admin.query(
    `insert into platform.departure (tenant_id, version) select id, 1 from platform.tenant where slug like 'moved-%'`,
  );
}

interface Bench {
  readonly doors: Database;
  /** Our own driver without any wall: no scope, a role that row-level security does not bind. */
  readonly unwalled: Database;
  /** What somebody would use who wants no wall: a pool of `pg`, named statements, a role that row-level security does not bind. */
  readonly raw: Pool;
  readonly direct: Ground;
  readonly initplan: Ground;
  readonly many: Ground;
  readonly few: Ground;
}

interface Row {
  readonly id: Uuid;
  readonly n: number;
  readonly title: string;
}

let turn = 0;
/** A row of the ground, another one at each call. */
function pick({ tenants, rows }: Ground): { context: TenantContext; id: Uuid } {
  turn = (turn * 1_103_515_245 + 12_345) % 2_147_483_648;
  const tenant = turn % tenants.length;
  return { context: tenants[tenant]!, id: rows[tenant]![(turn >> 8) % ROWS_PER_TENANT]! };
}

// One statement text for a table, as in a queries.ts: the guard and the server know it from its second call.
const POINT = (table: string): string => `select id, n, title from ${table} where tenant_id = $1 and id = $2`;
const LIST = (table: string): string =>
  `select id, n, title from ${table} where tenant_id = $1 and n > $2 order by n limit ${LIST_ROWS}`;

function statement(text: string, parameters: readonly unknown[]): Statement<Row> {
  return { sql: text, parameters };
}

const named = new Map<string, string>();
/** A short name, so that `pg` prepares the text once on each connection. */
function nameOf(text: string): string {
  const name = named.get(text) ?? `s${named.size}`;
  named.set(text, name);
  return name;
}

function demand(rows: readonly unknown[], count: number): void {
  if (rows.length !== count) throw new Error(`an answer has ${rows.length} rows, not ${count}`);
}

const rawPoint = (bench: Bench, ground: Ground): (() => Promise<Row[]>) => {
  const text = POINT(ground.table);
  return async () => {
    const { context, id } = pick(ground);
    const { rows } = await bench.raw.query<Row>({ name: nameOf(text), text, values: [context.tenantId, id] });
    demand(rows, 1);
    return rows;
  };
};

const scopedPoint = (bench: Bench, ground: Ground): (() => Promise<Row[]>) => {
  const text = POINT(ground.table);
  return async () => {
    const { context, id } = pick(ground);
    const rows = await bench.doors.tenant.scoped(context, statement(text, [context.tenantId, id]));
    demand(rows, 1);
    return rows;
  };
};

const unwalledPoint = (bench: Bench, ground: Ground): (() => Promise<Row[]>) => {
  const text = POINT(ground.table);
  return async () => {
    const { context, id } = pick(ground);
    const rows = await bench.unwalled.system.system(statement(text, [context.tenantId, id]));
    demand(rows, 1);
    return rows;
  };
};

function pointReads(bench: Bench) {
  return race(
    {
      raw: repeat(rawPoint(bench, bench.initplan)),
      unwalled: repeat(unwalledPoint(bench, bench.initplan)),
      scoped_direct: repeat(scopedPoint(bench, bench.direct)),
      scoped_initplan: repeat(scopedPoint(bench, bench.initplan)),
    },
    POINT_READS,
  );
}

/** Five reads of one request, one after the other, by as many requests at once as there are connections. */
function fiveStatements(bench: Bench) {
  const text = POINT(bench.initplan.table);
  const [FIRST, ...REST] = [0, 1, 2, 3, 4];
  const together =
    (request: () => Promise<void>): Contender =>
    async (count) => {
      const client = async (): Promise<void> => {
        for (let i = 0; i < count / POOL_SIZE; i += 1) await request();
      };
      await Promise.all(Array.from({ length: POOL_SIZE }, client));
    };
  const values = (whose: TenantContext, ids: readonly Uuid[], i: number): Uuid[] => [whose.tenantId, ids[i]!];
  const target = (): { context: TenantContext; ids: readonly Uuid[] } => {
    const { context } = pick(bench.initplan);
    return { context, ids: bench.initplan.rows[bench.initplan.tenants.indexOf(context)]! };
  };
  return race(
    {
      raw_transaction: together(async () => {
        const { context, ids } = target();
        const client = await bench.raw.connect();
        await client.query({ name: 'begin', text: 'begin' });
        for (const i of [FIRST!, ...REST])
          demand((await client.query<Row>({ name: nameOf(text), text, values: values(context, ids, i) })).rows, 1);
        await client.query({ name: 'commit', text: 'commit' });
        client.release();
      }),
      raw_each_alone: together(async () => {
        const { context, ids } = target();
        const client = await bench.raw.connect();
        for (const i of [FIRST!, ...REST])
          demand((await client.query<Row>({ name: nameOf(text), text, values: values(context, ids, i) })).rows, 1);
        client.release();
      }),
      scoped: together(async () => {
        const { context, ids } = target();
        await bench.doors.tenant.transaction(context, async (tx) => {
          for (const i of [FIRST!, ...REST]) demand(await tx.query(statement(text, values(context, ids, i))), 1);
        });
      }),
    },
    REQUESTS_OF_FIVE,
  );
}

/** Rows of 10,000 tenants against rows of 10, as many for each tenant; whose turn it is changes with each read. */
function tenants(bench: Bench) {
  return race(
    { few: repeat(scopedPoint(bench, bench.few)), many: repeat(scopedPoint(bench, bench.many)) },
    POINT_READS,
  );
}

/** Fifty rows of a page somewhere in a tenant's million. */
function lists(bench: Bench) {
  const page =
    (ground: Ground, read: (text: string, values: readonly unknown[]) => Promise<Row[]>): (() => Promise<void>) =>
    async () => {
      turn = (turn * 1_103_515_245 + 12_345) % 2_147_483_648;
      const after = turn % (LONG_LIST_ROWS - LIST_ROWS);
      demand(await read(LIST(ground.table), [ground.tenants[0]!.tenantId, after]), LIST_ROWS);
    };
  const scoped = (ground: Ground) =>
    repeat(page(ground, (text, values) => bench.doors.tenant.scoped(ground.tenants[0]!, statement(text, values))));
  return race(
    {
      raw: repeat(
        page(
          bench.direct,
          async (text, values) => (await bench.raw.query<Row>({ name: nameOf(text), text, values: [...values] })).rows,
        ),
      ),
      scoped_direct: scoped(bench.direct),
      scoped_initplan: scoped(bench.initplan),
    },
    LISTS,
  );
}

/** Where the id of a row stands, as a contract says it. */
const ROW_IDS = { 'params.id': 'row' };

/** One Fastify with both handlers; the load comes from another thread. */
async function requests(bench: Bench) {
  const ring = idKeys({ version: 1, key: systemRandom.bytes(32) });
  const app = fastify();
  const reply = (row: Row, id: string) => ({ id, n: row.n, title: row.title });
  app.get<{ Params: { tenant: string; id: string } }>('/bare/:tenant/:id', async ({ params }) => {
    const text = POINT(bench.initplan.table);
    const context = bench.initplan.tenants[Number(params.tenant)]!;
    const { rows } = await bench.raw.query<Row>({ name: nameOf(text), text, values: [context.tenantId, params.id] });
    demand(rows, 1);
    return reply(rows[0]!, rows[0]!.id);
  });
  app.get<{ Params: { tenant: string; id: string } }>('/walled/:tenant/:id', async ({ params }) => {
    const context = bench.initplan.tenants[Number(params.tenant)]!;
    const verdict = readIds(ROW_IDS, { params }, { context, keys: ring });
    if (!verdict.ok) throw new Error(verdict.reason);
    const rows = await bench.doors.tenant.scoped(
      context,
      statement(POINT(bench.initplan.table), [context.tenantId, verdict.ids['params.id']]),
    );
    demand(rows, 1);
    return reply(rows[0]!, formatId('row', context, rows[0]!.id, ring));
  });
  const origin = await app.listen({ host: '127.0.0.1', port: 0 });
  const paths = (side: 'bare' | 'walled'): string[] =>
    bench.initplan.tenants.flatMap((context, i) =>
      bench.initplan.rows[i]!.map((id) => `/${side}/${i}/${side === 'bare' ? id : formatId('row', context, id, ring)}`),
    );
  const load = new Worker(new URL('tenancy-load.ts', import.meta.url), {
    workerData: { origin, clients: HTTP_CLIENTS, paths: { bare: paths('bare'), walled: paths('walled') } },
  });
  const side =
    (name: 'bare' | 'walled'): Contender =>
    async (count) => {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port to our own thread, not a window
      load.postMessage({ side: name, requests: count });
      const [answer] = (await once(load, 'message')) as [{ fault?: string }];
      if (answer.fault !== undefined) throw new Error(answer.fault);
    };
  try {
    return await race({ bare: side('bare'), walled: side('walled') }, HTTP_REQUESTS);
  } finally {
    await load.terminate();
    await app.close();
  }
}

async function prepare(server: TestDatabase, progress: (line: string) => void) {
  const admin = new Client(server.connectionFor('superuser'));
  await admin.connect();
  try {
    const grounds = {
      direct: makeGround('app.bench_direct', 100),
      initplan: makeGround('app.bench_initplan', 100),
      few: makeGround('app.bench_few', FEW_TENANTS),
      many: makeGround('app.bench_many', MANY_TENANTS),
    };
    for (const [name, ground] of Object.entries(grounds)) {
      progress(`filling ${ground.table}`);
      await createTable(admin, ground.table, name === 'direct' ? 'direct' : 'initplan');
      await fill(admin, ground);
    }
    for (const ground of [grounds.direct, grounds.initplan]) await fillLongList(admin, ground);
    await moveSomeTenants(admin);
    await admin.query('vacuum analyze');
    return grounds;
  } finally {
    await admin.end();
  }
}

/**
 * What the walls cost, each figure a ratio of medians in one run. `scoped_point_read_ratio`, `list_50_of_1m_ratio`: the
 * tenant door against the same statement, prepared, by a role without row-level security. `five_statements_ratio`: five
 * reads of one request as one transaction, both sides. `http_ratio`: a handler with tagged ids, guard, scope and
 * tripwire against one without; no TLS, token or Cedar on either side. `tenants_10k_vs_10_ratio`: the door among many
 * tenants against few. `point_read_vs_unwalled_ratio`: against our own driver without scope and wall, for what the walls
 * alone cost; the others compare with what somebody would use who wants no wall. Some tenants have moved away.
 */
export async function run(progress: (line: string) => void): Promise<BenchResult> {
  const load_before = loadavg()[0]!;
  const server = await startTestDatabase();
  const doors = openDatabase({
    connection: server.connectionFor('ax_workspace'),
    poolSize: POOL_SIZE,
    clock: systemClock,
    onRefusal: () => Promise.resolve(),
    systemTables: [],
  });
  const unwalled = openDatabase({
    connection: server.connectionFor('superuser'),
    poolSize: POOL_SIZE,
    clock: systemClock,
    onRefusal: () => Promise.resolve(),
    systemTables: ['app.bench_initplan'],
  });
  const raw = new Pool({ ...server.connectionFor('superuser'), max: POOL_SIZE });
  // The server stops at the end, perhaps before the pool has closed its last idle connection.
  raw.on('error', () => undefined);
  try {
    const bench: Bench = { ...(await prepare(server, progress)), doors, unwalled, raw };
    const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => (progress(name), await work());
    const point = await timed('point reads', () => pointReads(bench));
    const five = await timed('five statements', () => fiveStatements(bench));
    const growth = await timed('10,000 tenants against 10', () => tenants(bench));
    const list = await timed('lists', () => lists(bench));
    const http = await timed('requests', () => requests(bench));
    return {
      figures: {
        scoped_point_read_ratio: ratio(point, 'scoped_initplan', 'raw'),
        five_statements_ratio: ratio(five, 'scoped', 'raw_transaction'),
        http_ratio: ratio(http, 'walled', 'bare'),
        tenants_10k_vs_10_ratio: ratio(growth, 'many', 'few'),
        list_50_of_1m_ratio: ratio(list, 'scoped_initplan', 'raw'),
        direct_point_read_ratio: ratio(point, 'scoped_direct', 'raw'),
        point_read_vs_unwalled_ratio: ratio(point, 'scoped_initplan', 'unwalled'),
        direct_list_50_of_1m_ratio: ratio(list, 'scoped_direct', 'raw'),
        five_statements_vs_autocommit_ratio: ratio(five, 'scoped', 'raw_each_alone'),
      },
      conditions: {
        cpu: cpus()[0]?.model,
        cores: availableParallelism(),
        load_before: Number(load_before.toFixed(2)),
        load_after: Number(loadavg()[0]!.toFixed(2)),
        node: process.version,
        postgresql: (await raw.query<{ v: string }>(`select current_setting('server_version') as v`)).rows[0]!.v,
        rounds: `${ROUNDS} after two to warm up; contenders in turns; each figure the median of the rounds' ratios`,
        other_side:
          'pg over the same Unix socket, a pool of the same size, named statements, a role without row-level security',
        wall: 'the initplan form, as the migrations make it; figures beginning with direct for the other one',
        five_statements: `one after the other, ${POOL_SIZE} requests at once; the other side is one transaction too, or each statement alone`,
        http: `${HTTP_CLIENTS} keep-alive clients on another thread; both handlers in one Fastify`,
        moved: `${MOVED_TENANTS} other tenants have left this database`,
        rows: `${ROWS_PER_TENANT} for each tenant; a tenant with ${LONG_LIST_ROWS} for the list`,
        microseconds: {
          point: microseconds(point),
          five: microseconds(five),
          tenants: microseconds(growth),
          list: microseconds(list),
          http: microseconds(http),
        },
      },
    };
  } finally {
    await Promise.allSettled([doors.close(), unwalled.close(), raw.end()]);
    await server.stop();
  }
}
