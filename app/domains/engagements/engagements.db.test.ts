import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { systemRandom, uuidV4, uuidV7, type Uuid } from '@auditrax/base';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { insertCriteria, insertResult, readGate } from './queries.ts';
import { engagementReader, type EngagementReader } from './reading.ts';
import { engagementService, type CreateInput, type EngagementService } from './service.ts';
import { createListSampler, type ListSampler } from './sampler.ts';
import { openTestRoom, type TestPerson, type TestRoom } from './testing/room.ts';

const NIST_MODERATE = resolve('../shared/vectors/oscal/NIST_SP-800-53_rev5_MODERATE_resolved_catalog.json');
const withCode = (code: string) => expect.objectContaining({ code });

function catalogue(controls: number): { catalog: unknown } {
  const list = Array.from({ length: controls }, (_, i) => ({
    id: `c-${i + 1}`,
    title: `Rule ${i + 1}`,
    parts: [{ name: 'statement', prose: i === 0 ? 'Doors are locked at night.' : `Statement ${i + 1}.` }],
  }));
  return {
    catalog: {
      uuid: '7c5a9f6e-4a0e-4a7e-9d6e-1f2b3c4d5e6f',
      metadata: {
        title: 'House rules',
        'last-modified': '2026-11-22T10:00:00Z',
        version: '1.0',
        'oscal-version': '1.1.2',
      },
      groups: [
        { id: 'a', title: 'First', controls: list.slice(0, 2) },
        { id: 'b', title: 'Second', controls: list.slice(2) },
      ],
    },
  };
}

const INPUT: CreateInput = {
  title: 'Annual audit',
  clientName: 'Harbour Mills',
  periodStart: '2026-01-01',
  periodEnd: '2026-12-31',
  catalogue: catalogue(5),
  notACard: undefined,
};

let room: TestRoom;
let service: EngagementService;
let reader: EngagementReader;
let lead: TestPerson;
let auditor: TestPerson;
let client: TestPerson;

beforeAll(async () => {
  room = await openTestRoom({ sampleCatalogue: () => catalogue(3) });
  service = engagementService(room.deps);
  reader = engagementReader(room.deps);
  lead = room.harbour.person('lead');
  auditor = room.harbour.person('auditor');
  client = room.harbour.person('client');
});
afterAll(() => room?.close());
beforeEach(() => room.clock.advance(10));

async function inFieldwork(
  input: Partial<CreateInput> = {},
): Promise<{ id: Uuid; revision: number; criteria: readonly Uuid[] }> {
  const made = await service.create(lead, { ...INPUT, ...input });
  const { revision } = await service.move(lead, { engagementId: made.id, to: 'fieldwork', revision: made.revision });
  const rows = await room.rows<{ id: Uuid }>(
    'select id from app.criterion where engagement_id = $1 order by position',
    [made.id],
  );
  return { id: made.id, revision, criteria: rows.map((row) => row.id) };
}

function result(engagementId: Uuid, criterionId: Uuid, revision = 0) {
  return {
    engagementId,
    criterionId,
    outcome: 'satisfied' as const,
    note: 'Seen on site.',
    observedOn: '2026-11-20',
    revision,
    notACard: undefined,
  };
}

/** What a sealed column demands of its bytes; nothing that opens. */
const SEALED_FORM = Buffer.concat([Buffer.of(0xa7, 1, 0, 0, 0, 1), Buffer.alloc(40)]);

