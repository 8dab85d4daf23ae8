// Rules of tenants with places of their own: in a schema, and in a database in another region.
import { buffer, text } from 'node:stream/consumers';
import type { Uuid } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestLedger, type TestLedger } from '../../platform/audit/testing.ts';
import { trailExporter } from '../audit-trail/exporting.ts';
import { linesExporter, linesPreview } from '../audit-trail/exporting-lines.ts';
import type { AuditTrailDeps } from '../audit-trail/ports.ts';
import { trailReader } from '../audit-trail/reading.ts';
import { engagementReader } from '../engagements/reading.ts';
import { createListSampler } from '../engagements/sampler.ts';
import { engagementsLeft } from '../engagements/seeing.ts';
import { engagementService } from '../engagements/service.ts';
import { testPlaces, type TestPlaces } from '../engagements/testing/placed-doors.ts';
import { openTestRoom, type TestPerson, type TestRoom, type TestTenant } from '../engagements/testing/room.ts';
import { evidenceService } from '../evidence/index.ts';
import { addOffice, placeEngagement, placePerson, readAll, saveRules } from './service.ts';

const OWN_OFFICE = `@id("own-office")
forbid (principal is Person, action, resource is Engagement)
when { principal.role == "auditor" }
unless { principal has office && resource has office && principal.office == resource.office };
`;
const catalogue = {
  catalog: {
    uuid: '7c5a9f6e-4a0e-4a7e-9d6e-1f2b3c4d5e6f',
    metadata: { title: 'Rules', 'last-modified': '2026-11-22T10:00:00Z', version: '1.0', 'oscal-version': '1.1.2' },
    groups: [
      {
        id: 'a',
        title: 'First',
        controls: [{ id: 'c-1', title: 'One', parts: [{ name: 'statement', prose: 'Do.' }] }],
      },
    ],
  },
};
const withCode = (code: string) => expect.objectContaining({ code });

/** What a tenant has: two engagements with a file each, one of them in the auditor's office. */
interface Work {
  readonly lead: TestPerson;
  readonly auditor: TestPerson;
  readonly ours: Uuid;
  readonly theirs: Uuid;
  readonly files: Readonly<Record<'Ours' | 'Theirs', Uuid>>;
}

const places: TestPlaces = testPlaces();
let room: TestRoom;
let ledgers: { readonly home: TestLedger; readonly cell: TestLedger };
let works: Readonly<Record<'schema' | 'database' | 'shared', Work>>;

async function deliver(who: TestPerson, engagementId: Uuid, content: string): Promise<Uuid> {
  const evidence = evidenceService(room.deps);
  const context = who.caller.tenant;
  const { criteria } = await engagementReader(room.deps).criteria(who, {
    engagementId,
    from: 0,
    limit: 1,
    group: undefined,
    search: undefined,
  });
  const { uploadId } = await evidence.start(who, {
    engagementId,
    criterionId: room.uuidOf('crt', criteria[0]!.id, context),
    fileName: `${content}.txt`,
    mediaType: 'text/plain',
    sizeBytes: content.length,
    speaksAbout: { from: '2026-03-01', to: '2026-03-31' },
    sha256: undefined,
    notACard: undefined,
  });
  const upload = room.uuidOf('upl', uploadId, context);
  async function* bytes(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(content);
  }
  await evidence.writePart(who, { uploadId: upload, offset: 0, source: bytes(), contentLength_bytes: undefined });
  return room.uuidOf('ev', (await evidence.complete(who, upload)).id, context);
}

async function beginWork(tenant: TestTenant): Promise<Work> {
  const [lead, auditor] = [tenant.person('lead'), tenant.person('auditor')];
  const service = engagementService(room.deps);
  const make = async (title: string): Promise<Uuid> => {
    const about = { title, clientName: 'Mills', periodStart: '2026-01-01', periodEnd: '2026-12-31' };
    const { id } = await service.create(lead, { ...about, catalogue, notACard: undefined });
    await service.move(lead, { engagementId: id, to: 'fieldwork', revision: 1 });
    return id;
  };
  const [ours, theirs] = [await make('Ours'), await make('Theirs')];
  const files = { Ours: await deliver(auditor, ours, 'Ours'), Theirs: await deliver(auditor, theirs, 'Theirs') };
  const office = (await addOffice(room.deps, lead, 'North quay')).id;
  await placePerson(room.deps, lead, { personId: auditor.caller.personId, officeId: office, belongs: true });
  await placeEngagement(room.deps, lead, { engagementId: ours, officeId: office, belongs: true });
  return { lead, auditor, ours, theirs, files };
}

