// `oidc-provider` as an identity provider: a real, foreign implementation (Node.js), over TLS, in a thread of its own so that
// its clock can be wrong.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { LiveOptions } from '@auditrax/oidc/testing/live-provider';
import type { Faults } from './oidc-provider-thread.ts';

export interface OidcProvider {
  readonly issuer: string;
  /** From now on these are wrong, and nothing else. */
  suffers(faults: Partial<Faults>): Promise<void>;
  stop(): Promise<void>;
}

/** Starts it with these redirect addresses; everybody signs in there with any password. Throws what the thread throws. */
export async function startOidcProvider(given: Pick<LiveOptions, 'tls' | 'redirectUris'>): Promise<OidcProvider> {
  const thread = new Worker(new URL('./oidc-provider-thread.ts', import.meta.url), { workerData: given });
  const [issuer] = (await once(thread, 'message')) as [string];
  return {
    issuer,
    async suffers(faults) {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
      thread.postMessage({ ahead_ms: 0, swapsClient: false, ...faults } satisfies Faults);
      await once(thread, 'message');
    },
    stop: async () => void (await thread.terminate()),
  };
}
