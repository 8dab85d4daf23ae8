// kill -9 of each process under writes: nothing acknowledged is lost, nothing is unlogged, and the house comes back.
import type { Client } from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ServiceName } from '@auditrax/base';
import { SERVICES } from '../app/bin/house.ts';
import { makeStateFolder, openTestHouse, Person, removeFolder, type TestHouse } from './testing/house.ts';
import { faultsOfRecord, openAsSuperuser, whenSequenced } from './testing/log-check.ts';
import { beginWork, historyOf, recordResult, startWriters, type Work } from './testing/writers.ts';

const WRITERS = 4;
const LINES_SHOWN = 15;
/** From the kill to the next acknowledged write; a process starts within two seconds on an idle machine. */
const RECOVERY_MS_MAX = 45_000;
/** The commit guard wants a beat of the ledger that is younger than this (audit.beat_age_max). */
const BEAT_AGE_MS_MAX = 2_000;
const state = makeStateFolder();
let test1: TestHouse;
let lead: Person;
let work: Work;
const recovery: Record<string, number> = {};

beforeAll(async () => {
  test1 = await openTestHouse(state);
  lead = await Person.signIn(test1.house, 'Lead auditor');
  work = await beginWork(lead, 'Crash test');
}, 240_000);

afterAll(async () => {
  await lead?.close();
  await test1?.stop();
  removeFolder(state);
}, 60_000);

/** What the processes last said, for whoever has to find out why a test failed. */
afterEach(({ task }) => {
  if (task.result?.state !== 'fail') return;
  process.stdout.write(`${task.name}\n${test1.lines.slice(-LINES_SHOWN).join('\n')}\n`);
});

/** Breaks something in the middle of writes, waits until it is mended and every writer goes on, and looks for what was said. */
async function breakUnderWrites(kill: () => void, isMended: () => boolean): Promise<number> {
  const writers = startWriters(lead, work, WRITERS);
  await expect.poll(() => writers.acknowledged.length, { timeout: 30_000, interval: 20 }).toBeGreaterThan(WRITERS);
  const killedAt = performance.now();
  kill();
  await expect.poll(isMended, { timeout: RECOVERY_MS_MAX, interval: 10 }).toBe(true);
  const from = writers.acknowledged.length;
  await expect
    .poll(() => new Set(writers.acknowledged.slice(from).map((row) => row.criterion)).size, {
      timeout: RECOVERY_MS_MAX,
      interval: 10,
    })
    .toBe(WRITERS);
  const recovery_ms = Math.round(performance.now() - killedAt);
  await writers.stop();
  expect(writers.odd, JSON.stringify(writers.odd.slice(0, 3))).toEqual([]);
  const histories = new Map<string, Awaited<ReturnType<typeof historyOf>>>();
  for (const criterion of work.criteria.slice(0, WRITERS))
    histories.set(criterion, await historyOf(lead, work, criterion));
  for (const row of writers.acknowledged) {
    const kept = histories.get(row.criterion)!.find((entry) => entry.id === row.id);
    expect(kept, `acknowledged result ${row.id}`).toMatchObject({ revision: row.revision, note: row.note });
  }
  return recovery_ms;
}

async function withSuperuser<T>(look: (client: Client) => Promise<T>): Promise<T> {
  const client = await openAsSuperuser(test1.house);
  try {
    return await look(client);
  } finally {
    await client.end();
  }
}

async function faults(): Promise<string[]> {
  const keys = (await test1.house.supervisor.ask('ledger', 'log-keys', null)) as string[];
  return withSuperuser(async (client) => {
    await whenSequenced(client);
    return faultsOfRecord(client, keys);
  });
}

/** Kills the processes and resolves when each runs under another number. */
function killUnderWrites(services: readonly ServiceName[]): Promise<number> {
  const { supervisor } = test1.house;
  const before = supervisor.pids();
  return breakUnderWrites(
    () => services.forEach((service) => process.kill(before[service]!, 'SIGKILL')),
    () => supervisor.allReady() && services.every((service) => supervisor.pids()[service] !== before[service]),
  );
}

