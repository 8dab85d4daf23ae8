// The thread in which `oidc-provider` runs: its clock and the box in front of it are this thread's own.
import type { IncomingMessage } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';
import { LIVE_CLIENT, LIVE_NEIGHBOUR, startLiveProvider, type LiveOptions } from '@auditrax/oidc/testing/live-provider';

/** What a test makes wrong with it. */
export interface Faults {
  /** How far its clock is ahead; negative: behind. */
  readonly ahead_ms: number;
  /** A box in front of it asks in the name of another application. */
  readonly swapsClient: boolean;
}

let faults: Faults = { ahead_ms: 0, swapsClient: false };
const now = Date.now.bind(Date);
Date.now = () => now() + faults.ahead_ms;

const { id, secret } = LIVE_NEIGHBOUR;
const IN_ANOTHER_NAME = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;

function front(request: IncomingMessage): void {
  if (!faults.swapsClient) return;
  request.url = request.url!.replace(`client_id=${LIVE_CLIENT.id}`, `client_id=${id}`);
  if (request.headers.authorization !== undefined) request.headers.authorization = IN_ANOTHER_NAME;
}

const provider = await startLiveProvider({ ...(workerData as Pick<LiveOptions, 'tls' | 'redirectUris'>), front });
parentPort!.on('message', (wanted: Faults) => {
  faults = wanted;
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
  parentPort!.postMessage('set');
});
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
parentPort!.postMessage(provider.issuer);
