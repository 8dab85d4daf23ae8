import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { connect } from 'node:tls';
import {
  AppError,
  defineRoutes,
  manualClock,
  parseUuid,
  systemClock,
  systemRandom,
  uuidV4,
  type Uuid,
} from '@auditrax/base';
import { issueEdgeCertificate, type EdgeCertificate } from '@auditrax/workload';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createAttemptCounter } from '../http/attempt-counter.ts';
import type { AttemptEvent } from '../http/attempts.ts';
import { attemptsRoutes } from '../http/attempts-routes.ts';
import { bindRoutes } from '../http/handler.ts';
import {
  BROWSER_HEADER,
  COOKIE_HEADER,
  DOOR_HEADER,
  REVOKE_HEADER,
  SESSION_HEADER,
  bindBrowser,
  clearSession,
  setSession,
} from '../http/headers.ts';
import { silentLog } from '../http/request-log.ts';
import { startService, type RunningService } from '../http/service.ts';
import {
  OTHER_PART,
  TENANT_PART,
  forged,
  idOf,
  openTestHouse,
  testFacts,
  type TestHouse,
} from '../http/testing/workloads.ts';
import { startEdge, type EdgeOptions, type RunningEdge } from './index.ts';
import { NOT_FOUND_FLOOR_MS } from './not-found-floor.ts';
import { publishedMessage } from './published-signature.ts';
import { openTestFeed } from './testing/feed.ts';
import { tokenRoutes } from './token-contract.ts';

const engId = z.string().regex(/^eng_[A-Za-z0-9_-]{38}$/);
const memId = z.string().regex(/^mem_[A-Za-z0-9_-]{38}$/);
const session = (routeClass: 'read' | 'write' | 'privileged') => ({ kind: 'session', class: routeClass }) as const;
const work = defineRoutes({
  list: {
    operation: 'work.list',
    service: 'workspace',
    method: 'GET',
    path: '/api/work',
    access: session('read'),
    ids: { 'query.after': 'eng' },
    query: z.strictObject({ after: engId.optional() }),
    replies: { 200: z.strictObject({ door: z.string(), requestId: z.string() }) },
  },
  read: {
    operation: 'work.read',
    service: 'workspace',
    method: 'GET',
    path: '/api/work/:engagementId',
    access: session('read'),
    ids: { 'params.engagementId': 'eng' },
    params: z.strictObject({ engagementId: engId }),
    replies: { 200: z.strictObject({ ok: z.boolean() }) },
  },
  assign: {
    operation: 'work.assign',
    service: 'workspace',
    method: 'POST',
    path: '/api/work/:engagementId/contacts',
    access: session('write'),
    ids: { 'params.engagementId': 'eng', 'body.memberId': 'mem' },
    params: z.strictObject({ engagementId: engId }),
    body: z.strictObject({ memberId: memId }),
    bodyBytesMax: 1000,
    replies: { 200: z.strictObject({ ok: z.boolean() }) },
  },
  finalise: {
    operation: 'work.finalise',
    service: 'workspace',
    method: 'POST',
    path: '/api/work/:engagementId/finalise',
    access: { kind: 'session', class: 'privileged', stepUp: true },
    ids: { 'params.engagementId': 'eng' },
    params: z.strictObject({ engagementId: engId }),
    body: z.strictObject({ revision: z.number() }),
    replies: { 200: z.strictObject({ hash: z.string() }) },
  },
  upload: {
    operation: 'work.upload',
    service: 'workspace',
    method: 'PUT',
    path: '/api/upload',
    access: session('write'),
    ids: {},
    body: 'stream',
    bodyBytesMax: 70_000_000,
    replies: { 200: z.strictObject({ bytes: z.number() }) },
  },
  download: {
    operation: 'work.download',
    service: 'workspace',
    method: 'GET',
    path: '/api/download',
    access: session('read'),
    ids: {},
    replies: { 200: 'stream' },
  },
});
const people = defineRoutes({
  signIn: {
    operation: 'people.sign-in',
    service: 'issuer',
    method: 'POST',
    path: '/api/people/sign-in',
    access: { kind: 'public' },
    ids: {},
    body: z.strictObject({ who: z.string() }),
    replies: { 200: z.strictObject({ previous: z.string(), door: z.string() }) },
  },
  signOut: {
    operation: 'people.sign-out',
    service: 'issuer',
    method: 'POST',
    path: '/api/people/sign-out',
    access: session('write'),
    ids: {},
    replies: { 200: z.strictObject({}) },
  },
  suspend: {
    operation: 'people.suspend',
    service: 'issuer',
    method: 'POST',
    path: '/api/people/suspend',
    access: session('write'),
    ids: {},
    replies: { 200: z.strictObject({}) },
  },
});

const sso = defineRoutes({
  start: {
    operation: 'sso.start',
    service: 'issuer',
    method: 'GET',
    path: '/sso/:connection/start',
    access: { kind: 'public' },
    foreign: { caller: 'navigation', reason: 'a link in a mail' },
    ids: {},
    params: z.strictObject({ connection: z.string().max(40) }),
    query: z.strictObject({ to: z.string().max(200).optional() }),
    replies: { 303: z.undefined(), 200: 'stream' },
  },
  acs: {
    operation: 'sso.acs',
    service: 'issuer',
    method: 'POST',
    path: '/sso/:connection/acs',
    access: { kind: 'public' },
    foreign: { caller: 'navigation', reason: 'SAML answers by a form' },
    ids: {},
    params: z.strictObject({ connection: z.string().max(40) }),
    body: z.strictObject({ answer: z.string().max(1000) }),
    bodyForm: 'form',
    bodyBytesMax: 2000,
    replies: { 303: z.undefined() },
  },
  logout: {
    operation: 'sso.logout',
    service: 'issuer',
    method: 'POST',
    path: '/sso/:connection/logout',
    access: { kind: 'public' },
    foreign: { caller: 'server', reason: 'the provider says who has left' },
    ids: {},
    params: z.strictObject({ connection: z.string().max(40) }),
    body: z.strictObject({ token: z.string().max(1000) }),
    bodyForm: 'form',
    bodyBytesMax: 2000,
    replies: { 200: z.strictObject({ token: z.string() }) },
  },
});

const GOOD = 'good-cookie-good-cookie-1';
const OTHER = 'good-cookie-good-cookie-2';
let house: TestHouse;
let edge: RunningEdge;
let options: EdgeOptions;
let certificate: EdgeCertificate;
const services: RunningService[] = [];
const attempts: AttemptEvent[] = [];
let recordFails = false;
const counter = createAttemptCounter();
let sessionOver = false;
const endedSessions = new Set<string>();
let mints = 0;
const KEY = 'axk_good-key-good-key';
let keys = new Map<string, Uuid>();
let downloaded = 0;
/** Names of the headers of the last request that a room was asked with. */
let behind: readonly string[] = [];
let held: Promise<void> = Promise.resolve();
let letGo: () => void;
let sessions: Map<string, Uuid>;
const pageKeys = generateKeyPairSync('ed25519');
const pageClock = manualClock(Date.now());
const agent = new Agent({ keepAlive: true });

