import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppError, systemClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { openDatabase, type Database } from '@auditrax/tenancy';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sampleCatalogue } from '../../claims/oscal-catalogue.ts';
import { attemptRecorder, recordAudit } from '../../platform/audit/index.ts';
import { discoverSealedColumns } from '../../platform/db/sealed-fields.ts';
import { engagementService } from '../engagements/service.ts';
import { openTestRoom, type TestRoom } from '../engagements/testing/room.ts';
import type { Sealer } from '../keys/index.ts';
import { openBareDoor, runDrill, type BareDoor, type DrillDeps, type DrillName, type DrillResult } from './index.ts';

let room: TestRoom;
let database: Database;
let bare: BareDoor;
let deps: DrillDeps;
let directory: string;
let southern: string;
let foreignRow: Uuid;
let ownRow: Uuid;

/** Every tenant of these drills is in the shared tables. */
const sharedPlaces = (connection: ReturnType<TestRoom['server']['connectionFor']>) => ({
  placeOf: () => Promise.resolve({ cell: 'home', region: 'home', schema: 'app', role: 'ax_workspace', version: 0 }),
  connectionOf: () => connection,
  roleAt: (place: { role: string }) => place.role,
});

beforeAll(async () => {
  room = await openTestRoom({ sampleCatalogue });
  await room.rows(`update platform.tenant set kind = 'canary', slug = 'canary-' || part where part in (11, 22)`);
  await room.rows(`insert into platform.tenant (id, part, kind, slug, display_name)
    values (gen_random_uuid(), 33, 'sample', 'harbour', 'Harbour')`);
  const connection = room.server.connectionFor('ax_workspace');
  const common = { connection, poolSize: 2, clock: systemClock };
  database = openDatabase({ ...common, systemTables: ['platform.tenant'], onRefusal: () => Promise.resolve() });
  bare = openBareDoor({
    places: sharedPlaces(connection),
    clock: systemClock,
    attempts: attemptRecorder(database.tenant, { record: recordAudit }),
  });
  directory = mkdtempSync(join(tmpdir(), 'ax-drills-'));
  southern = mkdtempSync(join(tmpdir(), 'ax-drills-south-'));
  deps = {
    tenant: database.tenant,
    system: database.system,
    bare,
    places: { placeOf: () => Promise.resolve(undefined) } as never,
    sealer: room.deps.sealer as Sealer,
    keysClient: { unwrap: () => Promise.reject(new AppError('unwrap_refused', 'not in this test')) } as never,
    fields: {},
    columns: await discoverSealedColumns(fileURLToPath(new URL('../..', import.meta.url))),
    objectStores: new Map([
      ['north', directory],
      ['south', southern],
    ]),
    clock: systemClock,
    random: systemRandom,
  };
  [ownRow, foreignRow] = (await Promise.all(
    [room.harbour, room.lakeside].map(async (tenant) => {
      const input = { title: 'T', clientName: 'C', periodStart: '2026-01-01', periodEnd: '2026-01-31' };
      const who = tenant.person('lead');
      return (
        await engagementService(room.deps).create(who, {
          ...input,
          catalogue: { source: 'sample' },
          notACard: undefined,
        })
      ).id;
    }),
  )) as [Uuid, Uuid];
});
afterAll(async () => {
  await bare?.close();
  await database?.close();
  await room?.close();
  for (const folder of [directory, southern]) rmSync(folder, { recursive: true, force: true });
});

function drill(
  name: DrillName,
  order: { rowId?: Uuid; tenant?: string; requestId?: string } = {},
): Promise<DrillResult> {
  const { rowId, tenant = 'canary-11', requestId = 'r-drill' } = order;
  return runDrill(deps, { name, tenant, other: 'canary-22', rowId, requestId });
}