describe('kill -9 under writes', () => {
  test.each<[string, readonly ServiceName[]]>([
    ...SERVICES.map((service): [string, readonly ServiceName[]] => [`the ${service}`, [service]]),
    ['all seven at once', SERVICES],
  ])(
    'of %s: nothing acknowledged is lost, nothing is unlogged, the house is back',
    async (name, services) => {
      recovery[name] = await killUnderWrites(services);
      expect(await faults()).toEqual([]);
    },
    120_000,
  );

  test('of a backend of PostgreSQL: the server recovers by itself', async () => {
    await withSuperuser(async (client) => {
      const { rows } = await client.query<{ pid: number }>(
        `select pid from pg_stat_activity where usename = 'ax_workspace' limit 1`,
      );
      recovery['a backend'] = await breakUnderWrites(
        () => process.kill(rows[0]!.pid, 'SIGKILL'),
        () => true,
      );
    });
    expect(await faults()).toEqual([]);
  }, 120_000);

  test('of PostgreSQL itself: the supervisor brings it back', async () => {
    const { pid } = test1.house.database;
    recovery['postgres'] = await breakUnderWrites(
      () => process.kill(pid, 'SIGKILL'),
      () => test1.house.database.pid !== pid,
    );
    expect(await faults()).toEqual([]);
    process.stdout.write(`ms from the kill until every writer goes on: ${JSON.stringify(recovery)}\n`);
  }, 120_000);

  test('while the ledger stays away, no write is acknowledged and none is kept', async () => {
    const { house } = test1;
    const input = { criterion: work.criteria[10]!, revision: 0, note: 'the log is away' };
    const pid = house.supervisor.pids().ledger!;
    process.kill(pid, 'SIGSTOP'); // it neither answers nor beats, and is not started again
    try {
      await sleep(BEAT_AGE_MS_MAX + 500);
      for (let attempt = 0; attempt < 5; attempt += 1) expect((await recordResult(lead, work, input)).status).toBe(503);
      expect(await historyOf(lead, work, input.criterion)).toEqual([]);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await expect.poll(async () => (await recordResult(lead, work, input)).status, { timeout: 20_000 }).toBe(201);
    expect(await faults()).toEqual([]);
  }, 90_000);

  test('while a process stays away, what needs it is answered 503, never a success', async () => {
    const { supervisor } = test1.house;
    const input = { criterion: work.criteria[11]!, revision: 0, note: 'the workspace is away' };
    const pid = supervisor.pids().workspace!;
    process.kill(pid, 'SIGKILL');
    const reply = await recordResult(lead, work, input);
    if (supervisor.pids().workspace === pid) expect(reply.status).toBe(503);
    await expect.poll(() => supervisor.allReady(), { timeout: RECOVERY_MS_MAX }).toBe(true);
    const kept = await historyOf(lead, work, input.criterion);
    expect(kept).toHaveLength(reply.status === 201 ? 1 : 0);
  }, 90_000);
});

describe('the check itself', () => {
  test.each([
    [
      'a log entry is gone',
      'delete from audit.entry where ctid in (select ctid from audit.entry limit 1)',
      /is not its leaf|has no log entry/,
    ],
    [
      'a row has no entry',
      `insert into app.result (tenant_id, id, engagement_id, criterion_id, revision, outcome, note, observed_on, recorded_by, recorded_at)
       select tenant_id, gen_random_uuid(), engagement_id, id, 1, 'satisfied', content, now(), gen_random_uuid(), now() from app.criterion order by position desc limit 1`,
      /has no log entry/,
    ],
    ['the log has a gap', 'delete from audit.log_index where idx = 2', /a gap|in no log/],
    ['a checkpoint is another', `update audit.checkpoint set root = sha256('x')`, /has another root/],
  ])(
    'would notice that %s',
    async (_what, sql, finding) => {
      const keys = (await test1.house.supervisor.ask('ledger', 'log-keys', null)) as string[];
      const found = await withSuperuser(async (client) => {
        await client.query('begin');
        await client.query('set local session_replication_role = replica');
        await client.query(sql);
        const findings = await faultsOfRecord(client, keys);
        await client.query('rollback');
        return findings;
      });
      expect(found.join('\n')).toMatch(finding);
    },
    60_000,
  );
});
