// Every place of every route at which a client can put an id, a cursor, the id of an upload or of a job: with ids that are
// malformed, forged, another tenant's or nobody's, at the gateway's door and at the service's behind it.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AppError,
  PRODUCTION_SCOPES,
  systemClock,
  systemRandom,
  uuidV4,
  type RouteContract,
  type ServiceName,
} from '@auditrax/base';
import { formatId, idKeys } from '@auditrax/tenancy/ids';
import { issueEdgeCertificate } from '@auditrax/workload';
import type { Dispatcher } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEdge, type RunningEdge } from '../platform/edge/index.ts';
import { NOT_FOUND_FLOOR_MS } from '../platform/edge/not-found-floor.ts';
import { openTestFeed } from '../platform/edge/testing/feed.ts';
import { tokenRoutes } from '../platform/edge/token-contract.ts';
import { createAttemptCounter } from '../platform/http/attempt-counter.ts';
import { attemptsRoutes } from '../platform/http/attempts-routes.ts';
import type { AttemptEvent } from '../platform/http/attempts.ts';
import { bindRoutes, type RoomRoutes } from '../platform/http/handler.ts';
import { STEP_UP_HEADER, TOKEN_HEADER } from '../platform/http/headers.ts';
import { silentLog } from '../platform/http/request-log.ts';
import { startService, type RunningService } from '../platform/http/service.ts';
import {
  OTHER_PART,
  TENANT_PART,
  idOf,
  openTestHouse,
  testFacts,
  type TestHouse,
} from '../platform/http/testing/workloads.ts';
import { requestWith, type CorpusDeps } from '../probes/attempts.ts';
import { EDGE_CONTRACTS, EDGE_ROUTES } from './rooms.ts';

const COOKIE = 'good-cookie-good-cookie-1';
/** Requests under way at once; each waits for the floor of time. */
const PARALLEL_MAX = 24;
/** Far above what this file asks for. */
const NO_LIMIT = { burst: 100_000, perSecond: 100_000 };
/** An operator with a confirmed action: nothing but the id stands in the way. */
const facts = {
  role: 'operator',
  tenantKind: 'operator',
  production: { id: uuidV4(systemRandom), scopes: PRODUCTION_SCOPES, endsAtMs: Date.now() + 3_600_000 },
} as const;

const places = EDGE_ROUTES.flatMap((route) =>
  Object.entries(route.ids).map(([place, kind]) => ({ route, place, kind })),
);
type Place = (typeof places)[number];
/** Bodies beside those of the probes' corpus: what a step-up route takes, and what trials of rules take. */
const MORE: Readonly<Record<string, object>> = {
  'access.change-role': { role: 'auditor' },
  'engagements.finalise': { revision: 1 },
  'tenants.confirm-deletion': { slug: 'mill' },
  'production-access.review': { outcome: 'justified' },
  'rules.try': { text: '', role: 'auditor' },
  'rules.effect': { text: '', role: 'auditor' },
};

let house: TestHouse;
let edge: RunningEdge;
let folder: string;
let authorityPem: string;
let direct: Partial<Record<ServiceName, Dispatcher>>;
const services: RunningService[] = [];
const feed = openTestFeed();
const agent = new Agent({ keepAlive: true, maxSockets: PARALLEL_MAX });
const attempts: AttemptEvent[] = [];
const reached = new Set<string>();
const edgeCounter = createAttemptCounter();
const serviceCounter = createAttemptCounter();

/** The real contracts of a service, each with a handler that finds nothing. */
function emptyRooms(service: ServiceName): RoomRoutes[] {
  return EDGE_CONTRACTS.map((contract) => {
    const own = Object.entries(contract).filter(([, route]) => route.service === service);
    const nothing = (route: RouteContract) => async () => {
      reached.add(route.operation);
      throw new AppError('not_found', 'no such row');
    };
    return {
      contract: Object.fromEntries(own),
      handlers: Object.fromEntries(own.map(([name, route]) => [name, nothing(route)])),
    } as RoomRoutes;
  });
}