const workRoom = bindRoutes(work, {
  list: async (call) => {
    behind = Object.keys(call.headers);
    return { status: 200, body: { door: call.headers[DOOR_HEADER] ?? '', requestId: call.requestId } };
  },
  read: async (call) => {
    if (call.ids['params.engagementId'].startsWith('00')) throw new AppError('not_found', 'no such row');
    return {
      status: 200,
      body: { ok: true },
      headers: { ...setSession('stolen-stolen-stolen', 60), 'x-inner': 'secret' },
    };
  },
  assign: async () => ({ status: 200, body: { ok: true } }),
  finalise: async (call) => ({ status: 200, body: { hash: (await call.stepUp({})).assertionHash } }),
  upload: async (call) => {
    await held;
    let bytes = 0;
    for await (const piece of call.body) bytes += (piece as Buffer).length;
    return { status: 200, body: { bytes } };
  },
  download: async () => ({
    status: 200,
    body: Readable.from(
      (function* pieces() {
        for (downloaded = 0; downloaded < 320; downloaded += 1) yield Buffer.alloc(100_000, 1);
      })(),
    ),
    headers: { 'content-type': 'application/octet-stream', 'content-disposition': 'attachment' },
  }),
});

const feed = openTestFeed();
/** What the issuer calls the session of a cookie. */
const sessionNames = new Map<string, Uuid>();
function sessionOf(cookie: string): Uuid {
  const known = sessionNames.get(cookie) ?? uuidV4(systemRandom);
  sessionNames.set(cookie, known);
  return known;
}

async function startRooms(): Promise<void> {
  const base = {
    clock: systemClock,
    log: silentLog,
    tagKeys: house.keys,
    problems: [],
    policy: { has: () => true, allows: () => true },
    readiness: async () => [],
    onAttempt: async (event: AttemptEvent) => void attempts.push(event),
    counter: createAttemptCounter(),
    stepUp: async (_claims: unknown, { header }: { header: string }) => ({ assertionHash: header, credentialId: 'c' }),
  };
  const recorder = attemptsRoutes(async (event) => {
    if (recordFails) throw new AppError('database_unavailable', 'gone');
    attempts.push(event);
    return { entryId: uuidV4(systemRandom), sessionOver };
  });
  const minting = bindRoutes(tokenRoutes, {
    mint: async (call) => {
      mints += 1;
      const personId = call.body.key === true ? keys.get(call.body.cookie) : sessions.get(call.body.cookie);
      if (endedSessions.has(call.body.cookie)) throw new AppError('session_ended', 'too many attempts');
      if (personId === undefined || call.body.door !== (call.body.cookie.endsWith('tryout') ? 'tryout' : 'edge'))
        throw new AppError('session_required', 'unknown');
      if (call.body.stepUp === 'bad') throw new AppError('step_up_refused', 'no');
      const { compact, expiresAtMs } = await house.mint(
        { aud: call.body.destination, scope: call.body.routeClass },
        { personId },
      );
      return {
        status: 200,
        body: {
          token: compact,
          expiresAt: expiresAtMs,
          tenantId: testFacts.tenantId,
          tenantPart: TENANT_PART,
          personId,
          sessionId: sessionOf(call.body.cookie),
        },
      };
    },
  });
  const peopleRoom = bindRoutes(people, {
    signIn: async (call) => ({
      status: 200,
      body: { previous: call.headers[COOKIE_HEADER] ?? 'none', door: call.headers[DOOR_HEADER] ?? '' },
      headers: setSession(GOOD, 3600),
    }),
    signOut: async (call) => {
      for (const [cookie, person] of sessions) if (person === call.caller.personId) sessions.delete(cookie);
      return { status: 200, body: {}, headers: clearSession };
    },
    suspend: async () => {
      const person = sessions.get(OTHER)!;
      sessions.delete(OTHER);
      return { status: 200, body: {}, headers: { [REVOKE_HEADER]: person } };
    },
  });
  const ssoRoom = bindRoutes(sso, {
    start: async (call) => {
      if (call.query.to === 'page')
        return { status: 200, body: '<md/>', headers: { 'content-type': 'application/samlmetadata+xml' } };
      if (call.query.to === 'refused') throw new AppError('sso_refused', 'the nonce', { publicDetail: 'the nonce' });
      return {
        status: 303,
        body: undefined,
        headers: {
          location: call.query.to ?? 'https://provider.example/authorize?a=b',
          ...bindBrowser(call.headers[BROWSER_HEADER] ?? 'browser-browser-browser', 600),
        },
      };
    },
    acs: async (call) => ({
      status: 303,
      body: undefined,
      headers: {
        location: `/app/?${encodeURIComponent(`${call.body.answer} ${call.headers[BROWSER_HEADER] ?? 'none'}`)}`,
        ...setSession(GOOD, 3600),
      },
    }),
    logout: async (call) => ({ status: 200, body: { token: call.body.token } }),
  });
  const workspace = await startService({
    ...base,
    name: 'workspace',
    identity: await house.identity('workspace'),
    tokenVerifier: house.verifier('workspace'),
    rooms: [workRoom, recorder],
  });
  const issuer = await startService({
    ...base,
    name: 'issuer',
    identity: await house.identity('issuer'),
    tokenVerifier: house.verifier('issuer'),
    rooms: [minting, peopleRoom, ssoRoom, feed.routes],
    problems: [{ sso_refused: { status: 401, title: 'Refused' } }],
  });
  services.push(workspace, issuer);
  house.ports.set('workspace', workspace.port);
  house.ports.set('issuer', issuer.port);
}

function staticFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'static-'));
  mkdirSync(join(folder, 'assets'));
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>app</title>');
  writeFileSync(join(folder, 'assets', 'app-1.js'), `"${'x'.repeat(3000)}"`);
  writeFileSync(join(folder, 'assets', 'app-1.js.map'), '{}');
  return folder;
}

beforeAll(async () => {
  house = await openTestHouse();
  sessions = new Map();
  await startRooms();
  certificate = await issueEdgeCertificate({ clock: systemClock, name: 'Test edge' });
  const identity = await house.identity('gateway');
  options = {
    clock: systemClock,
    log: silentLog,
    pools: house.pools(identity),
    tagKeys: house.keys,
    counter,
    contracts: [...Object.values(work), ...Object.values(people), ...Object.values(sso), ...Object.values(tokenRoutes)],
    edge: { port: 0, hostNames: ['127.0.0.1', 'localhost'], ...certificate },
    tryout: { port: 0 },
    staticFolder: staticFolder(),
    publishedFolder: mkdtempSync(join(tmpdir(), 'published-')),
    pageSigningKey: pageKeys.publicKey,
    readiness: async () => [],
  };
  edge = await startEdge(options);
});
afterAll(async () => {
  agent.destroy();
  await edge.drain();
  feed.close();
  await Promise.all(services.map((service) => service.drain()));
  await house.close();
});
beforeEach(() => {
  attempts.length = 0;
  recordFails = false;
  sessionOver = false;
  endedSessions.clear();
  sessions.clear();
  sessions.set(GOOD, testFacts.personId).set(OTHER, uuidV4(systemRandom)).set(`${GOOD}tryout`, testFacts.personId);
});

