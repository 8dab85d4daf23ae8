import { manualClock, systemRandom, uuidV4, uuidV7 } from '@auditrax/base';
import { idKeys, openDatabase, parseId, type Database } from '@auditrax/tenancy';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { asSuperuser } from '../../platform/audit/testing.ts';
import { startTestDatabase, type TestDatabase } from '../../platform/db/testing.ts';
import type { Call } from '../../platform/http/handler.ts';
import { detect, type LogEvent } from '../detections/index.ts';
import { attemptsBook, createPager } from './index.ts';
import type { attemptsRoutes, Attempt } from './attempts-contract.ts';
import { forgetAttempts } from './attempts-queries.ts';
import { attemptsRoomRoutes } from './attempts-service.ts';

const HARBOUR = uuidV4(systemRandom);
const LAKESIDE = uuidV4(systemRandom);
const CANARY = uuidV4(systemRandom);
const OPERATOR = uuidV4(systemRandom);
const clock = manualClock(Date.now());
let server: TestDatabase;
let sentinel: Database;
let workspace: Database;
let position = 0n;

const open = (role: 'ax_sentinel' | 'ax_workspace', tables: readonly string[]): Database =>
  openDatabase({
    connection: server.connectionFor(role),
    poolSize: 2,
    clock,
    onRefusal: (event) => Promise.reject(new Error(`${event.code} ${event.reason}`)),
    systemTables: [...tables],
  });

beforeAll(async () => {
  server = await startTestDatabase();
  const tenants = [
    [HARBOUR, 1, 'sample', 'harbour'],
    [LAKESIDE, 4_000_000_000, 'sample', 'lakeside'],
    [CANARY, 3, 'canary', 'canary-a'],
    [OPERATOR, 4, 'operator', 'operator'],
  ].map(([id, part, kind, slug]) => `('${id}', ${part}, '${kind}', '${slug}', 'X')`);
  await asSuperuser(
    server,
    `insert into platform.tenant (id, part, kind, slug, display_name) values ${tenants.join(', ')}`,
  );
  const tables = ['oncall.page', 'oncall.page_entry', 'oncall.delivery', 'oncall.attempt'];
  sentinel = open('ax_sentinel', tables);
  workspace = open('ax_workspace', [...tables, 'platform.tenant']);
});
afterAll(async () => {
  await sentinel?.close();
  await workspace?.close();
  await server?.stop();
});
beforeEach(() => asSuperuser(server, 'truncate oncall.page, oncall.page_entry, oncall.delivery, oncall.attempt'));

function event(change: Partial<LogEvent> = {}): LogEvent {
  position += 1n;
  clock.advance(1);
  return {
    position,
    index: 7n,
    entryId: uuidV7(clock, systemRandom),
    tenantId: HARBOUR,
    tenantKind: 'sample',
    type: 'tenant.attempt.refused',
    outcome: 'denied',
    occurred_ms: clock.nowMs(),
    requestId: 'r1',
    sessionId: undefined,
    actor: 'person:p1',
    facts: { code: 'gateway.id-foreign', operation: 'engagements.read', foreignPart: 4_000_000_000 },
    ...change,
  };
}

/** As the tail does it: alerts and notes in one transaction, then the pages go out. */
async function happen(events: readonly LogEvent[]): Promise<void> {
  const onFailure = (error: unknown): never => {
    throw error;
  };
  const target = undefined as never; // nothing is sent here: no webhook, and canary pages are not delivered
  const pager = createPager({
    door: sentinel.system,
    clock,
    random: systemRandom,
    canary: target,
    webhook: undefined,
    onFailure,
  });
  const book = attemptsBook(clock);
  await sentinel.system.transaction(async (tx) => {
    await pager.raise(tx, events.filter((one) => one.tenantKind !== 'canary').flatMap(detect));
    await book.note(tx, events);
  });
  clock.advance(1_500);
  await pager.deliverOnce();
}