async function startServices(): Promise<void> {
  const base = {
    clock: systemClock,
    log: silentLog,
    tagKeys: house.keys,
    problems: [],
    policy: { has: () => true, allows: () => true },
    readiness: async () => [],
    onAttempt: async (event: AttemptEvent) => void attempts.push(event),
    counter: serviceCounter,
    stepUp: async () => Promise.reject(new Error('nobody gets as far as this')),
  };
  const recorder = attemptsRoutes(async (event) => {
    attempts.push(event);
    return { entryId: uuidV4(systemRandom), sessionOver: false };
  });
  const minting = bindRoutes(tokenRoutes, {
    mint: async ({ body }) => {
      const { compact, expiresAtMs } = await house.mint({ aud: body.destination, scope: body.routeClass }, facts);
      const { tenantId, personId, sessionId } = testFacts;
      const whose = { tenantId, tenantPart: TENANT_PART, personId, sessionId };
      return { status: 200, body: { token: compact, expiresAt: expiresAtMs, ...whose } };
    },
  });
  for (const [name, own] of [
    ['workspace', [recorder]],
    ['issuer', [minting, feed.routes]],
  ] as const) {
    const identity = await house.identity(name);
    const rooms = [...emptyRooms(name), ...own];
    const service = await startService({ ...base, name, identity, tokenVerifier: house.verifier(name), rooms });
    services.push(service);
    house.ports.set(name, service.port);
  }
}

beforeAll(async () => {
  house = await openTestHouse();
  await startServices();
  folder = mkdtempSync(join(tmpdir(), 'gateway-places-'));
  writeFileSync(join(folder, 'index.html'), '<!doctype html>');
  const certificate = await issueEdgeCertificate({ clock: systemClock, name: 'Test edge' });
  ({ authorityPem } = certificate);
  const pools = house.pools(await house.identity('gateway'));
  direct = { workspace: pools.to('workspace'), issuer: pools.to('issuer') };
  edge = await startEdge({
    clock: systemClock,
    log: silentLog,
    pools,
    tagKeys: house.keys,
    counter: edgeCounter,
    contracts: [...EDGE_ROUTES, ...Object.values(tokenRoutes)],
    edge: { port: 0, hostNames: ['127.0.0.1'], ...certificate },
    tryout: false,
    staticFolder: folder,
    publishedFolder: mkdtempSync(join(folder, 'published-')),
    pageSigningKey: generateKeyPairSync('ed25519').publicKey,
    readiness: async () => [],
    limits: { client: NO_LIMIT, session: NO_LIMIT, signIn: NO_LIMIT },
  });
});
afterAll(async () => {
  agent.destroy();
  await edge?.drain();
  feed.close();
  await Promise.all(services.map((service) => service.drain()));
  await house?.close();
  rmSync(folder, { recursive: true });
});

type Reason = 'malformed' | 'forged' | 'foreign' | 'missing';
interface Wrong {
  readonly what: string;
  readonly reason: Reason;
  readonly id: string;
}

/** The same text with the character at `at` exchanged; the last two hold spare bits and are left alone. */
function altered(id: string, at: number): string {
  return `${id.slice(0, at)}${id[at] === 'A' ? 'B' : 'A'}${id.slice(at + 1)}`;
}

function wrongIds(kind: string): Wrong[] {
  const own = idOf(house, kind);
  const body = own.slice(kind.length + 1);
  const strangersKey = idKeys({ version: 1, key: systemRandom.bytes(32) });
  const otherKind = kind === 'zz' ? 'yy' : 'zz';
  const of = (reason: Reason) => (what: string, id: string) => ({ what, reason, id });
  const [malformed, forged] = [of('malformed'), of('forged')];
  return [
    malformed('a character less', own.slice(0, -1)),
    malformed('a character more', `${own}A`),
    malformed('no base64url', `${own.slice(0, -4)}~~~~`),
    malformed('of another kind', idOf(house, otherKind)),
    malformed('a bare UUID', uuidV4(systemRandom)),
    forged('a byte of the tenant altered', altered(own, kind.length + 2)),
    forged('a byte of the row altered', altered(own, kind.length + 12)),
    forged('a byte of the tag altered', altered(own, own.length - 5)),
    forged('another kind’s, renamed', `${kind}_${idOf(house, otherKind).slice(otherKind.length + 1)}`),
    forged('another tenant’s, renamed from another kind', `${kind}_${idOf(house, otherKind, OTHER_PART).slice(3)}`),
    forged('made with a key of one’s own', formatId(kind, testTenant(), uuidV4(systemRandom), strangersKey)),
    of('foreign')('another tenant’s', idOf(house, kind, OTHER_PART)),
    of('missing')('of nothing', `${kind}_${body}`),
  ];
}
const testTenant = () => ({ tenantPart: TENANT_PART });