interface Shot {
  method?: string;
  cookie?: string | null;
  json?: unknown;
  body?: Buffer | Readable | string;
  headers?: Record<string, string | undefined>;
  door?: 'edge' | 'tryout';
  port?: number;
}
interface Seen {
  status: number;
  text: string;
  json: Record<string, unknown>;
  headers: IncomingHttpHeaders;
  raw: string[];
  elapsed_ms: number;
}

function shoot(path: string, shot: Shot = {}): Promise<Seen> {
  const door = shot.door ?? 'edge';
  const port = shot.port ?? (door === 'edge' ? edge.edgePort : edge.tryoutPort!);
  const host = door === 'edge' ? `127.0.0.1:${port}` : `localhost:${port}`;
  const cookie = shot.cookie === undefined ? (door === 'edge' ? GOOD : `${GOOD}tryout`) : shot.cookie;
  const body = shot.json === undefined ? shot.body : JSON.stringify(shot.json);
  const method = shot.method ?? (body === undefined ? 'GET' : 'POST');
  const headers: Record<string, string | undefined> = {
    host,
    ...(cookie === null
      ? {}
      : { cookie: `${door === 'edge' ? '__Host-auditrax' : '__Host-auditrax-tryout'}=${cookie}` }),
    ...(method === 'GET'
      ? {}
      : { origin: `${door === 'edge' ? 'https' : 'http'}://${host}`, 'sec-fetch-site': 'same-origin' }),
    ...(shot.json === undefined ? {} : { 'content-type': 'application/json' }),
    ...(typeof body === 'string' || Buffer.isBuffer(body) ? { 'content-length': String(Buffer.byteLength(body)) } : {}),
    ...shot.headers,
  };
  const set = Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const common = { host: '127.0.0.1', port, path, method, headers: set };
    const request =
      door === 'edge'
        ? httpsRequest({ ...common, agent, ca: certificate.authorityPem, servername: '' })
        : httpRequest(common);
    request.on('error', reject);
    request.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(pieces).toString('utf8');
        const json = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {};
        resolve({
          status: response.statusCode!,
          text,
          json,
          headers: response.headers,
          raw: response.rawHeaders,
          elapsed_ms: performance.now() - began,
        });
      });
    });
    if (body instanceof Readable) body.pipe(request);
    else request.end(body);
  });
}

