import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manualClock, systemRandom, uuidV4 } from '@auditrax/base';
import { initKeyRing, localKekProvider } from '@auditrax/seal';
import type { KeyRing } from '@auditrax/seal';
import type { Database, TenantContext } from '@auditrax/tenancy';
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { KeysClient } from './client.ts';
import { rewrapKeys } from './rewrap.ts';
import { createSealer } from './sealer.ts';
import type { Sealer } from './sealer.ts';
import { clientOverRings } from './testing/ring-client.ts';
import { startWorkspaceDatabase, type WorkspaceDatabase } from './testing/workspace-database.ts';

const withCode = (code: string) => expect.objectContaining({ code });
const FIELD = 'app.note.title';

let opened: WorkspaceDatabase;
let database: Database;
let admin: Client;
let folder: string;
let rings: KeyRing[];
/** Index of the source that wraps; every source goes on unwrapping what it wrapped. */
let active: number;
let client: KeysClient;
let context: TenantContext;
let tenantCount = 0;
const clock = manualClock(Date.now());

beforeAll(async () => {
  opened = await startWorkspaceDatabase();
  ({ admin, database } = opened);
});
afterAll(async () => {
  await opened?.stop();
});

async function newRing(): Promise<KeyRing> {
  const path = join(await mkdtemp(join(folder, 'ring-')), 'ring.json');
  const given = { path, rootKey: systemRandom.bytes(32), clock, random: systemRandom, wrappedKeysInStore: 0 };
  const { ring } = await initKeyRing(given);
  return ring;
}

const makeSealer = (): Sealer =>
  createSealer({
    service: 'workspace',
    tenantDoor: database.tenant,
    keysClient: client,
    fields: { [FIELD]: 1001 },
    clock,
    random: systemRandom,
  });
const deps = (change: Partial<KeysClient> = {}) => ({
  service: 'workspace' as const,
  tenantDoor: database.tenant,
  keysClient: { ...client, ...change },
});
const rows = async () =>
  (await admin.query('select * from app.dek where tenant_id = $1 order by purpose, version', [context.tenantId])).rows;
const entries = async () =>
  (
    await admin.query<{ facts: Record<string, unknown> }>(
      `select convert_from(leaf, 'UTF8')::jsonb -> 'public' as facts from audit.entry
       where tenant_id = $1 and type = 'key.rewrapped'`,
      [context.tenantId],
    )
  ).rows.map((row) => row.facts);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rewrap-'));
  rings = [await newRing(), await newRing()];
  active = 0;
  client = clientOverRings(rings, () => active);
  const tenantId = uuidV4(systemRandom);
  tenantCount += 1;
  await admin.query(
    `insert into platform.tenant (id, part, kind, slug, display_name) values ($1, $2, 'sample', $3, 'Sample')`,
    [tenantId, tenantCount, `sample-${tenantCount}`],
  );
  context = { tenantId, tenantPart: tenantCount, requestId: 'request' };
  await database.tenant.transaction(context, (tx) => makeSealer().provision(context, tx));
  context = { ...context };
  return () => rm(folder, { recursive: true, force: true });
});

describe('keys move to another source and nothing is lost', () => {
  it('every key is wrapped by the new source, opens the same values, and has its entry', async () => {
    const place = { context, field: FIELD, rowId: uuidV4(systemRandom) } as const;
    const sealed = await makeSealer().seal({ ...place, value: 'kept' });
    const before = await rows();
    active = 1;
    expect(await rewrapKeys(deps(), context, { reason: 'source-switched' })).toEqual({ rewrapped: 2, current: 0 });
    const after = await rows();
    for (const [index, row] of after.entries()) {
      expect(row.kek_ref).not.toBe(before[index].kek_ref);
      expect({ ...row, kek_ref: 0, wrapped: 0 }).toEqual({ ...before[index], kek_ref: 0, wrapped: 0 });
    }
    const facts = await entries();
    expect(facts.map((fact) => [fact['purpose'], fact['from'], fact['to'], fact['reason']]).sort()).toEqual(
      after.map((row, index) => [row.purpose, before[index].kek_ref, row.kek_ref, 'source-switched']),
    );
    client = clientOverRings([rings[1]!], () => 0);
    expect(await makeSealer().openText({ ...place, sealed })).toBe('kept');
    expect(await rewrapKeys(deps(), context, { reason: 'source-switched' })).toEqual({ rewrapped: 0, current: 2 });
    expect(await entries()).toHaveLength(2);
  });

  it('a new source that answers with another key gets no row', async () => {
    const before = await rows();
    active = 1;
    const lying = {
      rewrap: async (given, name) =>
        localKekProvider({ ring: rings[1]!, random: systemRandom }).wrap(systemRandom.bytes(32), {
          tenantId: given.tenantId,
          ...name,
        }),
    } satisfies Partial<KeysClient>;
    await expect(rewrapKeys(deps(lying), context, { reason: 'source-switched' })).rejects.toThrow(
      withCode('commitment_mismatch'),
    );
    expect(await rows()).toEqual(before);
  });

  it('cut off at any call, each row opens, and the next call finishes', async () => {
    const place = { context, field: FIELD, rowId: uuidV4(systemRandom) } as const;
    const sealed = await makeSealer().seal({ ...place, value: 'kept' });
    active = 1;
    for (let failing = 0; failing < 4; failing += 1) {
      let calls = 0;
      const counted =
        <A extends unknown[], T>(work: (...given: A) => Promise<T>) =>
        (...given: A): Promise<T> => {
          calls += 1;
          return calls > failing ? Promise.reject(new Error('cut off')) : work(...given);
        };
      const cut = { rewrap: counted(client.rewrap), unwrap: counted(client.unwrap) };
      await expect(rewrapKeys(deps(cut), context, { reason: 'source-switched' })).rejects.toThrow('cut off');
      expect(await makeSealer().openText({ ...place, sealed })).toBe('kept');
    }
    expect(await rewrapKeys(deps(), context, { reason: 'source-switched' })).toEqual({ rewrapped: 2, current: 0 });
    expect(await makeSealer().openText({ ...place, sealed })).toBe('kept');
  });

  it('two switches at once leave one wrap and one entry a key', async () => {
    active = 1;
    const order = { reason: 'source-switched' } as const;
    await Promise.all([rewrapKeys(deps(), context, order), rewrapKeys(deps(), context, order)]);
    expect(await entries()).toHaveLength(2);
    const place = { context, field: FIELD, rowId: uuidV4(systemRandom) } as const;
    const sealed = await makeSealer().seal({ ...place, value: 'kept' });
    expect(await makeSealer().openText({ ...place, sealed })).toBe('kept');
  });
});

describe('a wrap changes with its entry or not at all', () => {
  it('the role may not change one without an entry, and never id, commitment, purpose or version', async () => {
    const change = (column: string) =>
      database.tenant.scoped(context, {
        sql: `update app.dek set ${column} = ${column} where tenant_id = $1`,
        parameters: [context.tenantId],
      });
    await expect(change('wrapped')).rejects.toThrow();
    await expect(change('kek_ref')).rejects.toThrow();
    const granted = await admin.query<{ column: string }>(
      `select column_name as column from information_schema.column_privileges
       where table_schema = 'app' and table_name = 'dek' and privilege_type = 'UPDATE' and grantee = 'ax_workspace'`,
    );
    expect(granted.rows.map((row) => row.column).sort()).toEqual(['kek_ref', 'state', 'wrapped']);
  });
});
