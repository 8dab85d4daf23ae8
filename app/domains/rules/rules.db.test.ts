import { uuidV7, systemRandom, type Uuid } from '@auditrax/base';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { engagementReader } from '../engagements/reading.ts';
import { engagementService, type CreateInput } from '../engagements/service.ts';
import { createListSampler } from '../engagements/sampler.ts';
import { engagementsLeft } from '../engagements/seeing.ts';
import { openTestRoom, type TestPerson, type TestRoom } from '../engagements/testing/room.ts';
import { evidenceService } from '../evidence/index.ts';
import { effectOf } from './effect.ts';
import type { TenantRules } from './narrowing.ts';
import { insertRules } from './queries.ts';
import { addOffice, placeEngagement, placePerson, readAll, saveRules, tryRules } from './service.ts';

const OWN_OFFICE = `@id("own-office")
forbid (principal is Person, action, resource is Engagement)
when { principal.role == "auditor" }
unless { principal has office && resource has office && principal.office == resource.office };
`;
const NOBODY = `@id("nobody") forbid (principal is Person, action, resource is Engagement) when { true };`;
const NO_LISTING = `@id("unlisted")
forbid (principal is Person, action == Action::"engagements.read", resource is Engagement)
when { principal.role == "auditor" };`;

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
const input = (title: string): CreateInput => ({
  title,
  clientName: 'Mills',
  periodStart: '2026-01-01',
  periodEnd: '2026-12-31',
  catalogue,
  notACard: undefined,
});
const withCode = (code: string) => expect.objectContaining({ code });

let room: TestRoom;
let lead: TestPerson;
let auditor: TestPerson;
let north: Uuid;
let ours: Uuid;
let theirs: Uuid;

beforeAll(async () => {
  room = await openTestRoom({ sampleCatalogue: () => catalogue });
  lead = room.harbour.person('lead');
  auditor = room.harbour.person('auditor');
  const service = engagementService(room.deps);
  ours = (await service.create(lead, input('Ours'))).id;
  theirs = (await service.create(lead, input('Theirs'))).id;
  north = (await addOffice(room.deps, lead, 'North quay')).id;
  await placePerson(room.deps, lead, { personId: auditor.caller.personId, officeId: north, belongs: true });
  await placeEngagement(room.deps, lead, { engagementId: ours, officeId: north, belongs: true });
});
afterAll(() => room?.close());
beforeEach(() => room.clock.advance(10));

const version = async () => (await readAll(room.deps, lead)).version;
const save = async (text: string) => saveRules(room.deps, lead, { text, version: await version() });
const titles = async (who: TestPerson) =>
  (await engagementReader(room.deps).list(who, { before: undefined, limit: 50 })).engagements
    .map(({ title }) => title)
    .toSorted();

describe('a rule of the tenant', () => {
  test('holds in lists, point reads, searches, evidence, downloads and changes alike, and for nobody else', async () => {
    expect(await titles(auditor)).toEqual(['Ours', 'Theirs']);
    await save(OWN_OFFICE);
    expect(await titles(auditor)).toEqual(['Ours']);
    expect(await titles(lead)).toEqual(['Ours', 'Theirs']);
    const reader = engagementReader(room.deps);
    const service = engagementService(room.deps);
    const evidence = evidenceService(room.deps);
    const page = { from: 0, limit: 5, group: undefined, search: 'Do' };
    const tries = (engagementId: Uuid) => [
      () => reader.read(auditor, engagementId),
      () => reader.criteria(auditor, { engagementId, ...page }),
      () => evidence.list(auditor, { engagementId, criterionId: undefined, before: undefined, limit: 5 }),
      () => service.move(auditor, { engagementId, to: 'fieldwork', revision: 1 }),
    ];
    for (const tried of tries(theirs)) await expect(tried()).rejects.toEqual(withCode('not_found'));
    for (const tried of tries(ours)) await expect(tried()).resolves.toBeDefined();
    expect(await room.entries(theirs)).toContain('access.row-denied');
  });

  test('reaches a tenant that has none not at all', async () => {
    const other = room.lakeside.person('auditor');
    await engagementService(room.deps).create(room.lakeside.person('lead'), input('Elsewhere'));
    expect(await titles(other)).toEqual(['Elsewhere']);
  });

  test('follows where people and engagements belong, at once', async () => {
    await placePerson(room.deps, lead, { personId: auditor.caller.personId, officeId: north, belongs: false });
    expect(await titles(auditor)).toEqual([]);
    await placePerson(room.deps, lead, { personId: auditor.caller.personId, officeId: north, belongs: true });
    await placeEngagement(room.deps, lead, { engagementId: theirs, officeId: north, belongs: true });
    expect(await titles(auditor)).toEqual(['Ours', 'Theirs']);
    await placeEngagement(room.deps, lead, { engagementId: theirs, officeId: north, belongs: false });
  });

  test('whoever may not see an engagement may not work on it either', async () => {
    await save(NO_LISTING);
    const moved = engagementService(room.deps).move(auditor, { engagementId: theirs, to: 'fieldwork', revision: 1 });
    await expect(moved).rejects.toEqual(withCode('not_found'));
  });

  test('never locks a lead out of the rules', async () => {
    await save(NOBODY);
    expect(await titles(lead)).toEqual([]);
    expect((await readAll(room.deps, lead)).engagements).toEqual([]);
    await save(OWN_OFFICE);
    expect(await titles(lead)).toEqual(['Ours', 'Theirs']);
  });
});