async function list(query: Record<string, string> = {}) {
  const keys = idKeys({ version: 1, key: new Uint8Array(32).fill(1) });
  const routes = attemptsRoomRoutes({ system: workspace.system, clock, idKeys: () => keys });
  const handler = routes.handlers['attempts'] as unknown as (call: unknown) => Promise<{
    body: { attempts: Attempt[]; canaryLastHour: number; tenants: string[]; next: string | null };
  }>;
  const caller = { tenant: { tenantId: OPERATOR, tenantPart: 4, requestId: 'r' } };
  const before = query['before'] === undefined ? undefined : parseId('acu', query['before'], caller.tenant, keys);
  const ids = before?.ok ? { 'query.before': before.uuid } : {};
  const call = { caller, ids, query: { canary: 'hidden', ...query } } as unknown as Call<
    (typeof attemptsRoutes)['attempts']
  >;
  return (await handler(call)).body;
}

describe('the operator’s view of denied attempts', () => {
  it('says who, what, on whom, at which layer, where it stands in the log, and how long the page took', async () => {
    const one = event({ sessionId: HARBOUR });
    await happen([one]);
    const { attempts, tenants } = await list();
    expect(attempts).toEqual([
      expect.objectContaining({
        entryId: one.entryId,
        logIndex: 7,
        ownEntry: null,
        code: 'gateway.id-foreign',
        layer: 'gateway',
        severity: 'high',
        operation: 'engagements.read',
        who: { kind: 'person', label: 'p1' },
        sessionId: HARBOUR,
        tenant: 'harbour',
        target: 'lakeside',
        times: 1,
        page: expect.objectContaining({ channel: 'inbox', latency_ms: 1_500 }),
      }),
    ]);
    expect(tenants).toEqual(['harbour']);
  });

  it('filters by layer and tenant, leaves canaries out unless asked and counts them all the same', async () => {
    await happen([
      event(),
      event({ facts: { code: 'tripwire.row' }, actor: 'service:workspace' }),
      event({ tenantId: CANARY, tenantKind: 'canary' }),
      event({ type: 'engagement.created', facts: {} }),
    ]);
    const codes = async (query?: Record<string, string>) => (await list(query)).attempts.map((one) => one.code);
    expect(await codes()).toEqual(['tripwire.row', 'gateway.id-foreign']);
    expect(await codes({ layer: 'tripwire' })).toEqual(['tripwire.row']);
    expect(await codes({ tenant: 'lakeside' })).toEqual([]);
    expect(await codes({ tenant: 'nobody' })).toEqual([]);
    const shown = await list({ canary: 'shown' });
    expect(shown.attempts.map((one) => one.canary)).toEqual([true, false, false]);
    expect((await list()).canaryLastHour).toBe(1);
  });

  it('notes a repeated batch once, a sum as many, and links what stands in the operator’s own trail', async () => {
    const sum = event({
      tenantId: OPERATOR,
      tenantKind: 'operator',
      type: 'attempts.counted',
      actor: 'service:sentinel',
      facts: { code: 'edge.session-missing', service: 'gateway', source: 'edge internet', count: 900 },
    });
    await happen([sum]);
    await happen([sum]);
    const { attempts } = await list();
    expect(attempts).toHaveLength(1);
    expect(attempts[0]).toMatchObject({ times: 900, source: 'edge internet', layer: 'edge', severity: 'low' });
    expect(attempts[0]!.ownEntry).toMatch(/^ent_/);
  });

  it('pages through what is there, and keeps the newest only', async () => {
    const withheld = { facts: { code: 'row.withheld' }, type: 'access.row-denied' };
    const many = Array.from({ length: 201 }, () => event(withheld));
    await sentinel.system.transaction((tx) => attemptsBook(clock).note(tx, many));
    const first = await list();
    expect(first.attempts).toHaveLength(200);
    const rest = await list({ before: first.next! });
    expect(rest.attempts).toHaveLength(1);
    expect(rest.next).toBeNull();
    await sentinel.system.transaction((tx) => tx.query(forgetAttempts(false, 50)));
    expect((await list()).attempts.map((one) => one.entryId)).toEqual(
      first.attempts.slice(0, 50).map((one) => one.entryId),
    );
  });
});
