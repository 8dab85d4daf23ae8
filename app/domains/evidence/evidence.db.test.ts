import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PART_BYTES as STORE_PART_BYTES } from '../../platform/objects/index.ts';
import { engagementService, type EngagementService } from '../engagements/service.ts';
import { openTestRoom, type TestPerson, type TestRoom } from '../engagements/testing/room.ts';
import { PART_BYTES } from './contract.ts';
import { closeUpload, readUpload } from './queries.ts';
import { evidenceService, type EvidenceService, type StartInput } from './service.ts';

const withCode = (code: string) => expect.objectContaining({ code });
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const DAY_MS = 24 * 60 * 60 * 1000;

const CATALOGUE = {
  catalog: {
    uuid: '7c5a9f6e-4a0e-4a7e-9d6e-1f2b3c4d5e6f',
    metadata: {
      title: 'House rules',
      'last-modified': '2026-11-22T10:00:00Z',
      version: '1.0',
      'oscal-version': '1.1.2',
    },
    controls: [
      { id: 'c-1', title: 'Locks' },
      { id: 'c-2', title: 'Keys' },
    ],
  },
};

let room: TestRoom;
let engagements: EngagementService;
let service: EvidenceService;
let lead: TestPerson;
let auditor: TestPerson;
let client: TestPerson;
let engagementId: Uuid;
let criterionId: Uuid;
let otherCriterionId: Uuid;
let revision: number;

beforeAll(async () => {
  room = await openTestRoom({ sampleCatalogue: () => CATALOGUE });
  engagements = engagementService(room.deps);
  service = evidenceService(room.deps);
  lead = room.harbour.person('lead');
  auditor = room.harbour.person('auditor');
  client = room.harbour.person('client');
});
afterAll(() => room?.close());

beforeEach(async () => {
  room.clock.advance(10);
  const made = await engagements.create(lead, {
    title: 'Audit',
    clientName: 'Mills',
    periodStart: '2026-01-01',
    periodEnd: '2026-12-31',
    catalogue: CATALOGUE,
    notACard: undefined,
  });
  engagementId = made.id;
  ({ revision } = await engagements.move(lead, { engagementId, to: 'fieldwork', revision: 1 }));
  const rows = await room.rows<{ id: Uuid }>(
    'select id from app.criterion where engagement_id = $1 order by position',
    [engagementId],
  );
  [criterionId, otherCriterionId] = rows.map((row) => row.id) as [Uuid, Uuid];
});

async function* pieces(bytes: Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function input(bytes: Uint8Array, change: Partial<StartInput> = {}): StartInput {
  return {
    engagementId,
    criterionId,
    fileName: 'Schließplan.pdf',
    mediaType: 'application/pdf',
    sizeBytes: bytes.length,
    speaksAbout: { from: '2026-03-01', to: '2026-03-31' },
    sha256: undefined,
    notACard: undefined,
    ...change,
  };
}

async function uploadOf(who: TestPerson, given: StartInput): Promise<Uuid> {
  const { uploadId } = await service.start(who, given);
  return room.uuidOf('upl', uploadId, who.caller.tenant);
}

async function send(who: TestPerson, uploadId: Uuid, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.length; offset += PART_BYTES) {
    const part = bytes.subarray(offset, offset + PART_BYTES);
    await service.writePart(who, { uploadId, offset, source: pieces(part), contentLength_bytes: part.length });
  }
}

async function deliver(
  who: TestPerson,
  bytes: Uint8Array,
  change: Partial<StartInput> = {},
): Promise<{ evidence: Awaited<ReturnType<EvidenceService['complete']>>; evidenceId: Uuid; uploadId: Uuid }> {
  const uploadId = await uploadOf(who, input(bytes, change));
  await send(who, uploadId, bytes);
  const evidence = await service.complete(who, uploadId);
  return { evidence, evidenceId: room.uuidOf('ev', evidence.id, who.caller.tenant), uploadId };
}

