import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { systemClock } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { headerPairs, verifySigV4, type SigV4Result } from './index.ts';

const SECRET = 'test-secret-of-forty-three-characters-0123456';
const run = promisify(execFile);

async function verify(request: IncomingMessage): Promise<SigV4Result> {
  const [path, query = ''] = request.url!.split('?', 2) as [string, string?];
  return verifySigV4({
    method: request.method!,
    path,
    query,
    headers: headerPairs(request.rawHeaders),
    body: Buffer.concat((await request.toArray()) as Buffer[]),
    service: 'kms-xks-proxy',
    credentials: (id) => (id === 'AKTEST' ? { secretAccessKey: SECRET } : undefined),
    clock: systemClock,
  });
}

/** curl signs with code of its own, so it is an oracle that shares nothing with the verifier. */
describe('V1: what curl --aws-sigv4 signs is accepted', () => {
  let server: Server;
  let origin: string;
  let last: SigV4Result | undefined;

  async function answer(request: IncomingMessage, response: ServerResponse) {
    last = await verify(request);
    response.end();
  }

  beforeAll(async () => {
    server = createServer((request, response) => {
      void answer(request, response);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  const curl = (path: string, ...more: string[]) =>
    run('curl', ['-sS', '--aws-sigv4', 'aws:amz:us-east-1:kms-xks-proxy', `${origin}${path}`, ...more]);

  it.each([
    ['a POST with a body', ['-H', 'Content-Type: application/json', '--data-binary', '{"a":1}']],
    ['a POST without', ['-X', 'POST']],
    ['a GET', []],
    ['a body of 20 kB', ['--data-binary', 'x'.repeat(20_000)]],
  ])('%s', async (_name, more) => {
    await curl('/one/kms/xks/v1/health', '--user', `AKTEST:${SECRET}`, ...more);
    expect(last).toMatchObject({ ok: true, accessKeyId: 'AKTEST', region: 'us-east-1' });
    await curl('/one/kms/xks/v1/health', '--user', `AKTEST:x${SECRET}`, ...more);
    expect(last).toEqual({ ok: false, reason: 'signature', accessKeyId: 'AKTEST' });
    await curl('/one/kms/xks/v1/health', '--user', `OTHER:${SECRET}`, ...more);
    expect(last).toMatchObject({ ok: false, reason: 'unknown-credential' });
  });

  it('with a query, and not for another service', async () => {
    await curl('/health?a=1&b=2', '--user', `AKTEST:${SECRET}`);
    expect(last).toMatchObject({ ok: true });
    await curl('/health', '--user', `AKTEST:${SECRET}`, '--aws-sigv4', 'aws:amz:us-east-1:kms');
    expect(last).toMatchObject({ ok: false, reason: 'scope' });
  });
});
