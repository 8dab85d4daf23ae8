// Every route that is the operator's, as the contracts name them, at the service's own door: the role opens none of them.
import {
  AppError,
  manualClock,
  PRODUCTION_SCOPES,
  systemRandom,
  uuidV4,
  type ProductionScope,
  type RouteContract,
  type ServiceName,
} from '@auditrax/base';
import { formatId } from '@auditrax/tenancy/ids';
import type { Dispatcher } from 'undici';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createAttemptCounter } from '../platform/http/attempt-counter.ts';
import type { AttemptEvent } from '../platform/http/attempts.ts';
import type { Caller, ProductionGrant, Role, RoomRoutes } from '../platform/http/handler.ts';
import { STEP_UP_HEADER, TOKEN_HEADER } from '../platform/http/headers.ts';
import { silentLog } from '../platform/http/request-log.ts';
import { startService, type RunningService } from '../platform/http/service.ts';
import { openTestHouse, TENANT_PART, testFacts, type TestHouse } from '../platform/http/testing/workloads.ts';
import { requestWith, type CorpusDeps } from '../probes/attempts.ts';
import { EDGE_ROUTES, readHousePolicy } from './rooms.ts';

const SERVICES = ['issuer', 'workspace'] as const;
const clock = manualClock(Date.now());
const sessionRoutes = EDGE_ROUTES.filter(({ access }) => access.kind === 'session');
const neededBy = ({ access }: RouteContract) => (access.kind === 'session' ? access.operatorOnly : undefined);
const operators = sessionRoutes.filter((route) => neededBy(route) !== undefined);
const walled = operators.filter((route) => 'scope' in neededBy(route)!);
const scopeOf = (route: RouteContract) => (neededBy(route) as { scope: ProductionScope }).scope;

let house: TestHouse;
const services: RunningService[] = [];
const doors: Partial<Record<ServiceName, Dispatcher>> = {};
const attempts: AttemptEvent[] = [];
const reached: string[] = [];

function emptyRoom(service: ServiceName): RoomRoutes {
  const own = operators.filter((route) => route.service === service);
  const nothing = (route: RouteContract) => async () => {
    reached.push(route.operation);
    throw new AppError('not_found', 'no such row');
  };
  return {
    contract: Object.fromEntries(own.map((route) => [route.operation, route])),
    handlers: Object.fromEntries(own.map((route) => [route.operation, nothing(route)])),
  } as RoomRoutes;
}

beforeAll(async () => {
  house = await openTestHouse();
  for (const name of SERVICES) {
    const service = await startService({
      name,
      clock,
      log: silentLog,
      identity: await house.identity(name),
      tokenVerifier: house.verifier(name),
      tagKeys: house.keys,
      rooms: [emptyRoom(name)],
      problems: [],
      policy: readHousePolicy(),
      readiness: async () => [],
      onAttempt: async (event) => void attempts.push(event),
      counter: createAttemptCounter(),
      stepUp: async () => Promise.reject(new Error('nobody gets as far as this')),
    });
    services.push(service);
    house.ports.set(name, service.port);
  }
  const pools = house.pools(await house.identity('gateway'));
  for (const name of SERVICES) doors[name] = pools.to(name);
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.drain()));
  await house?.close();
});
beforeEach(() => {
  attempts.length = 0;
  reached.length = 0;
});

function corpus(): CorpusDeps {
  const row = { ids: {}, rows: {}, slug: '', context: { tenantId: testFacts.tenantId, tenantPart: TENANT_PART } };
  return {
    canaries: { a: row, b: row },
    idOf: (kind: string, _tenant: string, uuid: never) => formatId(kind, { tenantPart: TENANT_PART }, uuid, house.keys),
    random: systemRandom,
  } as unknown as CorpusDeps;
}

async function ask(route: RouteContract, production?: Partial<ProductionGrant>): Promise<Record<string, unknown>> {
  const grant = { id: uuidV4(systemRandom), scopes: [], endsAtMs: clock.nowMs() + 60_000, ...production };
  const { compact } = await house.mint(
    { aud: route.service },
    { role: 'operator', tenantKind: 'operator', ...(production === undefined ? {} : { production: grant }) },
  );
  const { path, request } = requestWith(corpus(), route, { place: 'none', id: '' });
  const reply = await doors[route.service]!.request({
    method: route.method,
    path,
    body: request.json === undefined ? null : JSON.stringify(request.json),
    headers: {
      [TOKEN_HEADER]: compact,
      [STEP_UP_HEADER]: 'x',
      ...(request.json === undefined ? {} : { 'content-type': 'application/json' }),
    },
  });
  return { status: reply.statusCode, ...((await reply.body.json()) as object) };
}

const REFUSED = { status: 403, code: 'production_access_required' };
const callerAs = (role: Role, tenantKind: Caller['tenantKind']): Caller =>
  ({
    tenant: { tenantId: testFacts.tenantId, tenantPart: TENANT_PART, requestId: 'r' },
    tenantKind,
    role,
    personId: testFacts.personId,
    sessionId: testFacts.sessionId,
    method: 'passkey',
    door: 'edge',
    routeClass: 'privileged',
    tokenHash: 'hash',
  }) as Caller;