describe('the way in', () => {
  it('E1 carries a request of a live session to its service and back, with one id', async () => {
    const seen = await shoot('/api/work');
    expect(seen).toMatchObject({ status: 200, json: { door: 'edge' } });
    expect(seen.json['requestId']).toBe(seen.headers['x-request-id']);
    expect(parseUuid(seen.headers['x-request-id'] as string)).toBeDefined();
  });
  it('E1 ignores a request id, a token and a door that a browser sends', async () => {
    const seen = await shoot('/api/work', {
      headers: {
        'x-request-id': '01890000-0000-7000-8000-000000000000',
        'txn-token': 'x',
        'x-auditrax-door': 'tryout',
      },
    });
    expect(seen).toMatchObject({ status: 200, json: { door: 'edge' } });
    expect(seen.json['requestId']).not.toBe('01890000-0000-7000-8000-000000000000');
  });
  it('E2 asks the issuer once for many requests of a session, class and destination', async () => {
    await shoot('/api/work');
    const before = mints;
    await Promise.all(Array.from({ length: 20 }, () => shoot('/api/work')));
    expect(mints - before).toBe(0);
    sessions.set('fresh-cookie-fresh-cookie', testFacts.personId);
    await Promise.all(Array.from({ length: 20 }, () => shoot('/api/work', { cookie: 'fresh-cookie-fresh-cookie' })));
    expect(mints - before).toBe(1);
  });
  it.each([
    ['no cookie', null],
    ['an unknown cookie', 'unknown-unknown-unknown'],
    ['a cookie of another form', 'a b'],
    ['a cookie of the other door', `${GOOD}tryout`],
  ])('E3 answers 401 to %s', async (_what, cookie) => {
    expect(await shoot('/api/work', { cookie })).toMatchObject({ status: 401, json: { code: 'session_required' } });
  });
  it('E3 answers 401 to two cookies of the name', async () => {
    expect(
      await shoot('/api/work', {
        cookie: null,
        headers: { cookie: `__Host-auditrax=${GOOD}; __Host-auditrax=${OTHER}` },
      }),
    ).toMatchObject({ status: 401 });
  });
  it('E4 hands on no header that names a peer to a mesh: sent, doubled, in any case, folded into others, or announced', async () => {
    const istio = 'By=spiffe://x/sa/workspace;URI=spiffe://x/sa/gateway';
    for (const headers of [
      { 'x-forwarded-client-cert': istio, 'l5d-client-id': 'gateway.x' },
      { 'X-Forwarded-Client-Cert': istio, 'L5D-Client-Id': 'gateway.x' },
      { 'x-forwarded-client-cert': [istio, istio], 'l5d-client-id': ['a', 'b'] },
      { connection: 'x-forwarded-client-cert, l5d-client-id', 'x-forwarded-client-cert': istio },
      { te: 'trailers', x_forwarded_client_cert: istio },
      { 'x-step-up': `a\tx-forwarded-client-cert: ${istio}`, 'accept-language': `x-forwarded-client-cert: ${istio}` },
    ]) {
      behind = [];
      expect((await shoot('/api/work', { headers: headers as never })).status).toBe(200);
      expect(behind).toContain(DOOR_HEADER);
      expect(behind.filter((name) => /client.cert|l5d|^te$|trailer|accept/i.test(name))).toEqual([]);
    }
  });
  it('E22 a program with a key is let through to the workspace, and to nothing that asks for a person', async () => {
    keys = new Map([[KEY, uuidV4(systemRandom)]]);
    const headers = { authorization: `Bearer ${KEY}` };
    const post = { headers: { ...headers, origin: undefined, 'sec-fetch-site': undefined }, cookie: null };
    expect(await shoot('/api/work', { headers, cookie: null })).toMatchObject({ status: 200 });
    const assign = `/api/work/${idOf(house, 'eng')}/contacts`;
    expect(await shoot(assign, { ...post, json: { memberId: idOf(house, 'mem') } })).toMatchObject({ status: 200 });
    expect(await shoot(assign, { ...post, json: { memberId: idOf(house, 'mem', OTHER_PART) } })).toMatchObject({
      status: 404,
    });
    const finalise = { ...post, json: { revision: 1 } };
    expect(await shoot(`/api/work/${idOf(house, 'eng')}/finalise`, finalise)).toMatchObject({ status: 403 });
    expect(await shoot('/api/people/suspend', { ...post, method: 'POST' })).toMatchObject({ status: 403 });
    const wrong = { headers: { authorization: `Bearer ${KEY}x` }, cookie: null };
    expect(await shoot('/api/work', wrong)).toMatchObject({ status: 401 });
  });
  it('E22 a key is taken from no browser, at no other door, and never for a cookie', async () => {
    keys = new Map([[KEY, uuidV4(systemRandom)]]);
    const authorization = `Bearer ${KEY}`;
    for (const extra of [{ origin: 'https://other.example' }, { 'sec-fetch-site': 'same-origin' }] as const)
      expect(await shoot('/api/work', { headers: { authorization, ...extra }, cookie: null })).toMatchObject({
        status: 403,
      });
    expect(await shoot('/api/work', { headers: { authorization } })).toMatchObject({ status: 403 });
    expect(await shoot('/api/work', { headers: { authorization }, cookie: null, door: 'tryout' })).toMatchObject({
      status: 401,
    });
    await shoot('/api/work', { headers: { authorization }, cookie: null });
    expect(await shoot('/api/work', { cookie: KEY })).toMatchObject({ status: 401 });
    const asKey = { headers: { authorization: `Bearer ${GOOD}` }, cookie: null };
    expect(await shoot('/api/work', asKey)).toMatchObject({ status: 401 });
  });
  it('E4 serves nothing that no contract names', async () => {
    for (const path of [
      '/internal/attempts',
      '/internal/identity/token',
      '/api/',
      '/api/nothing',
      '/api/work/%2e%2e/x',
      '/api//work',
      '/nothing',
      '/.env',
      '/app/assets/../index.html',
    ]) {
      expect((await shoot(path)).status, path).toBe(404);
    }
    expect((await shoot('/api/work', { method: 'DELETE' })).status).toBe(404);
  });
  it.each([
    ['another origin', { origin: 'https://evil.example' }],
    ['no origin', { origin: undefined }],
    ['another site', { 'sec-fetch-site': 'cross-site' }],
    ['a sibling site', { 'sec-fetch-site': 'same-site' }],
    ['no word on the site', { 'sec-fetch-site': undefined }],
  ])('E5 refuses a change sent with %s', async (_what, headers) => {
    expect(await shoot('/api/people/sign-out', { method: 'POST', headers })).toMatchObject({
      status: 403,
      json: { code: 'origin_refused' },
    });
  });
  it('E5 refuses to be read by another site', async () => {
    expect(await shoot('/api/work', { headers: { 'sec-fetch-site': 'cross-site' } })).toMatchObject({ status: 403 });
    expect(await shoot('/api/work', { headers: { 'sec-fetch-site': 'none' } })).toMatchObject({ status: 200 });
  });
  it('E6 answers for its own hosts only', async () => {
    for (const host of ['evil.example', 'localhost', `evil.example:${edge.edgePort}`])
      expect(await shoot('/api/work', { headers: { host } })).toMatchObject({ status: 421 });
    expect(
      await shoot('/security', { door: 'tryout', headers: { host: `127.0.0.1:${edge.tryoutPort}` } }),
    ).toMatchObject({ status: 421 });
  });
  it('E7 speaks TLS 1.3 and nothing older', async () => {
    const dial = (options_: object) =>
      new Promise<string | null>((resolve, reject) => {
        const socket = connect({
          host: '127.0.0.1',
          port: edge.edgePort,
          ca: certificate.authorityPem,
          servername: 'localhost',
          ...options_,
        });
        socket.on('error', reject);
        socket.on('secureConnect', () => {
          resolve(socket.getProtocol());
          socket.destroy();
        });
      });
    expect(await dial({})).toBe('TLSv1.3');
    await expect(dial({ maxVersion: 'TLSv1.2' })).rejects.toThrow();
    edge.renewCertificate(
      await issueEdgeCertificate({ clock: systemClock, name: 'Test edge' }).then((next) => (certificate = next)),
    );
    await expect(dial({ maxVersion: 'TLSv1.2' })).rejects.toThrow();
    expect(await dial({})).toBe('TLSv1.3');
    options = { ...options, edge: { ...options.edge, ...certificate } };
  });
});

