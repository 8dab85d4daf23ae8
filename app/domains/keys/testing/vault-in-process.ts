import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, isAppError, systemRandom } from '@auditrax/base';
import type { Clock, RouteContract } from '@auditrax/base';
import { initKeyRing, localKekProvider } from '@auditrax/seal';
import type { KeyRing } from '@auditrax/seal';
import type { Handler } from '../../../platform/http/handler.ts';
import { createKeysClient } from '../client.ts';
import type { InternalClient, KeysClient } from '../client.ts';
import { keysRoutes } from '../routes.ts';
import { createVault } from '../vault.ts';
import type { VaultRefusal } from '../vault.ts';

/** The keys service without the wire: contract schemas on both sides, errors as the wire would carry them. */
export interface VaultInProcess {
  readonly keysClient: KeysClient;
  readonly client: InternalClient;
  readonly ring: KeyRing;
  readonly recoveryKey: string;
  readonly refusals: VaultRefusal[];
  /** Operations in the order of their calls. */
  readonly calls: string[];
  /** Set it and the service stops answering. */
  readonly outage: { on: boolean };
  close(): Promise<void>;
}

export async function vaultInProcess(clock: Clock): Promise<VaultInProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'vault-'));
  const random = systemRandom;
  const place = { path: join(folder, 'ring.json'), rootKey: random.bytes(32), clock, random };
  const { ring, recoveryKey } = await initKeyRing({ ...place, wrappedKeysInStore: 0 });
  const refusals: VaultRefusal[] = [];
  const calls: string[] = [];
  const outage = { on: false };
  const vault = createVault({
    provider: localKekProvider({ ring, random }),
    onRefusal: (refusal) => refusals.push(refusal),
  });
  const { contract, handlers } = keysRoutes({ vault });
  const client: InternalClient = {
    async call(route, input) {
      calls.push(route.operation);
      if (outage.on) throw new AppError('service_unavailable', 'nobody answers');
      const [name] = Object.entries(contract).find(([, candidate]) => candidate.operation === route.operation)!;
      const handler = handlers[name] as unknown as Handler<RouteContract>;
      const body = route.body === undefined || route.body === 'stream' ? undefined : route.body.parse(input.body);
      try {
        return await handler({ requestId: input.requestId, peer: 'workspace', body } as never);
      } catch (error) {
        throw isAppError(error) ? new AppError(error.code, 'a problem was answered') : error;
      }
    },
  };
  const close = () => rm(folder, { recursive: true, force: true });
  return { keysClient: createKeysClient(client), client, ring, recoveryKey, refusals, calls, outage, close };
}
