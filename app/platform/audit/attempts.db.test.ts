import { manualClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { openDatabase, type Database, type TenantContext } from '@auditrax/tenancy';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestDatabase, type TestDatabase } from '../db/testing.ts';
import {
  ATTEMPT_REFUSED,
  attemptRecorder,
  BUDGET_MS,
  createRecorder,
  RULE_ATTEMPTS_PER_SESSION_MAX,
  TELL_EVERY_MS,
  WALL_ATTEMPTS_PER_SESSION_MAX,
  wallAttemptsOf,
  type AuditInput,
  type TellingRecorder,
} from './index.ts';
import { asSuperuser, setBeat } from './testing.ts';

const context: TenantContext = { tenantId: uuidV4(systemRandom), tenantPart: 7, requestId: 'r-1' };
const personId = uuidV4(systemRandom);
const clock = manualClock(Date.now());
let server: TestDatabase;
let database: Database;
let attempts: TellingRecorder;

beforeAll(async () => {
  server = await startTestDatabase();
  database = openDatabase({
    connection: server.connectionFor('ax_workspace'),
    poolSize: 4,
    clock,
    onRefusal: (event) => Promise.reject(new Error(`${event.code} ${event.reason}`)),
    systemTables: [],
  });
});
afterAll(async () => {
  await database?.close();
  await server?.stop();
});
beforeEach(async () => {
  await setBeat(server, 'running');
  await asSuperuser(server, 'truncate audit.attempt_budget, audit.pending; truncate audit.entry cascade');
  attempts = attemptRecorder(database.tenant, { clock, record: createRecorder({ clock }) });
});

function attempt(change: Partial<AuditInput> & { sessionId?: Uuid } = {}): AuditInput {
  const { sessionId, ...rest } = change;
  return {
    type: ATTEMPT_REFUSED,
    actor: { personId, ...(sessionId === undefined ? {} : { sessionId }) },
    tokenHash: 'hash',
    resource: ['tenant', context.tenantId],
    outcome: 'denied',
    requestId: uuidV4(systemRandom),
    public: { code: 'gateway.id-foreign', layer: 'gateway', operation: 'engagements.read' },
    ...rest,
  };
}

interface Leaf {
  actor: [string, string];
  token?: string;
  public: { count?: number; person?: string; session?: string; code: string };
}
async function leaves(): Promise<Leaf[]> {
  const rows = await asSuperuser<{ leaf: Leaf }>(
    server,
    `select convert_from(leaf, 'UTF8')::jsonb as leaf from audit.entry order by occurred_ms, id`,
  );
  return rows.map((row) => row.leaf);
}
const countOf = (leaf: Leaf): number => leaf.public.count ?? 1;

