import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manualClock, systemRandom, uuidV4 } from '@auditrax/base';
import type { KekProvider } from '@auditrax/seal';
import { fileTokenKeyBook, openToken, pkcs11KekProvider } from '@auditrax/seal/pkcs11';
import type { Pkcs11Token } from '@auditrax/seal/pkcs11';
import { hasSoftToken, initSoftToken } from '@auditrax/seal/soft-token';
import { openDatabase } from '@auditrax/tenancy';
import type { Database, TenantContext } from '@auditrax/tenancy';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestDatabase } from '../../platform/db/testing.ts';
import type { TestDatabase } from '../../platform/db/testing.ts';
import { installationProvider } from './key-stores.ts';
import { keyRings } from './key-rings.ts';
import { createRotation } from './rotation.ts';
import { createSealer } from './sealer.ts';
import { vaultInProcess } from './testing/vault-in-process.ts';
import type { VaultInProcess } from './testing/vault-in-process.ts';

const FIELD = 'app.note.title';
const clock = manualClock(Date.now());
const mayRun = hasSoftToken() || process.env['CI'] === 'true';

let server: TestDatabase;
let database: Database;
let admin: Client;
let folder: string;
let token: Pkcs11Token;
let vault: VaultInProcess;
let local: KekProvider;
let inHsm: KekProvider;
/** What the settings name. */
let store: 'local' | 'pkcs11' | 'pkcs11 without the ring' = 'local';
let context: TenantContext;

beforeAll(async () => {
  if (!mayRun) return;
  server = await startTestDatabase();
  admin = new Client(server.connectionFor('superuser'));
  await admin.connect();
  await admin.query(`update audit.beat set beat = 'infinity'`);
  const connection = server.connectionFor('ax_workspace');
  const systemTables = ['platform.tenant'];
  database = openDatabase({ connection, poolSize: 4, clock, onRefusal: async () => undefined, systemTables });
  folder = await mkdtemp(join(tmpdir(), 'installation-'));
  const soft = await initSoftToken({ folder, label: 'house', pin: '1234' });
  token = await openToken({ ...soft, sessions: 1, deadline_ms: 20_000 });
  const book = fileTokenKeyBook(join(folder, 'token-keys'));
  inHsm = pkcs11KekProvider({ token, book, random: systemRandom, mayCreate: true });
  vault = await vaultInProcess(clock, undefined, (ring) => {
    local = ring;
    const now = (): KekProvider => {
      if (store === 'local') return installationProvider(local, { pkcs11: inHsm });
      return store === 'pkcs11' ? installationProvider(inHsm, { local }) : installationProvider(inHsm, {});
    };
    return {
      generateDek: (given) => now().generateDek(given),
      wrap: (dek, given) => now().wrap(dek, given),
      unwrap: (wrapped, given) => now().unwrap(wrapped, given),
      describe: () => now().describe(),
      health: () => now().health(),
    };
  });
  const tenantId = uuidV4(systemRandom);
  await admin.query(
    `insert into platform.tenant (id, part, kind, slug, display_name) values ($1, 1, 'sample', 'sample-1', 'Sample')`,
    [tenantId],
  );
  context = { tenantId, tenantPart: 1, requestId: 'request' };
  await database.tenant.transaction(context, (tx) => parts().sealer.provision(context, tx));
  context = { ...context };
}, 60_000);
afterAll(async () => {
  token?.close();
  await vault?.close();
  await database?.close();
  await admin?.end();
  await server?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

/** A process that holds nothing yet. */
function parts() {
  const deps = {
    service: 'workspace' as const,
    tenantDoor: database.tenant,
    keysClient: vault.keysClient,
    clock,
    random: systemRandom,
  };
  const sealer = createSealer({ ...deps, fields: { [FIELD]: 1001 } });
  const onFailure = (error: unknown): void => expect.fail(String(error));
  return { sealer, rotation: createRotation({ ...deps, columns: [], sealer, onFailure }) };
}

const refs = async (): Promise<string[]> =>
  (
    await admin.query<{ kek_ref: string }>('select kek_ref from app.dek where tenant_id = $1 order by 1', [
      context.tenantId,
    ])
  ).rows.map((row) => row.kek_ref);
const installationRing = async () => {
  const rings = await keyRings(
    { tenantDoor: database.tenant, system: database.system, sourcesClient: vault.sourcesClient, clock },
    'request',
  );
  return rings[0]!;
};

describe.skipIf(!mayRun)('the installation’s keys in an HSM (SoftHSM)', () => {
  it('data keys follow by the ordinary round, shown as they go, and open without the ring; and back again', async () => {
    const place = { context, field: FIELD, rowId: uuidV4(systemRandom) } as const;
    const sealed = await parts().sealer.seal({ ...place, value: 'kept' });
    expect((await refs()).every((ref) => ref.startsWith('local:'))).toBe(true);
    expect(await installationRing()).toMatchObject({ provider: 'local', dataKeys: 2, left: 0 });

    store = 'pkcs11';
    // What stands under the ring still opens, what is made now is the HSM's.
    expect(await parts().sealer.openText({ ...place, sealed })).toBe('kept');
    await parts().rotation.rotateNow(context, { actor: { service: 'workspace' } });
    expect((await refs()).map((ref) => ref.split(':')[0])).toEqual(['local', 'local', 'pkcs11', 'pkcs11']);
    expect(await installationRing()).toMatchObject({ provider: 'pkcs11', dataKeys: 4, left: 2 });

    await parts().rotation.tend(context);
    expect((await refs()).every((ref) => ref.startsWith('pkcs11:'))).toBe(true);
    expect(await installationRing()).toMatchObject({ dataKeys: 4, left: 0, health: { state: 'usable' } });
    const { rows } = await admin.query<{ reason: string }>(
      `select convert_from(leaf, 'UTF8')::jsonb -> 'public' ->> 'reason' as reason from audit.entry
       where tenant_id = $1 and type = 'key.rewrapped'`,
      [context.tenantId],
    );
    expect(rows.map(({ reason }) => reason)).toEqual(['installation-switched', 'installation-switched']);
    store = 'pkcs11 without the ring';
    expect(await parts().sealer.openText({ ...place, sealed })).toBe('kept');

    store = 'local';
    expect(await parts().sealer.openText({ ...place, sealed })).toBe('kept');
    await parts().rotation.tend(context);
    expect((await refs()).every((ref) => ref.startsWith('local:'))).toBe(true);
  });
});
