import { Readable } from 'node:stream';
import { AppError, defineRoutes, systemClock, systemRandom, uuidV4, type ServiceName } from '@auditrax/base';
import { secret } from '@auditrax/base/secret';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { startIdentity } from '@auditrax/workload';
import type { Dispatcher } from 'undici';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { COUNTED_PATH, countedAttempts, createAttemptCounter } from './attempt-counter.ts';
import type { AttemptEvent } from './attempts.ts';
import { createInternalClient } from './client.ts';
import { bindRoutes, type RoomRoutes } from './handler.ts';
import { STEP_UP_HEADER, TOKEN_HEADER } from './headers.ts';
import { silentLog } from './request-log.ts';
import { RouteDeclarationError } from './route-check.ts';
import { startService, type RunningService, type ServiceOptions } from './service.ts';
import {
  OTHER_PART,
  TENANT_PART,
  forged,
  idOf,
  openTestHouse,
  testFacts,
  type TestHouse,
} from './testing/workloads.ts';

const thingId = z.string().regex(/^eng_[A-Za-z0-9_-]{38}$/);
const session = (routeClass: 'read' | 'write' | 'privileged') => ({ kind: 'session', class: routeClass }) as const;
const things = defineRoutes({
  read: {
    operation: 'thing.read',
    service: 'workspace',
    method: 'GET',
    path: '/api/things/:thingId',
    access: session('read'),
    ids: { 'params.thingId': 'eng' },
    params: z.strictObject({ thingId }),
    replies: { 200: z.strictObject({ uuid: z.uuid(), role: z.string() }) },
  },
  write: {
    operation: 'thing.write',
    service: 'workspace',
    method: 'POST',
    path: '/api/things',
    access: session('write'),
    ids: { 'body.parentId': 'eng' },
    body: z.object({ title: z.string().max(10), parentId: thingId.optional() }),
    bodyBytesMax: 2000,
    replies: { 201: z.strictObject({ title: z.string() }) },
  },
  confirm: {
    operation: 'thing.confirm',
    service: 'workspace',
    method: 'POST',
    path: '/api/things/confirm',
    access: { kind: 'session', class: 'privileged', stepUp: true },
    ids: {},
    body: z.strictObject({ skip: z.boolean(), token: secret(z.string()).nullable().optional() }),
    replies: { 200: z.strictObject({ hash: z.string() }) },
  },
  leak: {
    operation: 'thing.leak',
    service: 'workspace',
    method: 'GET',
    path: '/api/leak',
    access: session('read'),
    ids: {},
    query: z.strictObject({ how: z.enum(['member', 'type', 'status', 'crash', 'tripwire', 'database', 'unrecorded']) }),
    replies: { 200: z.strictObject({ a: z.number() }) },
  },
  operate: {
    operation: 'thing.operate',
    service: 'workspace',
    method: 'GET',
    path: '/api/operate',
    access: { kind: 'session', class: 'read', operatorOnly: { scope: 'tenants' } },
    ids: {},
    replies: { 200: z.strictObject({}) },
  },
  forbidden: {
    operation: 'thing.forbidden',
    service: 'workspace',
    method: 'GET',
    path: '/api/forbidden',
    access: session('read'),
    ids: {},
    replies: { 200: z.strictObject({}) },
  },
  upload: {
    operation: 'thing.upload',
    service: 'workspace',
    method: 'PUT',
    path: '/api/upload',
    access: session('write'),
    ids: {},
    body: 'stream',
    bodyBytesMax: 3_000_000,
    replies: { 200: z.strictObject({ bytes: z.number() }) },
  },
  download: {
    operation: 'thing.download',
    service: 'workspace',
    method: 'GET',
    path: '/api/download',
    access: session('read'),
    ids: {},
    replies: { 200: 'stream' },
  },
  open: {
    operation: 'thing.open',
    service: 'workspace',
    method: 'GET',
    path: '/api/open',
    access: { kind: 'public' },
    ids: {},
    replies: { 200: z.strictObject({ ok: z.boolean() }) },
  },
  inside: {
    operation: 'thing.inside',
    service: 'workspace',
    method: 'POST',
    path: '/internal/things',
    access: { kind: 'internal', callers: ['ledger'], token: false },
    ids: {},
    body: z.strictObject({ n: z.number() }),
    replies: { 200: z.strictObject({ n: z.number() }) },
  },
});

