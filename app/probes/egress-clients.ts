import { request as httpsRequest } from 'node:https';
import { connect } from 'node:tls';
import { isVersionRefusal } from '@auditrax/workload';
import { request as undiciRequest } from 'undici';
import type { EgressOutcome } from '../claims/probe.ts';

/** A handshake with one's own machine; a client that waits longer has not refused. */
const CLIENT_MS_MAX = 8_000;

/** Each left to its own defaults: no word about versions, suites or groups. Rejects with what the client says. */
const CLIENTS: Readonly<Record<string, (port: number) => Promise<unknown>>> = {
  tls: (port) =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, timeout: CLIENT_MS_MAX });
      socket.once('timeout', () => socket.destroy(new Error('no answer')));
      socket.once('secureConnect', () => resolve(socket.destroy()));
      socket.once('error', reject);
    }),
  https: (port) =>
    new Promise((resolve, reject) => {
      const call = httpsRequest({ host: '127.0.0.1', port, agent: false, timeout: CLIENT_MS_MAX }, (reply) =>
        resolve(reply.destroy()),
      );
      call.once('timeout', () => call.destroy(new Error('no answer')));
      call.once('error', reject).end();
    }),
  fetch: (port) => fetch(`https://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(CLIENT_MS_MAX) }),
  undici: (port) => undiciRequest(`https://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(CLIENT_MS_MAX) }),
};

/**
 * Dials `port` of this machine with every kind of client that this process could use. Its certificate is nobody's: a
 * client that got as far as looking at it fails by that, which is no refusal of the version.
 */
export function dialWithEveryClient(port: number): Promise<EgressOutcome[]> {
  return Promise.all(
    Object.entries(CLIENTS).map(([client, dialOut]) =>
      dialOut(port).then(
        () => ({ client, kind: 'connected' as const }),
        (error: unknown) => ({ client, kind: isVersionRefusal(error) ? ('refused' as const) : ('failed' as const) }),
      ),
    ),
  );
}
