import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer as createPlainServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type Server } from 'node:tls';
import { systemClock } from '@auditrax/base';
import { issueEdgeCertificate, strictTls, TLS_SUITES, type EdgeCertificate } from '@auditrax/workload';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAttemptCounter } from '../http/attempt-counter.ts';
import { silentLog } from '../http/request-log.ts';
import { openTestHouse, type TestHouse } from '../http/testing/workloads.ts';
import { EDGE_LIMITS } from './limits.ts';
import { startEdge, type EdgeOptions, type RunningEdge } from './index.ts';

// The templates of deploy/ as they are, in the real programs, in front of the real edge; scanned from outside.

const BALANCERS = ['haproxy', 'nginx'] as const;
type Balancer = (typeof BALANCERS)[number];
const PROGRAMS: Readonly<Record<Balancer | 'sslscan' | 'testssl', string>> = {
  haproxy: '/usr/sbin/haproxy',
  nginx: '/usr/sbin/nginx',
  sslscan: 'sslscan',
  testssl: 'testssl',
};
const DEPLOY = new URL('../../../deploy/', import.meta.url);
/** How many requests in a row one client may make in these tests, with no new ones over time. */
const CLIENT_BURST = 4;
/** Tickets come right after the handshake. */
const TICKET_MS = 300;
const folder = mkdtempSync(join(tmpdir(), 'auditrax-balancer-'));
const isMissing = (name: keyof typeof PROGRAMS) =>
  process.env['CI'] !== 'true' && spawnSync(PROGRAMS[name], ['-v']).error !== undefined;

let house: TestHouse;
let outer: EdgeCertificate;
let inner: EdgeCertificate;
const edges: RunningEdge[] = [];
const children: ChildProcess[] = [];
const listeners: Server[] = [];

beforeAll(async () => {
  house = await openTestHouse();
  outer = await issueEdgeCertificate({ clock: systemClock, name: 'Balancer' });
  inner = await issueEdgeCertificate({ clock: systemClock, name: 'Gateway' });
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>app</title>');
  writeFileSync(join(folder, 'listen.pem'), [outer.certificatePem, outer.keyPem].join('\n'));
  writeFileSync(join(folder, 'gateway-ca.pem'), inner.authorityPem);
  for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(folder, name));
});
afterAll(async () => {
  await Promise.all(children.map(endChild));
  for (const listener of listeners) listener.close();
  await Promise.all(edges.map((edge) => edge.drain()));
  await house.close();
  rmSync(folder, { recursive: true, force: true });
});

function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}

