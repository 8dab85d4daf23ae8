import { createServer, type Server } from 'node:https';
import { createServer as createTlsServer, connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { systemClock, type Clock } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority, type CertificateAuthority } from './authority.ts';
import { capConnectionAge } from './connection-age.ts';
import { startIdentity, type WorkloadIdentity } from './identity.ts';
import { peerService } from './peer.ts';
import { createPools } from './pool.ts';
import { clientTls, followIdentity, serverTls } from './tls.ts';

const TRUST_DOMAIN = 'example';
let authority: CertificateAuthority;
let server: Server;
let serverIdentity: WorkloadIdentity;
let port: number;

async function identityFor(service: string, from: CertificateAuthority = authority): Promise<WorkloadIdentity> {
  const obtain = (csrPem: string) => from.sign({ csrPem, service });
  return startIdentity({
    service,
    trustDomain: from.trustDomain,
    clock: systemClock,
    obtain,
    onFailure: () => undefined,
  });
}

beforeAll(async () => {
  authority = await createAuthority({ trustDomain: TRUST_DOMAIN, clock: systemClock });
  serverIdentity = await identityFor('workspace');
  server = createServer(serverTls(serverIdentity.current()), (request, response) => {
    response.end(peerService(request.socket, { trustDomain: TRUST_DOMAIN, clock: systemClock }) ?? 'nobody');
  });
  followIdentity(server, serverIdentity);
  capConnectionAge(server, serverIdentity, systemClock);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  port = (server.address() as AddressInfo).port;
});

afterAll(() => {
  serverIdentity.close();
  server.closeAllConnections();
  server.close();
});

/** Resolves to the first reply's text, or rejects with the handshake's error; TLS 1.3 reports a refused client late. */
function ask(options: ConnectionOptions, target = port): Promise<{ text: string; socket: TLSSocket }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: target, ...options });
    let text = '';
    socket.on('error', reject);
    socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'));
    socket.on('data', (piece) => (text += piece.toString()));
    socket.on('end', () => (text === '' ? reject(new Error('closed without a reply')) : resolve({ text, socket })));
    socket.on('close', () => reject(new Error(`closed without a reply: ${text}`)));
  });
}