describe('the budget of denied attempts', () => {
  it('writes a thousand attempts of one session singly up to the budget, sums the rest, and loses none', async () => {
    const sessionId = uuidV4(systemRandom);
    const made = 1_000;
    let overSince = 0;
    for (let at = 0; at < made; at += 1) {
      const { entryId, sessionOver } = await attempts.record(context, attempt({ sessionId }));
      expect(entryId !== undefined).toBe(at < WALL_ATTEMPTS_PER_SESSION_MAX);
      if (sessionOver && overSince === 0) overSince = at + 1;
      clock.advance(50);
    }
    expect(overSince).toBe(WALL_ATTEMPTS_PER_SESSION_MAX);
    await attempts.flush();
    const written = await leaves();
    expect(written.filter((leaf) => leaf.public.count === undefined)).toHaveLength(WALL_ATTEMPTS_PER_SESSION_MAX);
    const sums = written.filter((leaf) => leaf.public.count !== undefined);
    // 970 attempts in 48.5 s: one at once, one every ten seconds, one at the end.
    expect(sums.length).toBeLessThanOrEqual(Math.ceil((made * 50) / TELL_EVERY_MS) + 2);
    expect(written.reduce((sum, leaf) => sum + countOf(leaf), 0)).toBe(made);
    // A process tells the sum: the person's token may be over by then.
    expect(sums[0]).toMatchObject({
      actor: ['service', 'workspace'],
      public: { person: personId, session: sessionId, code: 'gateway.id-foreign' },
    });
    expect(sums[0]!.token).toBeUndefined();
    const [row] = await database.tenant.scoped(context, wallAttemptsOf(context.tenantId, sessionId));
    expect(row).toMatchObject({
      recorded: WALL_ATTEMPTS_PER_SESSION_MAX,
      over: String(made - WALL_ATTEMPTS_PER_SESSION_MAX),
    });
  }, 30_000);

  it('counts right when many come at once', async () => {
    const sessionId = uuidV4(systemRandom);
    const done = await Promise.all(Array.from({ length: 100 }, () => attempts.record(context, attempt({ sessionId }))));
    expect(done.filter((one) => one.entryId !== undefined)).toHaveLength(WALL_ATTEMPTS_PER_SESSION_MAX);
    await attempts.flush();
    expect((await leaves()).reduce((sum, leaf) => sum + countOf(leaf), 0)).toBe(100);
  });

  it('ends no session for what its own tenant does not allow, and begins anew after an hour', async () => {
    const sessionId = uuidV4(systemRandom);
    const denied = { type: 'access.operation.refused', sessionId, public: { code: 'policy.operation' } };
    const answers = [];
    for (let at = 0; at < RULE_ATTEMPTS_PER_SESSION_MAX + 2; at += 1)
      answers.push(await attempts.record(context, attempt(denied)));
    expect(answers.filter((one) => one.entryId !== undefined)).toHaveLength(RULE_ATTEMPTS_PER_SESSION_MAX);
    expect(answers.some((one) => one.sessionOver)).toBe(false);
    clock.advance(BUDGET_MS + 1);
    expect((await attempts.record(context, attempt(denied))).entryId).toBeDefined();
    await attempts.flush();
    expect((await leaves()).reduce((sum, leaf) => sum + countOf(leaf), 0)).toBe(RULE_ATTEMPTS_PER_SESSION_MAX + 3);
  });

  it('keeps sessions, walls and rules apart', async () => {
    const [one, other] = [uuidV4(systemRandom), uuidV4(systemRandom)];
    for (let at = 0; at < WALL_ATTEMPTS_PER_SESSION_MAX; at += 1)
      await attempts.record(context, attempt({ sessionId: one }));
    expect((await attempts.record(context, attempt({ sessionId: one }))).entryId).toBeUndefined();
    expect((await attempts.record(context, attempt({ sessionId: other }))).entryId).toBeDefined();
    expect(
      (await attempts.record(context, attempt({ sessionId: one, type: 'step-up.missing' }))).entryId,
    ).toBeDefined();
    expect((await attempts.record(context, attempt({ actor: { service: 'workspace' } }))).entryId).toBeDefined();
  });
});

describe('an answer only after the record', () => {
  it('while the log is away: the evidence is kept, singly and past the budget, and the answer is an error', async () => {
    const sessionId = uuidV4(systemRandom);
    await setBeat(server, 'stopped');
    await expect(attempts.record(context, attempt({ sessionId }))).rejects.toMatchObject({ code: 'audit_log_down' });
    expect(await asSuperuser(server, 'select 1 from audit.pending')).toHaveLength(1);
    for (let at = 1; at < WALL_ATTEMPTS_PER_SESSION_MAX + 5; at += 1)
      await attempts.record(context, attempt({ sessionId })).catch(() => undefined);
    const [row] = await database.tenant.scoped(context, wallAttemptsOf(context.tenantId, sessionId));
    expect(row!.over).toBe('5');
    await expect(attempts.record(context, attempt({ sessionId }))).rejects.toMatchObject({ code: 'audit_log_down' });
    await setBeat(server, 'running');
    await expect(attempts.record(context, attempt({ sessionId }))).resolves.toMatchObject({ sessionOver: true });
  });

  it('a writer cannot say by itself that the log is running', async () => {
    await expect(
      database.tenant.scoped(context, {
        sql: `insert into audit.attempt_budget (tenant_id, subject, kind, since, last_at, recorded, single, log_running)
              values ($1, $1, 'walls', now(), now(), 0, true, true)`,
        parameters: [context.tenantId],
      }),
    ).rejects.toThrow();
  });

  it('while the database is away, the answer is an error', async () => {
    await server.stop();
    await expect(attempts.record(context, attempt())).rejects.toMatchObject({ code: 'database_unavailable' });
  });
});
