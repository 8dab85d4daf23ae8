import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineRoutes, systemClock, type ServiceName } from '@auditrax/base';
import { clientTls, peerNames, type Mesh, type WorkloadIdentity } from '@auditrax/workload';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createAttemptCounter } from './attempt-counter.ts';
import { bindRoutes } from './handler.ts';
import { silentLog } from './request-log.ts';
import { startService, type RunningService } from './service.ts';
import { openTestHouse, type TestHouse } from './testing/workloads.ts';

const SELF = 'spiffe://cluster.local/ns/audit/sa/keys';
const xfcc = (service: string): string =>
  `By=${SELF};Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688;Subject="";URI=spiffe://cluster.local/ns/audit/sa/${service}`;
const NAMES = {
  istio: 'spiffe://cluster.local/ns/audit/sa/{service}',
  linkerd: '{service}.audit.serviceaccount.identity.linkerd.cluster.local',
} as const;

const contract = defineRoutes({
  who: {
    operation: 'peer.who',
    service: 'keys',
    method: 'GET',
    path: '/internal/who',
    access: { kind: 'internal', callers: ['issuer'], token: false },
    ids: {},
    replies: { 200: z.strictObject({ peer: z.string() }) },
  },
});
const room = bindRoutes(contract, {
  who: (call) => Promise.resolve({ status: 200 as const, body: { peer: call.peer } }),
});

let house: TestHouse;
let folder: string;
const running: { service: RunningService; path: string }[] = [];
const [istio, linkerd] = [0, 1] as const;

async function start(mesh: Mesh): Promise<void> {
  const path = join(folder, `${mesh}.sock`);
  const service = await startService({
    name: 'keys',
    clock: systemClock,
    log: silentLog,
    identity: await house.identity('keys'),
    tokenVerifier: house.verifier('keys'),
    tagKeys: house.keys,
    rooms: [room],
    problems: [],
    policy: { has: () => true, allows: () => true },
    readiness: async () => [],
    onAttempt: async () => {},
    counter: createAttemptCounter(),
    stepUp: () => Promise.reject(new Error('none here')),
    sidecar: { mesh, names: peerNames(NAMES[mesh]), path },
  });
  running.push({ service, path });
}

beforeAll(async () => {
  house = await openTestHouse();
  folder = mkdtempSync(join(tmpdir(), 'sidecar-'));
  await start('istio');
  await start('linkerd');
});
afterAll(async () => {
  await Promise.all(running.map(({ service }) => service.drain()));
  await house.close();
  rmSync(folder, { recursive: true });
});

interface Heard {
  readonly status: number;
  readonly peer?: string;
  readonly code?: string;
}

/** `headers` as a flat list goes out as it is, doubled names and all. */
function ask(options: object, headers: readonly string[], send: typeof httpRequest = httpRequest): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const common = { path: '/internal/who', agent: false, headers: ['host', 'keys', ...headers] };
    send({ ...common, ...options } as never, (reply) => {
      let text = '';
      reply.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      reply.once('end', () => {
        const { peer, code } = JSON.parse(text) as Partial<Heard>;
        resolve({ status: reply.statusCode!, ...(peer ? { peer } : {}), ...(code ? { code } : {}) });
      });
    })
      .once('error', reject)
      .end();
  });
}

const bySocket = (which: 0 | 1, ...headers: string[]) => ask({ socketPath: running[which]!.path }, headers);

async function byTls(identity: WorkloadIdentity, ...headers: string[]): Promise<Heard> {
  const { port } = running[istio]!.service;
  return ask({ ...clientTls(identity.current(), 'keys'), host: '127.0.0.1', port }, headers, httpsRequest as never);
}

const REFUSED = { status: 403, code: 'peer_refused' };

describe('the door of a mesh’s proxy', () => {
  it('believes the proxy of Istio and of Linkerd there, for the peer that the route names', async () => {
    expect(await bySocket(istio, 'x-forwarded-client-cert', xfcc('issuer'))).toEqual({ status: 200, peer: 'issuer' });
    const client = (service: string): string => NAMES.linkerd.replace('{service}', service);
    expect(await bySocket(linkerd, 'l5d-client-id', client('issuer'))).toEqual({ status: 200, peer: 'issuer' });
    expect(await bySocket(istio, 'x-forwarded-client-cert', xfcc('gateway'))).toEqual(REFUSED);
    expect(await bySocket(linkerd, 'l5d-client-id', client('gateway'))).toEqual(REFUSED);
  });

  it('forged: a header sent from outside to the other listener names nobody, and changes no name', async () => {
    const header = ['x-forwarded-client-cert', xfcc('issuer')];
    expect(await byTls(await house.identity('gateway' as ServiceName), ...header)).toEqual(REFUSED);
    expect(
      await byTls(await house.identity('issuer' as ServiceName), 'x-forwarded-client-cert', xfcc('gateway')),
    ).toEqual({
      status: 200,
      peer: 'issuer',
    });
  });

  it('forged: without a header, doubled, in another case, or with a hop in front, nobody is named', async () => {
    const name = 'x-forwarded-client-cert';
    expect(await bySocket(istio)).toEqual(REFUSED);
    expect(await bySocket(istio, name, xfcc('issuer'), name, xfcc('issuer'))).toEqual(REFUSED);
    expect(await bySocket(istio, name, xfcc('gateway'), 'X-Forwarded-Client-Cert', xfcc('issuer'))).toEqual(REFUSED);
    expect(await bySocket(istio, name, `${xfcc('issuer')},${xfcc('issuer')}`)).toEqual(REFUSED);
    expect(await bySocket(linkerd, name, xfcc('issuer'))).toEqual(REFUSED);
  });

  it('is a socket for its owner and the proxy’s group, and never where others could reach it', async () => {
    expect(statSync(running[istio]!.path).mode & 0o777).toBe(0o660);
    chmodSync(folder, 0o755);
    try {
      await expect(start('istio')).rejects.toMatchObject({ code: 'sidecar_door_open' });
    } finally {
      chmodSync(folder, 0o700);
    }
  });
});
