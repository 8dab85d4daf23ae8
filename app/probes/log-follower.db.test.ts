import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manualClock, systemClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { openDatabase, type Database } from '@auditrax/tenancy';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TailDeps } from '../domains/detections/index.ts';
import type { CellDoor, Observation } from '../platform/audit/index.ts';
import { asSuperuser, setBeat } from '../platform/audit/testing.ts';
import { startTestDatabase, type TestDatabase } from '../platform/db/testing.ts';
import { createLogFollower, type LogFollower } from './log-follower.ts';
import { createHeartbeats } from './heartbeats.ts';
import { createWatch } from './watch.ts';

const TENANT = uuidV4(systemRandom);
const TABLES = ['oncall.cursor', 'audit.entry', 'audit.log_index', 'audit.mint', 'audit.beat', 'platform.tenant'];
const ATTEMPT = 'tenant.attempt.refused';
type Where = 'home' | 'south';

const servers = {} as Record<Where, TestDatabase>;
const databases = {} as Record<Where, Database>;
let cells: CellDoor[];
let folder: string;
let raised: string[] = [];
let recorded: Observation[] = [];
let ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  for (const where of ['home', 'south'] as const) {
    servers[where] = await startTestDatabase();
    await asSuperuser(
      servers[where],
      `insert into platform.tenant (id, part, kind, slug, display_name) values ('${TENANT}', 1, 'sample', 's', 'S')`,
    );
    databases[where] = openDatabase({
      connection: servers[where].connectionFor('ax_sentinel'),
      poolSize: 3,
      clock: systemClock,
      onRefusal: (event) => Promise.reject(new Error(`${event.code} ${event.reason}`)),
      systemTables: TABLES,
    });
  }
  cells = [
    { cell: 'home', door: databases.home.system },
    { cell: 'south/ax_1', door: databases.south.system },
  ];
});
afterAll(async () => {
  await Promise.all(Object.values(databases).map((database) => database.close()));
  await Promise.all(Object.values(servers).map((server) => server.stop()));
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ax-follow-'));
  raised = [];
  recorded = [];
  await asSuperuser(servers.home, `delete from oncall.cursor where cell <> 'home'`);
  await asSuperuser(servers.home, `update oncall.cursor set position = 0`);
  for (const server of Object.values(servers)) {
    await asSuperuser(server, 'truncate audit.entry, audit.disclosure, audit.log_index restart identity cascade');
  }
});
afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
  rmSync(folder, { recursive: true, force: true });
});

/** An entry of a person, written by `writer`, in its place. */
async function happen(where: Where, type: string, writer = 'ax_workspace'): Promise<Uuid> {
  const id = uuidV4(systemRandom);
  const leaf = {
    id,
    time: Date.now(),
    type,
    actor: ['person', TENANT],
    resource: ['thing', TENANT],
    outcome: 'denied',
    request: id,
  };
  const values = [TENANT, id, Buffer.from(JSON.stringify(leaf))];
  await asSuperuser(servers[where], 'insert into audit.entry (tenant_id, id, leaf) values ($1, $2, $3)', values);
  await asSuperuser(servers[where], 'update audit.entry set writer = $2 where id = $1', [id, writer]);
  await asSuperuser(
    servers[where],
    `insert into audit.log_index (tenant_id, generation, idx, entry_id, leaf_hash)
     select tenant_id, 1, (select count(*) from audit.log_index), id, leaf_hash from audit.entry where id = $1`,
    [id],
  );
  return id;
}

function follower(raise?: TailDeps['raise'], onFailure: (error: unknown) => void = () => {}): LogFollower {
  return createLogFollower({
    home: databases.home.system,
    raise: raise ?? ((_tx, alerts) => Promise.resolve(void raised.push(...alerts.map((alert) => alert.event.entryId)))),
    file: (cell) => join(folder, cell.replace('/', '-')),
    record: async (observation) => void recorded.push(observation),
    reconcile_ms: 60_000,
    onFailure,
  });
}
const begin = (following: LogFollower, cell: CellDoor): void => void ends.push(following.follow(cell));
const endAll = (): Promise<unknown> => Promise.all(ends.splice(0).map((end) => end()));

