import { createServer as createPlainServer, type AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:tls';
import { systemClock } from '@auditrax/base';
import { issueEdgeCertificate, strictTls } from '@auditrax/workload';
import { afterEach, describe, expect, it } from 'vitest';
import { createDialControl, dial, plaintext } from './dial.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

async function listen(server: Server | ReturnType<typeof createPlainServer>): Promise<{ host: string; port: number }> {
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

async function tlsServer(options: object): Promise<{ host: string; port: number }> {
  const { keyPem, certificatePem } = await issueEdgeCertificate({ clock: systemClock, name: 'Dial test' });
  const server = createServer({ ...options, key: keyPem, cert: certificatePem });
  server.on('tlsClientError', () => {});
  return listen(server);
}

const TLS12 = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;

describe('a dial', () => {
  it('is refused by a strict listener and agrees with a lax one', async () => {
    expect((await dial({ ...(await tlsServer(strictTls())), ...TLS12 })).kind).toBe('refused');
    const lax = await tlsServer({ minVersion: 'TLSv1.2' });
    expect(await dial({ ...lax, ...TLS12 })).toMatchObject({ kind: 'connected', protocol: 'TLSv1.2' });
    const weak = { ...TLS12, ciphers: 'ECDHE-ECDSA-AES128-SHA' };
    expect(await dial({ ...lax, ...weak })).toMatchObject({ kind: 'connected', cipher: 'ECDHE-ECDSA-AES128-SHA' });
  });

  it('never calls nobody a refusal', async () => {
    const server = createPlainServer();
    const target = await listen(server);
    await new Promise<void>((resolve) => void server.close(() => resolve()));
    open.length = 0;
    expect((await dial({ ...target, ...TLS12 })).kind).toBe('unreachable');
  });

  it('can offer every version that others must refuse', async () => {
    const { dial: control } = createDialControl(systemClock);
    for (const version of ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const) {
      const outcome = await control({ minVersion: version, maxVersion: version });
      expect(outcome).toMatchObject({ kind: 'connected', protocol: version });
    }
  });

  it('sees that a client without the floor of the runtime connects outwards to an old peer', async () => {
    // This very process runs without that floor; app/bin/egress.test.ts has the same clients with it.
    const outcomes = await createDialControl(systemClock).outwards();
    expect(outcomes.map(({ client }) => client)).toEqual(['tls', 'https', 'fetch', 'undici']);
    for (const { kind } of outcomes) expect(kind).not.toBe('refused');
  });

  it('hears plain HTTP where it is spoken, and nothing from a TLS listener', async () => {
    const plain = createPlainServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
    expect(await plaintext(await listen(plain))).toMatch(/^HTTP\/1\.1 200/);
    expect(await plaintext(await tlsServer(strictTls()))).not.toMatch(/^HTTP/);
  });
});