describe('the routes of the operator', () => {
  it('are in both services, and each scope opens one at least', () => {
    expect(new Set(walled.map(({ service }) => service))).toEqual(new Set(SERVICES));
    expect(new Set(walled.map(scopeOf))).toEqual(new Set(PRODUCTION_SCOPES));
  });

  it('are all that the policies give to operators alone', () => {
    const policy = readHousePolicy();
    const others = (['lead', 'auditor', 'client'] as const).map((role) => callerAs(role, 'customer'));
    const isTheirs = ({ operation }: RouteContract) =>
      policy.allows(operation, callerAs('operator', 'operator')) &&
      !others.some((other) => policy.allows(operation, other));
    expect(sessionRoutes.filter(isTheirs).map(({ operation }) => operation)).toEqual(
      operators.map(({ operation }) => operation),
    );
  });

  it('open without a grant to no more than these', () => {
    const open = operators.filter((route) => !walled.includes(route)).map(({ operation }) => operation);
    expect(open.sort()).toEqual([
      'oncall.acknowledge',
      'oncall.list',
      'production-access.ask',
      'production-access.break-glass',
      'production-access.confirm',
      'production-access.end',
      'production-access.list',
      'production-access.review',
      'tenants.cancel-deletion',
    ]);
  });

  it.each(walled.map((route) => [route.operation, route] as const))(
    '%s is refused by its service without a grant, with another scope, and to the millisecond of its end',
    async (operation, route) => {
      const scope = scopeOf(route);
      const others = PRODUCTION_SCOPES.filter((other) => other !== scope);
      for (const [what, production] of [
        ['none', undefined],
        ['of nothing', { scopes: [] }],
        ['of all others', { scopes: others }],
        ['that is over', { scopes: PRODUCTION_SCOPES, endsAtMs: clock.nowMs() }],
      ] as const)
        expect(await ask(route, production), what).toMatchObject({ ...REFUSED, needs: scope });
      expect(reached).toEqual([]);
      expect(attempts).toHaveLength(4);
      expect(attempts[0]).toMatchObject({ kind: 'operation', reason: 'production-access', operation });
      // The last millisecond; past the wall come the schema and the handler.
      const last = await ask(route, { scopes: [scope], endsAtMs: clock.nowMs() + 1 });
      expect(last['code']).not.toBe(REFUSED.code);
    },
  );

  it('are not told apart for anybody else: to them nothing is there', async () => {
    for (const route of operators) {
      const { compact } = await house.mint({ aud: route.service }, { role: 'lead', tenantKind: 'customer' });
      const { path, request } = requestWith(corpus(), route, { place: 'none', id: '' });
      const reply = await doors[route.service]!.request({
        method: route.method,
        path,
        body: request.json === undefined ? null : JSON.stringify(request.json),
        headers: {
          [TOKEN_HEADER]: compact,
          ...(request.json === undefined ? {} : { 'content-type': 'application/json' }),
        },
      });
      expect([route.operation, reply.statusCode]).toEqual([route.operation, 404]);
      await reply.body.dump();
    }
  });

  it.each([
    ['scopes that this program does not know', { scopes: ['tenants', 'everything'] }],
    ['no end', { endsAtMs: Number.NaN }],
    ['no id', { id: '' }],
  ])('are refused to a token with %s, whoever signed it', async (_what, change) => {
    const grant = { id: uuidV4(systemRandom), scopes: ['tenants'], endsAtMs: clock.nowMs() + 60_000, ...change };
    const tctx = {
      tenant: testFacts.tenantId,
      part: TENANT_PART,
      kind: 'operator',
      role: 'operator',
      production: { id: grant.id, scopes: grant.scopes, ends: Number.isNaN(grant.endsAtMs) ? null : grant.endsAtMs },
    };
    const { compact } = await house.mint({ aud: 'issuer', tctx });
    const reply = await doors.issuer!.request({
      method: 'GET',
      path: '/api/tenants',
      headers: { [TOKEN_HEADER]: compact },
    });
    expect([reply.statusCode, await reply.body.json()]).toEqual([
      401,
      expect.objectContaining({ code: 'token_refused' }),
    ]);
  });
});

describe('a route of the operator', () => {
  const declared = (operatorOnly: unknown) => {
    const [route] = walled;
    const contract = { ...route!, access: { ...route!.access, operatorOnly } };
    const room = { contract: { one: contract }, handlers: { one: async () => ({ status: 200, body: {} }) } };
    return startService({
      name: route!.service,
      clock,
      log: silentLog,
      identity: {} as never,
      tokenVerifier: {} as never,
      tagKeys: house.keys,
      rooms: [room as never],
      problems: [],
      policy: { has: () => true, allows: () => true },
      readiness: async () => [],
      onAttempt: async () => undefined,
      counter: createAttemptCounter(),
      stepUp: async () => Promise.reject(new Error('never')),
    });
  };

  it.each([
    ['neither scope nor reason', {}],
    ['as it was before there were grants', true],
    ['an unknown scope', { scope: 'everything' }],
    ['an empty reason', { withoutGrant: ' ' }],
    ['both', { scope: 'tenants', withoutGrant: 'because' }],
  ])('with %s keeps its process from starting', async (_what, operatorOnly) => {
    await expect(declared(operatorOnly)).rejects.toThrow(/production access/);
  });
});