describe('saving', () => {
  test('is confirmed over the very words, sealed, versioned and in the log; a former version comes back as such', async () => {
    const before = await version();
    await save(NOBODY);
    expect(lead.confirmed.at(-1)).toMatchObject({ operation: 'rules.save', input: { text: NOBODY, version: before } });
    await save(OWN_OFFICE);
    const { versions } = await readAll(room.deps, lead);
    expect(versions[0]).toMatchObject({ version: before + 2, text: OWN_OFFICE, restores: before });
    const rows = await room.rows<{ id: Uuid; text: Buffer }>('select id, text from app.access_rules order by version');
    expect(rows.at(-1)!.text.includes('own-office')).toBe(false);
    expect(await room.entries(rows.at(-1)!.id)).toEqual(['access-rules.saved']);
  });

  test('refuses what is not valid, and what was decided on another version, before a passkey is asked', async () => {
    const asked = lead.confirmed.length;
    await expect(save('permit (principal, action, resource);')).rejects.toEqual(withCode('rules_invalid'));
    await expect(saveRules(room.deps, lead, { text: '', version: 0 })).rejects.toEqual(withCode('rules_version_stale'));
    expect(lead.confirmed.length).toBe(asked);
  });

  test('no role changes or removes a version', async () => {
    for (const statement of ['update app.access_rules set version = 9', 'delete from app.access_rules']) {
      const asked = room.deps.door.scoped(room.harbour.context, {
        sql: `${statement} where tenant_id = $1`,
        parameters: [room.harbour.context.tenantId],
      });
      await expect(asked).rejects.toThrow();
    }
  });
});

describe('trying', () => {
  test('says who would see what and why, and changes nothing', async () => {
    await save('');
    const trial = await tryRules(room.deps, lead, {
      text: OWN_OFFICE,
      personId: auditor.caller.personId,
      role: 'auditor',
    });
    const byTitle = Object.fromEntries(trial.rows.map((row) => [row.title, row]));
    expect(byTitle['Ours']).toMatchObject({ before: true, after: true });
    expect(byTitle['Theirs']).toMatchObject({ before: true, after: false });
    expect(byTitle['Theirs']!.why).toContainEqual({
      id: 'rules.own-office',
      effect: 'forbid',
      applied: true,
      failed: [],
    });
    expect(byTitle['Ours']!.why).toContainEqual(
      expect.objectContaining({ id: 'engagements.auditors-rows', applied: true }),
    );
    expect(await titles(auditor)).toEqual(['Ours', 'Theirs']);
  });

  test('names the line of a fault', async () => {
    const asked = { text: '\n\nforbid (principal;', personId: auditor.caller.personId, role: 'auditor' as const };
    expect(await tryRules(room.deps, lead, asked)).toMatchObject({ problems: [{ line: 3 }], rows: [] });
  });
});

