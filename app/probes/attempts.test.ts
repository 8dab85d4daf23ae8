import { randomUUID } from 'node:crypto';
import { manualClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { formatId, idKeys, parseId } from '@auditrax/tenancy/ids';
import { describe, expect, it } from 'vitest';
import type { CanaryTenant, Noticed, ProbeRequest, ProbeResponse } from '../claims/probe.ts';
import { routes as engagements } from '../domains/engagements/contract.ts';
import { routes as evidence } from '../domains/evidence/contract.ts';
import {
  compareAnswers,
  edgeAttempts,
  followAttempt,
  forgeId,
  layerAttempts,
  requestWith,
  type CorpusDeps,
} from './attempts.ts';
import type { Watch } from './watch.ts';

const KEYS = idKeys({ version: 1, key: Buffer.alloc(32, 3) });
const ROUTES = [...Object.values(engagements), ...Object.values(evidence)];

function tenant(slug: string, part: number): CanaryTenant {
  const context = { tenantId: uuidV4(systemRandom), tenantPart: part, requestId: '' };
  const rows = Object.fromEntries(['eng', 'crt', 'ev', 'upl', 'mem'].map((kind) => [kind, uuidV4(systemRandom)]));
  const ids = Object.fromEntries(Object.entries(rows).map(([kind, id]) => [kind, formatId(kind, context, id, KEYS)]));
  return { slug, context, ids, rows };
}

const canaries = { a: tenant('canary-a', 1), b: tenant('canary-b', 2), c: tenant('canary-c', 3) };

function reply(status: number, body: string): ProbeResponse {
  const requestId = randomUUID();
  const text = () => body.replace('ID', requestId);
  const headers = { 'x-request-id': requestId, date: 'now', 'content-type': 'application/problem+json' };
  return {
    status,
    headers,
    bytes: Buffer.from(text()),
    requestId,
    text,
    json: () => null,
    problem: () => undefined,
    duration_ms: 1,
  };
}

function corpus(fetch: (path: string, request: ProbeRequest) => ProbeResponse): CorpusDeps {
  return {
    routes: ROUTES,
    fetch: (path, request) => Promise.resolve(fetch(path, request)),
    drill: (name) => Promise.resolve({ kind: 'refused', code: name, requestId: randomUUID() }),
    knock: () => Promise.resolve({ requestId: randomUUID(), status: 404 }),
    canaries,
    idOf: (kind, name, uuid) => formatId(kind, canaries[name].context, uuid, KEYS),
    cookie: () => Promise.resolve('c=1'),
    random: systemRandom,
  };
}

const seen: Noticed = {
  entryId: uuidV4(systemRandom),
  tenantId: canaries.a.context.tenantId,
  type: 'tenant.attempt.refused',
  outcome: 'denied',
  occurred_ms: 5,
  facts: { layer: 'gateway' },
};

function watch(found: { entries: Noticed[]; accepted_ms?: number }): Watch {
  const page = {
    pageId: 'p' as Uuid,
    detection: 'd',
    channel: 'canary',
    ...(found.accepted_ms === undefined ? {} : { accepted_ms: found.accepted_ms }),
  };
  return {
    noticed: () => Promise.resolve(found.entries),
    pages: () => Promise.resolve([page]),
    detectionTimes: () => Promise.reject(new Error('not asked here')),
  };
}

describe('the corpus of attempts', () => {
  it('forges an id that has the right form and the wrong tag', () => {
    const forged = forgeId(canaries.a.ids['eng']!);
    expect(parseId('eng', forged, canaries.a.context, KEYS)).toMatchObject({ ok: false, reason: 'forged' });
  });

  it('tries every place of every route that takes an id, with a foreign and with a forged one', () => {
    const places = ROUTES.flatMap((route) => Object.keys(route.ids).map((place) => `${route.operation}/${place}`));
    const names = edgeAttempts(corpus(() => reply(404, ''))).map((attempt) => attempt.name);
    expect(names).toEqual(places.flatMap((place) => [`gateway/${place}/foreign`, `gateway/${place}/forged`]));
    expect(new Set(names).size).toBe(names.length);
  });

  it('puts a genuine id of the other tenant in its place, and right ones everywhere else', () => {
    const route = evidence.startUpload;
    const foreign = canaries.b.ids['crt']!;
    const { path, request } = requestWith(
      corpus(() => reply(404, '')),
      route,
      { place: 'body.criterionId', id: foreign },
    );
    expect(path).toBe(`/api/engagements/${canaries.a.ids['eng']}/evidence/uploads`);
    expect(request.json).toMatchObject({ criterionId: foreign, sizeBytes: 1 });
    expect(route.body.safeParse(request.json).success).toBe(true);
  });

  it('attacks each layer below the gateway at its own door', () => {
    const layers = new Set(layerAttempts(corpus(() => reply(404, ''))).map((attempt) => attempt.layer));
    expect([...layers].toSorted()).toEqual(['grant', 'guard', 'parser', 'role', 'scope', 'tripwire']);
  });

  it('does not take a refusal by another wall for a refusal', async () => {
    const attempt = layerAttempts(corpus(() => reply(404, ''))).find((one) => one.layer === 'guard')!;
    expect((await attempt.make()).refused).toBe(false); // the drill above answers with a code of its own
  });
});

describe('an attempt that is followed', () => {
  const clock = manualClock(0);
  const attempt = {
    name: 'n',
    layer: 'gateway',
    make: () => Promise.resolve({ requestId: 'r', refused: true, answer: '404' }),
  };

  it('is seen and paged when log and channel say so', async () => {
    const outcome = await followAttempt(attempt, { clock, watch: watch({ entries: [seen], accepted_ms: 20 }) });
    expect(outcome).toMatchObject({ refused: true, seen, page_latency_ms: 20 });
  });

  it('is neither when there is no entry, and not paged while no channel has accepted', async () => {
    expect((await followAttempt(attempt, { clock, watch: watch({ entries: [] }) })).seen).toBeUndefined();
    const unpaged = await followAttempt(attempt, { clock, watch: watch({ entries: [seen] }) });
    expect(unpaged.page).toBeUndefined();
  });

  it('is not refused when it could not even be made', async () => {
    const broken = { ...attempt, make: () => Promise.reject(new Error('down')) };
    expect(await followAttempt(broken, { clock, watch: watch({ entries: [seen] }) })).toMatchObject({ refused: false });
  });
});

describe('answers to wrong ids', () => {
  it('are the same when only the request id differs', async () => {
    const same = await compareAnswers(
      corpus(() => reply(404, '{"requestId":"ID"}')),
      engagements.read,
      'params.engagementId',
    );
    expect(same).toMatchObject({ same: true, compared: ['foreign', 'forged', 'missing', 'malformed'] });
  });

  it('are told apart by a status, a header or a word', async () => {
    const telling = corpus((path) => reply(path.includes('none') ? 400 : 404, ''));
    expect((await compareAnswers(telling, engagements.read, 'params.engagementId')).same).toBe(false);
  });
});
