import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { systemClock } from '@auditrax/base';
import { issueEdgeCertificate, strictTls } from '@auditrax/workload';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEdgeClient } from './edge-client.ts';

let edge: { readonly port: number; readonly authority: string; readonly other: string; close(): void };

beforeAll(async () => {
  const made = await issueEdgeCertificate({ clock: systemClock, name: 'Edge client test' });
  const other = await issueEdgeCertificate({ clock: systemClock, name: 'Somebody else' });
  const server = createServer({ ...strictTls(), key: made.keyPem, cert: made.certificatePem }, (request, response) => {
    const { headers, socket } = request;
    if (request.url === '/elsewhere') return response.writeHead(302, { location: '/' }).end();
    response.setHeader('x-request-id', 'r-1');
    response.end(
      JSON.stringify({
        from: socket.remoteAddress,
        origin: headers.origin,
        site: headers['sec-fetch-site'],
        cookie: headers.cookie ?? null,
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  edge = { port, authority: made.authorityPem, other: other.authorityPem, close: () => void server.close() };
});
afterAll(() => edge?.close());

function client(authorityPem: () => string | null) {
  return createEdgeClient({ host: 'localhost', port: edge.port, authorityPem });
}

describe('the edge as an outsider sees it', () => {
  it('is asked as a page of ours would, from an address of the sentinel’s own', async () => {
    const outsider = client(() => edge.authority);
    const reply = await outsider.fetch('/', { cookie: 'a=1' });
    expect(reply.json()).toEqual({ from: '127.0.0.2', origin: outsider.origin, site: 'same-origin', cookie: 'a=1' });
    expect(reply.requestId).toBe('r-1');
    expect((await outsider.fetch('/', { source: 7 })).json()).toMatchObject({ from: '127.0.0.9', cookie: null });
    await outsider.close();
  });

  it('follows no redirect', async () => {
    const outsider = client(() => edge.authority);
    expect((await outsider.fetch('/elsewhere')).status).toBe(302);
    await outsider.close();
  });

  it('is believed under the announced authority only, and under a new one once it is announced', async () => {
    let authority = edge.other;
    const outsider = client(() => authority);
    await expect(outsider.fetch('/')).rejects.toThrow();
    authority = edge.authority;
    expect((await outsider.fetch('/')).status).toBe(200);
    await outsider.close();
  });
});