describe('who loses what', () => {
  const effect = (text: string, who = auditor) =>
    effectOf(room.deps, lead, { text, personId: who.caller.personId, role: who.caller.role });

  test('is counted for each person before a text is saved, and changes nothing', async () => {
    await save('');
    const client = room.harbour.person('client');
    expect(await effect(OWN_OFFICE)).toEqual({
      problems: [],
      effect: { counted: 2, cut: false, before: 2, after: 1, loses: 1, gains: 0 },
    });
    expect((await effect(OWN_OFFICE, lead)).effect).toMatchObject({ before: 2, after: 2, loses: 0 });
    expect((await effect(OWN_OFFICE, client)).effect).toMatchObject({ before: 0, after: 0, loses: 0 });
    await save(OWN_OFFICE);
    expect((await effect('')).effect).toMatchObject({ before: 1, after: 2, loses: 0, gains: 1 });
    expect(await effect('forbid (')).toMatchObject({ problems: [{ line: 1 }], effect: null });
    expect(await titles(auditor)).toEqual(['Ours']);
    await save('');
  });

  test('agrees with the trial, row by row, for every text', async () => {
    for (const text of [OWN_OFFICE, NOBODY, NO_LISTING, '']) {
      const asked = { text, personId: auditor.caller.personId, role: 'auditor' as const };
      const { rows } = await tryRules(room.deps, lead, asked);
      const { effect: counted } = await effectOf(room.deps, lead, asked);
      expect(counted).toMatchObject({
        before: rows.filter(({ before }) => before).length,
        after: rows.filter(({ after }) => after).length,
        loses: rows.filter(({ before, after }) => before && !after).length,
      });
    }
  });
});

describe('every list that goes by a compiled condition', () => {
  /** A compiler that lets everything through, in place of the right one: for the engagements that a rule keeps. */
  const broken = {
    narrowing: async (about: Parameters<TenantRules['narrowing']>[0]) => {
      const right = await room.deps.rules.narrowing(about);
      const filter = () => ({ sql: 'true', parameters: [], strings: ['true'], values: [] });
      return right && { ...right, filter };
    },
  };
  const differed = () =>
    room.rows<{ operation: string }>(
      `select convert_from(leaf, 'UTF8')::jsonb #>> '{public,operation}' as operation from audit.entry
       where type = 'access.decision-differed' and resource_id = '${theirs}'`,
    );

  test('is decided again by Cedar: what shows too much is seen, in the trail and on the page of the rules', async () => {
    await save(OWN_OFFICE);
    for (const [rules, count] of [
      [room.deps.rules, 0],
      [broken, 1],
    ] as const) {
      const deps = { ...room.deps, rules };
      const trail = createListSampler(deps);
      const left = await engagementsLeft(deps, trail)(auditor, [ours, theirs]);
      await trail.idle();
      expect([...left!].toSorted()).toEqual(count === 0 ? [ours] : [ours, theirs].toSorted());
      expect(await differed()).toHaveLength(count);
      const page = createListSampler(deps);
      await readAll({ ...deps, look: page.look }, auditor);
      await page.idle();
      expect(await differed()).toHaveLength(2 * count);
    }
    await save('');
    expect(await engagementsLeft(room.deps, createListSampler(room.deps))(auditor, [theirs])).toBeUndefined();
  });
});

describe('rules that no longer load', () => {
  test('allow nothing, and a lead can still write others', async () => {
    const { deps, harbour, clock } = room;
    const id = uuidV7(clock, systemRandom);
    const next = (await version()) + 1;
    const text = await deps.sealer.seal({
      context: harbour.context,
      field: 'app.access_rules.text',
      rowId: id,
      value: 'forbid (',
    });
    const written = { writtenBy: lead.caller.personId, writtenAt: new Date() };
    const row = { id, version: next, text, textHash: Buffer.alloc(32), restores: null, ...written };
    await deps.door.transaction(harbour.context, async (tx) => {
      await tx.query(insertRules(harbour.context, row));
      await deps.recordAudit(tx, {
        type: 'access-rules.saved',
        actor: { service: 'workspace' },
        resource: ['access-rules', id],
        outcome: 'allowed',
        requestId: 'r',
      });
    });
    await expect(titles(auditor)).rejects.toEqual(withCode('rules_unusable'));
    await expect(engagementReader(deps).read(lead, ours)).rejects.toEqual(withCode('rules_unusable'));
    expect((await readAll(deps, lead)).text).toBe('forbid (');
    await save('');
    expect(await titles(auditor)).toEqual(['Ours', 'Theirs']);
  });
});