describe('creating an engagement', () => {
  test('stores every criterion sealed, with one audit entry, and reads back what was given', async () => {
    const made = await service.create(lead, INPUT);
    expect(made).toMatchObject({ revision: 1, criteria: 5 });
    expect(await room.entries(made.id)).toEqual(['engagement.created']);
    const seen = await reader.read(lead, made.id);
    expect(seen).toMatchObject({
      title: 'Annual audit',
      clientName: 'Harbour Mills',
      periodStart: '2026-01-01',
      periodEnd: '2026-12-31',
      state: 'draft',
      revision: 1,
      progress: { total: 5, satisfied: 0, notSatisfied: 0, notApplicable: 0, open: 5 },
      catalogue: { title: 'House rules', version: '1.0' },
      groups: [
        { index: 0, id: 'a', path: ['First'], progress: { total: 2, open: 2 } },
        { index: 1, id: 'b', path: ['Second'], progress: { total: 3, open: 3 } },
      ],
      contacts: [],
      finalisedAt: null,
    });
    expect(seen.catalogue.sha256).toMatch(/^[0-9a-f]{64}$/);
    const stored = await room.rows<{ text: string }>(
      `select encode(e.title, 'escape') || encode(e.client_name, 'escape') || encode(e.catalogue, 'escape') ||
         (select string_agg(encode(c.content, 'escape'), '') from app.criterion c where c.engagement_id = e.id) as text
       from app.engagement e where e.id = $1`,
      [made.id],
    );
    expect(stored[0]!.text.length).toBeGreaterThan(500);
    expect(stored[0]!.text).not.toMatch(/Annual|Harbour|House|Rule|locked/);
  });

  test('from the built-in sample catalogue', async () => {
    expect(await service.create(lead, { ...INPUT, catalogue: { source: 'sample' } })).toMatchObject({ criteria: 3 });
  });

  test('from the published NIST moderate baseline: 287 criteria', async (context) => {
    if (!existsSync(NIST_MODERATE)) {
      if (process.env['CI'] === 'true') throw new Error(`missing test data: ${NIST_MODERATE}`);
      context.skip('the shared vectors are not on this machine');
    }
    const made = await service.create(lead, { ...INPUT, catalogue: JSON.parse(readFileSync(NIST_MODERATE, 'utf8')) });
    expect(made.criteria).toBe(287);
    const page = await reader.criteria(lead, {
      engagementId: made.id,
      from: 0,
      limit: 200,
      group: undefined,
      search: 'Unsuccessful LOGON',
    });
    expect(page.criteria.map((item) => item.label)).toContain('AC-7');
    expect(page.nextCursor).toBeNull();
  });

  test.each([
    [
      'a broken catalogue, naming the fault from the body',
      { catalogue: { catalog: { uuid: 1 } } },
      'oscal_invalid',
      'body.catalogue.catalog.uuid',
    ],
    ['a period that ends before it begins', { periodEnd: '2025-12-31' }, 'engagement_period_invalid', 'body.periodEnd'],
    ['a card number in the title', { title: 'Card 4111 1111 1111 1111' }, 'card_number_refused', 'title'],
    [
      'a card number in the catalogue',
      { catalogue: JSON.parse(JSON.stringify(catalogue(3)).replace('Statement 2.', '4242 4242 4242 4242')) },
      'card_number_refused',
      'catalogue',
    ],
  ])('refuses %s, and stores nothing', async (...[, change, code, field]) => {
    const before = await room.rows<{ n: number }>('select count(*)::int as n from app.engagement');
    await expect(service.create(lead, { ...INPUT, ...change })).rejects.toThrow(
      expect.objectContaining({ code, field }),
    );
    expect(await room.rows('select count(*)::int as n from app.engagement')).toEqual(before);
  });

  test('a declared "not a card" passes and is on record', async () => {
    const made = await service.create(lead, { ...INPUT, title: 'Order 4111 1111 1111 1111', notACard: ['title'] });
    expect(new Set(await room.entries(made.id))).toEqual(new Set(['engagement.created', 'card-number.overridden']));
  });

  test('while the audit log is down does nothing', async () => {
    const before = await room.rows<{ n: number }>('select count(*)::int as n from app.engagement');
    await room.stopLog();
    await expect(service.create(lead, INPUT)).rejects.toThrow(withCode('audit_log_down'));
    await room.startLog();
    expect(await room.rows('select count(*)::int as n from app.engagement')).toEqual(before);
  });
});