/** Entries of a file that do not say which engagement they are about: no rule could keep those from anybody. */
async function unnamedIn(resourceId: Uuid): Promise<string[]> {
  const rows = await room.rows<{ type: string }>(
    `select type from audit.entry where resource_id = $1
       and convert_from(leaf, 'UTF8')::jsonb #>> '{public,engagement}' is distinct from $2`,
    [resourceId, engagementId],
  );
  return rows.map(({ type }) => type);
}

describe('a file comes in and goes out', () => {
  test('byte for byte, over several parts, with its two dates apart and each step on record', async () => {
    const bytes = Buffer.concat([systemRandom.bytes(PART_BYTES), Buffer.from('the end')]);
    const { evidence, evidenceId, uploadId } = await deliver(auditor, bytes, { sha256: sha256(bytes) });
    expect(evidence).toMatchObject({
      fileName: 'Schließplan.pdf',
      mediaType: 'application/pdf',
      sizeBytes: bytes.length,
      sha256: sha256(bytes),
      speaksAbout: { from: '2026-03-01', to: '2026-03-31' },
      receivedAt: new Date(room.clock.nowMs()).toISOString(),
      cardFlag: false,
    });
    const file = await service.download(lead, evidenceId);
    expect({ ...file, content: undefined }).toEqual({
      fileName: 'Schließplan.pdf',
      sizeBytes: bytes.length,
      content: undefined,
    });
    expect((await buffer(file.content)).equals(bytes)).toBe(true);
    expect(new Set(await room.entries(uploadId))).toEqual(
      new Set(['evidence.upload-started', 'evidence.upload-completed']),
    );
    expect(new Set(await room.entries(evidenceId))).toEqual(new Set(['evidence.received', 'evidence.downloaded']));
    expect([...(await unnamedIn(uploadId)), ...(await unnamedIn(evidenceId))]).toEqual([]);
    const listed = await service.list(auditor, { engagementId, criterionId: undefined, before: undefined, limit: 10 });
    expect(listed.evidence).toEqual([evidence]);
  });

  test('its name, media type and digest are not readable in the database', async () => {
    const bytes = Buffer.from('some text');
    await deliver(auditor, bytes, { fileName: 'payroll-secret.csv', mediaType: 'text/csv' });
    const [row] = await room.rows<{ text: string }>(
      `select encode(e.description, 'escape') || encode(e.manifest, 'escape') || encode(u.description, 'escape') as text
       from app.evidence e join app.evidence_upload u on u.id = e.upload_id where e.engagement_id = $1`,
      [engagementId],
    );
    expect(row!.text).not.toMatch(/payroll|csv/);
    expect(row!.text).not.toContain(sha256(bytes));
  });

  test('lists by criterion, newest first, page by page', async () => {
    const ids: string[] = [];
    for (const criterion of [criterionId, criterionId, otherCriterionId]) {
      room.clock.advance(5);
      ids.push((await deliver(auditor, Buffer.from('x'), { criterionId: criterion })).evidence.id);
    }
    const page = { engagementId, criterionId: undefined, before: undefined, limit: 2 };
    const first = await service.list(auditor, page);
    expect(first.evidence.map((item) => item.id)).toEqual([ids[2], ids[1]]);
    expect(first.nextCursor).toMatch(/^vcu_/);
    expect(first.nextCursor!.slice(4, 30)).toBe(ids[1]!.slice(3, 29)); // tenant and row; the tag is another
    const only = await service.list(auditor, { ...page, criterionId });
    expect(only.evidence.map((item) => item.id)).toEqual([ids[1], ids[0]]);
    expect(only.nextCursor).toBeNull();
  });

  test('completing twice, also at the same moment, makes one piece of evidence', async () => {
    const bytes = Buffer.from('once');
    const uploadId = await uploadOf(auditor, input(bytes));
    await send(auditor, uploadId, bytes);
    const first = await service.complete(auditor, uploadId);
    expect(await service.complete(auditor, uploadId)).toEqual(first);
    expect(await room.rows('select count(*)::int as n from app.evidence where upload_id = $1', [uploadId])).toEqual([
      { n: 1 },
    ]);
  });

  test('the contract and the object store mean the same part', () => {
    expect(PART_BYTES).toBe(STORE_PART_BYTES);
  });
});