describe('mutual TLS between services', () => {
  it('W1 names the peer from its certificate', async () => {
    const gateway = await identityFor('gateway');
    const { text, socket } = await ask(clientTls(gateway.current(), 'workspace'));
    expect(text).toMatch(/gateway$/m);
    expect(socket.getProtocol()).toBe('TLSv1.3');
    gateway.close();
  });

  it('W2 refuses a client without a certificate', async () => {
    const gateway = await identityFor('gateway');
    const { key: _key, cert: _cert, ...anonymous } = clientTls(gateway.current(), 'workspace');
    await expect(ask(anonymous)).rejects.toThrow(/certificate required|closed/i);
    gateway.close();
  });

  it('W2 refuses a certificate of another authority, even of the same trust domain', async () => {
    const impostor = await createAuthority({ trustDomain: TRUST_DOMAIN, clock: systemClock });
    const gateway = await identityFor('gateway', impostor);
    const options = { ...clientTls(gateway.current(), 'workspace'), ca: authority.bundlePem };
    await expect(ask(options)).rejects.toThrow();
    gateway.close();
  });

  it('W2 refuses an expired certificate', async () => {
    const yesterday: Clock = { nowMs: () => Date.now() - 86_400_000 };
    const past = await createAuthority({ trustDomain: TRUST_DOMAIN, clock: yesterday });
    const good = await identityFor('workspace', past);
    const fresh = await createAuthority({ trustDomain: TRUST_DOMAIN, clock: systemClock });
    const okay = await identityFor('workspace', fresh);
    // The listener trusts the very authority that signed the expired certificate: only its age is wrong.
    const bundlePem = past.bundlePem + fresh.bundlePem;
    const listener = createServer(serverTls({ ...okay.current(), bundlePem }), (_request, response) =>
      response.end('in'),
    );
    await new Promise<void>((done) => listener.listen(0, '127.0.0.1', done));
    const options = { ...clientTls({ ...good.current(), bundlePem }, 'workspace') };
    await expect(ask(options, (listener.address() as AddressInfo).port)).rejects.toThrow(/expired|closed/i);
    const young = clientTls({ ...okay.current(), bundlePem }, 'workspace');
    expect((await ask(young, (listener.address() as AddressInfo).port)).text).toMatch(/in$/);
    listener.close();
    good.close();
    okay.close();
  });

  it('W3 refuses a server that is another service', async () => {
    const gateway = await identityFor('gateway');
    await expect(ask(clientTls(gateway.current(), 'issuer'))).rejects.toThrow(/is workspace, not issuer/);
    gateway.close();
  });

  it('W4 refuses TLS 1.2 and below, and weaker suites', async () => {
    const gateway = await identityFor('gateway');
    const strict = clientTls(gateway.current(), 'workspace');
    const { minVersion: _min, maxVersion: _max, ciphers: _ciphers, ...rest } = strict;
    await expect(ask({ ...rest, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })).rejects.toThrow();
    await expect(ask({ ...strict, ciphers: 'TLS_AES_128_GCM_SHA256' })).rejects.toThrow();
    gateway.close();
  });

  it('W4 stays strict after a renewal of the running listener', async () => {
    const before = serverIdentity.current().certificatePem;
    await serverIdentity.renew();
    expect(serverIdentity.current().certificatePem).not.toBe(before);
    const gateway = await identityFor('gateway');
    const strict = clientTls(gateway.current(), 'workspace');
    const { text, socket } = await ask(strict);
    expect(text).toMatch(/gateway$/m);
    expect(socket.getPeerCertificate().serialNumber).toBeDefined();
    const { minVersion: _min, maxVersion: _max, ciphers: _ciphers, ...rest } = strict;
    await expect(ask({ ...rest, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })).rejects.toThrow();
    const { key: _key, cert: _cert, ...anonymous } = strict;
    await expect(ask(anonymous)).rejects.toThrow();
    gateway.close();
  });

  it('W5 never resumes a session', async () => {
    const gateway = await identityFor('gateway');
    const options = clientTls(gateway.current(), 'workspace');
    const session = await new Promise<Buffer | undefined>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, ...options });
      socket.on('error', reject);
      socket.on('session', resolve);
      socket.on('secureConnect', () => setTimeout(() => resolve(socket.getSession()), 200));
    });
    const { socket } = await ask({ ...options, ...(session === undefined ? {} : { session }) });
    expect(socket.isSessionReused()).toBe(false);
    gateway.close();
  });

  it('W6 a socket does not outlive the certificate that opened it', async () => {
    const brief = await createAuthority({ trustDomain: TRUST_DOMAIN, clock: systemClock, leafLife_seconds: 2 });
    const own = await identityFor('workspace', brief);
    const listener = createTlsServer(serverTls(own.current()), (socket) => socket.on('error', () => undefined));
    capConnectionAge(listener, own, systemClock);
    await new Promise<void>((done) => listener.listen(0, '127.0.0.1', done));
    const client = await identityFor('gateway', brief);
    const closedAfter_ms = await new Promise<number>((resolve, reject) => {
      const began = Date.now();
      const socket = connect({
        host: '127.0.0.1',
        port: (listener.address() as AddressInfo).port,
        ...clientTls(client.current(), 'workspace'),
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(Date.now() - began));
    });
    expect(closedAfter_ms).toBeLessThan(3000);
    listener.close();
    own.close();
    client.close();
  });
});

describe('pools', () => {
  it("W7 replaces its connections at each renewal, and refuses a service at another one's address", async () => {
    const gateway = await identityFor('gateway');
    const pools = createPools({ identity: gateway, clock: systemClock, address: () => ({ host: '127.0.0.1', port }) });
    const first = pools.to('workspace');
    const reply = await first.request({ method: 'GET', path: '/' });
    expect(await reply.body.text()).toBe('gateway');
    expect(pools.to('workspace')).toBe(first);
    await gateway.renew();
    const second = pools.to('workspace');
    expect(second).not.toBe(first);
    expect(await (await second.request({ method: 'GET', path: '/' })).body.text()).toBe('gateway');
    await expect(pools.to('issuer').request({ method: 'GET', path: '/' })).rejects.toThrow(/not issuer/);
    await pools.close();
    gateway.close();
  });

  it('W7 says service_unavailable while a service has no address', async () => {
    const gateway = await identityFor('gateway');
    const pools = createPools({ identity: gateway, clock: systemClock, address: () => undefined });
    expect(() => pools.to('workspace')).toThrow(expect.objectContaining({ code: 'service_unavailable' }));
    await pools.close();
    gateway.close();
  });
});
