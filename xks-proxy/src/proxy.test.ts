// In this process, over a token that does what it is told: moments that a real HSM cannot be brought to at will.
import { Agent, request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock, systemRandom } from '@auditrax/base';
import { Sha256 } from '@aws-crypto/sha256-js';
import { HttpRequest } from '@smithy/protocol-http';
import { SignatureV4 } from '@smithy/signature-v4';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { throwAwayAuthority, type Pair, type ThrowAwayAuthority } from '../../app/rehearsal/certificates.ts';
import type { ProxyConfig } from './config.ts';
import { startProxy, type LogEntry, type RunningProxy } from './proxy.ts';
import { fakeToken } from './testing/fake-token.ts';

const ID = 'ABCDEFGHIJKLMNOPQRST';
const SECRET = 's'.repeat(43);
const HOLD_MS = 300;

let authority: ThrowAwayAuthority;
let server: Pair;
let proxy: RunningProxy;
let lines: LogEntry[];
let agent: Agent;

function configOf(change: Partial<ProxyConfig> = {}): ProxyConfig {
  const key = { id: 'foo', labels: ['foo'], operations: ['ENCRYPT'] as const, enabled: true, callers: {} };
  const store = { uriPathPrefix: '', credentials: new Map([[ID, SECRET]]), requestsPerSecondMax: 1000 };
  return {
    listen: { host: '127.0.0.1', port: 0 },
    tls: { certificatePem: server.certificatePem, keyPem: server.keyPem, clients: undefined },
    hsm: {
      modulePath: '',
      tokenLabel: '',
      pinFile: '',
      sessions: 1,
      environment: {},
      deadlineMilliseconds: 2_000,
    },
    pin: '',
    concurrentRequestsMax: 3,
    connectionsMax: 100,
    fleetSize: 1,
    stores: new Map([['', { ...store, keys: new Map([['foo', key]]) }]]),
    ...change,
  };
}

async function post(path: string): Promise<{ status: number; connection: string | undefined; text: string }> {
  const signer = new SignatureV4({
    service: 'kms-xks-proxy',
    region: 'eu-west-1',
    sha256: Sha256,
    credentials: { accessKeyId: ID, secretAccessKey: SECRET },
  });
  const host = `localhost:${proxy.port}`;
  const body = JSON.stringify({
    requestMetadata: { awsPrincipalArn: 'p', kmsKeyArn: 'k', kmsOperation: 'o', kmsRequestId: 'r' },
    plaintext: 'AAAA',
    encryptionAlgorithm: 'AES_GCM',
  });
  const { headers } = await signer.sign(
    new HttpRequest({ method: 'POST', hostname: 'localhost', path, headers: { host }, body }),
  );
  return send({ method: 'POST', path, headers, body });
}

function send(wanted: { method: string; path: string; headers?: Record<string, string>; body?: string }) {
  const { method, path, headers = {}, body = '' } = wanted;
  return new Promise<{ status: number; connection: string | undefined; text: string }>((resolve, reject) => {
    const call = request({ host: 'localhost', port: proxy.port, method, path, headers, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode!, connection: response.headers.connection, text }),
      );
    });
    call.on('error', reject);
    call.end(body);
  });
}

beforeAll(async () => {
  authority = await throwAwayAuthority(systemClock);
  server = await authority.server();
});
beforeEach(async () => {
  lines = [];
  const good = fakeToken();
  const token = fakeToken({
    encryptGcm: async (use, text) => {
      await sleep(HOLD_MS);
      return good.encryptGcm(use, text);
    },
  });
  agent = new Agent({ keepAlive: true, ca: authority.authorityPem });
  const log = (entry: LogEntry) => void lines.push(entry);
  proxy = await startProxy({ config: configOf(), token, clock: systemClock, random: systemRandom, log });
});
afterEach(async () => {
  agent.destroy();
  await proxy.abort().catch(() => undefined);
});

const ENCRYPT = '/kms/xks/v1/keys/foo/encrypt';

describe('a proxy', () => {
  it('serves as many at once as it may and turns the others away at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const { status, text } = await post(ENCRYPT);
        return `${status} ${(JSON.parse(text) as { errorName?: string }).errorName ?? ''}`.trim();
      }),
    );
    expect(answers.sort()).toEqual([...Array(3).fill('200'), ...Array(5).fill('429 ThrottlingException')]);
    expect((await post(ENCRYPT)).status).toBe(200);
    expect(lines.filter(({ reason }) => reason === 'concurrentRequestsMax')).toHaveLength(5);
  });

  it('drains: what is under way is answered, what comes later finds a closed door', async () => {
    const underWay = post(ENCRYPT);
    const idle = await send({ method: 'GET', path: '/livez' });
    expect(idle).toMatchObject({ status: 200, connection: 'keep-alive' });
    await sleep(HOLD_MS / 3);
    const drained = proxy.drain();
    await expect(send({ method: 'GET', path: '/livez' })).rejects.toMatchObject({
      code: expect.stringMatching(/^ECONN(REFUSED|RESET)$/),
    });
    expect(await underWay).toMatchObject({ status: 200, connection: 'close' });
    const answeredAt = performance.now();
    await drained;
    expect(performance.now() - answeredAt).toBeLessThan(2_000);
  });

  it('keeps its configuration when the new certificate is none', async () => {
    expect(() => proxy.reload(configOf({ tls: { certificatePem: 'x', keyPem: 'y', clients: undefined } }))).toThrow();
    expect((await post('/kms/xks/v1/health')).status).toBe(200);
    proxy.reload(configOf({ stores: new Map() }));
    expect((await post('/kms/xks/v1/health')).status).toBe(404);
  });

  it('presents the renewed certificate to new connections, and lets no idle one linger', async () => {
    const seen = async () => {
      await post('/kms/xks/v1/health');
      const [socket] = Object.values(agent.freeSockets).flat();
      return (socket as unknown as { getPeerCertificate(): { fingerprint256: string } }).getPeerCertificate()
        .fingerprint256;
    };
    const before = await seen();
    const renewed = await authority.server();
    proxy.reload(configOf({ tls: { ...renewed, clients: undefined } }));
    // A request that crosses the closing of its connection fails and is sent again.
    await expect.poll(() => seen().catch(() => before)).not.toBe(before);
  });
});
