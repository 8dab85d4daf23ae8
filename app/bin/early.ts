import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import { Client } from 'undici';

/**
 * Makes the libraries load what they would load at first use (server, client, HTTP parser). The checkout may lie where
 * only root can read, and a process that has given up root can load nothing any more: what is not in memory by then
 * fails at some later request. A test watches for loads that come too late.
 */
export async function loadEarly(): Promise<void> {
  const app = fastify({ logger: false });
  app.get('/', () => 'ok');
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const client = new Client(`http://127.0.0.1:${port}`);
  const reply = await client.request({ method: 'GET', path: '/' });
  await reply.body.dump();
  await client.close();
  await app.close();
}
