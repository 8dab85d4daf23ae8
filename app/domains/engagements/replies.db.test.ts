import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import type { RouteContract, Uuid } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ZodType } from 'zod';
import type { RoomRoutes } from '../../platform/http/handler.ts';
import { valueAt } from '../../platform/http/id-gate.ts';
import { evidenceRoutes, evidenceService } from '../evidence/index.ts';
import { engagementRoutes } from './routes.ts';
import { openTestRoom, type TestPerson, type TestRoom } from './testing/room.ts';

const CATALOGUE = {
  catalog: {
    uuid: '7c5a9f6e-4a0e-4a7e-9d6e-1f2b3c4d5e6f',
    metadata: {
      title: 'House rules',
      'last-modified': '2026-11-22T10:00:00Z',
      version: '1.0',
      'oscal-version': '1.1.2',
    },
    controls: [{ id: 'c-1', title: 'Locks' }],
  },
};

interface Parts {
  readonly params?: Record<string, string>;
  readonly query?: Record<string, string>;
  readonly body?: unknown;
}

let room: TestRoom;
let lead: TestPerson;
let rooms: readonly RoomRoutes[];
const used = new Set<string>();

beforeAll(async () => {
  room = await openTestRoom({ sampleCatalogue: () => CATALOGUE });
  lead = room.harbour.person('lead');
  rooms = [engagementRoutes(room.deps), evidenceRoutes(evidenceService(room.deps))];
});
afterAll(() => room?.close());

function parsed(schema: ZodType | 'stream' | undefined, value: unknown): unknown {
  return schema === undefined || schema === 'stream' ? value : schema.parse(value);
}

/** What the service harness does around a handler: schemas in, ids parsed, schema out. */
// oxlint-disable-next-line typescript/no-explicit-any -- the reply's type is what its schema has just checked
async function call(operation: string, parts: Parts = {}): Promise<any> {
  const [home, name] = rooms.flatMap((entry) =>
    Object.entries(entry.contract)
      .filter(([, c]) => c.operation === operation)
      .map(([key]) => [entry, key] as const),
  )[0]!;
  const contract: RouteContract = home.contract[name]!;
  const { tenant } = lead.caller;
  const ids: Record<string, Uuid> = {};
  for (const [place, kind] of Object.entries(contract.ids)) {
    const text = valueAt(parts, place);
    if (typeof text === 'string') ids[place] = room.uuidOf(kind, text, tenant);
  }
  const request = {
    ...lead,
    params: parsed(contract.params, parts.params ?? {}),
    query: parsed(contract.query, parts.query ?? {}),
    body: parsed(contract.body, parts.body),
    ids,
    headers: {},
  };
  const handler = home.handlers[name] as unknown as (
    given: unknown,
  ) => Promise<{ status: number; body: unknown; headers?: Record<string, string> }>;
  const reply = await handler(request);
  const schema = contract.replies[reply.status];
  expect(schema, `${operation} answers ${reply.status}`).toBeDefined();
  used.add(operation);
  return schema === 'stream' ? reply : (schema as ZodType).parse(reply.body);
}