describe('reading', () => {
  test('pages through engagements, newest first, with their progress', async () => {
    const other = room.lakeside.person('lead');
    const ids: Uuid[] = [];
    for (const title of ['One', 'Two', 'Three']) {
      room.clock.advance(1);
      ids.push((await service.create(other, { ...INPUT, title })).id);
    }
    const first = await reader.list(other, { before: undefined, limit: 2 });
    expect(first.engagements.map((item) => item.title)).toEqual(['Three', 'Two']);
    expect(first.engagements[0]!.progress).toMatchObject({ total: 5, open: 5 });
    const second = await reader.list(other, { before: ids[1]!, limit: 2 });
    expect(second.engagements.map((item) => item.title)).toEqual(['One']);
    expect(second.nextCursor).toBeNull();
    expect(first.nextCursor).toBe(room.deps.formatId('ecu', other.caller.tenant, ids[1]!));
  });

  test('pages through criteria in the order of the catalogue, by group and by words', async () => {
    const { id } = await service.create(lead, INPUT);
    const page = { engagementId: id, from: 0, limit: 2, group: undefined, search: undefined };
    const first = await reader.criteria(lead, page);
    expect(first.criteria.map((item) => item.key)).toEqual(['c-1', 'c-2']);
    const second = await reader.criteria(lead, { ...page, from: first.nextCursor! });
    expect(second.criteria.map((item) => item.key)).toEqual(['c-3', 'c-4']);
    const third = await reader.criteria(lead, { ...page, from: second.nextCursor! });
    expect([third.criteria.map((item) => item.key), third.nextCursor]).toEqual([['c-5'], null]);
    expect((await reader.criteria(lead, { ...page, group: 1 })).criteria.map((item) => item.key)).toEqual([
      'c-3',
      'c-4',
    ]);
    expect((await reader.criteria(lead, { ...page, search: 'NIGHT doors' })).criteria.map((item) => item.key)).toEqual([
      'c-1',
    ]);
    expect((await reader.criteria(lead, { ...page, search: 'doors moon' })).criteria).toEqual([]);
  });
});

describe('recording a result', () => {
  test('keeps every earlier one: the newest is in force, the history stays', async () => {
    const { id, criteria } = await inFieldwork();
    const criterionId = criteria[0]!;
    const first = await service.recordResult(auditor, result(id, criterionId));
    room.clock.advance(5);
    const second = await service.recordResult(auditor, {
      ...result(id, criterionId, 1),
      outcome: 'not-satisfied',
      note: 'One door was open.',
    });
    expect([first.revision, second.revision]).toEqual([1, 2]);
    const seen = await reader.criterion(auditor, { engagementId: id, criterionId });
    expect(seen.result).toMatchObject({
      outcome: 'not-satisfied',
      note: 'One door was open.',
      observedOn: '2026-11-20',
      revision: 2,
    });
    expect(seen.history.map((item) => item.outcome)).toEqual(['not-satisfied', 'satisfied']);
    expect((await reader.read(auditor, id)).progress).toEqual({
      total: 5,
      satisfied: 0,
      notSatisfied: 1,
      notApplicable: 0,
      open: 4,
    });
    expect(await room.entries(second.id)).toEqual(['result.recorded']);
  });

  test('on a version that is no longer in force is refused, also when two people do it at once', async () => {
    const { id, criteria } = await inFieldwork();
    const attempts = Array.from({ length: 6 }, () => service.recordResult(auditor, result(id, criteria[0]!)));
    const outcomes = await Promise.allSettled(attempts);
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'engagement_revision_stale' });
    }
    expect(
      await room.rows('select count(*)::int as n from app.result where criterion_id = $1', [criteria[0]!]),
    ).toEqual([{ n: 1 }]);
  });

  test('outside fieldwork is refused', async () => {
    const made = await service.create(lead, INPUT);
    const [row] = await room.rows<{ id: Uuid }>('select id from app.criterion where engagement_id = $1 limit 1', [
      made.id,
    ]);
    await expect(service.recordResult(auditor, result(made.id, row!.id))).rejects.toThrow(
      withCode('engagement_state_forbids'),
    );
  });

  test('for a criterion of another engagement of the same tenant is "not found"', async () => {
    const one = await inFieldwork();
    const two = await inFieldwork();
    await expect(service.recordResult(auditor, result(one.id, two.criteria[0]!))).rejects.toThrow(
      withCode('not_found'),
    );
  });

  test('with a card number in the note is refused unless declared, which is on record', async () => {
    const { id, criteria } = await inFieldwork();
    const note = 'Paid with 5555 5555 5555 4444';
    await expect(service.recordResult(auditor, { ...result(id, criteria[0]!), note })).rejects.toThrow(
      withCode('card_number_refused'),
    );
    const recorded = await service.recordResult(auditor, { ...result(id, criteria[0]!), note, notACard: ['note'] });
    expect(new Set(await room.entries(recorded.id))).toEqual(new Set(['result.recorded', 'card-number.overridden']));
  });
});