describe('a broken line costs one part', () => {
  test('a truncated part leaves the position, the next attempt goes on there', async () => {
    const bytes = Buffer.concat([systemRandom.bytes(PART_BYTES), Buffer.from('tail 4111 1111 1111 1111')]);
    const uploadId = await uploadOf(auditor, input(bytes));
    await service.writePart(auditor, {
      uploadId,
      offset: 0,
      source: pieces(bytes.subarray(0, PART_BYTES)),
      contentLength_bytes: undefined,
    });
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(PART_BYTES, PART_BYTES + 3);
      throw new Error('connection reset');
    };
    await expect(
      service.writePart(auditor, { uploadId, offset: PART_BYTES, source: broken(), contentLength_bytes: undefined }),
    ).rejects.toThrow(withCode('upload_interrupted'));
    expect((await service.position(auditor, uploadId)).received).toBe(PART_BYTES);
    await service.writePart(auditor, {
      uploadId,
      offset: PART_BYTES,
      source: pieces(bytes.subarray(PART_BYTES)),
      contentLength_bytes: undefined,
    });
    const done = await service.complete(auditor, uploadId);
    expect(done).toMatchObject({ sha256: sha256(bytes), cardFlag: true });
  });

  test('a part at the wrong place is refused with the right one', async () => {
    const bytes = Buffer.from('abcdef');
    const uploadId = await uploadOf(auditor, input(bytes));
    const wrong = service.writePart(auditor, {
      uploadId,
      offset: 3,
      source: pieces(bytes),
      contentLength_bytes: undefined,
    });
    await expect(wrong).rejects.toThrow(
      expect.objectContaining({ code: 'upload_offset_mismatch', publicDetail: 'Continue from byte 0.' }),
    );
  });

  test.each([
    ['a length that does not fit', 'abcdef', 5, 'upload_part_wrong'],
    ['more bytes than announced', 'abcdefgh', undefined, 'upload_length_mismatch'],
    ['fewer bytes than a part', 'abc', undefined, 'upload_length_mismatch'],
  ])('%s is refused and nothing is kept', async (...[, sent, contentLength_bytes, code]) => {
    const uploadId = await uploadOf(auditor, input(Buffer.from('abcdef')));
    const part = service.writePart(auditor, {
      uploadId,
      offset: 0,
      source: pieces(Buffer.from(sent)),
      contentLength_bytes,
    });
    await expect(part).rejects.toThrow(withCode(code));
    await expect(service.complete(auditor, uploadId)).rejects.toThrow(withCode('upload_incomplete'));
  });

  test('completing before the end is refused', async () => {
    const uploadId = await uploadOf(auditor, input(Buffer.from('abcdef')));
    await expect(service.complete(auditor, uploadId)).rejects.toThrow(withCode('upload_incomplete'));
  });

  test('bytes with another digest than announced are removed, and that is on record', async () => {
    const bytes = Buffer.from('these bytes');
    const uploadId = await uploadOf(auditor, input(bytes, { sha256: sha256(Buffer.from('other bytes')) }));
    await send(auditor, uploadId, bytes);
    await expect(service.complete(auditor, uploadId)).rejects.toThrow(withCode('upload_digest_wrong'));
    expect(await room.entries(uploadId)).toContain('evidence.upload-refused');
    await expect(service.complete(auditor, uploadId)).rejects.toThrow(withCode('upload_closed'));
    expect(await room.rows('select count(*)::int as n from app.evidence where upload_id = $1', [uploadId])).toEqual([
      { n: 0 },
    ]);
  });
});

