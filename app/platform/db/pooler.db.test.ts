// AUDITRAX_FUZZ=whole sends 100,000 requests through the pooler.
import { sql, TenancyError, type Database } from '@auditrax/tenancy';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasPgBouncer, PGBOUNCER_USER } from './pgbouncer-fixture.ts';
import { OTHER_CELL, startPlaced, type PlacedFixture, type PooledDoors } from './placed-fixture.ts';
import { contextOf, numberedUuid } from './tenancy-fixture.ts';

const REQUESTS = process.env['AUDITRAX_FUZZ'] === 'whole' ? 100_000 : 6_000;
const TENANTS = 50;
/** Of them in the shared tables; of the rest one half has schemas, the other half databases, each a role of its own. */
const SHARED = 40;
const WITH_SCHEMA = 45;
const ROWS = 10;
const CLIENTS = 20;
const SERVER_CONNECTIONS = 2;
/** Short, so that time-outs happen often; only the test's database has them. */
const [STATEMENT_MS, LOCK_MS] = [120, 30];

let placed: PlacedFixture;
let pooled: PooledDoors;
let doors: Database;
/** Connections that nobody uses just now, by the login. */
const raw = new Map<string, Client[]>();

interface Login {
  readonly cell: string;
  readonly role: string;
}
const WORKSPACE: Login = { cell: 'home', role: 'ax_workspace' };
const ownRoles = new Map<number, Login & { readonly schema: string; readonly version: number }>();
const isPlaced = (tenant: number): boolean => tenant > SHARED;