const misbehave = (how: string): { status: 200; body: { a: number } } => {
  if (how === 'member') return { status: 200, body: { a: 1, secret: 'tenant text' } as never };
  if (how === 'type') return { status: 200, body: { a: 'tenant text' as never } };
  if (how === 'status') return { status: 418 as never, body: { a: 1 } };
  if (how === 'tripwire') throw new AppError('tenant_tripwire', 'row of lakeside');
  if (how === 'database') throw new AppError('database_unavailable', 'socket /x/y');
  if (how === 'unrecorded') throw new AppError('tenant_refusal_unrecorded', 'x');
  throw new Error('tenant text in a message');
};

const room: RoomRoutes = bindRoutes(things, {
  read: async (call) => ({ status: 200, body: { uuid: call.ids['params.thingId'], role: call.caller.role } }),
  write: async (call) => ({ status: 201, body: { title: call.body.title } }),
  confirm: async (call) => ({
    status: 200,
    body: {
      hash: call.body.skip
        ? 'none'
        : (await call.stepUp(call.body.token === undefined ? { what: 'thing' } : { input: call.body })).assertionHash,
    },
  }),
  leak: async (call) => misbehave(call.query.how),
  operate: async () => ({ status: 200, body: {} }),
  forbidden: async () => ({ status: 200, body: {} }),
  upload: async (call) => {
    let bytes = 0;
    for await (const piece of call.body) bytes += (piece as Buffer).length;
    return { status: 200, body: { bytes } };
  },
  download: async () => ({
    status: 200,
    body: Readable.from([Buffer.alloc(1_000_000, 7), Buffer.alloc(1_000_000, 8)]),
  }),
  open: async (call) => ({ status: 200, body: { ok: call.caller === undefined } }),
  inside: async (call) => ({ status: 200, body: { n: call.body.n } }),
});

let house: TestHouse;
let service: RunningService;
let options: ServiceOptions;
const attempts: AttemptEvent[] = [];
const kept: boolean[] = [];
let recordFails = false;
const pools = new Map<string, Dispatcher>();

beforeAll(async () => {
  house = await openTestHouse();
  options = {
    name: 'workspace',
    clock: systemClock,
    log: silentLog,
    identity: await house.identity('workspace'),
    tokenVerifier: house.verifier('workspace'),
    tagKeys: house.keys,
    rooms: [room],
    problems: [],
    policy: { has: () => true, allows: (operation) => operation !== 'thing.forbidden' },
    readiness: async () => [{ check: 'database', ok: true, detail: 'answers' }],
    onAttempt: async (event) => {
      if (recordFails) throw new Error('no database');
      attempts.push(event);
    },
    counter: createAttemptCounter(),
    stepUp: async (_claims, { header, action, keeping }) => {
      kept.push(keeping?.hashOnly ?? false);
      if (header !== 'good') throw new AppError('step_up_refused', 'no');
      return { assertionHash: JSON.stringify(action), credentialId: 'c' };
    },
  };
  service = await startService(options);
  house.ports.set('workspace', service.port);
  for (const name of ['gateway', 'ledger', 'sentinel'] as ServiceName[])
    pools.set(name, house.pools(await house.identity(name)).to('workspace'));
});
afterAll(async () => {
  await service.drain();
  await house.close();
});
beforeEach(() => {
  attempts.length = 0;
  recordFails = false;
});

interface Shot {
  from?: string;
  method?: string;
  token?: string | undefined;
  json?: unknown;
  body?: string | Buffer | Readable;
  headers?: Record<string, string>;
}

async function shoot(
  path: string,
  shot: Shot = {},
): Promise<{ status: number; text: string; json: Record<string, unknown> }> {
  const token = 'token' in shot ? shot.token : (await house.mint()).compact;
  const body = shot.json === undefined ? shot.body : JSON.stringify(shot.json);
  const reply = await pools.get(shot.from ?? 'gateway')!.request({
    method: shot.method ?? (body === undefined ? 'GET' : 'POST'),
    path,
    body: body ?? null,
    headers: {
      ...(token === undefined ? {} : { [TOKEN_HEADER]: token }),
      ...(shot.json === undefined ? {} : { 'content-type': 'application/json' }),
      ...shot.headers,
    },
  });
  const text = await reply.body.text();
  return {
    status: reply.statusCode,
    text,
    json: text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {},
  };
}

