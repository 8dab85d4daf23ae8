import { systemClock, systemRandom, uuidV4 } from '@auditrax/base';
import { openDatabase } from '@auditrax/tenancy';
import type { TenantContext } from '@auditrax/tenancy';
import { Client } from 'pg';
import { createSealer } from '../app/domains/keys/index.ts';
import { vaultInProcess } from '../app/domains/keys/testing/vault-in-process.ts';
import { startTestDatabase } from '../app/platform/db/testing.ts';

const FIELDS = 10_000;
const FIELD = 'app.bench.text';

/**
 * How often the holder of the key-encryption keys is asked while one tenant reads 10,000 sealed fields: a real sealer with
 * empty caches over a real database, the keys service in this process, its calls counted.
 */
export async function countProviderCalls(): Promise<number> {
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
    return vault.calls.length - before;
  } finally {
    await database.close();
    await admin.end();
    await vault.close();
    await server.stop();
  }
}