async function rawClient({ cell, role }: Login = WORKSPACE): Promise<Client> {
  const { connection } = pooled.poolers[cell]!;
  const secret = role === WORKSPACE.role ? connection.password : `test-${role}`;
  const login = connection.password === undefined ? { user: role } : { user: role, password: secret };
  const client = new Client({ ...connection, ...login });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Time limits are the roles': a pooler cannot keep a session's. */
async function limit({ cell, role }: Login): Promise<void> {
  await placed.admin[cell]!.query(`alter role ${role} set statement_timeout = ${STATEMENT_MS}`);
  await placed.admin[cell]!.query(`alter role ${role} set lock_timeout = ${LOCK_MS}`);
}

beforeAll(async () => {
  if (!hasPgBouncer()) return;
  placed = await startPlaced(TENANTS, [PGBOUNCER_USER]);
  await limit(WORKSPACE);
  for (let tenant = SHARED + 1; tenant <= TENANTS; tenant += 1) {
    await placed.move(tenant, tenant <= WITH_SCHEMA ? 'schema' : 'database');
    const place = await placed.placeOf(tenant);
    ownRoles.set(tenant, place);
    await limit(place);
  }
  pooled = await placed.pooled(SERVER_CONNECTIONS, CLIENTS);
  ({ doors } = pooled);
});
afterAll(async () => {
  await Promise.all([...raw.values()].flat().map((client) => client.end().catch(() => undefined)));
  await pooled?.stop();
  await placed?.stop();
});

interface Tally {
  asked: number;
  answered: number;
  /** Of them from a schema or a database of the tenant's own. */
  placed: number;
  wrong: string[];
  /** Errors by code; each kind of request names the ones it may get. */
  readonly errors: Map<string, number>;
}
type Row = { readonly tenant_id: string; readonly id: string; readonly n: number };
type Request = (tenant: number, tally: Tally) => Promise<void>;

/** An answer of `expected` rows, each of this tenant and none other. */
const checker =
  (expected: number) =>
  (rows: readonly Row[], tenant: number, tally: Tally): void => {
    tally.answered += 1;
    tally.placed += isPlaced(tenant) ? 1 : 0;
    const own = contextOf(tenant).tenantId;
    const right = rows.every((row) => row.tenant_id === own && row.id === numberedUuid(tenant * 1000 + row.n));
    if (!right || rows.length !== expected)
      tally.wrong.push(`tenant ${tenant} got ${JSON.stringify(rows.slice(0, 2))}`);
  };
const check = checker(ROWS);
const checkOne = checker(1);

/** What cancels and lost connections do to any request; never an answer. */
const HAZARDS = ['database_timeout', 'database_unavailable', '57014', '57P01', '08P01', 'ended'];

/** Runs what must fail in one of the named ways; an answer is a wrong one. */
async function mustFail(work: Promise<unknown>, codes: readonly string[], tally: Tally): Promise<void> {
  try {
    tally.wrong.push(`an answer where ${codes.join(' or ')} was due: ${JSON.stringify(await work).slice(0, 200)}`);
  } catch (error) {
    const known = codes.includes((error as TenancyError).code);
    if (known)
      tally.errors.set((error as TenancyError).code, 1 + (tally.errors.get((error as TenancyError).code) ?? 0));
    else throw error;
  }
}

const all = (tenant: number) =>
  sql<Row>`select tenant_id, id, n from app.note where tenant_id = ${contextOf(tenant).tenantId}`;
const other = (tenant: number): string => contextOf((tenant % TENANTS) + 1).tenantId;
/** For what is tried below the doors in the shared tables: somebody whose rows are there. */
const inShared = (tenant: number): number => 1 + (tenant % SHARED);
const otherInShared = (tenant: number): string => contextOf(inShared(tenant + 1)).tenantId;
/** One of the tenants with a schema of its own. */
const inSchema = (tenant: number): number => SHARED + 1 + (tenant % (WITH_SCHEMA - SHARED));
const inPlace = (tenant: number): number => SHARED + 1 + (tenant % (TENANTS - SHARED));

let hazards: Promise<unknown> = Promise.resolve();

/** What an operator does to other people's statements, one after the other. */
async function hazard(text: string, tenant: number): Promise<void> {
  const cell = tenant % 3 === 0 ? OTHER_CELL : 'home';
  hazards = hazards.then(() => placed.admin[cell]!.query(text));
  await hazards;
}
/** Server connections of any tenant's. */
const ANY_SERVER = `(usename = 'ax_workspace' or starts_with(usename, 'ax_t_'))`;

const REQUEST_KINDS: readonly (readonly [weight: number, Request])[] = [
  [400, async (tenant, tally) => check(await doors.tenant.scoped(contextOf(tenant), all(tenant)), tenant, tally)],
  [
    200,
    async (tenant, tally) => {
      const context = contextOf(tenant);
      const id = numberedUuid(tenant * 1000 + 3);
      // Places of this test have one of the two tables.
      const point = isPlaced(tenant)
        ? sql<Row>`select tenant_id, id, n from app.note where tenant_id = ${context.tenantId} and id = ${id}`
        : sql<Row>`select tenant_id, id, n from app.note_initplan where tenant_id = ${context.tenantId} and id = ${id}`;
      checkOne(await doors.tenant.scoped(context, point), tenant, tally);
    },
  ],
  [
    80,
    (tenant, tally) =>
      doors.tenant.transaction(contextOf(tenant), async (tx) => {
        check(await tx.query(all(tenant)), tenant, tally);
        const own = contextOf(tenant).tenantId;
        const changed = sql<Row>`update app.note set body = body where tenant_id = ${own} and n = 4 returning tenant_id, id, n`;
        checkOne(await tx.query(changed), tenant, tally);
        check(await tx.query(all(tenant)), tenant, tally);
      }),
  ],
  [
    40,
    (tenant, tally) =>
      mustFail(
        doors.tenant.transaction(contextOf(tenant), async (tx) => {
          check(await tx.query(all(tenant)), tenant, tally);
          throw Object.assign(new Error('given up'), { code: 'ended' });
        }),
        ['ended', ...HAZARDS],
        tally,
      ),
  ],
  [
    60,
    (tenant, tally) =>
      mustFail(
        doors.tenant.scoped(contextOf(tenant), sql`select * from app.note where tenant_id = ${other(tenant)}`),
        ['tenant_foreign_parameter'],
        tally,
      ),
  ],
  [
    40,
    (tenant, tally) =>
      mustFail(
        doors.tenant.scoped(contextOf(tenant), sql`select * from app.note`),
        ['tenant_statement_refused'],
        tally,
      ),
  ],
  [
    60,
    (tenant, tally) =>
      mustFail(
        doors.tenant.scoped(contextOf(tenant), sql`select 1 / ${0}::int4`),
        ['database_input_invalid', ...HAZARDS],
        tally,
      ),
  ],
  // Past the ids and the guard: nobody said whose rows.
  [60, (_tenant, tally) => mustFail(rawQuery('select * from app.note'), ['42704', '22P02', ...HAZARDS], tally)],
  [
    30,
    (tenant, tally) =>
      mustFail(
        rawQuery(
          `begin; select app.enter('${contextOf(inShared(tenant)).tenantId}'); select * from app.note where tenant_id = '${otherInShared(tenant)}'; commit`,
        ),
        ['AX001', ...HAZARDS],
        tally,
      ),
  ],
  [
    20,
    (tenant, tally) =>
      mustFail(
        rawQuery(
          `begin; select app.enter('${contextOf(inShared(tenant)).tenantId}'); select app.enter('${otherInShared(tenant)}'); commit`,
        ),
        ['AX002', ...HAZARDS],
        tally,
      ),
  ],
  // The login of one tenant: in another's scope, and in the tables of everybody else; and everybody else's login at it.
  [
    20,
    (tenant, tally) =>
      mustFail(
        rawQuery(`begin; select app.enter('${otherInShared(tenant)}', 0); commit`, ownRoles.get(inPlace(tenant))!),
        ['AX004', ...HAZARDS],
        tally,
      ),
  ],
  [
    15,
    (tenant, tally) =>
      mustFail(
        rawQuery(enterOwn(inSchema(tenant), 'app'), ownRoles.get(inSchema(tenant))!),
        ['42501', ...HAZARDS],
        tally,
      ),
  ],
  [
    15,
    (tenant, tally) =>
      mustFail(
        rawQuery(enterOwn(inSchema(tenant), ownRoles.get(inSchema(tenant))!.schema)),
        ['42501', ...HAZARDS],
        tally,
      ),
  ],
  // Too slow for the server's limit, and a row that somebody else holds.
  [
    2,
    (tenant, tally) =>
      mustFail(
        doors.tenant.scoped(contextOf(tenant), sql`select count(*) from generate_series(1, ${50_000_000}::int8)`),
        HAZARDS,
        tally,
      ),
  ],
  [
    3,
    (tenant, tally) =>
      mustFail(
        doors.tenant.scoped(
          contextOf(1),
          sql`update app.note set body = body where tenant_id = ${contextOf(1).tenantId} and n = 9`,
        ),
        HAZARDS,
        tally,
      ).then(() => void tenant),
  ],
  [
    10,
    (tenant) =>
      hazard(
        `select pg_cancel_backend(pid) from pg_stat_activity where ${ANY_SERVER} and state = 'active' order by random() limit 1`,
        tenant,
      ),
  ],
  [
    4,
    (tenant) =>
      hazard(
        // One that is at work, if any is: the pooler replaces an idle one before anybody notices.
        `select pg_terminate_backend(pid) from pg_stat_activity where ${ANY_SERVER} order by state = 'idle', random() limit 1`,
        tenant,
      ),
  ],
  // A client that vanishes in the middle of its transaction, with its tenant set.
  [
    3,
    async (tenant) => {
      const client = await rawClient();
      const begun = client.query(`begin; select app.enter('${contextOf(inShared(tenant)).tenantId}')`);
      // A cancel may hit it first; it is gone either way.
      await begun.catch(() => undefined);
      (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    },
  ],
];

/** Reads the notes of a schema in the scope of a tenant with a place. */
function enterOwn(tenant: number, schema: string): string {
  const { version } = ownRoles.get(tenant)!;
  return `begin; select app.enter('${contextOf(tenant).tenantId}', ${version}); select * from ${schema}.note; commit`;
}

/** On a raw connection that nobody else uses meanwhile; one that was lost is not used again. */
async function rawQuery(text: string, login: Login = WORKSPACE): Promise<unknown> {
  const free = raw.get(login.role) ?? [];
  raw.set(login.role, free);
  const client = free.pop() ?? (await rawClient(login));
  try {
    const answer = (await client.query(text)) as unknown as { rows?: unknown } | { rows?: unknown }[];
    free.push(client);
    return Array.isArray(answer) ? answer.map((one) => one.rows) : answer.rows;
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code === undefined || code.startsWith('57P') || code.startsWith('08')) {
      await client.end().catch(() => undefined);
      throw Object.assign(new Error('ended'), { code: 'ended' });
    }
    await client.query('rollback').catch(() => undefined);
    free.push(client);
    throw error;
  }
}

/** Reads that a cancel or a lost connection hit are no answers; everything else that was not expected is a fault. */
async function crowd(requests: number): Promise<Tally> {
  const tally: Tally = { asked: 0, answered: 0, placed: 0, wrong: [], errors: new Map() };
  const weights = REQUEST_KINDS.reduce((sum, [weight]) => sum + weight, 0);
  let seed = 2_026;
  const random = (below: number): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
  const pick = (): Request => {
    let left = Math.floor((random(1_000_003) / 1_000_003) * weights);
    return REQUEST_KINDS.find(([weight]) => (left -= weight) < 0)![1];
  };
  const client = async (): Promise<void> => {
    while (tally.asked < requests) {
      tally.asked += 1;
      try {
        await pick()(1 + (random(1_000_003) % TENANTS), tally);
      } catch (error) {
        const { code = 'none' } = error as { code?: string };
        tally.errors.set(code, 1 + (tally.errors.get(code) ?? 0));
        if (!HAZARDS.includes(code)) tally.wrong.push(`unexpected ${code}: ${(error as Error).message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return tally;
}

describe.runIf(hasPgBouncer())('T18: behind PgBouncer in transaction mode', () => {
  test(
    `${REQUESTS} requests of ${TENANTS} tenants, ${TENANTS - SHARED} of them in places of their own, on ${SERVER_CONNECTIONS} server connections a role, among errors, cancels, time-outs, lost servers and clients: no wrong answer`,
    async () => {
      const holder = await placed.connect('home');
      await holder.query('begin');
      await holder.query('select 1 from app.note where tenant_id = $1 and n = 9 for update', [contextOf(1).tenantId]);
      const started = performance.now();
      const tally = await crowd(REQUESTS);
      await holder.end();
      const took_s = (performance.now() - started) / 1000;
      const errors = [...tally.errors].map(([code, count]) => `${code} ${count}`).join(', ');
      process.stderr.write(
        `pooler: ${pooled.poolers['home']!.version}, ${tally.asked} requests, ${tally.answered} answers, ${tally.placed} of them from places of their own, ${tally.wrong.length} wrong, ${took_s.toFixed(1)} s; ${errors}\n`,
      );
      expect(tally.wrong.slice(0, 5)).toEqual([]);
      expect(tally.answered).toBeGreaterThan(REQUESTS * 0.6);
      const guarded =
        (tally.errors.get('tenant_foreign_parameter') ?? 0) + (tally.errors.get('tenant_statement_refused') ?? 0);
      expect(guarded).toBe(placed.refusals.filter((event) => event.layer === 'guard').length);
      expect(tally.placed).toBeGreaterThan(REQUESTS * 0.1);
      for (const code of ['AX001', 'AX002', 'AX004', '42501', 'database_timeout', 'database_unavailable', 'ended'])
        expect(tally.errors.get(code) ?? 0, code).toBeGreaterThan(0);
    },
    Math.max(60_000, REQUESTS * 5),
  );

  test('the pooler does mix its clients: a tenant kept on the session would be somebody else’s', async () => {
    const clients = await Promise.all(Array.from({ length: 10 }, rawClient));
    await Promise.all(clients.map((client, i) => client.query(`set app.tenant = '${contextOf(i + 1).tenantId}'`)));
    let foreign = 0;
    for (const [i, client] of clients.entries()) {
      const { rows } = await client.query<{ tenant: string }>(`select current_setting('app.tenant') as tenant`);
      foreign += rows[0]!.tenant === contextOf(i + 1).tenantId ? 0 : 1;
    }
    expect(foreign).toBeGreaterThan(5);
    await Promise.all(clients.map((client) => client.end()));
    // And a scope that found somebody's leavings refuses to begin: it would rather fail than answer for another tenant.
    await expect(doors.tenant.scoped(contextOf(1), all(1))).rejects.toMatchObject({ code: 'tenant_scope_twice' });
    const end = `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ax_workspace'`;
    await placed.admin['home']!.query(end);
  });

  test('leaves no statement by name on a server connection', async () => {
    for (let i = 1; i <= 5; i += 1) await doors.tenant.scoped(contextOf(i), all(i)).catch(() => undefined);
    const client = await rawClient();
    expect((await client.query('select name from pg_catalog.pg_prepared_statements')).rows).toEqual([]);
    await client.end();
  });
});