describe('the logs of several cells', () => {
  it('D5: each event of each cell is raised in home once, though positions are the same in both', async () => {
    const [one, two] = [await happen('home', ATTEMPT), await happen('south', ATTEMPT)];
    const first = follower();
    for (const cell of cells) begin(first, cell);
    await Promise.all(cells.map(({ cell }) => first.followed(cell, 1n)));
    expect(raised.toSorted()).toEqual([one, two].toSorted());
    await endAll();
    const third = await happen('south', ATTEMPT);
    const again = follower();
    for (const cell of cells) begin(again, cell);
    await again.followed('south/ax_1', 2n);
    expect(raised.slice(2)).toEqual([third]);
    // Two followers of one cell, as while a process is being replaced, do not raise twice.
    for (const cell of cells) begin(follower(), cell);
    const fourth = await happen('south', ATTEMPT);
    await again.followed('south/ax_1', 3n);
    await endAll();
    expect(raised.slice(3)).toEqual([fourth]);
  });

  it('D5: alerts that could not be stored leave the cursor of their cell where it was', async () => {
    const entryId = await happen('south', ATTEMPT);
    const failed = Promise.withResolvers<unknown>();
    begin(
      follower(() => Promise.reject(new Error('full')), failed.resolve),
      cells[1]!,
    );
    expect(await failed.promise).toMatchObject({ message: 'full' });
    await endAll();
    const again = follower();
    begin(again, cells[1]!);
    await again.followed('south/ax_1', 1n);
    expect(raised).toEqual([entryId]);
  });

  it('D5: a cell that is away holds up no other', async () => {
    const away: CellDoor = {
      cell: 'south/ax_2',
      door: {
        system: () => Promise.reject(new Error('no route')),
        transaction: () => Promise.reject(new Error('no route')),
      },
    };
    const failures: unknown[] = [];
    const following = follower(undefined, (error) => failures.push(error));
    begin(following, away);
    begin(following, cells[0]!);
    const entryId = await happen('home', ATTEMPT);
    await following.followed('home', 1n);
    expect(raised).toEqual([entryId]);
    expect(failures).toHaveLength(1);
    const watch = createWatch({ cells: () => [cells[0]!, away], clock: systemClock });
    expect((await watch.noticed(entryId, 1_000)).map((seen) => seen.entryId)).toEqual([entryId]);
  });

  it('what the role of one tenant writes is compared with the list of the issuer, which is in home', async () => {
    const following = follower();
    begin(following, cells[1]!);
    await following.followed('south/ax_1', 0n); // the comparison begins at the end of the log
    const forged = await happen('south', 'thing.changed', 'ax_t_00000000000000aa');
    await happen('south', 'member.invited', 'ax_issuer');
    await following.followed('south/ax_1', 2n);
    expect(recorded).toMatchObject([{ type: 'audit.mint.mismatch', public: { entry: forged, reason: 'no-token' } }]);
  });

  it('the sentinel notices what happened in any cell', async () => {
    const entryId = await happen('south', ATTEMPT);
    const watch = createWatch({ cells: () => cells, clock: systemClock });
    expect((await watch.noticed(entryId, 1_000)).map((seen) => seen.entryId)).toEqual([entryId]);
  });

  it('a heartbeat that has stopped in one of them is told', async () => {
    const clock = manualClock(0);
    const heartbeats = createHeartbeats({
      cells: () => cells,
      clock,
      record: async (observation) => void recorded.push(observation),
      onFailure: () => {},
    });
    for (const state of ['stopped', 'running'] as const) {
      await setBeat(servers.south, state);
      await heartbeats.look();
      clock.advance(31_000);
      await heartbeats.look();
    }
    expect(recorded).toMatchObject([
      { type: 'audit.cell.silent', public: { cell: 'south/ax_1', reason: 'no-heartbeat' } },
      { type: 'audit.cell.running' },
    ]);
  });
});
