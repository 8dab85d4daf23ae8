// One floor of time under every 404 of the edge: whether a thing is missing, hidden, forged or another tenant's cannot be
// read from how long the answer takes, and nothing else of it differs either.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, defineRoutes, systemClock, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { formatId } from '@auditrax/tenancy/ids';
import { issueEdgeCertificate } from '@auditrax/workload';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { createAttemptCounter } from '../http/attempt-counter.ts';
import { attemptsRoutes } from '../http/attempts-routes.ts';
import { bindRoutes } from '../http/handler.ts';
import { silentLog } from '../http/request-log.ts';
import { startService, type RunningService } from '../http/service.ts';
import {
  forged,
  idOf,
  openTestHouse,
  OTHER_PART,
  TENANT_PART,
  testFacts,
  type TestHouse,
} from '../http/testing/workloads.ts';
import { startEdge, type RunningEdge } from './index.ts';
import { openTestFeed } from './testing/feed.ts';
import { tokenRoutes } from './token-contract.ts';

/** This file is a composition root in which the floor can be taken away: product code has no switch for that. */
const floor = vi.hoisted(() => ({ stands: true }));
vi.mock('./exchange.ts', async (original) => {
  const real = await original<typeof import('./exchange.ts')>();
  return {
    ...real,
    sendNotFound: (exchange: Parameters<typeof real.sendNotFound>[0]) =>
      floor.stands ? real.sendNotFound(exchange) : real.sendProblem(exchange, 'not_found'),
  };
});

/** What a row that is not there, one that a rule withholds, and the record of an attempt cost behind the edge. */
const WORK_MS = { missing: 2, hidden: 60, recorded: 30 } as const;
const SAMPLES = 40;
/** Rounds before it counts: connections and tokens are there then, and the floor knows how fast this machine is. */
const WARM_ROUNDS = 16;
/**
 * Two-sample Kolmogorov-Smirnov: the largest distance of two empirical distributions of 40. Equal ones come to 0.44 once in
 * a thousand times; what else the machine does adds nothing of its own, since the kinds are asked in turns. Different ones
 * come near 1.
 */
const DISTANCE_MAX = 0.5;

const HIDDEN = '11111111-0000-7000-8000-000000000001' as Uuid;
const COOKIE = 'good-cookie-good-cookie-1';
const engId = z.string().regex(/^eng_[A-Za-z0-9_-]{38}$/);
const work = defineRoutes({
  read: {
    operation: 'work.read',
    service: 'workspace',
    method: 'GET',
    path: '/api/work/:engagementId',
    access: { kind: 'session', class: 'read' },
    ids: { 'params.engagementId': 'eng' },
    params: z.strictObject({ engagementId: engId }),
    replies: { 200: z.strictObject({ ok: z.boolean() }) },
  },
});

let house: TestHouse;
let edge: RunningEdge;
let folder: string;
let authorityPem: string;
const services: RunningService[] = [];
const feed = openTestFeed();
const agent = new Agent({ keepAlive: true });

async function startRooms(): Promise<void> {
  const base = {
    clock: systemClock,
    log: silentLog,
    tagKeys: house.keys,
    problems: [],
    policy: { has: () => true, allows: () => true },
    readiness: async () => [],
    onAttempt: async () => undefined,
    counter: createAttemptCounter(),
    stepUp: async () => Promise.reject(new Error('no step-up here')),
  };
  const rooms = bindRoutes(work, {
    read: async (call) => {
      await sleep(call.ids['params.engagementId'] === HIDDEN ? WORK_MS.hidden : WORK_MS.missing);
      throw new AppError('not_found', 'no such row');
    },
  });
  const recorder = attemptsRoutes(async () => {
    await sleep(WORK_MS.recorded);
    return { entryId: uuidV4(systemRandom), sessionOver: false };
  });
  const minting = bindRoutes(tokenRoutes, {
    mint: async (call) => {
      const { compact, expiresAtMs } = await house.mint({ aud: call.body.destination, scope: call.body.routeClass });
      const { tenantId, personId, sessionId } = testFacts;
      return {
        status: 200,
        body: { token: compact, expiresAt: expiresAtMs, tenantId, tenantPart: TENANT_PART, personId, sessionId },
      };
    },
  });
  for (const [name, own] of [
    ['workspace', [rooms, recorder]],
    ['issuer', [minting, feed.routes]],
  ] as const) {
    const identity = await house.identity(name);
    const service = await startService({ ...base, name, identity, tokenVerifier: house.verifier(name), rooms: own });
    services.push(service);
    house.ports.set(name, service.port);
  }
}