function corpus(): CorpusDeps {
  const canary = {
    ids: {},
    rows: {},
    slug: '',
    context: { tenantId: testFacts.tenantId, tenantPart: TENANT_PART, requestId: '' },
  };
  return {
    canaries: { a: canary, b: canary },
    idOf: (kind, _tenant, uuid) => formatId(kind, testTenant(), uuid, house.keys),
    random: systemRandom,
  } as Partial<CorpusDeps> as CorpusDeps;
}

interface Prepared {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
}

function prepare({ route, place }: Place, id: string): Prepared {
  const { path, request } = requestWith(corpus(), route, { place, id });
  const json = request.json === undefined ? undefined : { ...(request.json as object), ...MORE[route.operation] };
  const body = json === undefined ? (request.body as string | undefined) : JSON.stringify(json);
  return {
    method: route.method,
    path,
    body,
    headers: {
      ...(request.headers as Record<string, string> | undefined),
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
      [STEP_UP_HEADER]: 'confirmed',
    },
  };
}

interface Seen {
  readonly essence: unknown;
  readonly requestId: string;
  readonly elapsed_ms: number;
}

/** What of an answer may differ is its id and the time of day. */
function essenceOf(status: number, raw: readonly string[], text: string): { essence: unknown; requestId: string } {
  const requestId = raw[raw.findIndex((line) => line.toLowerCase() === 'x-request-id') + 1]!;
  const lines = raw.map((line, at) => (raw[at - 1] === 'Date' ? 'date' : line.replace(requestId, 'ID')));
  return { essence: { status, lines, text: text.replace(requestId, 'ID') }, requestId };
}

function atGateway({ method, path, headers, body }: Prepared): Promise<Seen> {
  const host = `127.0.0.1:${edge.edgePort}`;
  const origin = method === 'GET' ? {} : { origin: `https://${host}`, 'sec-fetch-site': 'same-origin' };
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const asked = httpsRequest(
      {
        host: '127.0.0.1',
        port: edge.edgePort,
        path,
        method,
        agent,
        ca: authorityPem,
        servername: '',
        headers: { host, cookie: `__Host-auditrax=${COOKIE}`, ...origin, ...headers },
      },
      (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('end', () => {
          const seen = essenceOf(response.statusCode!, response.rawHeaders, Buffer.concat(pieces).toString('utf8'));
          resolve({ ...seen, elapsed_ms: performance.now() - began });
        });
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}

async function atService(service: ServiceName, { method, path, headers, body }: Prepared): Promise<number> {
  const { compact } = await house.mint({ aud: service }, facts);
  const reply = await direct[service]!.request({
    method: method as 'GET',
    path,
    headers: { ...headers, [TOKEN_HEADER]: compact },
    body: body ?? null,
  });
  await reply.body.dump();
  return reply.statusCode;
}

/** Runs `work` over `items`, a few at a time. */
async function forAll<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await work(next);
  };
  await Promise.all(Array.from({ length: PARALLEL_MAX }, worker));
}

const countOf = (counter: typeof edgeCounter, code: string): number =>
  counter.read().counts.reduce((sum, one) => sum + (one.code === code ? one.count : 0), 0);
/** Nobody gets to a missing row without a confirmation, and where a cursor points to nothing there is a page all the same. */
const reachesRow = ({ access }: RouteContract) => access.kind === 'session' && access.stepUp !== true;
const cases = () =>
  places.flatMap((at) =>
    wrongIds(at.kind)
      .filter(({ reason }) => reason !== 'missing' || reachesRow(at.route))
      .map((wrong) => ({ ...at, wrong, name: `${at.route.operation} ${at.place} ${wrong.what}` })),
  );

const told = () =>
  attempts
    .map((event) => ('layer' in event ? `${event.layer} ${event.reason} ${event.operation}` : event.kind))
    .toSorted();