describe('who may call', () => {
  it('H1 serves the gateway with a token, and knows the caller from the token alone', async () => {
    const reply = await shoot(`/api/things/${idOf(house, 'eng')}`);
    expect(reply).toMatchObject({ status: 200, json: { role: 'lead' } });
  });
  it("H1 refuses every other peer at the browser's routes, and strangers at internal ones", async () => {
    for (const from of ['ledger', 'sentinel']) {
      const { compact } = await house.mint({ azp: from });
      expect(await shoot(`/api/things/${idOf(house, 'eng')}`, { from, token: compact })).toMatchObject({
        status: 403,
        json: { code: 'peer_refused' },
      });
      expect(await shoot('/api/open', { from, token: undefined })).toMatchObject({ status: 403 });
    }
    expect(await shoot('/internal/things', { json: { n: 1 } })).toMatchObject({ status: 403 });
    expect(await shoot('/internal/things', { from: 'ledger', json: { n: 1 }, token: undefined })).toMatchObject({
      status: 200,
      json: { n: 1 },
    });
  });
  it.each<[string, object | undefined, object]>([
    ['no token', undefined, {}],
    ['another audience', { aud: 'issuer' }, {}],
    ['another presenter', { azp: 'sentinel' }, {}],
    ['a token without a tenant', { tctx: {} }, {}],
    ['an unknown role', {}, { role: 'root' }],
  ])('H2 refuses %s with 401', async (_what, claims, facts) => {
    const token = claims === undefined ? undefined : (await house.mint(claims, facts)).compact;
    expect(await shoot(`/api/things/${idOf(house, 'eng')}`, { token })).toMatchObject({
      status: 401,
      json: { code: 'token_refused' },
    });
  });
  it('H2 refuses a token of a lesser class', async () => {
    const { compact } = await house.mint({ scope: 'read' });
    expect(await shoot('/api/things', { token: compact, json: { title: 'x' } })).toMatchObject({ status: 401 });
    expect(await shoot(`/api/things/${idOf(house, 'eng')}`, { token: compact })).toMatchObject({ status: 200 });
  });
  it("H3 refuses a role by policy, hides operators' operations, and records both first", async () => {
    expect(await shoot('/api/forbidden')).toMatchObject({ status: 403, json: { code: 'operation_refused' } });
    expect(await shoot('/api/operate')).toMatchObject({ status: 404, json: { code: 'not_found' } });
    expect(attempts).toMatchObject([
      { kind: 'operation', reason: 'role' },
      { kind: 'operation', reason: 'operator-only' },
    ]);
    const role = { role: 'operator', tenantKind: 'operator' } as const;
    const production = { id: uuidV4(systemRandom), scopes: ['tenants'], endsAtMs: Date.now() + 60_000 } as const;
    const eligible = await house.mint({}, role);
    expect(await shoot('/api/operate', { token: eligible.compact })).toMatchObject({
      status: 403,
      json: { code: 'production_access_required', needs: 'tenants' },
    });
    expect(attempts.at(-1)).toMatchObject({ kind: 'operation', reason: 'production-access' });
    const operator = await house.mint({}, { ...role, production });
    expect(await shoot('/api/operate', { token: operator.compact })).toMatchObject({ status: 200 });
  });
  it('H4 verifies step-up against the action, records what does not fit, and never answers when a handler forgot to', async () => {
    const confirm = (skip: boolean, header?: string) =>
      shoot('/api/things/confirm', {
        json: { skip },
        headers: header === undefined ? {} : { [STEP_UP_HEADER]: header },
      });
    expect(await confirm(false, 'good')).toMatchObject({ status: 200, json: { hash: '{"what":"thing"}' } });
    expect(await confirm(false, 'bad')).toMatchObject({ status: 403, json: { code: 'step_up_refused' } });
    expect(await confirm(false)).toMatchObject({ status: 403, json: { code: 'step_up_required' } });
    expect(attempts).toMatchObject([
      { kind: 'step-up', reason: 'does-not-fit', operation: 'thing.confirm' },
      { kind: 'step-up', reason: 'missing', operation: 'thing.confirm' },
    ]);
    recordFails = true;
    expect(await confirm(false, 'bad')).toMatchObject({ status: 503, json: { code: 'attempt_not_recorded' } });
    recordFails = false;
    expect(await confirm(true, 'good')).toMatchObject({ status: 500 });
    const lesser = await house.mint({ scope: 'write' });
    expect(
      await shoot('/api/things/confirm', {
        token: lesser.compact,
        json: { skip: false },
        headers: { [STEP_UP_HEADER]: 'good' },
      }),
    ).toMatchObject({ status: 401 });
  });
});

