import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { systemClock } from '@auditrax/base';
import { issueEdgeCertificate, type EdgeCertificate } from '@auditrax/workload';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createAddressGuard, parsePlace } from './address-guard.ts';
import { ANSWER_BYTES_MAX, createGuardedFetch } from './guarded-fetch.ts';

let certificate: EdgeCertificate;
let server: Server;
let old: Server;
let answer: RequestListener;
const arrived: string[] = [];
const origin = (one: Server, host = 'localhost') => `https://${host}:${(one.address() as AddressInfo).port}`;
const here = async () => [{ address: '127.0.0.1', family: 4 }];

async function listen(options: object): Promise<Server> {
  const made = createServer(
    { key: certificate.keyPem, cert: certificate.certificatePem, ...options },
    (request, response) => {
      arrived.push(`${request.method} ${request.headers.host} ${request.url}`);
      answer(request, response);
    },
  ).on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  return made;
}

beforeAll(async () => {
  certificate = await issueEdgeCertificate({ clock: systemClock, name: 'Provider' });
  server = await listen({});
  old = await listen({ maxVersion: 'TLSv1.2' });
});
afterAll(() => {
  for (const one of [server, old]) {
    one.closeAllConnections();
    one.close();
  }
});
beforeEach(() => {
  arrived.length = 0;
  answer = (_request, response) => response.setHeader('content-type', 'text/plain').end('hello');
});

const fetchFrom = (allowed: readonly string[], more: { lookup?: typeof here; ms?: number; trust?: boolean } = {}) =>
  createGuardedFetch({
    guard: createAddressGuard({ allowed, lookup: more.lookup ?? here }),
    authorities: more.trust === false ? [] : [certificate.authorityPem],
    ...(more.ms === undefined ? {} : { fetch_ms_max: more.ms }),
  });
const get = { method: 'GET' } as const;
const open = () => fetchFrom(['127.0.0.0/8']);
const withCode = (code: string) => expect.objectContaining({ code });

describe('the guarded fetch', () => {
  it('brings an answer from where the operator allowed, under the name that was asked for', async () => {
    const response = await open()(`${origin(server)}/a?b=c`, get);
    expect([response.status, await response.text(), response.headers.get('content-type')]).toEqual([
      200,
      'hello',
      'text/plain',
    ]);
    expect(arrived).toEqual([`GET localhost:${new URL(origin(server)).port} /a?b=c`]);
    const posted = await open()(origin(server), {
      method: 'POST',
      body: 'x=1',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(posted.status).toBe(200);
  });

  it('asks in the ways in which a stream at a transmitter is managed, and hears when to come again', async () => {
    answer = (_request, response) => response.writeHead(429, { 'retry-after': '120' }).end();
    const told = await open()(origin(server), { method: 'DELETE' });
    expect([told.status, told.headers.get('retry-after')]).toEqual([429, '120']);
    await open()(origin(server), { method: 'PATCH', body: '{}' });
    expect(arrived.map((line) => line.split(' ')[0])).toEqual(['DELETE', 'PATCH']);
  });

  it('SSRF: dials no private address, by number or by name, whatever the scheme', async () => {
    const shut = fetchFrom([]);
    for (const url of [
      origin(server),
      origin(server, '127.0.0.1'),
      'https://169.254.169.254/latest/meta-data/',
      'https://[::1]:443/',
      'https://[::ffff:10.0.0.1]/',
      'https://0x7f000001/',
      'https://2130706433/',
      'http://example.com/',
      'file:///etc/passwd',
      'https://somebody@example.com/',
      'javascript:1',
      'nothing',
    ])
      await expect(shut(url, get), url).rejects.toEqual(withCode('outward_address_refused'));
    expect(arrived).toEqual([]);
  });

  it('SSRF: a name that answers differently the second time is dialled where it was looked at', async () => {
    let asked = 0;
    const rebinding = fetchFrom(['127.0.0.1/32'], {
      lookup: async () => [{ address: ['127.0.0.1', '127.0.0.2'][asked++]!, family: 4 }],
    });
    expect((await rebinding(origin(server), get)).status).toBe(200);
    await expect(rebinding(origin(server), get)).rejects.toEqual(withCode('outward_address_refused'));
    expect([asked, arrived.length]).toEqual([2, 1]);
  });

  it('SSRF: a redirect is an error and nobody follows it', async () => {
    for (const status of [301, 302, 303, 307, 308]) {
      answer = (_request, response) => response.writeHead(status, { location: `${origin(server)}/inside` }).end();
      await expect(open()(origin(server), get), String(status)).rejects.toEqual(withCode('outward_redirected'));
    }
    expect(arrived.filter((line) => line.endsWith('/inside'))).toEqual([]);
  });

  it('a place that the operator named by host and port may be private, and no other port of it', async () => {
    const { port } = server.address() as AddressInfo;
    expect((await fetchFrom([`localhost:${port}`])(origin(server), get)).status).toBe(200);
    await expect(fetchFrom([`localhost:${port - 1}`])(origin(server), get)).rejects.toEqual(
      withCode('outward_address_refused'),
    );
    expect([parsePlace('adfs.corp.example:443'), parsePlace('10.0.0.1:8443')]).not.toContain(undefined);
    for (const bad of ['adfs', 'adfs:', 'adfs:0', 'adfs:65536', 'ADFS:443', '-a:1', 'a b:1', '10.0.0.0/8'])
      expect(parsePlace(bad), bad).toBeUndefined();
    for (const bad of ['adfs', 'adfs:0', '10.0.0.0/33']) expect(() => fetchFrom([bad]), bad).toThrow(RangeError);
  });

  it('believes no certificate of another authority or for another name, and speaks nothing older than TLS 1.3', async () => {
    const unreachable = withCode('outward_unreachable');
    await expect(fetchFrom(['127.0.0.0/8'], { trust: false })(origin(server), get)).rejects.toEqual(unreachable);
    await expect(open()(origin(server, 'other.example'), get)).rejects.toEqual(unreachable);
    await expect(open()(origin(old), get)).rejects.toEqual(unreachable);
    expect(arrived).toEqual([]);
  });

  it('reads no more than its bound, waits no longer than its time, and takes nothing packed', async () => {
    answer = (_request, response) => response.end(Buffer.alloc(ANSWER_BYTES_MAX + 1));
    await expect(open()(origin(server), get)).rejects.toEqual(withCode('outward_too_large'));
    answer = (_request, response) => response.end(Buffer.alloc(ANSWER_BYTES_MAX));
    expect((await (await open()(origin(server), get)).arrayBuffer()).byteLength).toBe(ANSWER_BYTES_MAX);
    answer = (_request, response) => response.setHeader('content-encoding', 'gzip').end(gzipSync('x'.repeat(1e6)));
    await expect(open()(origin(server), get)).rejects.toEqual(withCode('outward_unreachable'));
    answer = (_request, response) => void response.write('a beginning');
    const began = performance.now();
    await expect(fetchFrom(['127.0.0.0/8'], { ms: 150 })(origin(server), get)).rejects.toEqual(
      withCode('outward_late'),
    );
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  it('ends when the caller gives up', async () => {
    answer = () => undefined;
    const controller = new AbortController();
    const pending = open()(origin(server), { ...get, signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await expect(pending).rejects.toEqual(withCode('outward_unreachable'));
  });
});
