import { systemClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { openDatabase, type Database, type SystemTransaction } from '@auditrax/tenancy';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { observationRecorder } from '../../platform/audit/index.ts';
import { asSuperuser, setBeat } from '../../platform/audit/testing.ts';
import { startTestDatabase, type TestDatabase } from '../../platform/db/testing.ts';
import { createTail, type Alert } from './index.ts';

const OPERATOR = uuidV4(systemRandom);
let server: TestDatabase;
let database: Database;

beforeAll(async () => {
  server = await startTestDatabase();
  await setBeat(server, 'running');
  await asSuperuser(
    server,
    `insert into platform.tenant (id, part, kind, slug, display_name) values ('${OPERATOR}', 1, 'operator', 'operator', 'O')`,
  );
  database = openDatabase({
    connection: server.connectionFor('ax_sentinel'),
    poolSize: 3,
    clock: systemClock,
    onRefusal: (event) => Promise.reject(new Error(`${event.code} ${event.reason}`)),
    systemTables: ['oncall.cursor', 'audit.entry', 'audit.log_index', 'platform.tenant'],
    functions: ['audit.append_observation'],
  });
});
afterAll(async () => {
  await database?.close();
  await server?.stop();
});

/** Writes an observation and gives it a place, as the sequencer would. */
async function happen(type: string): Promise<Uuid> {
  const { entryId } = await observationRecorder(database.system).record({
    type,
    resource: ['entry', OPERATOR],
    outcome: 'failed',
    requestId: 'r1',
  });
  await asSuperuser(
    server,
    `insert into audit.log_index (tenant_id, generation, idx, entry_id, leaf_hash)
     select tenant_id, 1, (select count(*) from audit.log_index), id, leaf_hash from audit.entry where id = $1`,
    [entryId],
  );
  return entryId;
}

function tail(raise: (tx: SystemTransaction, alerts: readonly Alert[]) => Promise<void>) {
  const door = database.system;
  return createTail({ door, source: { cell: 'home', door }, raise, onFailure: () => {} });
}

describe('the tail of the log', () => {
  it('D1, D2: hands each event to the rules once, in order, and moves on', async () => {
    const raised: Alert[] = [];
    const following = tail((_tx, alerts) => Promise.resolve(void raised.push(...alerts)));
    const first = await happen('audit.mint.mismatch');
    await happen('page.published');
    const second = await happen('audit.mint.mismatch');
    expect(await following.runOnce()).toBe(3);
    expect(raised.map((alert) => alert.event.entryId)).toEqual([first, second]);
    expect(await following.runOnce()).toBe(0);
  });

  it('D1: repeats a batch whose alerts could not be stored', async () => {
    const entryId = await happen('audit.mint.mismatch');
    await expect(tail(() => Promise.reject(new Error('full'))).runOnce()).rejects.toThrow('full');
    const raised: Alert[] = [];
    await tail((_tx, alerts) => Promise.resolve(void raised.push(...alerts))).runOnce();
    expect(raised.map((alert) => alert.event.entryId)).toEqual([entryId]);
  });
});