describe('an approval', () => {
  it('H4 over an action that holds a secret is kept by its hash alone', async () => {
    kept.length = 0;
    for (const token of ['of-the-receiver', null])
      await shoot('/api/things/confirm', { json: { skip: false, token }, headers: { [STEP_UP_HEADER]: 'good' } });
    expect(kept).toEqual([true, false]);
  });
});

describe('ids', () => {
  it('H5 answers missing, malformed, forged and foreign alike, recording the last two before', async () => {
    const foreign = idOf(house, 'eng', OTHER_PART);
    const replies = await Promise.all(
      [forged(idOf(house, 'eng')), foreign, 'eng_x', idOf(house, 'ev')].map((id) => shoot(`/api/things/${id}`)),
    );
    for (const reply of [...replies, await shoot('/api/nothing')]) {
      expect(reply.status).toBe(404);
      expect({ ...reply.json, requestId: '' }).toEqual({ ...replies[0]!.json, requestId: '' });
    }
    expect(attempts.map((event) => ('layer' in event ? [event.layer, event.reason, event.foreignPart] : []))).toEqual(
      expect.arrayContaining([
        ['parser', 'forged', undefined],
        ['parser', 'foreign', OTHER_PART],
      ]),
    );
    expect(attempts).toHaveLength(2);
    expect(attempts[0]!.caller.tenant.tenantPart).toBe(TENANT_PART);
    expect(attempts[0]!.caller.personId).toBe(testFacts.personId);
  });
  it('H5 finds them in bodies too', async () => {
    expect(
      await shoot('/api/things', { json: { title: 'x', parentId: idOf(house, 'eng', OTHER_PART) } }),
    ).toMatchObject({ status: 404 });
    expect(await shoot('/api/things', { json: { title: 'x', parentId: idOf(house, 'eng') } })).toMatchObject({
      status: 201,
    });
    expect(attempts).toMatchObject([{ reason: 'foreign', operation: 'thing.write' }]);
  });
  it('H6 answers 503 when an attempt cannot be recorded', async () => {
    recordFails = true;
    expect(await shoot(`/api/things/${idOf(house, 'eng', OTHER_PART)}`)).toMatchObject({
      status: 503,
      json: { code: 'attempt_not_recorded' },
    });
    expect(await shoot('/api/forbidden')).toMatchObject({ status: 503 });
  });
});

describe('what comes in', () => {
  it.each([
    ['a wrong type', { title: 5 }, 400, 'body.title'],
    ['an unknown member', { title: 'x', admin: true }, 400, 'body'],
    ['too long a text', { title: 'x'.repeat(11) }, 400, 'body.title'],
    ['a body beyond the limit', { title: 'x'.repeat(3000) }, 413, undefined],
  ])('H7 names what is wrong with %s', async (...row) => {
    const [, json, status, field] = row;
    const reply = await shoot('/api/things', { json });
    expect(reply.status).toBe(status);
    expect(reply.json['field']).toBe(field);
  });
  it('H7 refuses forms, missing and broken JSON, prototypes, and unexpected bodies or queries', async () => {
    const raw = (body: string, type: string) => shoot('/api/things', { body, headers: { 'content-type': type } });
    expect(await raw('title=x', 'application/x-www-form-urlencoded')).toMatchObject({ status: 415 });
    expect(await raw('{"title":"x"}', 'text/plain')).toMatchObject({ status: 415 });
    expect(await raw('{"title":"x"}', 'application/octet-stream')).toMatchObject({ status: 415 });
    expect(await raw('{"title":', 'application/json')).toMatchObject({ status: 400 });
    expect(await raw('{"title":"x","__proto__":{"a":1}}', 'application/json')).toMatchObject({ status: 400 });
    expect(await shoot('/api/things', { method: 'POST' })).toMatchObject({ status: 400 });
    expect(await shoot('/api/open?x=1', { token: undefined })).toMatchObject({ status: 400, json: { field: 'query' } });
  });
  it('H8 streams bodies both ways, and ends one beyond its limit whatever length it announced', async () => {
    const type = { 'content-type': 'application/octet-stream' };
    expect(await shoot('/api/upload', { method: 'PUT', body: Buffer.alloc(2_900_000), headers: type })).toMatchObject({
      status: 200,
      json: { bytes: 2_900_000 },
    });
    const pieces = Readable.from(Array.from({ length: 40 }, () => Buffer.alloc(100_000)));
    const over = await shoot('/api/upload', { method: 'PUT', body: pieces, headers: type }).catch(
      (error: Error) => error,
    );
    if (!(over instanceof Error)) expect(over.status).toBe(413);
    expect((await shoot('/api/download')).text).toHaveLength(2_000_000);
  });
});