describe('ids of other tenants', () => {
  it('E8 missing, malformed, forged and foreign look the same and take the same time; the last two are recorded before', async () => {
    const paths = [forged(idOf(house, 'eng')), idOf(house, 'eng', OTHER_PART), idOf(house, 'mem'), 'eng_x'].map(
      (id) => `/api/work/${id}`,
    );
    const seen: Seen[] = [];
    for (const path of [...paths, '/api/nothing', `/api/work/${await missingId()}`]) seen.push(await shoot(path));
    const plain = ({ status, text, raw, headers }: Seen) => {
      const id = headers['x-request-id'] as string;
      const lines = raw.map((line, at) => (raw[at - 1] === 'Date' ? 'date' : line.replace(id, 'ID')));
      return { status, text: text.replace(id, 'ID'), lines };
    };
    for (const one of seen) {
      expect(plain(one)).toEqual(plain(seen[0]!));
      expect(one.elapsed_ms).toBeGreaterThanOrEqual(NOT_FOUND_FLOOR_MS - 2);
    }
    expect(
      attempts.map((event) =>
        'layer' in event ? [event.layer, event.reason, event.foreignPart, event.operation] : [],
      ),
    ).toEqual([
      ['gateway', 'forged', undefined, 'work.read'],
      ['gateway', 'foreign', OTHER_PART, 'work.read'],
    ]);
    expect(attempts[0]!.caller.personId).toBe(testFacts.personId);
  });
  /** A genuine id of the own tenant whose row does not exist (the fake room knows none that begin with 00). */
  async function missingId(): Promise<string> {
    const { formatId } = await import('@auditrax/tenancy/ids');
    return formatId('eng', { tenantPart: TENANT_PART }, '00000000-0000-7000-8000-000000000001' as Uuid, house.keys);
  }
  it('E8 does not start with a route whose ids it would not look at', async () => {
    const { ids: _forgotten, ...list } = work.list;
    const contracts = [{ ...list, ids: {} }];
    await expect(startEdge({ ...options, contracts })).rejects.toMatchObject({
      code: 'routes_not_declared',
      faults: ['work.list: query.after looks like an id and is in neither ids nor untagged'],
    });
  });
  it('E8 finds them in queries and bodies, for every destination', async () => {
    const mine = idOf(house, 'eng');
    expect((await shoot(`/api/work?after=${idOf(house, 'eng', OTHER_PART)}`)).status).toBe(404);
    expect((await shoot(`/api/work?after=${mine}&after=${mine}`)).status).toBe(404);
    expect(
      (await shoot(`/api/work/${mine}/contacts`, { json: { memberId: idOf(house, 'mem', OTHER_PART) } })).status,
    ).toBe(404);
    expect((await shoot(`/api/work/${mine}/contacts`, { json: { memberId: idOf(house, 'mem') } })).status).toBe(200);
    expect(attempts.map((event) => event.operation)).toEqual(['work.list', 'work.assign']);
  });
  it('E21 counts requests without a session, with a dead one, and with no id where one belongs, and writes none of them', async () => {
    const sums = () =>
      Object.fromEntries(counter.read().counts.map(({ code, source, count }) => [`${code} ${source}`, count]));
    const before = sums();
    for (let at = 0; at < 20; at += 1) {
      await shoot('/api/work', { cookie: null });
      await shoot('/api/work', { cookie: 'dead-cookie-dead-cookie-1' });
      await shoot('/api/work/eng_x');
    }
    const after = sums();
    for (const code of ['edge.session-missing', 'edge.session-dead', 'gateway.id-malformed']) {
      const name = `${code} edge this machine`;
      expect(after[name]! - (before[name] ?? 0)).toBe(20);
    }
    expect(attempts).toEqual([]);
  });
  it('E9 answers 503 while attempts cannot be recorded', async () => {
    recordFails = true;
    expect(await shoot(`/api/work/${idOf(house, 'eng', OTHER_PART)}`)).toMatchObject({
      status: 503,
      json: { code: 'attempt_not_recorded' },
    });
  });
  it('E9 a session that has used up its attempts: the answer is the same, its tokens are gone, and the next request says so', async () => {
    await shoot(`/api/work/${idOf(house, 'eng')}`);
    const before = mints;
    sessionOver = true;
    const answer = shoot(`/api/work/${idOf(house, 'eng', OTHER_PART)}`);
    endedSessions.add(GOOD); // as the issuer does it by itself at the next mint
    expect((await answer).status).toBe(404);
    expect(mints).toBe(before + 1);
    expect(await shoot(`/api/work/${idOf(house, 'eng')}`)).toMatchObject({
      status: 401,
      json: { code: 'session_ended' },
    });
    expect(await shoot(`/api/work/${idOf(house, 'eng', OTHER_PART)}`)).toMatchObject({ status: 401 });
    expect((await shoot('/api/work', { door: 'tryout' })).status).toBe(200);
  });
  it('E9 a step-up route tells nothing of a foreign id either', async () => {
    expect(
      (await shoot(`/api/work/${idOf(house, 'eng', OTHER_PART)}/finalise`, { json: { revision: 1 } })).status,
    ).toBe(404);
    expect(attempts).toHaveLength(1);
  });
});

describe('sessions', () => {
  it("E10 turns the issuer's word into the door's cookie, and the workspace's into nothing", async () => {
    const seen = await shoot('/api/people/sign-in', { json: { who: 'x' } });
    expect(seen.headers['set-cookie']).toEqual([
      `__Host-auditrax=${GOOD}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=3600`,
    ]);
    expect(seen).toMatchObject({ json: { previous: GOOD, door: 'edge' } });
    expect(seen.headers[SESSION_HEADER]).toBeUndefined();
    const stolen = await shoot(`/api/work/${idOf(house, 'eng')}`);
    expect(stolen.status).toBe(200);
    expect(stolen.headers['set-cookie']).toBeUndefined();
    expect(stolen.headers['x-inner']).toBeUndefined();
  });
  it('E11 forgets tokens at sign-out, and of the persons that the issuer names', async () => {
    expect((await shoot('/api/work')).status).toBe(200);
    expect((await shoot('/api/work', { cookie: OTHER })).status).toBe(200);
    await shoot('/api/people/suspend', { method: 'POST' });
    expect((await shoot('/api/work', { cookie: OTHER })).status).toBe(401);
    const out = await shoot('/api/people/sign-out', { method: 'POST' });
    expect(out.headers['set-cookie']![0]).toMatch(/^__Host-auditrax=; .*Max-Age=0$/);
    expect((await shoot('/api/work')).status).toBe(401);
  });
  it('E11 refuses a session that ended elsewhere as soon as the issuer says so, and keeps the tokens of others', async () => {
    expect((await shoot('/api/work', { cookie: OTHER })).status).toBe(200);
    expect((await shoot('/api/work')).status).toBe(200);
    sessions.delete(OTHER);
    // Nobody has said anything yet: what is cached answers, and nobody is asked.
    const before = mints;
    expect((await shoot('/api/work', { cookie: OTHER })).status).toBe(200);
    expect(mints).toBe(before);
    feed.say({ sessionId: sessionOf(OTHER) });
    await expect
      .poll(async () => (await shoot('/api/work', { cookie: OTHER })).status, { timeout: 900, interval: 20 })
      .toBe(401);
    const asked = mints;
    expect((await shoot('/api/work')).status).toBe(200);
    expect(mints).toBe(asked);
  });
  it.each(['assign', 'finalise'] as const)(
    'E11 refuses a session that ended while the body of %s was still on its way',
    async (operation) => {
      const isFinal = operation === 'finalise';
      const path = `/api/work/${idOf(house, 'eng')}/${isFinal ? 'finalise' : 'contacts'}`;
      const body = Buffer.from(JSON.stringify(isFinal ? { revision: 1 } : { memberId: idOf(house, 'mem') }));
      const slow = async (meanwhile: () => void) => {
        const begun = Promise.withResolvers<void>();
        const pieces = (async function* halves() {
          yield body.subarray(0, 5);
          begun.resolve();
          // Whoever is about to be put out keeps a request open and ends it afterwards.
          await new Promise((resolve) => setTimeout(resolve, 50));
          meanwhile();
          await new Promise((resolve) => setTimeout(resolve, 150));
          yield body.subarray(5);
        })();
        const headers = {
          'content-type': 'application/json',
          'content-length': String(body.length),
          ...(isFinal ? { 'x-step-up': 'fine' } : {}),
        };
        return shoot(path, { method: 'POST', cookie: OTHER, body: Readable.from(pieces), headers });
      };
      expect((await slow(() => undefined)).status).toBe(200);
      const ended = await slow(() => {
        sessions.delete(OTHER);
        feed.say({ sessionId: sessionOf(OTHER) });
      });
      expect(ended.status).toBe(401);
    },
  );
  it('E11 asks the issuer about each request while the feed is silent', async () => {
    expect((await shoot('/api/work')).status).toBe(200);
    feed.hush(true);
    sessions.delete(GOOD);
    try {
      await expect.poll(async () => (await shoot('/api/work')).status, { timeout: 950, interval: 20 }).toBe(401);
    } finally {
      feed.hush(false);
    }
    // The gateway begins another feed by itself, and keeps tokens again.
    sessions.set(GOOD, testFacts.personId);
    const again = async () => {
      await shoot('/api/work');
      const before = mints;
      await shoot('/api/work');
      return mints - before;
    };
    await expect.poll(again, { timeout: 5000, interval: 50 }).toBe(0);
  });
  it('E12 asks for step-up, has the issuer accept it, and never keeps that token', async () => {
    const path = `/api/work/${idOf(house, 'eng')}/finalise`;
    const attempt = (header?: string) => shoot(path, { json: { revision: 1 }, headers: { 'x-step-up': header } });
    const seen = attempts.length;
    expect(await attempt()).toMatchObject({ status: 403, json: { code: 'step_up_required' } });
    expect(attempts.slice(seen)).toMatchObject([{ kind: 'step-up', reason: 'missing', operation: 'work.finalise' }]);
    expect(await attempt('bad')).toMatchObject({ status: 403, json: { code: 'step_up_refused' } });
    const before = mints;
    expect(await attempt('fine')).toMatchObject({ status: 200, json: { hash: 'fine' } });
    expect(await attempt('fine')).toMatchObject({ status: 200 });
    expect(mints - before).toBe(2);
  });
  it('E13 the try-out door has its own cookie, host and origin, on loopback, and can be left out', async () => {
    expect(await shoot('/api/work', { door: 'tryout' })).toMatchObject({ status: 200, json: { door: 'tryout' } });
    expect(await shoot('/api/work', { door: 'tryout', cookie: GOOD })).toMatchObject({ status: 401 });
    expect(
      await shoot('/api/people/sign-out', {
        door: 'tryout',
        method: 'POST',
        headers: { origin: `https://127.0.0.1:${edge.edgePort}` },
      }),
    ).toMatchObject({ status: 403 });
    const without = await startEdge({
      ...options,
      tryout: false,
      publishedFolder: mkdtempSync(join(tmpdir(), 'published-')),
    });
    expect(without.tryoutPort).toBeUndefined();
    await without.drain();
  });
});