describe('moving an engagement', () => {
  test('follows the machine to final, which wants a passkey over exactly this revision and is read-only', async () => {
    const { id, revision, criteria } = await inFieldwork();
    const review = await service.move(auditor, { engagementId: id, to: 'review', revision });
    expect(review).toEqual({ state: 'review', revision: revision + 1 });
    const engagementTag = room.deps.formatId('eng', lead.caller.tenant, id);
    const before = lead.confirmed.length;
    const final = await service.finalise(lead, { engagementId: id, engagementTag, revision: review.revision });
    expect(final).toEqual({ state: 'final', revision: review.revision + 1 });
    expect(lead.confirmed.slice(before)).toEqual([
      {
        operation: 'engagements.finalise',
        tenant: lead.caller.tenant.tenantId,
        person: lead.caller.personId,
        input: { engagementId: engagementTag, revision: review.revision },
      },
    ]);
    const [entry] = await room.rows<{ leaf: string }>(
      `select convert_from(leaf, 'UTF8') as leaf from audit.entry where resource_id = $1 and type = 'engagement.finalised'`,
      [id],
    );
    expect(JSON.parse(entry!.leaf)).toMatchObject({ stepUp: 'b'.repeat(43), public: { from: 'review', to: 'final' } });
    expect((await reader.read(lead, id)).finalisedAt).toBe(new Date(room.clock.nowMs()).toISOString());
    const refused = withCode('engagement_state_forbids');
    const now = final.revision;
    await expect(service.recordResult(auditor, result(id, criteria[0]!))).rejects.toThrow(refused);
    await expect(service.move(lead, { engagementId: id, to: 'fieldwork', revision: now })).rejects.toThrow(refused);
    await expect(service.finalise(lead, { engagementId: id, engagementTag, revision: now })).rejects.toThrow(refused);
    await expect(
      service.assignContact(lead, { engagementId: id, personId: client.caller.personId, revision: now }),
    ).rejects.toThrow(refused);
  });

  test('on a revision that somebody else has changed is refused', async () => {
    const { id, revision } = await inFieldwork();
    await expect(service.move(lead, { engagementId: id, to: 'review', revision: revision - 1 })).rejects.toThrow(
      withCode('engagement_revision_stale'),
    );
  });

  test('is finalised as it was approved, also when somebody changes it while the passkey is touched', async () => {
    const stale = withCode('engagement_revision_stale');
    const { id, revision } = await inFieldwork();
    const review = await service.move(lead, { engagementId: id, to: 'review', revision });
    const approved = { engagementId: id, engagementTag: 'x', revision: review.revision };
    await expect(service.finalise(lead, { ...approved, revision })).rejects.toThrow(stale);
    const slow: TestPerson = {
      ...lead,
      stepUp: async (action) => {
        await service.assignContact(lead, {
          engagementId: id,
          personId: client.caller.personId,
          revision: review.revision,
        });
        return lead.stepUp(action);
      },
    };
    await expect(service.finalise(slow, approved)).rejects.toThrow(stale);
    const { state, revision: changed } = await reader.read(lead, id);
    expect(state).toBe('review');
    await service.removeContact(lead, { engagementId: id, personId: client.caller.personId, revision: changed });
  });

  test('does not ask for a passkey when the state forbids it anyway, and does nothing when the passkey is refused', async () => {
    const { id, revision } = await inFieldwork();
    const refusing: TestPerson = {
      ...lead,
      stepUp: () => Promise.reject(Object.assign(new Error('no'), { code: 'step_up_refused' })),
    };
    await expect(service.finalise(refusing, { engagementId: id, engagementTag: 'x', revision })).rejects.toThrow(
      withCode('engagement_state_forbids'),
    );
    const review = await service.move(lead, { engagementId: id, to: 'review', revision });
    await expect(
      service.finalise(refusing, { engagementId: id, engagementTag: 'x', revision: review.revision }),
    ).rejects.toThrow(withCode('step_up_refused'));
    expect((await reader.read(lead, id)).state).toBe('review');
  });

  test('cannot slip a result past a concurrent move: either it came before or it is refused', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { id, revision, criteria } = await inFieldwork();
      const [recorded, moved] = await Promise.allSettled([
        service.recordResult(auditor, result(id, criteria[0]!)),
        service.move(lead, { engagementId: id, to: 'review', revision }),
      ]);
      expect(moved.status).toBe('fulfilled');
      if (recorded.status === 'rejected') expect(recorded.reason).toMatchObject({ code: 'engagement_state_forbids' });
    }
  });
});