describe('what goes out', () => {
  it.each([
    ['member', 500],
    ['type', 500],
    ['status', 500],
    ['crash', 500],
    ['tripwire', 404],
    ['database', 503],
    ['unrecorded', 503],
  ])('H9 a handler that answers badly (%s) leaks nothing', async (how, status) => {
    const reply = await shoot(`/api/leak?how=${how}`);
    expect(reply.status).toBe(status);
    expect(reply.text).not.toMatch(/tenant text|lakeside|socket/);
    expect(reply.json['code']).toBeDefined();
  });
});

describe('starting', () => {
  const starting = (contract: Record<string, unknown>, change: Partial<ServiceOptions> = {}) => {
    const declared = { ...things.open, ...contract } as typeof things.open;
    const rooms = [{ contract: { open: declared }, handlers: { open: room.handlers['open']! } }];
    return startService({ ...options, rooms, ...change });
  };
  it.each([
    ['a handler without contract', {}, { rooms: [{ contract: {}, handlers: room.handlers }] }, /no contract/],
    ['a contract without handler', {}, { rooms: [{ contract: things, handlers: {} }] }, /thing\.read: no handler/],
    [
      'an operation without policy',
      { access: session('read') },
      { policy: { has: () => false, allows: () => true } },
      /no policy/,
    ],
    [
      'an id place outside the path',
      { access: session('read'), ids: { 'params.otherId': 'eng' } },
      {},
      /not in the path/,
    ],
    [
      'an id place outside the body',
      { access: session('read'), method: 'POST', body: z.strictObject({ a: z.string() }), ids: { 'body.b': 'eng' } },
      {},
      /not in the body schema/,
    ],
    [
      'a path id without entry',
      { access: session('read'), path: '/api/x/:evidenceId', params: z.strictObject({ evidenceId: z.string() }) },
      {},
      /has no ids entry/,
    ],
    [
      'ids without a session',
      { path: '/api/x/:evidenceId', ids: { 'params.evidenceId': 'ev' } },
      {},
      /without a token/,
    ],
    [
      'a filter that takes an id and whose reader was forgotten',
      { access: session('read'), query: z.strictObject({ reviewer: z.string().regex(idPattern('mem')).optional() }) },
      {},
      /thing\.open: query\.reviewer looks like an id/,
    ],
    [
      'a cursor of plain text',
      { access: session('read'), query: z.strictObject({ cursor: z.coerce.number().default(0) }) },
      {},
      /query\.cursor looks like an id/,
    ],
    [
      'a list of ids in a body',
      {
        access: session('read'),
        method: 'POST',
        body: z.strictObject({ add: z.array(z.strictObject({ memberId: z.string() })) }),
      },
      {},
      /body\.add\.\*\.memberId looks like an id/,
    ],
    [
      'a bare UUID, called anything',
      { access: session('read'), method: 'POST', body: z.strictObject({ about: z.uuid().nullable() }) },
      {},
      /body\.about looks like an id/,
    ],
    [
      'a body that takes anything',
      { access: session('read'), method: 'POST', body: z.strictObject({ extra: z.record(z.string(), z.unknown()) }) },
      {},
      /body\.extra\.\* takes anything/,
    ],
    [
      'an id that is checked as one of another kind',
      {
        access: session('read'),
        method: 'POST',
        body: z.strictObject({ memberId: z.string().regex(idPattern('mem')) }),
        ids: { 'body.memberId': 'eng' },
      },
      {},
      /kind mem and is checked as eng/,
    ],
    [
      'an excuse for a place that is gone',
      { access: session('read'), untagged: { 'body.extra': 'not ours' } },
      {},
      /untagged place body\.extra is in no schema/,
    ],
    ['a route of another service', { service: 'issuer' }, {}, /belongs to issuer/],
    ['no reply', { replies: {} }, {}, /no reply/],
    ['a code defined twice', {}, { problems: [{ not_found: { status: 404, title: '' } }] }, /twice/],
    ['a stream without limit', { method: 'PUT', body: 'stream' }, {}, /bodyBytesMax/],
    ['a route from elsewhere among our own', { foreign: { caller: 'navigation', reason: 'r' } }, {}, /does not suit/],
    ['a route of ours among those', { path: '/sso/x' }, {}, /does not suit/],
    [
      'a route from elsewhere that acts for a session',
      { path: '/sso/x', access: session('read'), foreign: { caller: 'navigation', reason: 'r' } },
      {},
      /must be public/,
    ],
    ['one without a reason', { path: '/sso/x', foreign: { caller: 'server', reason: ' ' } }, {}, /does not say why/],
    [
      'one that takes JSON',
      { path: '/sso/x', method: 'POST', body: z.strictObject({}), foreign: { caller: 'navigation', reason: 'r' } },
      {},
      /is a form/,
    ],
    [
      'a directory that comes as a browser',
      { path: '/scim/v2/x', foreign: { caller: 'navigation', protocol: 'scim', reason: 'r' } },
      {},
      /transmitters are servers/,
    ],
    [
      'a message of a directory that somebody has read before its room',
      {
        path: '/scim/v2/x',
        method: 'POST',
        body: z.strictObject({}),
        foreign: { caller: 'server', protocol: 'scim', reason: 'r' },
      },
      {},
      /is read by its room/,
    ],
    [
      'a transmitter that comes as a browser',
      { path: '/ssf/x', foreign: { caller: 'navigation', protocol: 'ssf', reason: 'r' } },
      {},
      /transmitters are servers/,
    ],
    [
      'a route of shared signals among those of directories',
      { path: '/scim/v2/x', foreign: { caller: 'server', protocol: 'ssf', reason: 'r' } },
      {},
      /does not suit/,
    ],
    [
      'a directory’s route among the sign-ins',
      { path: '/sso/x', foreign: { caller: 'server', protocol: 'scim', reason: 'r' } },
      {},
      /does not suit/,
    ],
    ['a form for our own pages', { method: 'POST', body: z.strictObject({}), bodyForm: 'form' }, {}, /takes a form/],
  ])('H10 refuses %s', async (...row) => {
    const [, contract, change, message] = row;
    await expect(starting(contract, change as Partial<ServiceOptions>)).rejects.toThrow(message);
  });
  it('H10 names the route in an error of its own kind', async () => {
    const forgetful = { access: session('read'), query: z.strictObject({ thingId: z.string() }) };
    const fault = 'thing.open: query.thingId looks like an id and is in neither ids nor untagged';
    const refused = starting(forgetful);
    await expect(refused).rejects.toBeInstanceOf(RouteDeclarationError);
    await expect(refused).rejects.toMatchObject({ code: 'routes_not_declared', faults: [fault] });
    const declared = { ...forgetful, untagged: { 'query.thingId': 'said by the room' } };
    await (await starting(declared)).drain();
    const internal = {
      ...forgetful,
      path: '/internal/x',
      access: { kind: 'internal', callers: ['ledger'], token: false },
    };
    await (await starting(internal)).drain();
  });
  it('H10 a healthy declaration starts (so the refusals above refuse for their reason)', async () => {
    await (await starting({})).drain();
  });
});