describe('starting an upload refuses', () => {
  test.each([
    ['a hostile file name', { fileName: '../../etc/passwd' }, 'file_name_refused'],
    ['a media type with a header in it', { mediaType: 'text/html\r\nx: y' }, 'media_type_refused'],
    [
      'days that end before they begin',
      { speaksAbout: { from: '2026-03-02', to: '2026-03-01' } },
      'evidence_period_invalid',
    ],
    ['a card number as file name', { fileName: '4111-1111-1111-1111.pdf' }, 'card_number_refused'],
    ['a criterion that does not exist', { criterionId: uuidV4(systemRandom) }, 'not_found'],
    ['an engagement that does not exist', { engagementId: uuidV4(systemRandom) }, 'not_found'],
  ])('%s, and stores nothing', async (_name, change, code) => {
    const before = await room.rows('select count(*)::int as n from app.evidence_upload');
    await expect(service.start(auditor, input(Buffer.from('x'), change as Partial<StartInput>))).rejects.toThrow(
      withCode(code),
    );
    expect(await room.rows('select count(*)::int as n from app.evidence_upload')).toEqual(before);
  });

  test('outside fieldwork, and completion too once the engagement has moved on', async () => {
    const bytes = Buffer.from('late');
    const uploadId = await uploadOf(auditor, input(bytes));
    await send(auditor, uploadId, bytes);
    await engagements.move(lead, { engagementId, to: 'review', revision });
    await expect(service.start(auditor, input(bytes))).rejects.toThrow(withCode('engagement_state_forbids'));
    await expect(service.complete(auditor, uploadId)).rejects.toThrow(withCode('engagement_state_forbids'));
  });

  test('a person with too many unfinished uploads', async () => {
    const busy = room.harbour.person('auditor');
    for (let i = 0; i < 20; i += 1) await service.start(busy, input(Buffer.from('x')));
    await expect(service.start(busy, input(Buffer.from('x')))).rejects.toThrow(withCode('uploads_open_full'));
  });

  test('everything while the audit log is down, and leaves no bytes behind', async () => {
    await room.stopLog();
    await expect(service.start(auditor, input(Buffer.from('x')))).rejects.toThrow(withCode('audit_log_down'));
    await room.startLog();
  });
});

describe('a card number in a file is flagged, not refused', () => {
  test.each([
    ['seen while it arrived', true],
    ['read again when another process took the parts', false],
  ])('%s', async (_name, sameProcess) => {
    const bytes = Buffer.from('name;card\nx;4242 4242 4242 4242\n');
    const uploadId = await uploadOf(auditor, input(bytes));
    await send(auditor, uploadId, bytes);
    const finisher = sameProcess ? service : evidenceService(room.deps);
    expect(await finisher.complete(auditor, uploadId)).toMatchObject({ cardFlag: true });
  });

  test('also when it lies across two parts', async () => {
    const bytes = Buffer.alloc(PART_BYTES + 100, 0x20);
    bytes.write('4111 1111 1111 1111', PART_BYTES - 8);
    expect((await deliver(auditor, bytes)).evidence.cardFlag).toBe(true);
  });
});