describe('a client contact', () => {
  test('sees assigned engagements only; the denial is on record and looks like nothing', async () => {
    const { id, revision } = await inFieldwork();
    const key = { engagementId: id, personId: client.caller.personId };
    await expect(reader.read(client, id)).rejects.toThrow(withCode('not_found'));
    expect(await room.entries(id)).toContain('access.row-denied');
    expect((await reader.list(client, { before: undefined, limit: 50 })).engagements).toEqual([]);
    const assigned = await service.assignContact(lead, { ...key, revision });
    expect(assigned.contacts).toEqual([client.caller.personId]);
    expect((await reader.read(client, id)).title).toBe('Annual audit');
    expect((await reader.list(client, { before: undefined, limit: 50 })).engagements).toHaveLength(1);
    const removed = await service.removeContact(lead, { ...key, revision: assigned.revision });
    expect(removed.contacts).toEqual([]);
    await expect(
      reader.criteria(client, { engagementId: id, from: 0, limit: 5, group: undefined, search: undefined }),
    ).rejects.toThrow(withCode('not_found'));
  });

  test('records no result even where assigned', async () => {
    const { id, revision, criteria } = await inFieldwork();
    await service.assignContact(lead, { engagementId: id, personId: client.caller.personId, revision });
    await expect(service.recordResult(client, result(id, criteria[0]!))).rejects.toThrow(withCode('not_found'));
    expect(await room.entries(id)).toContain('access.row-denied');
  });

  test('when the denial cannot be recorded, the answer is an error, not a silence', async () => {
    const { id } = await inFieldwork();
    const broken = engagementReader({
      ...room.deps,
      attempts: { record: () => Promise.reject(Object.assign(new Error('down'), { code: 'database_unavailable' })) },
    });
    await expect(broken.read(client, id)).rejects.toThrow(withCode('database_unavailable'));
  });

  test('what is listed is what may be read, for every role', async () => {
    const { id, revision } = await inFieldwork();
    await service.assignContact(lead, { engagementId: id, personId: client.caller.personId, revision });
    const all = await room.rows<{ id: Uuid }>('select id from app.engagement where tenant_id = $1', [
      room.harbour.context.tenantId,
    ]);
    for (const who of [lead, auditor, client]) {
      const listed = new Set(
        (await reader.list(who, { before: undefined, limit: 50 })).engagements.map((item) => item.id),
      );
      for (const row of all) {
        const readable = await reader.read(who, row.id).then(
          () => true,
          () => false,
        );
        expect(readable, `${who.caller.role} ${row.id}`).toBe(
          listed.has(room.deps.formatId('eng', who.caller.tenant, row.id)),
        );
      }
    }
  });
});