describe('running', () => {
  it('H11 tells peers whether it is well, and nobody else', async () => {
    expect(await shoot('/healthz', { from: 'sentinel', token: undefined })).toMatchObject({ status: 200 });
    const ready = await shoot('/readyz', { from: 'sentinel', token: undefined });
    expect(ready.status).toBe(200);
    expect(ready.text).toMatch(/"check":"database","ok":true/);
  });
  it('H11 tells a name that no process has nothing, whoever signed for it', async () => {
    const nobody = await startIdentity({
      service: 'nobody',
      trustDomain: 'auditrax',
      clock: systemClock,
      obtain: (csrPem) => house.authority.sign({ csrPem, service: 'nobody' }),
      onFailure: () => undefined,
    });
    pools.set('nobody', house.pools(nobody).to('workspace'));
    for (const path of ['/healthz', '/readyz', COUNTED_PATH]) {
      expect(await shoot(path, { from: 'nobody' as never, token: undefined })).toMatchObject({ status: 403 });
    }
    nobody.close();
  });
  it('H14 counts what anybody may provoke, and tells the sums to the sentinel alone', async () => {
    const sums = async () => {
      const { text } = await shoot(COUNTED_PATH, { from: 'sentinel', token: undefined });
      const { counts } = countedAttempts.parse(JSON.parse(text));
      return (code: string, source: string): number =>
        counts.find((one) => one.code === code && one.source === source)?.count ?? 0;
    };
    const before = await sums();
    expect((await shoot(COUNTED_PATH, { from: 'gateway', token: undefined })).status).toBe(403);
    await shoot('/api/things/thg_x', { token: undefined });
    await shoot('/api/things/thg_x', { token: 'x.y.z' });
    await shoot('/api/things/thg_x');
    const after = await sums();
    const grown = (code: string, source: string) => after(code, source) - before(code, source);
    expect(grown('peer.wrong', 'gateway')).toBe(1);
    expect(grown('token.missing', 'gateway')).toBe(1);
    expect(grown('token.invalid', 'gateway')).toBe(1);
    expect(grown('parser.id-malformed', 'gateway')).toBe(1);
  });
  it('H11 is not ready when a check fails, or fails to run', async () => {
    const bad = await startService({
      ...options,
      readiness: async () => {
        throw new Error('x');
      },
    });
    expect((await bad.findings()).filter((finding) => !finding.ok)).toMatchObject([{ check: 'readiness' }]);
    await bad.drain();
  });
  it('H12 finishes what is under way when it stops', async () => {
    let release = () => undefined as void;
    const held = new Promise<void>((done) => (release = done));
    const slow = bindRoutes(
      { open: things.open },
      {
        open: async () => {
          await held;
          return { status: 200, body: { ok: true } };
        },
      },
    );
    const stopping = await startService({ ...options, rooms: [slow] });
    const client = house.pools(await house.identity('gateway'));
    const before = house.ports.get('workspace')!;
    house.ports.set('workspace', stopping.port);
    const pending = client.to('workspace').request({ method: 'GET', path: '/api/open' });
    await new Promise((done) => setTimeout(done, 150));
    const stopped = stopping.drain();
    release();
    const reply = await pending;
    expect(reply.statusCode).toBe(200);
    await reply.body.dump();
    await stopped;
    house.ports.set('workspace', before);
  });
});

describe('the internal client', () => {
  it('H13 speaks contracts: typed reply, typed problem, unavailable when nobody answers', async () => {
    const ledger = createInternalClient({ pools: house.pools(await house.identity('ledger')) });
    const requestId = '01890000-0000-7000-8000-000000000000';
    expect((await ledger.call(things.inside, { requestId, body: { n: 3 } })).body).toEqual({ n: 3 });
    await expect(ledger.call(things.inside, { requestId, body: { n: 'x' as never } })).rejects.toMatchObject({
      code: 'input_invalid',
      field: 'body.n',
    });
    const gateway = createInternalClient({ pools: house.pools(await house.identity('gateway')) });
    const token = (await house.mint()).compact;
    const reply = await gateway.call(things.read, { requestId, token, params: { thingId: idOf(house, 'eng') } });
    expect(reply.body.role).toBe('lead');
    await expect(gateway.call({ ...things.open, service: 'keys' }, { requestId })).rejects.toMatchObject({
      code: 'service_unavailable',
    });
  });
});