describe('limits', () => {
  it('E14 takes all addresses of one IPv6 network for one client, and those of another for another', async () => {
    const balanced = await startEdge({
      ...options,
      tryout: false,
      balancers: ['127.0.0.1'],
      publishedFolder: mkdtempSync(join(tmpdir(), 'published-')),
      limits: {
        client: { burst: 100, perSecond: 0 },
        session: { burst: 100, perSecond: 0 },
        signIn: { burst: 2, perSecond: 0 },
      },
    });
    const guess = async (from: string) => {
      const json = { who: 'x' };
      return (await shoot('/api/people/sign-in', { port: balanced.edgePort, json, headers: { 'x-real-ip': from } }))
        .status;
    };
    try {
      // Whoever has one line has 2^64 addresses: a new one with each guess.
      expect([await guess('2001:db8:1:2::1'), await guess('2001:db8:1:2:ffff::2')]).toEqual([200, 200]);
      expect([await guess('2001:db8:1:2:a:b:c:d'), await guess('2001:0DB8:0001:0002::3')]).toEqual([429, 429]);
      expect([await guess('2001:db8:1:3::1'), await guess('198.51.100.7'), await guess('198.51.100.8')]).toEqual([
        200, 200, 200,
      ]);
      expect([await guess('::ffff:198.51.100.7'), await guess('::ffff:198.51.100.7')]).toEqual([200, 429]);
      expect([await guess('fe80::1%eth0.4-x'), await guess('fe80::2%eth1')]).toEqual([200, 200]);
      expect(await guess('fe80::3')).toBe(429);
    } finally {
      await balanced.drain();
    }
  });
  it('E14 slows down a client, a session and guesses at signing in', async () => {
    const tight = (limits: Partial<EdgeOptions['limits']>) =>
      startEdge({
        ...options,
        tryout: false,
        publishedFolder: mkdtempSync(join(tmpdir(), 'published-')),
        limits: {
          client: { burst: 100, perSecond: 0 },
          session: { burst: 100, perSecond: 0 },
          signIn: { burst: 100, perSecond: 0 },
          ...limits,
        },
      });
    const cases: [Partial<EdgeOptions['limits']>, (port: number) => Promise<Seen>][] = [
      [{ client: { burst: 2, perSecond: 0 } }, (port) => shoot('/healthz', { port })],
      [{ session: { burst: 2, perSecond: 0 } }, (port) => shoot('/api/work', { port })],
      [{ signIn: { burst: 2, perSecond: 0 } }, (port) => shoot('/api/people/sign-in', { port, json: { who: 'x' } })],
    ];
    for (const [limits, go] of cases) {
      const limited = await tight(limits);
      expect([
        (await go(limited.edgePort)).status,
        (await go(limited.edgePort)).status,
        (await go(limited.edgePort)).status,
      ]).toEqual([200, 200, 429]);
      await limited.drain();
    }
  });
  it('E15 refuses oversize, other types and unexpected bodies before anything is passed on', async () => {
    const path = `/api/work/${idOf(house, 'eng')}/contacts`;
    expect(await shoot(path, { json: { memberId: 'x'.repeat(2000) } })).toMatchObject({ status: 413 });
    expect(
      await shoot(path, { body: 'memberId=x', headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
    ).toMatchObject({ status: 415 });
    expect(await shoot(path, { body: '{"memberId":', headers: { 'content-type': 'application/json' } })).toMatchObject({
      status: 400,
    });
    expect(await shoot('/api/people/sign-out', { json: {} })).toMatchObject({ status: 400 });
    const chunked = Readable.from(Array.from({ length: 20 }, () => Buffer.alloc(100, 32)));
    expect(
      await shoot(path, { method: 'POST', body: chunked, headers: { 'content-type': 'application/json' } }),
    ).toMatchObject({ status: 413 });
    expect(await shoot(`/api/work?x=${'y'.repeat(5000)}`)).toMatchObject({ status: 404 });
  });
  it('E16 streams both ways without keeping what passes', async () => {
    const pieces = Readable.from(
      (function* () {
        for (let n = 0; n < 300; n += 1) yield Buffer.alloc(100_000, 1);
      })(),
    );
    const up = await shoot('/api/upload', {
      method: 'PUT',
      body: pieces,
      headers: { 'content-type': 'application/octet-stream' },
    });
    expect(up).toMatchObject({ status: 200, json: { bytes: 30_000_000 } });
    const down = await shoot('/api/download');
    expect(down.text.length).toBe(32_000_000);
    expect(down.headers['content-disposition']).toBe('attachment');
    expect(down.headers['content-security-policy']).toMatch(/sandbox/);
  });
  it('E16 stops reading from the browser when the service does not', async () => {
    let sent = 0;
    held = new Promise<void>((done) => (letGo = done));
    const pieces = Readable.from(
      (function* () {
        for (; sent < 300; sent += 1) yield Buffer.alloc(100_000, 1);
      })(),
    );
    const up = shoot('/api/upload', {
      method: 'PUT',
      body: pieces,
      headers: { 'content-type': 'application/octet-stream' },
    });
    await new Promise((done) => setTimeout(done, 600));
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(200);
    letGo();
    expect(await up).toMatchObject({ status: 200, json: { bytes: 30_000_000 } });
  });
  it('E16 stops asking the service for more when the browser does not read', async () => {
    await new Promise<void>((resolve, reject) => {
      const request = httpsRequest({
        host: '127.0.0.1',
        port: edge.edgePort,
        path: '/api/download',
        ca: certificate.authorityPem,
        servername: '',
        headers: { host: `127.0.0.1:${edge.edgePort}`, cookie: `__Host-auditrax=${GOOD}` },
      });
      request.on('error', reject);
      request.on('response', (response) => {
        response.pause();
        setTimeout(() => {
          expect(downloaded).toBeGreaterThan(0);
          expect(downloaded).toBeLessThan(250);
          request.destroy();
          resolve();
        }, 700);
      });
      request.end();
    });
  });
  it('E17 says 503 when a service is away', async () => {
    const port = house.ports.get('workspace')!;
    house.ports.set('workspace', 1);
    expect(await shoot('/api/work')).toMatchObject({ status: 503, json: { code: 'service_unavailable' } });
    house.ports.set('workspace', port);
    expect(await shoot('/api/work')).toMatchObject({ status: 200 });
  });
});

describe('pages', () => {
  const publish = (revision: number, change: Record<string, unknown> = {}) => {
    const body = {
      revision,
      validUntil: pageClock.nowMs() + 60_000,
      files: [
        {
          path: '/security',
          mediaType: 'text/html; charset=utf-8' as const,
          content: '<!doctype html><p class="validity">valid</p>',
        },
        { path: '/security.json', mediaType: 'application/json' as const, content: '{"state":"current","a":1}' },
        { path: '/security/manifest.json', mediaType: 'application/json' as const, content: '{"signed":true}' },
        { path: '/security/manifest.sig', mediaType: 'text/plain; charset=utf-8' as const, content: 'sig' },
      ],
    };
    const signature = sign(null, publishedMessage(body), pageKeys.privateKey).toString('base64url');
    return { ...body, signature, ...change } as Parameters<ReturnType<typeof pages>['replace']>[0];
  };
  let folder: string;
  let own: RunningEdge;
  const pages = () => ({
    replace: (body: { revision: number; validUntil: number; files: unknown[]; signature: string }) =>
      (own.internalRoutes.handlers['replace'] as unknown as (call: object) => Promise<unknown>)({ body }),
  });
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'published-'));
    own = await startEdge({ ...options, clock: pageClock, publishedFolder: folder, tryout: false });
  });
  afterAll(() => own.drain());
  const look = (path: string, shot: Shot = {}) => shoot(path, { ...shot, port: own.edgePort });

  it('E18 serves what the publisher signed, without script, and refuses what it did not', async () => {
    expect((await look('/security')).status).toBe(404);
    const missing = await look('/security', { headers: { accept: 'text/html,*/*' } });
    expect(missing).toMatchObject({ status: 404, headers: { 'content-type': 'text/html; charset=utf-8' } });
    expect(missing.headers['content-security-policy']).not.toMatch(/script/);
    expect((await look('/readyz')).status).toBe(503);
    await pages().replace(publish(2));
    const page = await look('/security');
    expect(page).toMatchObject({
      status: 200,
      headers: { 'x-auditrax-state': 'current', 'content-type': 'text/html; charset=utf-8' },
    });
    expect(page.headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'self'/);
    expect(page.headers['content-security-policy']).not.toMatch(/script/);
    expect((await look('/security', { headers: { 'if-none-match': page.headers.etag } })).status).toBe(304);
    await expect(pages().replace(publish(3, { validUntil: 9e15 }))).rejects.toMatchObject({
      code: 'publication_refused',
    });
    await expect(pages().replace(publish(3, { signature: 'A'.repeat(86) }))).rejects.toMatchObject({
      code: 'publication_refused',
    });
    await expect(pages().replace(publish(2))).rejects.toMatchObject({ code: 'publication_refused' });
    expect((await look('/security')).text).toMatch(/valid</);
    expect(await look('/')).toMatchObject({ status: 302, headers: { location: '/security' } });
  });
  it('E19 says by itself that a page has outlived its validity, and keeps it over a restart', async () => {
    await own.drain();
    own = await startEdge({ ...options, clock: pageClock, publishedFolder: folder, tryout: false });
    expect((await look('/security')).text).toMatch(/valid</);
    pageClock.advance(60_000);
    const stale = await look('/security');
    expect(stale.headers['x-auditrax-state']).toBe('stale');
    expect(stale.text).toMatch(/validity-stale.*Out of date/);
    expect((await look('/security.json')).json).toEqual({ state: 'stale', a: 1 });
    expect((await look('/security/manifest.json')).json).toEqual({ signed: true });
    expect((await look('/readyz')).status).toBe(200);
    await pages().replace(publish(4));
    expect((await look('/security')).headers['x-auditrax-state']).toBe('current');
  });
  it('E19 serves nothing from a file that was changed on disk', async () => {
    await own.drain();
    const file = join(folder, 'published.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace('>valid<', '>forged<'));
    own = await startEdge({ ...options, clock: pageClock, publishedFolder: folder, tryout: false });
    expect((await look('/security')).status).toBe(404);
  });
  it('E20 serves the app from memory: assets for good, its start page for its own paths, nothing else', async () => {
    const start = await look('/app/enrol');
    expect(start).toMatchObject({ status: 200, headers: { 'cache-control': 'no-cache' } });
    expect(start.headers['content-security-policy']).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    );
    const asset = await look('/app/assets/app-1.js', { headers: { 'accept-encoding': 'gzip' } });
    expect(asset.headers).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
      'content-encoding': 'gzip',
      'x-content-type-options': 'nosniff',
      'strict-transport-security': expect.stringMatching(/max-age/),
    });
    for (const path of ['/app/assets/app-2.js', '/app/assets/app-1.js.map', '/app/missing.png'])
      expect((await look(path)).status).toBe(404);
    const local = await look('/app/', { headers: { host: `localhost:${own.edgePort}` } });
    expect(local.headers['strict-transport-security']).toBeUndefined();
    await expect(
      startEdge({ ...options, staticFolder: join(tmpdir(), randomBytes(8).toString('hex')), tryout: false }),
    ).rejects.toMatchObject({ code: 'static_missing' });
  });
});