describe('a fault of the compiled policies is seen', () => {
  /** Lists by what `filter` says, whatever the policies are. */
  async function listBy(condition: string | undefined, waits_ms = 60_000): Promise<ListSampler> {
    room.clock.advance(waits_ms);
    const { policy } = room.deps;
    const broken = { sql: condition ?? '', parameters: [], strings: [condition ?? ''], values: [] };
    const deps = {
      ...room.deps,
      policy: condition === undefined ? policy : { ...policy, filter: () => broken },
    };
    const sampler = createListSampler(deps);
    await engagementReader(deps, sampler).list(client, { before: undefined, limit: 2 });
    await sampler.idle();
    return sampler;
  }
  const differed = async () =>
    await room.rows<{ leaf: { public: unknown } }>(
      `select convert_from(leaf, 'UTF8')::jsonb as leaf from audit.entry where type = 'access.decision-differed' order by id`,
    );

  test('a list that shows too much, or hides what it should show, is in the log; a right one is not', async () => {
    const { id, revision } = await inFieldwork();
    await inFieldwork();
    await service.assignContact(lead, { engagementId: id, personId: client.caller.personId, revision });
    await listBy(undefined);
    expect(await differed()).toEqual([]);
    await listBy('true');
    const facts = { operation: 'engagements.list', role: 'client', shown: true };
    expect((await differed())[0]!.leaf).toMatchObject({ public: facts, actor: ['service', 'workspace'] });
    const before = (await differed()).length;
    await listBy('false');
    expect((await differed()).slice(before).map(({ leaf }) => leaf.public)).toContainEqual({ ...facts, shown: false });
  });

  test('looks now and then only', async () => {
    let looks = 0;
    const sampler = createListSampler(room.deps);
    const page = { before: uuidV7(room.clock, systemRandom), limit: 2 };
    const list = { operation: 'engagements.list', page, shown: async () => ((looks += 1), []) };
    room.clock.advance(60_000);
    for (let index = 0; index < 5; index += 1) sampler.look(lead, list);
    await sampler.idle();
    sampler.look(lead, list);
    await sampler.idle();
    const once = looks;
    expect(once).toBeGreaterThan(0);
    room.clock.advance(60_000);
    sampler.look(lead, list);
    await sampler.idle();
    expect(looks).toBe(2 * once);
  });
});