describe('every route answers as its contract says', () => {
  test('through the life of an engagement and its evidence', async () => {
    const body = {
      title: 'Audit',
      clientName: 'Mills',
      periodStart: '2026-01-01',
      periodEnd: '2026-12-31',
      catalogue: { source: 'sample' },
    };
    const made = await call('engagements.create', { body });
    const params = { engagementId: made.id };
    expect((await call('engagements.list', { query: { limit: '5' } })).engagements).toHaveLength(1);
    const cursorAt = (kind: string, id: string) =>
      room.deps.formatId(kind, lead.caller.tenant, room.uuidOf(id.slice(0, id.indexOf('_')), id, lead.caller.tenant));
    expect((await call('engagements.list', { query: { cursor: cursorAt('ecu', made.id) } })).engagements).toEqual([]);
    await call('engagements.move', { params, body: { to: 'fieldwork', revision: 1 } });
    const memberId = room.deps.formatId('mem', lead.caller.tenant, lead.caller.personId);
    expect((await call('engagements.assign-contact', { params, body: { memberId, revision: 2 } })).contacts).toEqual([
      memberId,
    ]);
    expect((await call('engagements.remove-contact', { params, body: { memberId, revision: 3 } })).contacts).toEqual(
      [],
    );
    const { criteria } = await call('engagements.criteria', { params, query: { search: 'lock' } });
    const criterionId = criteria[0].id as string;
    const result = { outcome: 'satisfied', note: 'Seen.', observedOn: '2026-11-20', revision: 0 };
    const recorded = await call('engagements.record-result', { params: { ...params, criterionId }, body: result });
    expect(recorded).toMatchObject({ outcome: 'satisfied', revision: 1 });
    const criterion = await call('engagements.criterion', { params: { ...params, criterionId } });
    expect(criterion).toMatchObject({ result: recorded, history: [recorded] });

    const upload = {
      criterionId,
      fileName: 'a.txt',
      mediaType: 'text/plain',
      sizeBytes: 5,
      speaksAbout: { from: '2026-01-01', to: '2026-01-02' },
    };
    const { uploadId } = await call('evidence.start-upload', { params, body: upload });
    expect(await call('evidence.upload-position', { params: { uploadId } })).toMatchObject({
      received: 0,
      sizeBytes: 5,
    });
    expect(
      await call('evidence.write-part', {
        params: { uploadId },
        query: { offset: '0' },
        body: Readable.from([Buffer.from('hello')]),
      }),
    ).toMatchObject({ received: 5 });
    const evidence = await call('evidence.complete-upload', { params: { uploadId } });
    expect((await call('evidence.list', { params, query: { criterionId } })).evidence).toEqual([evidence]);
    expect((await call('evidence.list', { params, query: { cursor: cursorAt('vcu', evidence.id) } })).evidence).toEqual(
      [],
    );
    const file = await call('evidence.download', { params: { evidenceId: evidence.id } });
    expect(file.headers).toMatchObject({ 'content-type': 'application/octet-stream', 'content-length': '5' });
    expect((await buffer(file.body)).toString()).toBe('hello');
    const second = await call('evidence.start-upload', { params, body: upload });
    expect(await call('evidence.abort-upload', { params: { uploadId: second.uploadId } })).toEqual({ aborted: true });

    await call('engagements.move', { params, body: { to: 'review', revision: 4 } });
    expect(await call('engagements.finalise', { params, body: { revision: 5 } })).toEqual({
      state: 'final',
      revision: 6,
    });
    expect(await call('engagements.read', { params })).toMatchObject({
      state: 'final',
      progress: { satisfied: 1, open: 0 },
    });
    expect(used).toEqual(
      new Set(rooms.flatMap((entry) => Object.values(entry.contract).map((contract) => contract.operation))),
    );
  });

  test('a cursor of criteria goes on where the page ended, and only in its engagement', async () => {
    const controls = [
      { id: 'c-1', title: 'Locks' },
      { id: 'c-2', title: 'Keys' },
    ];
    const body = {
      title: 'Paged',
      clientName: 'Mills',
      periodStart: '2026-01-01',
      periodEnd: '2026-12-31',
      catalogue: { catalog: { ...CATALOGUE.catalog, controls } },
    };
    const [one, other] = [await call('engagements.create', { body }), await call('engagements.create', { body })];
    const page = (engagementId: string, query: Record<string, string>) =>
      call('engagements.criteria', { params: { engagementId }, query: { limit: '1', ...query } });
    const first = await page(one.id, {});
    const second = await page(one.id, { cursor: first.nextCursor });
    expect([first, second].map(({ criteria }) => criteria[0].key)).toEqual(['c-1', 'c-2']);
    expect(second.nextCursor).toBeNull();
    await expect(page(other.id, { cursor: first.nextCursor })).rejects.toMatchObject({ code: 'not_found' });
  });

  test.each([
    [
      'engagements.create',
      { body: { title: 'a\nb', clientName: 'x', periodStart: '2026-01-01', periodEnd: '2026-02-01', catalogue: {} } },
    ],
    [
      'engagements.create',
      { body: { title: '  ', clientName: 'x', periodStart: '2026-01-01', periodEnd: '2026-02-01', catalogue: {} } },
    ],
    [
      'engagements.create',
      { body: { title: 'x', clientName: 'x', periodStart: '2026-02-30', periodEnd: '2026-03-01', catalogue: {} } },
    ],
    [
      'engagements.create',
      { body: { title: 'x', clientName: 'x', periodStart: '2026-01-01', periodEnd: '2026-03-01', catalogue: [] } },
    ],
    [
      'engagements.create',
      {
        body: {
          title: 'x',
          clientName: 'x',
          periodStart: '2026-01-01',
          periodEnd: '2026-03-01',
          catalogue: {},
          extra: 1,
        },
      },
    ],
    ['engagements.list', { query: { limit: '0' } }],
    ['engagements.list', { query: { limit: '51' } }],
  ])('and %s refuses %j by its schema', async (operation, parts) => {
    await expect(call(operation, parts as Parts)).rejects.toThrow(
      expect.objectContaining({ name: expect.stringMatching(/Zod/) }),
    );
  });
});