describe('who may', () => {
  test('a client contact exchanges evidence of assigned engagements only', async () => {
    const bytes = Buffer.from('from the client');
    await expect(service.start(client, input(bytes))).rejects.toThrow(withCode('not_found'));
    expect(await room.entries(engagementId)).toContain('access.row-denied');
    await engagements.assignContact(lead, { engagementId, personId: client.caller.personId, revision });
    const { evidenceId } = await deliver(client, bytes);
    expect((await buffer((await service.download(client, evidenceId)).content)).equals(bytes)).toBe(true);
    const stranger = room.harbour.person('client');
    await expect(service.download(stranger, evidenceId)).rejects.toThrow(withCode('not_found'));
    await expect(
      service.list(stranger, { engagementId, criterionId: undefined, before: undefined, limit: 5 }),
    ).rejects.toThrow(withCode('not_found'));
    expect(await room.entries(evidenceId)).toContain('access.row-denied');
  });

  test('only the person who began an upload goes on with it', async () => {
    const bytes = Buffer.from('mine');
    const uploadId = await uploadOf(auditor, input(bytes));
    for (const attempt of [
      () => service.writePart(lead, { uploadId, offset: 0, source: pieces(bytes), contentLength_bytes: undefined }),
      () => service.position(lead, uploadId),
      () => service.complete(lead, uploadId),
      () => service.abort(lead, uploadId),
    ]) {
      await expect(attempt()).rejects.toThrow(withCode('not_found'));
    }
    expect((await room.entries(uploadId)).filter((type) => type === 'access.row-denied')).toHaveLength(4);
    expect(await unnamedIn(uploadId)).toEqual([]);
  });

  test('another tenant sees nothing of any of it', async () => {
    const bytes = Buffer.from('ours');
    const { evidenceId } = await deliver(auditor, bytes);
    const uploadId = await uploadOf(auditor, input(bytes));
    const foreigner = room.lakeside.person('lead');
    for (const attempt of [
      () => service.download(foreigner, evidenceId),
      () => service.list(foreigner, { engagementId, criterionId: undefined, before: undefined, limit: 5 }),
      () => service.start(foreigner, input(bytes)),
      () => service.complete(foreigner, uploadId),
      () => service.abort(foreigner, uploadId),
    ]) {
      await expect(attempt()).rejects.toThrow(withCode('not_found'));
    }
    const raw = room.deps.door.scoped(room.lakeside.context, readUpload(room.harbour.context, uploadId));
    await expect(raw).rejects.toThrow(withCode('tenant_foreign_parameter'));
  });

  test('a change without its audit entry does not commit, and evidence cannot be changed at all', async () => {
    const { evidenceId } = await deliver(auditor, Buffer.from('kept'));
    const uploadId = await uploadOf(auditor, input(Buffer.from('x')));
    const context = room.harbour.context;
    const silent = room.deps.door.transaction(context, (tx) =>
      tx.query(closeUpload(context, { id: uploadId, state: 'aborted' })),
    );
    await expect(silent).rejects.toThrow(withCode('audit_unlogged_commit'));
    for (const sql of [
      'delete from app.evidence where tenant_id = $1 and id = $2',
      'update app.evidence set card_flag = true where tenant_id = $1 and id = $2',
    ]) {
      await expect(room.deps.door.scoped(context, { sql, parameters: [context.tenantId, evidenceId] })).rejects.toThrow(
        withCode('tenant_grant_refused'),
      );
    }
  });

  test('a download that cannot be recorded does not happen', async () => {
    const { evidenceId } = await deliver(auditor, Buffer.from('kept'));
    const broken = evidenceService({
      ...room.deps,
      recordAudit: () => Promise.reject(Object.assign(new Error('down'), { code: 'audit_log_down' })),
    });
    await expect(broken.download(auditor, evidenceId)).rejects.toThrow(withCode('audit_log_down'));
  });
});

describe('what nobody finishes goes away', () => {
  test('aborting ends an upload and removes its bytes', async () => {
    const bytes = Buffer.from('never mind');
    const uploadId = await uploadOf(auditor, input(bytes));
    await send(auditor, uploadId, bytes);
    await service.abort(auditor, uploadId);
    await expect(service.complete(auditor, uploadId)).rejects.toThrow(withCode('upload_closed'));
    expect(await room.entries(uploadId)).toContain('evidence.upload-aborted');
    expect(await unnamedIn(uploadId)).toEqual([]);
  });

  test('after a day an upload is over, the sweep removes it once and leaves finished ones alone', async () => {
    const bytes = Buffer.from('slow');
    const uploadId = await uploadOf(auditor, input(bytes));
    const { evidenceId } = await deliver(auditor, bytes);
    room.clock.advance(DAY_MS + 1);
    const late = service.writePart(auditor, {
      uploadId,
      offset: 0,
      source: pieces(bytes),
      contentLength_bytes: undefined,
    });
    await expect(late).rejects.toThrow(withCode('upload_closed'));
    const context = { ...room.harbour.context, requestId: 'sweep-1' };
    expect(await service.expireUploads(context)).toBeGreaterThan(0);
    expect(await service.expireUploads(context)).toBe(0);
    expect(await room.entries(uploadId)).toContain('evidence.upload-expired');
    expect(await unnamedIn(uploadId)).toEqual([]);
    expect((await buffer((await service.download(auditor, evidenceId)).content)).equals(bytes)).toBe(true);
  });
});