describe('routes that others reach', () => {
  const elsewhere = { origin: 'https://provider.example', 'sec-fetch-site': 'cross-site' };
  const navigation = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const post = (path: string, body: string, headers: Shot['headers'] = {}) =>
    shoot(path, { method: 'POST', body, cookie: null, headers: { ...elsewhere, ...navigation, ...form, ...headers } });

  it('E20 exactly those that say so are open to another site, by navigation and with a form', async () => {
    const answer = await post('/sso/c-1/acs', 'answer=a%2Bb+c');
    expect([answer.status, answer.headers['location']]).toEqual([303, '/app/?a%2Bb%20c%20none']);
    const opened = await shoot('/sso/c-1/start', {
      cookie: null,
      headers: { 'sec-fetch-site': 'cross-site', ...navigation },
    });
    expect([opened.status, opened.headers['location'], opened.text]).toEqual([
      303,
      'https://provider.example/authorize?a=b',
      '',
    ]);
    for (const contract of [...Object.values(work), ...Object.values(people)]) {
      const path = contract.path.replaceAll(/:\w+/g, idOf(house, 'eng'));
      const refused = await shoot(path, {
        method: contract.method,
        headers: { ...elsewhere, ...navigation, ...form },
        ...(contract.method === 'GET' ? {} : { body: 'answer=1' }),
      });
      expect([refused.status, refused.json['code']], contract.operation).toEqual([403, 'origin_refused']);
    }
  });

  it('E20 no other route takes a form, from nobody', async () => {
    for (const contract of [...Object.values(work), ...Object.values(people)].filter(
      ({ method }) => method !== 'GET',
    )) {
      const path = contract.path.replaceAll(/:\w+/g, idOf(house, 'eng'));
      const refused = await shoot(path, { method: contract.method, headers: form, body: 'who=me' });
      expect([400, 403, 415], contract.operation).toContain(refused.status);
      expect(['content_type_refused', 'input_invalid', 'step_up_required'], contract.operation).toContain(
        refused.json['code'],
      );
    }
  });

  it('E20 another site’s script, image or frame reaches none of them', async () => {
    for (const [mode, dest] of [
      ['cors', 'empty'],
      ['no-cors', 'image'],
      ['navigate', 'iframe'],
      ['navigate', 'frame'],
      ['no-cors', 'script'],
    ] as const) {
      const headers = { 'sec-fetch-mode': mode, 'sec-fetch-dest': dest };
      expect((await post('/sso/c-1/acs', 'answer=1', headers)).status, dest).toBe(403);
      expect((await shoot('/sso/c-1/start', { cookie: null, headers })).status, dest).toBe(403);
    }
  });

  it('E20 what a server sends is refused from a browser', async () => {
    const plain = { ...form, origin: undefined, 'sec-fetch-site': undefined };
    const call = (headers: Shot['headers'], cookie: string | null = null) =>
      shoot('/sso/c-1/logout', { method: 'POST', body: 'token=t', cookie, headers: { ...plain, ...headers } });
    expect(await call({})).toMatchObject({ status: 200, json: { token: 't' } });
    for (const headers of [
      { origin: 'https://provider.example' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-mode': 'no-cors' },
    ])
      expect(await call(headers)).toMatchObject({ status: 403, json: { code: 'origin_refused' } });
    expect((await call({}, GOOD)).status).toBe(403);
  });

  it('E20 the sign-in’s cookie is bound to the host, unreadable for scripts, and comes along from elsewhere', async () => {
    const first = await shoot('/sso/c-1/start', { cookie: null });
    expect(first.headers['set-cookie']).toEqual([
      '__Host-auditrax-sso=browser-browser-browser; Path=/; Secure; HttpOnly; SameSite=None; Max-Age=600',
    ]);
    const seen = await post('/sso/c-1/acs', 'answer=1', { cookie: '__Host-auditrax-sso=another-another-another' });
    expect(seen.headers['location']).toBe('/app/?1%20another-another-another');
    expect(seen.headers['set-cookie']).toEqual([expect.stringContaining(`__Host-auditrax=${GOOD}; `)]);
    expect(seen.headers['set-cookie']![0]).toContain('SameSite=Strict');
    const twice = await post('/sso/c-1/acs', 'answer=1', {
      cookie: '__Host-auditrax-sso=another-another-another; __Host-auditrax-sso=second-second-second',
    });
    expect(twice.headers['location']).toBe('/app/?1%20none');
  });

  it('E20 leads to pages of the app and to https, and nowhere else', async () => {
    for (const to of ['/app/', '/app/connections/con_1?x=1', 'https://provider.example:8443/a?b=c&d=%2F'])
      expect((await shoot(`/sso/c/start?to=${encodeURIComponent(to)}`)).headers['location'], to).toBe(to);
    for (const to of [
      'http://provider.example/',
      'javascript:alert(1)',
      '//evil.example/',
      '/\\\\evil.example',
      '/api/work',
      '/app/\\x',
      'https://',
      'data:text/html,x',
      'https:/evil.example',
      '/app/#x',
    ]) {
      const seen = await shoot(`/sso/c/start?to=${encodeURIComponent(to)}`);
      expect([seen.status, seen.headers['location']], to).toEqual([500, undefined]);
    }
  });

  it('E21 an error is a plain page with the reference and nothing of what failed', async () => {
    const refused = await shoot('/sso/c-1/start?to=refused', { cookie: null });
    expect(refused.status).toBe(401);
    expect(refused.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(refused.text).toContain(`<code>${refused.headers['x-request-id']}</code>`);
    expect(refused.text).not.toMatch(/nonce|sso_refused|<script|style=/);
    const policy = refused.headers['content-security-policy'];
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/script-src|unsafe/);
    expect(policy).toContain("form-action 'none'");
    expect([refused.headers['cache-control'], refused.headers['referrer-policy']]).toEqual(['no-store', 'no-referrer']);
    // Also where the gateway itself refuses.
    const odd = await post('/sso/c-1/acs', '{}', { 'content-type': 'application/json' });
    expect([odd.status, odd.headers['content-type']]).toEqual([415, 'text/html; charset=utf-8']);
    const large = await post('/sso/c-1/acs', `answer=${'a'.repeat(3000)}`);
    expect([large.status, large.headers['content-type']]).toEqual([413, 'text/html; charset=utf-8']);
    for (const body of ['answer=1&answer=2', 'answer=%E0%A4%A', '__proto__=1&answer=2', 'answer=1&more=2', ''])
      expect((await post('/sso/c-1/acs', body)).status, body).toBe(400);
  });

  it('E21 a document that is not a page is shown inert', async () => {
    const seen = await shoot('/sso/c-1/start?to=page', { cookie: null });
    expect([seen.status, seen.text, seen.headers['content-type']]).toEqual([
      200,
      '<md/>',
      'application/samlmetadata+xml',
    ]);
    expect(seen.headers['content-security-policy']).toContain('sandbox');
  });

  it('E21 are not at the try-out door', async () => {
    expect((await shoot('/sso/c-1/start', { door: 'tryout', cookie: null })).status).toBe(404);
  });
});
