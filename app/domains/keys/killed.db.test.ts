import { fork } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock, systemRandom, uuidV4 } from '@auditrax/base';
import { initKeyRing } from '@auditrax/seal';
import type { KeyRing } from '@auditrax/seal';
import type { Database, TenantContext } from '@auditrax/tenancy';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { discoverSealedColumns, discoverSealedFields } from '../../platform/db/sealed-fields.ts';
import type { SealedColumn } from '../../platform/db/sealed-fields.ts';
import type { TestDatabase } from '../../platform/db/testing.ts';
import { createSealer } from './sealer.ts';
import type { Sealer } from './sealer.ts';
import { clientOverRings } from './testing/ring-client.ts';
import type { RotationOrder } from './testing/rotating-process.ts';
import { openStored, writeSealedRows } from './testing/sealed-rows.ts';
import type { StoredValue } from './testing/sealed-rows.ts';
import { startWorkspaceDatabase, type WorkspaceDatabase } from './testing/workspace-database.ts';

const APP = fileURLToPath(new URL('../..', import.meta.url));
const CHILD = fileURLToPath(new URL('./testing/rotating-process.ts', import.meta.url));
const KILLS = 6;
/** From its first step to its last one, a whole run takes about this long; a kill falls anywhere into it. */
const KILLED_WITHIN_MS = 900;
const CONVERGES_WITHIN_MS = 30_000;
const TEST_MS_MAX = 150_000;

let server: TestDatabase;
let admin: Client;
let opened: WorkspaceDatabase;
let database: Database;
let folder: string;
let rings: { ring: KeyRing; path: string; rootKey: string }[];
let columns: readonly SealedColumn[];
let fields: Readonly<Record<string, number>>;
let context: TenantContext;

async function newRing(name: string): Promise<(typeof rings)[number]> {
  const path = join(folder, name);
  const rootKey = Buffer.from(systemRandom.bytes(32));
  const given = { path, rootKey, clock: systemClock, random: systemRandom, wrappedKeysInStore: 0 };
  const { ring } = await initKeyRing(given);
  return { ring, path, rootKey: rootKey.toString('hex') };
}

beforeAll(async () => {
  opened = await startWorkspaceDatabase();
  ({ server, admin, database } = opened);
  folder = await mkdtemp(join(tmpdir(), 'killed-'));
  columns = await discoverSealedColumns(APP);
  fields = await discoverSealedFields(APP);
  const tenantId = uuidV4(systemRandom);
  await admin.query(
    `insert into platform.tenant (id, part, kind, slug, display_name) values ($1, 1, 'sample', 'sample', 'Sample')`,
    [tenantId],
  );
  context = { tenantId, tenantPart: 1, requestId: 'request' };
  rings = [await newRing('one'), await newRing('two')];
  // A ring is written by its own process alone: both make their key for the tenant now.
  for (const { ring } of rings) await ring.kekOfTenant(tenantId);
  await database.tenant.transaction(context, (tx) => sealerOf(0).provision(context, tx));
  context = { ...context };
});
afterAll(async () => {
  await opened?.stop();
  await rm(folder, { recursive: true, force: true });
});

function sealerOf(active: number): Sealer {
  const keysClient = clientOverRings(
    rings.map(({ ring }) => ring),
    () => active,
  );
  const parts = { service: 'workspace' as const, tenantDoor: database.tenant, keysClient };
  return createSealer({ ...parts, fields, clock: systemClock, random: systemRandom });
}

/** Runs the process; with `killAfter_ms` it gets no further than that. True when it came to its end. */
function run(active: number, killAfter_ms?: number): Promise<boolean> {
  const order: RotationOrder = {
    app: APP,
    connections: { workspace: server.connectionFor('ax_workspace'), issuer: server.connectionFor('ax_issuer') },
    rings: rings.map(({ path, rootKey }) => ({ path, rootKey })),
    active,
    context,
  };
  return new Promise((resolve, reject) => {
    const child = fork(CHILD, { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    child.on('message', (said) => {
      if (said === 'begun' && killAfter_ms !== undefined) setTimeout(() => child.kill('SIGKILL'), killAfter_ms);
    });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code === 0));
    child.send(order);
  });
}

async function unreadable(stored: readonly StoredValue[]): Promise<string[]> {
  const sealer = sealerOf(0);
  const lost: string[] = [];
  for (const one of stored) {
    const opened = await openStored({ admin, sealer }, context, one).catch((error: Error) => ({ same: false, error }));
    if (!opened.same) lost.push(`${one.column.column} ${one.row}`);
  }
  return lost;
}

describe('kill -9 at any instant of a rotation or a change of source', () => {
  it(
    'leaves every value readable, and the next run finishes',
    async () => {
      const value = (column: SealedColumn, index: number): Buffer =>
        column.purpose === 'objects' ? Buffer.alloc(32, index + 1) : Buffer.from(`${column.column} ${index}`);
      const stored = await writeSealedRows({ admin, sealer: sealerOf(0), columns }, context, { rows: 25, value });
      let killed = 0;
      for (let kill = 0; kill < KILLS; kill += 1) {
        if (!(await run((kill + 1) % 2, randomInt(KILLED_WITHIN_MS)))) killed += 1;
        expect(await unreadable(stored), `after kill ${kill + 1}`).toEqual([]);
      }
      expect(killed, 'some runs were really cut off').toBeGreaterThan(KILLS / 3);
      const beganMs = performance.now();
      expect(await run(1)).toBe(true);
      expect(performance.now() - beganMs).toBeLessThan(CONVERGES_WITHIN_MS);
      expect(await unreadable(stored)).toEqual([]);
      const { rows } = await admin.query<{ purpose: string; version: number }>(
        `select purpose, max(version) as version, count(distinct kek_ref)::int as refs, count(*) filter (where state = 'ACTIVE')::int as active
         from app.dek where tenant_id = $1 group by purpose`,
        [context.tenantId],
      );
      expect(rows).toEqual([
        expect.objectContaining({ refs: 1, active: 1 }),
        expect.objectContaining({ refs: 1, active: 1 }),
      ]);
      const youngest = new Map(rows.map((row) => [row.purpose, row.version]));
      const sealer = sealerOf(1);
      for (const one of stored) {
        const { version } = await openStored({ admin, sealer }, context, one);
        expect(version, one.column.column).toBe(youngest.get(one.column.purpose));
      }
    },
    TEST_MS_MAX,
  );
});