beforeAll(async () => {
  house = await openTestHouse();
  await startRooms();
  folder = mkdtempSync(join(tmpdir(), 'edge-floor-'));
  writeFileSync(join(folder, 'index.html'), '<!doctype html>');
  const certificate = await issueEdgeCertificate({ clock: systemClock, name: 'Test edge' });
  ({ authorityPem } = certificate);
  edge = await startEdge({
    clock: systemClock,
    log: silentLog,
    pools: house.pools(await house.identity('gateway')),
    tagKeys: house.keys,
    counter: createAttemptCounter(),
    contracts: [...Object.values(work), ...Object.values(tokenRoutes)],
    edge: { port: 0, hostNames: ['127.0.0.1'], ...certificate },
    tryout: false,
    staticFolder: folder,
    publishedFolder: mkdtempSync(join(folder, 'published-')),
    pageSigningKey: generateKeyPairSync('ed25519').publicKey,
    readiness: async () => [],
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

interface Seen {
  readonly status: number;
  readonly essence: string;
  readonly elapsed_ms: number;
}

function ask(id: string): Promise<Seen> {
  const host = `127.0.0.1:${edge.edgePort}`;
  const headers = { host, cookie: `__Host-auditrax=${COOKIE}` };
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port: edge.edgePort,
        path: `/api/work/${id}`,
        headers,
        agent,
        ca: authorityPem,
        servername: '',
      },
      (reply) => {
        let text = '';
        reply.on('data', (piece: Buffer) => (text += piece.toString('utf8')));
        reply.on('end', () => {
          const elapsed_ms = performance.now() - began;
          const requestId = reply.headers['x-request-id'] as string;
          const lines = reply.rawHeaders.map((line, at) => (reply.rawHeaders[at - 1] === 'Date' ? '' : line));
          const essence = JSON.stringify([reply.statusCode, lines, text, text.length]).replaceAll(requestId, 'ID');
          resolve({ status: reply.statusCode!, essence, elapsed_ms });
        });
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}

const own = (uuid: Uuid): string => formatId('eng', { tenantPart: TENANT_PART }, uuid, house.keys);
const KINDS = {
  missing: () => own(uuidV4(systemRandom)),
  hidden: () => own(HIDDEN),
  forged: () => forged(idOf(house, 'eng')),
  foreign: () => idOf(house, 'eng', OTHER_PART),
} as const;
type Kind = keyof typeof KINDS;

/** All kinds at once, begun in an order that turns, so that whatever else the machine does meets all of them alike. */
async function sample(): Promise<Record<Kind, Seen[]>> {
  const seen: Record<Kind, Seen[]> = { missing: [], hidden: [], forged: [], foreign: [] };
  const kinds = Object.keys(KINDS) as Kind[];
  for (let round = 0; round < WARM_ROUNDS + SAMPLES; round += 1) {
    const order = kinds.map((_kind, at) => kinds[(at + round) % kinds.length]!);
    const answers = await Promise.all(order.map((kind) => ask(KINDS[kind]())));
    if (round >= WARM_ROUNDS) answers.forEach((answer, at) => seen[order[at]!].push(answer));
  }
  return seen;
}

/** Largest distance between the empirical distributions of two samples. */
function distance(one: readonly number[], other: readonly number[]): number {
  const share = (values: readonly number[], limit: number): number =>
    values.filter((value) => value <= limit).length / values.length;
  return Math.max(...[...one, ...other].map((limit) => Math.abs(share(one, limit) - share(other, limit))));
}

function largestDistance(seen: Record<Kind, Seen[]>): number {
  const times = Object.values(seen).map((all) => all.map((one) => one.elapsed_ms));
  return Math.max(...times.flatMap((one, at) => times.slice(at + 1).map((other) => distance(one, other))));
}

describe('what is missing, hidden, forged or another tenant’s', () => {
  it('E8 has one answer, byte for byte but for its id, and one distribution of times', async () => {
    const seen = await sample();
    const answers = new Set(Object.values(seen).flatMap((all) => all.map((one) => one.essence)));
    expect([...answers]).toHaveLength(1);
    expect(seen.foreign[0]!.status).toBe(404);
    expect(largestDistance(seen)).toBeLessThan(DISTANCE_MAX);
  }, 60_000);

  it('E8 without the floor the times tell them apart: the comparison above can fail', async () => {
    floor.stands = false;
    try {
      const seen = await sample();
      expect(new Set(Object.values(seen).flatMap((all) => all.map((one) => one.essence))).size).toBe(1);
      expect(largestDistance(seen)).toBeGreaterThan(DISTANCE_MAX);
    } finally {
      floor.stands = true;
    }
  }, 60_000);
});