async function freePort(): Promise<number> {
  const server = createPlainServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function openEdge(more: Partial<EdgeOptions>, publicPort: number): Promise<RunningEdge> {
  const edge = await startEdge({
    clock: systemClock,
    log: silentLog,
    pools: house.pools(await house.identity('gateway')),
    tagKeys: house.keys,
    counter: createAttemptCounter(),
    contracts: [],
    edge: { port: 0, hostNames: ['localhost'], publicHosts: [`localhost:${publicPort}`], ...inner },
    tryout: false,
    staticFolder: folder,
    publishedFolder: mkdtempSync(join(folder, 'published-')),
    pageSigningKey: generateKeyPairSync('ed25519').publicKey,
    readiness: async () => [],
    ...more,
  });
  edges.push(edge);
  return edge;
}

interface Values {
  readonly listen: number;
  readonly gateway: number;
  readonly gatewayName?: string;
}

/** Starts the program with the template of deploy/ as it is; resolves when it accepts connections. */
async function startBalancer(name: Balancer, { listen, gateway, gatewayName = 'localhost' }: Values): Promise<void> {
  const own = mkdtempSync(join(folder, `${name}-`));
  const values: Record<string, string> = {
    AUDITRAX_LISTEN: `127.0.0.1:${listen}`,
    AUDITRAX_LISTEN_PEM: join(folder, 'listen.pem'),
    AUDITRAX_NAME: 'localhost',
    AUDITRAX_PUBLIC_HOST: `localhost:${listen}`,
    AUDITRAX_GATEWAY: `127.0.0.1:${gateway}`,
    AUDITRAX_GATEWAY_NAME: gatewayName,
    AUDITRAX_GATEWAY_CA: join(folder, 'gateway-ca.pem'),
    AUDITRAX_RUN: own,
  };
  const args = {
    haproxy: () => ['-db', '-f', new URL('haproxy.cfg', DEPLOY).pathname],
    nginx: () => nginxArguments(own, values),
  };
  const child = spawn(PROGRAMS[name], args[name](), {
    env: { ...values, PATH: '/usr/bin:/bin' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream!.on('data', (piece: Buffer) => (said += piece.toString()));
  for (let tries = 0; tries < 100; tries += 1) {
    if (child.exitCode !== null) throw new Error(`${name} ended: ${said}`);
    if (await accepts(listen)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${name} does not listen: ${said}`);
}

/** As `envsubst` does it, with exactly the variables of the list. */
function nginxArguments(own: string, values: Readonly<Record<string, string>>): string[] {
  const names = readFileSync(new URL('nginx.variables', DEPLOY), 'utf8').match(/[A-Z_]+/g)!;
  let text = readFileSync(new URL('nginx.conf', DEPLOY), 'utf8');
  for (const name of names) text = text.replaceAll(`\${${name}}`, values[name]!);
  expect(text).not.toContain('${');
  const path = join(own, 'nginx.conf');
  writeFileSync(path, text);
  return ['-c', path, '-p', own, '-e', 'stderr', '-g', 'daemon off;'];
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    socket.once('secureConnect', () => resolve((socket.destroy(), true)));
    socket.once('error', () => resolve(false));
  });
}

interface Ask {
  readonly headers?: Readonly<Record<string, string>>;
  readonly from?: string;
  readonly ca?: string;
}

/** Status of one request as a browser behind the balancer would make it. */
function ask(port: number, { headers = {}, from = '127.0.0.1', ca = outer.authorityPem }: Ask = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        ...strictTls(),
        ecdhCurve: 'X25519',
        host: '127.0.0.1',
        servername: 'localhost',
        localAddress: from,
        port,
        path: '/healthz',
        agent: false,
        ca,
        headers: { host: `localhost:${port}`, ...headers },
      },
      (reply) => {
        reply.resume();
        reply.once('end', () => resolve(reply.statusCode!));
      },
    );
    call.once('error', reject);
    call.end();
  });
}

function run(program: string, args: readonly string[], cwd = folder): Promise<string> {
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => (said += piece.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve(said));
  });
}

/** Does a second connection go on with what the first one agreed on? */
async function resumes(port: number): Promise<boolean> {
  const open = (session?: Buffer): Promise<{ session: Buffer | undefined; reused: boolean }> =>
    new Promise((resolve, reject) => {
      let latest: Buffer | undefined;
      const socket = connect({
        host: '127.0.0.1',
        servername: 'localhost',
        port,
        rejectUnauthorized: false,
        ...(session === undefined ? {} : { session }),
      });
      socket.once('error', reject);
      socket.on('session', (given: Buffer) => (latest = given));
      socket.once('secureConnect', () =>
        setTimeout(() => {
          resolve({ session: latest, reused: socket.isSessionReused() });
          socket.destroy();
        }, TICKET_MS),
      );
    });
  const { session } = await open();
  return session !== undefined && (await open(session)).reused;
}

async function laxBackend(): Promise<number> {
  const listener = createServer(
    { key: inner.keyPem, cert: inner.certificatePem, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' },
    (socket) => socket.on('error', () => undefined).end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'),
  ).on('tlsClientError', () => undefined);
  listeners.push(listener);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return (listener.address() as AddressInfo).port;
}

/** Right in every way but one: it would serve, if the balancer let it. */
async function backendOf(kind: 'old' | 'other authority', listen: number): Promise<number> {
  if (kind === 'old') return laxBackend();
  const edge = { port: 0, hostNames: ['localhost'], publicHosts: [`localhost:${listen}`], ...outer };
  return (await openEdge({ balancers: ['127.0.0.1'], edge }, listen)).edgePort;
}

/** The template in front of a real edge that knows this balancer. */
async function openBoth(name: Balancer, more: Partial<EdgeOptions> = {}): Promise<number> {
  const listen = await freePort();
  const edge = await openEdge({ balancers: ['127.0.0.1'], ...more }, listen);
  await startBalancer(name, { listen, gateway: edge.edgePort });
  // HAProxy takes the server for up until its first check says otherwise: no need to wait.
  return listen;
}

describe.each(BALANCERS)('the template for %s', (name) => {
  it('serves the gateway behind it, with Host as it was, and leaves refusals to it', async (ctx) => {
    if (isMissing(name)) return ctx.skip(`${name} is not installed`);
    const port = await openBoth(name);
    expect(await ask(port)).toBe(200);
    expect(await ask(port, { headers: { host: 'elsewhere.example' } })).toBe(421);
  });

  it('gives each client an address of its own, and none can give itself another', async (ctx) => {
    if (isMissing(name)) return ctx.skip(`${name} is not installed`);
    const limits = { ...EDGE_LIMITS, client: { burst: CLIENT_BURST, perSecond: 0 } };
    const port = await openBoth(name, { limits });
    const forged = (from: string) =>
      ask(port, { from, headers: { 'x-real-ip': '198.51.100.7', 'x-forwarded-for': '198.51.100.8' } });
    for (let n = 0; n < CLIENT_BURST; n += 1) expect(await forged('127.0.0.2')).toBe(200);
    expect(await forged('127.0.0.2')).toBe(429);
    expect(await ask(port, { from: '127.0.0.2', headers: { 'x-real-ip': '198.51.100.9' } })).toBe(429);
    expect(await forged('127.0.0.3')).toBe(200);
  });

  it('refuses a gateway that speaks TLS 1.2, or is of another authority', async (ctx) => {
    if (isMissing(name)) return ctx.skip(`${name} is not installed`);
    for (const kind of ['old', 'other authority'] as const) {
      const listen = await freePort();
      await startBalancer(name, { listen, gateway: await backendOf(kind, listen) });
      expect([502, 503], kind).toContain(await ask(listen));
    }
  });

  it('refuses a gateway whose certificate is for another name', async (ctx) => {
    if (isMissing(name)) return ctx.skip(`${name} is not installed`);
    const listen = await freePort();
    const edge = await openEdge({ balancers: ['127.0.0.1'] }, listen);
    await startBalancer(name, { listen, gateway: edge.edgePort, gatewayName: 'gateway.example' });
    expect([502, 503]).toContain(await ask(listen));
  });

  it('never resumes a session', async (ctx) => {
    if (isMissing(name)) return ctx.skip(`${name} is not installed`);
    const port = await openBoth(name);
    expect(await resumes(port)).toBe(false);
  });

  it('speaks TLS 1.3 with our two suites and nothing else to sslscan', async (ctx) => {
    if (isMissing(name) || isMissing('sslscan')) return ctx.skip('a program is not installed');
    const port = await openBoth(name);
    const xml = await run(PROGRAMS.sslscan, ['--xml=-', '--no-colour', '--no-heartbleed', `127.0.0.1:${port}`]);
    expect(xml).toContain('</ssltest>');
    const seen = [...xml.matchAll(/<cipher [^>]*sslversion="([^"]+)"[^>]* cipher="([^"]+)"/g)].map(
      ([, v, c]) => `${v} ${c}`,
    );
    expect(seen.sort()).toEqual(
      TLS_SUITES.split(':')
        .map((suite) => `TLSv1.3 ${suite}`)
        .sort(),
    );
    const groups = [...xml.matchAll(/<group [^>]*name="([^"]+)"/g)].map(([, group]) => group);
    expect(new Set(groups)).toEqual(new Set(['x25519', 'secp256r1 (NIST P-256)']));
  });
});

/** What it says of itself: the OpenSSL it is run with has no GOST. */
const ABOUT_THE_SCANNER = 'engine_problem';
const HARMLESS: ReadonlySet<string> = new Set(['OK', 'INFO']);

interface Line {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

describe('the address of a client', () => {
  const limits = { ...EDGE_LIMITS, client: { burst: CLIENT_BURST, perSecond: 0 } };

  it('believes nobody else about it', async () => {
    const edge = await openEdge({ balancers: ['127.0.0.9'], limits }, 1);
    const forged = (n: number) =>
      ask(edge.edgePort, { ca: inner.authorityPem, headers: { 'x-real-ip': `198.51.100.${n}` } });
    for (let n = 0; n < CLIENT_BURST; n += 1) expect(await forged(n)).toBe(200);
    expect(await forged(CLIENT_BURST)).toBe(429);
  });

  it.each(['', 'unknown', '198.51.100.7, 198.51.100.8', '198.51.100.7:4711'])(
    'is asked of a balancer in vain when it says %j, and nothing is served',
    async (told) => {
      const edge = await openEdge({ balancers: ['127.0.0.1'] }, 1);
      expect(await ask(edge.edgePort, { ca: inner.authorityPem, headers: { 'x-real-ip': told } })).toBe(502);
    },
  );
});

describe('the test of resumption', () => {
  it('sees it where there is some', async () => {
    const listener = createServer({ key: inner.keyPem, cert: inner.certificatePem }, (socket) =>
      socket.on('error', () => undefined),
    );
    listeners.push(listener);
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    expect(await resumes((listener.address() as AddressInfo).port)).toBe(true);
  });
});

describe('testssl.sh', () => {
  it(
    'finds no protocol, cipher or known weakness to name at the template for haproxy',
    { timeout: 120_000 },
    async (ctx) => {
      if (isMissing('haproxy') || isMissing('testssl')) return ctx.skip('a program is not installed');
      const port = await openBoth('haproxy', {
        limits: { ...EDGE_LIMITS, client: { burst: 10_000, perSecond: 1000 } },
      });
      const file = join(folder, 'testssl.json');
      await run(PROGRAMS.testssl, [
        '--quiet',
        '--color',
        '0',
        '--warnings',
        'off',
        '--ip',
        '127.0.0.1',
        '--protocols',
        '--std',
        '--fs',
        '--robot',
        '--breach',
        '--ticketbleed',
        '--jsonfile',
        file,
        `localhost:${port}`,
      ]);
      const lines = JSON.parse(readFileSync(file, 'utf8')) as Line[];
      console.log(lines.map((l) => `${l.severity} ${l.id} ${l.finding}`).join('\n'));
      const seen = new Map(lines.map(({ id, severity, finding }) => [id, `${severity} ${finding}`]));
      expect(seen.get('TLS1_3')).toBe('OK offered with final');
      for (const old of ['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1', 'TLS1_2'])
        expect(seen.get(old), old).toMatch(/not offered/);
      expect(seen.get('PFS_ciphers')).toBe(`INFO ${TLS_SUITES.replace(':', ' ')}`);
      for (const id of ['cipherlist_NULL', 'cipherlist_LOW', 'ROBOT', 'BREACH', 'ticketbleed'])
        expect(seen.get(id), id).toMatch(/^OK /);
      const remarks = lines.filter(({ id, severity }) => id !== ABOUT_THE_SCANNER && !HARMLESS.has(severity));
      expect(remarks).toEqual([]);
    },
  );
});
