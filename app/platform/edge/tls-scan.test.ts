import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyPairSync } from 'node:crypto';
import { systemClock } from '@auditrax/base';
import { issueEdgeCertificate } from '@auditrax/workload';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAttemptCounter } from '../http/attempt-counter.ts';
import { silentLog } from '../http/request-log.ts';
import { startService, type RunningService } from '../http/service.ts';
import { openTestHouse, type TestHouse } from '../http/testing/workloads.ts';
import { startEdge, type RunningEdge } from './index.ts';

// Programs that nobody here wrote look at the listeners from outside, with the OpenSSL of the system.

const SUITES = ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];
const OLD = ['-ssl3', '-tls1', '-tls1_1', '-tls1_2'];
const folder = mkdtempSync(join(tmpdir(), 'auditrax-scan-'));
const hasScanner = spawnSync('sslscan', ['--version']).error === undefined;

let house: TestHouse;
let edge: RunningEdge;
let service: RunningService;
let lax: Server;
const ports = new Map<string, number>();

beforeAll(async () => {
  house = await openTestHouse();
  const certificate = await issueEdgeCertificate({ clock: systemClock, name: 'Test edge' });
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>app</title>');
  edge = await startEdge({
    clock: systemClock,
    log: silentLog,
    pools: house.pools(await house.identity('gateway')),
    tagKeys: house.keys,
    counter: createAttemptCounter(),
    contracts: [],
    edge: { port: 0, hostNames: ['127.0.0.1', 'localhost'], ...certificate },
    tryout: { port: 0 },
    staticFolder: folder,
    publishedFolder: mkdtempSync(join(folder, 'published-')),
    pageSigningKey: generateKeyPairSync('ed25519').publicKey,
    readiness: async () => [],
  });
  service = await startService({
    name: 'workspace',
    clock: systemClock,
    log: silentLog,
    tagKeys: house.keys,
    identity: await house.identity('workspace'),
    tokenVerifier: house.verifier('workspace'),
    rooms: [],
    problems: [],
    policy: { has: () => true, allows: () => true },
    readiness: async () => [],
    onAttempt: async () => undefined,
    counter: createAttemptCounter(),
    stepUp: async () => ({ assertionHash: '', credentialId: '' }),
  });
  lax = createServer({ cert: certificate.certificatePem, key: certificate.keyPem, minVersion: 'TLSv1.2' });
  await new Promise<void>((resolve) => lax.listen(0, '127.0.0.1', resolve));
  ports.set('the edge', edge.edgePort).set('a service', service.port);
});
afterAll(async () => {
  lax.close();
  await edge.drain();
  await service.drain();
  await house.close();
  rmSync(folder, { recursive: true, force: true });
});

function run(program: string, args: readonly string[]): Promise<string> {
  // Not synchronously: the listeners live in this very process.
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => resolve(said));
  });
}

/** What the scanner got to speak: `TLSv1.3 TLS_AES_256_GCM_SHA384`. */
async function scan(port: number): Promise<string[]> {
  const xml = await run('sslscan', ['--xml=-', '--no-colour', '--no-heartbleed', `127.0.0.1:${port}`]);
  expect(xml).toContain('</ssltest>');
  return [...xml.matchAll(/<cipher [^>]*sslversion="([^"]+)"[^>]* cipher="([^"]+)"/g)].map(
    ([, v, name]) => `${v} ${name}`,
  );
}

/** One handshake of `openssl s_client`: the protocol and suite that came about, or undefined. */
async function shake(port: number, ...args: string[]): Promise<string | undefined> {
  const said = await run('openssl', [
    's_client',
    '-connect',
    `127.0.0.1:${port}`,
    '-cipher',
    'ALL:@SECLEVEL=0',
    ...args,
  ]);
  const agreed = /^New, (TLSv[\d.]+|SSLv3), Cipher is (\S+)/m.exec(said);
  return agreed === null ? undefined : `${agreed[1]} ${agreed[2]}`;
}

describe.each(['the edge', 'a service'])('seen from outside, %s', (name) => {
  it('speaks TLS 1.3 with its two suites and nothing else to a foreign scanner', async (ctx) => {
    if (!hasScanner && process.env['CI'] !== 'true') return ctx.skip('sslscan is not installed');
    expect((await scan(ports.get(name)!)).sort()).toEqual(SUITES.map((suite) => `TLSv1.3 ${suite}`));
  });

  it('refuses every older protocol of openssl s_client', async () => {
    for (const old of OLD) expect(await shake(ports.get(name)!, old), old).toBeUndefined();
  });

  it('refuses the 128-bit suite of TLS 1.3, and takes each of its own', async () => {
    const port = ports.get(name)!;
    expect(await shake(port, '-tls1_3', '-ciphersuites', 'TLS_AES_128_GCM_SHA256')).toBeUndefined();
    for (const suite of SUITES) expect(await shake(port, '-tls1_3', '-ciphersuites', suite)).toBe(`TLSv1.3 ${suite}`);
  });
});

describe('the scanners', () => {
  it('would see TLS 1.2 where it is spoken', async (ctx) => {
    const { port } = lax.address() as AddressInfo;
    expect(await shake(port, '-tls1_2')).toMatch(/^TLSv1\.2 /);
    if (!hasScanner && process.env['CI'] !== 'true') return ctx.skip('sslscan is not installed');
    expect((await scan(port)).filter((line) => line.startsWith('TLSv1.2')).length).toBeGreaterThan(2);
  });
});
