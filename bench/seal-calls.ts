import { systemClock, systemRandom, uuidV4 } from '@auditrax/base';
import { openDatabase } from '@auditrax/tenancy';
import type { TenantContext } from '@auditrax/tenancy';
import { Client } from 'pg';
import { createSealer } from '../app/domains/keys/index.ts';
import { vaultInProcess } from '../app/domains/keys/testing/vault-in-process.ts';
import { startTestDatabase } from '../app/platform/db/testing.ts';

const FIELDS = 10_000;
const FIELD = 'app.bench.text';

/** A page of a list. */
const ROW_SET = 200;

export interface Reading {
  /** Of the holder of the key-encryption keys, while one tenant reads all fields with empty caches. */
  readonly calls: number;
  /** CPU time for a field, read one by one, and by row sets of 200; the key is held by then. */
  readonly one_us: number;
  readonly set_us: number;
}

/**
 * How often the holder of the key-encryption keys is asked while one tenant reads 10,000 sealed fields: a real sealer with
 * empty caches over a real database, the keys service in this process, its calls counted.
 */
export async function measureReading(): Promise<Reading> {
  const server = await startTestDatabase();
  const vault = await vaultInProcess(systemClock);
  const admin = new Client(server.connectionFor('superuser'));
  await admin.connect();
  const database = openDatabase({
    connection: server.connectionFor('ax_workspace'),
    poolSize: 2,
    clock: systemClock,
    onRefusal: async () => undefined,
    systemTables: [],
  });
  const makeSealer = () =>
    createSealer({
      service: 'workspace',
      tenantDoor: database.tenant,
      keysClient: vault.keysClient,
      clock: systemClock,
      random: systemRandom,
      fields: { [FIELD]: 1001 },
    });
  try {
    // Stands for a running ledger: the guard refuses changed rows while the log's heartbeat is old.
    await admin.query(`update audit.beat set beat = 'infinity'`);
    const context: TenantContext = { tenantId: uuidV4(systemRandom), tenantPart: 1, requestId: 'bench' };
    await admin.query(
      `insert into platform.tenant (id, part, kind, slug, display_name) values ($1, 1, 'sample', 'bench', 'Bench')`,
      [context.tenantId],
    );
    const writer = makeSealer();
    await database.tenant.transaction(context, (tx) => writer.provision(context, tx));
    const rows: { rowId: ReturnType<typeof uuidV4>; sealed: Buffer }[] = [];
    for (let i = 0; i < FIELDS; i += 1) {
      const rowId = uuidV4(systemRandom);
      rows.push({ rowId, sealed: await writer.seal({ context: { ...context }, field: FIELD, rowId, value: `${i}` }) });
    }
    const reader = makeSealer();
    const before = vault.calls.length;
    const place = { context: { ...context }, field: FIELD } as const;
    for (const [i, row] of rows.entries()) {
      if ((await reader.openText({ ...place, ...row })) !== `${i}`) throw new Error('a field came back as another');
    }
    const calls = vault.calls.length - before;
    const one_us = await cpuOf(async () => {
      for (const row of rows) await reader.openText({ ...place, ...row });
    });
    const set_us = await cpuOf(async () => {
      for (let first = 0; first < FIELDS; first += ROW_SET) {
        const values = rows.slice(first, first + ROW_SET).map((row) => ({ ...row, field: FIELD }) as const);
        await reader.openTexts({ context: place.context, values });
      }
    });
    return { calls, one_us, set_us };
  } finally {
    await database.close();
    await admin.end();
    await vault.close();
    await server.stop();
  }
}

/** Microseconds of CPU for each field; best of five. */
async function cpuOf(work: () => Promise<void>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round += 1) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / FIELDS);
  }
  return best;
}