describe('every place of an id', () => {
  it('is known: paths, filters, cursors, uploads, jobs and bodies', () => {
    const kinds = new Set(places.map(({ kind }) => kind));
    for (const kind of ['eng', 'crt', 'ev', 'upl', 'mem', 'ent', 'off', 'pge', 'del', 'mov'])
      expect(kinds).toContain(kind);
    for (const cursor of ['ecu', 'ccu', 'vcu', 'tcu', 'acu']) expect(kinds).toContain(cursor);
    expect(new Set(places.map(({ place }) => place.split('.')[0]))).toEqual(new Set(['params', 'query', 'body']));
  });

  it('is read in what a step-up is asked for, whatever the action', () => {
    const wanted = places.filter(({ route }) => route.access.kind === 'session' && route.access.stepUp === true);
    const read = Object.entries(EDGE_ROUTES.find(({ operation }) => operation === 'access.step-up')!.ids);
    expect(wanted.length).toBeGreaterThan(2);
    for (const { place, kind } of wanted) expect(read).toContainEqual([`body.input.${place.split('.')[1]}`, kind]);
  });

  it('answers missing, malformed, forged and foreign ids with the same bytes from the same floor of time, told apart inside', async () => {
    attempts.length = 0;
    reached.clear();
    const all = cases();
    const before = countOf(edgeCounter, 'gateway.id-malformed');
    const answers = new Map<string, string[]>();
    const quick: string[] = [];
    await forAll(all, async ({ name, wrong, ...at }) => {
      const { essence, elapsed_ms } = await atGateway(prepare(at, wrong.id));
      const spelled = JSON.stringify(essence);
      answers.set(spelled, [...(answers.get(spelled) ?? []), name]);
      if (elapsed_ms < NOT_FOUND_FLOOR_MS - 2) quick.push(name);
    });
    const odd = [...answers].toSorted(([, a], [, b]) => b.length - a.length).slice(1);
    expect(odd).toEqual([]);
    expect([...answers.keys()][0]).toContain('"status":404');
    expect(quick).toEqual([]);
    const written = all.filter(({ wrong }) => wrong.reason === 'forged' || wrong.reason === 'foreign');
    expect(told()).toEqual(written.map(({ wrong, route }) => `gateway ${wrong.reason} ${route.operation}`).toSorted());
    expect(attempts.every((event) => !('foreignPart' in event) || event.foreignPart === OTHER_PART)).toBe(true);
    const malformed = all.filter(({ wrong }) => wrong.reason === 'malformed').length;
    expect(countOf(edgeCounter, 'gateway.id-malformed') - before).toBe(malformed);
    expect(reached).toEqual(
      new Set(places.filter(({ route }) => reachesRow(route)).map(({ route }) => route.operation)),
    );
  });

  it.each([70_000, 400_000])('answers so too to a part of an upload (%i bytes)', async (length) => {
    const at = places.find(({ route }) => route.operation === 'evidence.write-part')!;
    const answers = new Set<string>();
    const four = new Map(wrongIds('upl').map((wrong) => [wrong.reason, wrong.id]));
    for (const id of four.values()) {
      const order = prepare(at, id);
      const headers = { ...order.headers, 'content-length': String(length) };
      const { essence } = await atGateway({ ...order, headers, body: 'x'.repeat(length) });
      answers.add(JSON.stringify(essence));
    }
    expect([...answers]).toHaveLength(1);
  });

  it('is read again by the service, with the same verdicts, as if no gateway stood in front', async () => {
    attempts.length = 0;
    const all = cases().filter(({ wrong }) => wrong.reason !== 'missing');
    const before = countOf(serviceCounter, 'parser.id-malformed');
    const passed: string[] = [];
    reached.clear();
    await forAll(all, async ({ name, wrong, ...at }) => {
      const status = await atService(at.route.service, prepare(at, wrong.id));
      if (status !== 404) passed.push(`${name}: ${status}`);
    });
    // A schema may speak first, about the form alone: such an id is malformed as well.
    expect(passed.filter((one) => !one.endsWith(': 400'))).toEqual([]);
    expect(reached).toEqual(new Set());
    const written = all.filter(({ wrong }) => wrong.reason === 'forged' || wrong.reason === 'foreign');
    expect(told()).toEqual(written.map(({ wrong, route }) => `parser ${wrong.reason} ${route.operation}`).toSorted());
    expect(passed.length + countOf(serviceCounter, 'parser.id-malformed') - before).toBe(all.length - written.length);
  });
});