beforeAll(async () => {
  room = await openTestRoom({ sampleCatalogue: () => catalogue, doors: places.doors });
  const shared = await room.addTenant(33);
  ledgers = {
    home: await startTestLedger(room.server.connectionFor('ax_ledger')),
    cell: await startTestLedger(places.cell('ax_ledger')),
  };
  works = {
    schema: await beginWork(room.harbour),
    database: await beginWork(room.lakeside),
    shared: await beginWork(shared),
  };
});
afterAll(async () => {
  await ledgers?.home.stop();
  await ledgers?.cell.stop();
  await room?.close();
});

const titles = async (who: TestPerson) =>
  (await engagementReader(room.deps).list(who, { before: undefined, limit: 50 })).engagements
    .map(({ title }) => title)
    .toSorted();
async function save({ lead }: Work, rules: string): Promise<void> {
  room.clock.advance(10);
  const { version } = await readAll(room.deps, lead);
  await saveRules(room.deps, lead, { text: rules, version });
}

function trailDeps(kind: 'schema' | 'database'): AuditTrailDeps {
  const ledger = (kind === 'schema' ? ledgers.home : ledgers.cell).client;
  return { ...room.deps, ledger, engagementsLeft: engagementsLeft(room.deps, createListSampler(room.deps)) };
}

/** The trail as a file, once everything until now is sealed. */
async function exported(kind: 'schema' | 'database', who: TestPerson): Promise<string> {
  const deps = trailDeps(kind);
  const context = who.caller.tenant;
  const { entryId } = await deps.door.transaction(context, (tx) =>
    deps.recordAudit(tx, {
      type: 'thing.last',
      actor: { service: 'workspace' },
      resource: ['thing', who.caller.personId],
      outcome: 'allowed',
      requestId: 'r',
    }),
  );
  await deps.ledger.receipt({ tenantId: context.tenantId, entryId });
  const { upTo } = await linesPreview(deps)(who, { filter: {}, person: undefined });
  const file = await linesExporter(deps)(who, { format: 'csv', filter: {}, person: undefined, upTo, asked: {} });
  return text(file.content);
}

describe.each(['schema', 'database'] as const)('the rules of a tenant with a %s of its own', (kind) => {
  test('hold there in lists, point reads, searches, downloads, the trail and its exports alike, and nowhere else', async () => {
    const { auditor, lead, ours, theirs, files } = works[kind];
    const others = Object.entries(works).filter(([name]) => name !== kind);
    expect(await titles(auditor)).toEqual(['Ours', 'Theirs']);
    expect(await exported(kind, auditor)).toContain(theirs);
    await save(works[kind], OWN_OFFICE);
    expect(await titles(auditor)).toEqual(['Ours']);
    expect(await titles(lead)).toEqual(['Ours', 'Theirs']);
    const [reader, evidence] = [engagementReader(room.deps), evidenceService(room.deps)];
    const page = { from: 0, limit: 5, group: undefined, search: 'Do' };
    const tries = (engagementId: Uuid, file: Uuid) => [
      () => reader.read(auditor, engagementId),
      () => reader.criteria(auditor, { engagementId, ...page }),
      () => evidence.list(auditor, { engagementId, criterionId: undefined, before: undefined, limit: 5 }),
      async () => (await buffer((await evidence.download(auditor, file)).content)).toString(),
    ];
    for (const tried of tries(theirs, files.Theirs)) await expect(tried()).rejects.toEqual(withCode('not_found'));
    for (const tried of tries(ours, files.Ours)) await expect(tried()).resolves.toBeDefined();
    const csv = await exported(kind, auditor);
    expect([csv.includes(ours), csv.includes(theirs)]).toEqual([true, false]);
    expect(await exported(kind, lead)).toContain(theirs);
    const day = { from: '2020-01-01', to: '2099-12-31' };
    await expect(trailExporter(trailDeps(kind))(auditor, day)).rejects.toEqual(withCode('export_narrowed'));
    const trail = trailReader(trailDeps(kind));
    const { entries } = await trail.list(auditor, { cursor: undefined, limit: 50, filter: { type: 'engagement.' } });
    expect(new Set(entries.map(({ resource }) => resource[1]))).toEqual(new Set([ours]));
    for (const [, other] of others) expect(await titles(other.auditor)).toEqual(['Ours', 'Theirs']);
    await save(works[kind], '');
    expect(await titles(auditor)).toEqual(['Ours', 'Theirs']);
  });
});

test('the rules themselves stay in the place: none is in the tables that others share', async () => {
  await save(works.schema, OWN_OFFICE);
  await save(works.database, OWN_OFFICE);
  await save(works.shared, OWN_OFFICE);
  const shared = await room.rows<{ tenant_id: Uuid }>('select distinct tenant_id from app.access_rules');
  expect(shared.map((row) => row.tenant_id)).toEqual([works.shared.lead.caller.tenant.tenantId]);
});