describe('drills', () => {
  it('R1: are made on canaries only, on both sides', async () => {
    const wrong = expect.objectContaining({ code: 'drill_canary_required' });
    await expect(drill('no-tenant-read', { tenant: 'harbour' })).rejects.toEqual(wrong);
    await expect(drill('no-tenant-read', { tenant: 'nobody' })).rejects.toEqual(wrong);
    const order = { name: 'no-tenant-read', tenant: 'canary-11', rowId: undefined, requestId: 'r' } as const;
    await expect(runDrill(deps, { ...order, other: 'harbour' })).rejects.toEqual(wrong);
  });

  it('R2: want a row where they are about one', async () => {
    await expect(drill('tripwire-foreign-read')).rejects.toMatchObject({ code: 'drill_row_required' });
  });

  it('are refused by the wall that each is meant for', async () => {
    const wanted: readonly (readonly [DrillName, string, Uuid?])[] = [
      ['guard-foreign-parameter', 'tenant_foreign_parameter'],
      ['guard-unscoped-statement', 'tenant_statement_refused'],
      ['guard-unscoped-join', 'tenant_statement_refused'],
      ['tripwire-foreign-read', 'tenant_tripwire', foreignRow],
      ['tripwire-foreign-update', 'tenant_tripwire', foreignRow],
      ['tripwire-foreign-insert', 'tenant_tripwire'],
      ['no-tenant-read', 'tenant_scope_missing'],
      ['no-tenant-update', 'tenant_scope_missing'],
      ['no-tenant-insert', 'tenant_scope_missing'],
      ['scope-twice', 'tenant_scope_twice'],
      ['grant-change-entry', 'tenant_grant_refused'],
      ['grant-remove-entry', 'tenant_grant_refused'],
      ['grant-empty-log', 'tenant_grant_refused'],
      ['grant-lower-wall', 'tenant_grant_refused'],
      ['unlogged-write', 'database_rule', ownRow],
      ['unwrap-other-tenant', 'unwrap_refused'],
    ];
    for (const [name, code, rowId] of wanted) {
      const result = await drill(name, rowId === undefined ? {} : { rowId });
      expect([name, result]).toEqual([name, expect.objectContaining({ kind: 'refused', code })]);
    }
  });

  it('say what happened where nothing was to be refused', async () => {
    expect(await drill('scoped-read-own')).toEqual({ kind: 'happened', facts: { rows: 1, foreign: 0 } });
    const ages = await drill('key-ages');
    expect(ages).toMatchObject({
      kind: 'happened',
      facts: { count: 4, tenants: 3, complete: true, values_on_old_keys: 0 },
    });
  });

  it('find the bytes of an object in every region’s store, wherever below the tenant they lie', async () => {
    const { tenantId } = room.harbour.context;
    const objectId = uuidV4(systemRandom);
    const found = (regions: string) => ({ kind: 'happened', facts: { regions, stores: 2 } });
    expect(await drill('object-regions', { rowId: objectId })).toEqual(found(''));
    mkdirSync(join(southern, 'objects', tenantId, objectId), { recursive: true });
    expect(await drill('object-regions', { rowId: objectId })).toEqual(found('south'));
    mkdirSync(join(directory, 'leaving', tenantId, 'uploads', objectId), { recursive: true });
    expect(await drill('object-regions', { rowId: objectId })).toEqual(found('north,south'));
  });

  it('notice a wall that is gone: without row-level security the foreign row comes back', async () => {
    await room.rows('alter table app.engagement no force row level security, disable row level security');
    try {
      expect(await drill('tripwire-foreign-read', { rowId: foreignRow })).toEqual({
        kind: 'happened',
        facts: { rows: 1 },
      });
      expect(await drill('no-tenant-read')).toEqual({ kind: 'happened', facts: { rows: 2 } });
    } finally {
      await room.rows('alter table app.engagement enable row level security, force row level security');
    }
  });

  it('R3: what a wall below the guard refuses is on record, under the request that made it', async () => {
    await drill('tripwire-foreign-read', { rowId: foreignRow, requestId: 'r-seen' });
    const found = await room.rows<{ facts: { layer: string } }>(
      `select convert_from(leaf, 'UTF8')::jsonb -> 'public' as facts from audit.entry
       where type = 'tenant.attempt.refused' and convert_from(leaf, 'UTF8')::jsonb ->> 'request' = 'r-seen'`,
    );
    expect(found.map((row) => row.facts.layer)).toEqual(['tripwire']);
  });

  it('R4: leave nothing behind', async () => {
    const [row] = await room.rows<{ revisions: string; notes: string }>(
      `select (select sum(revision) from app.engagement) as revisions, (select count(*) from oncall.acknowledgement) as notes`,
    );
    expect([Number(row!.revisions), Number(row!.notes)]).toEqual([2, 0]);
  });
});

describe('a drill at what is stored', () => {
  it('put other bytes over a sealed value: refused by the guard of sealed values itself, not by a later wall', async () => {
    const service = engagementService(room.deps);
    const who = room.harbour.person('lead');
    const [{ revision } = { revision: 0 }] = await room.rows<{ revision: number }>(
      'select revision from app.engagement where id = $1',
      [ownRow],
    );
    await service.move(who, { engagementId: ownRow, to: 'fieldwork', revision });
    const [criterion] = await room.rows<{ id: Uuid }>('select id from app.criterion where engagement_id = $1 limit 1', [
      ownRow,
    ]);
    const result = { outcome: 'satisfied', note: 'Seen.', observedOn: '2026-01-02', revision: 0 } as const;
    await service.recordResult(who, {
      ...result,
      engagementId: ownRow,
      criterionId: criterion!.id,
      notACard: undefined,
    });
    const [row] = await room.rows<{ id: Uuid }>('select id from app.result where criterion_id = $1', [criterion!.id]);
    expect(await drill('overwrite-sealed', { rowId: row!.id })).toEqual({
      kind: 'refused',
      code: 'database_rule',
      sqlState: 'AX104',
    });
  });
});