describe('the walls hold without the service', () => {
  test('an engagement of another tenant is "not found", and its rows are out of reach of raw statements', async () => {
    const { id, criteria } = await inFieldwork();
    const foreigner = room.lakeside.person('lead');
    await expect(reader.read(foreigner, id)).rejects.toThrow(withCode('not_found'));
    await expect(service.recordResult(foreigner, result(id, criteria[0]!))).rejects.toThrow(withCode('not_found'));
    const foreign = readGate(room.harbour.context, { id, personId: lead.caller.personId });
    await expect(room.deps.door.scoped(room.lakeside.context, foreign)).rejects.toThrow(
      withCode('tenant_foreign_parameter'),
    );
    expect(room.refusals.at(-1)).toMatchObject({ layer: 'guard' });
  });

  test('a change without its audit entry does not commit', async () => {
    const { id, criteria } = await inFieldwork();
    const { door } = room.deps;
    const context = room.harbour.context;
    const move = {
      sql: 'update app.engagement set state = $3 where tenant_id = $1 and id = $2',
      parameters: [context.tenantId, id, 'review'],
    };
    await expect(door.transaction(context, (tx) => tx.query(move))).rejects.toThrow(withCode('audit_unlogged_commit'));
    const add = insertResult(context, {
      id: uuidV4(systemRandom),
      engagementId: id,
      criterionId: criteria[0]!,
      revision: 1,
      outcome: 'satisfied',
      note: SEALED_FORM,
      observedOn: '2026-11-20',
      recordedBy: lead.caller.personId,
      recordedAt: new Date(),
    });
    await expect(door.transaction(context, (tx) => tx.query(add))).rejects.toThrow(withCode('audit_unlogged_commit'));
    expect((await reader.read(lead, id)).state).toBe('fieldwork');
  });

  test('a criterion cannot be added later, not even under an entry of its engagement', async () => {
    const { id } = await inFieldwork();
    const context = room.harbour.context;
    const late = insertCriteria(context, {
      engagementId: id,
      ids: [uuidV7(room.clock, systemRandom)],
      groups: [0],
      contents: [SEALED_FORM],
    });
    const smuggle = room.deps.door.transaction(context, async (tx) => {
      await tx.query({
        ...late,
        sql: late.sql,
        parameters: late.parameters.map((value) =>
          Array.isArray(value) && value[0] === 0 && value.length === 1 ? [99] : value,
        ),
      });
      await room.deps.recordAudit(tx, {
        type: 'engagement.moved',
        actor: { personId: lead.caller.personId },
        resource: ['engagement', id],
        outcome: 'allowed',
        requestId: 'r',
      });
    });
    await expect(smuggle).rejects.toThrow(withCode('database_reference'));
  });

  test('results are append-only for the role, and criteria cannot be changed', async () => {
    const { id, criteria } = await inFieldwork();
    const recorded = await service.recordResult(auditor, result(id, criteria[0]!));
    const { tenantId } = room.harbour.context;
    for (const sql of [
      "update app.result set outcome = 'not-satisfied' where tenant_id = $1 and id = $2",
      'delete from app.result where tenant_id = $1 and id = $2',
      'update app.criterion set position = 7 where tenant_id = $1 and id = $2',
      'delete from app.criterion where tenant_id = $1 and id = $2',
      'delete from app.engagement where tenant_id = $1 and id = $2',
    ]) {
      const statement = { sql, parameters: [tenantId, recorded.id] };
      await expect(room.deps.door.scoped(room.harbour.context, statement)).rejects.toThrow(
        withCode('tenant_grant_refused'),
      );
    }
  });

  test('the chain of results has no fork and no gap, whatever the service believes', async () => {
    const { id, criteria } = await inFieldwork();
    const criterionId = criteria[0]!;
    await service.recordResult(auditor, result(id, criterionId));
    const { door, recordAudit } = room.deps;
    const { context } = room.harbour;
    const add = (revision: number): Promise<unknown> =>
      door.transaction(context, async (tx) => {
        const row = uuidV4(systemRandom);
        const values = [context.tenantId, row, id, criterionId, revision, lead.caller.personId, SEALED_FORM];
        const text = `insert into app.result (tenant_id, id, engagement_id, criterion_id, revision, outcome, note, observed_on, recorded_by, recorded_at)
          values ($1, $2, $3, $4, $5, 'satisfied', $7, '2026-11-20', $6, now())`;
        await tx.query({ sql: text, parameters: values });
        const actor = { personId: lead.caller.personId };
        await recordAudit(tx, {
          type: 'result.recorded',
          actor,
          resource: ['result', row],
          outcome: 'allowed',
          requestId: 'r',
        });
      });
    await expect(add(1)).rejects.toThrow(withCode('database_unique'));
    await expect(add(3)).rejects.toThrow(withCode('database_reference'));
    await expect(add(0)).rejects.toThrow(withCode('database_check'));
    await add(2);
  });
});
