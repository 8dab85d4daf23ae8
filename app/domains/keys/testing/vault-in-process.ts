import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, isAppError, systemRandom } from '@auditrax/base';
import type { Clock, RouteContract } from '@auditrax/base';
import { initKeyRing, localKekProvider } from '@auditrax/seal';
import type { KekProvider, KeyRing } from '@auditrax/seal';
import type { Handler } from '../../../platform/http/handler.ts';
import { createKeysClient } from '../client.ts';
import type { InternalClient, KeysClient } from '../client.ts';
import { openKeyStores } from '../key-stores.ts';
import type { KeyStores, OpenStore } from '../key-stores.ts';
import { keyUseBook, recordedVault } from '../key-uses.ts';
import { keysRoutes } from '../routes.ts';
import { openSourceBook } from '../source-book.ts';
import type { SourceBook } from '../source-book.ts';
import { createKeySourcesClient } from '../source-client.ts';
import type { KeySourcesClient } from '../source-client.ts';
import { openSuiteBook } from '../suite-book.ts';
import type { SuiteBook } from '../suite-book.ts';
import { vaultSuiteRoutes } from '../suite-routes.ts';
import { vaultSourceRoutes } from '../source-routes.ts';
import { vaultSources } from '../vault-sources.ts';
import { createVault } from '../vault.ts';
import type { VaultRefusal } from '../vault.ts';

/** The keys service without the wire: contract schemas on both sides, errors as the wire would carry them. */
export interface VaultInProcess {
  readonly keysClient: KeysClient;
  readonly sourcesClient: KeySourcesClient;
  readonly client: InternalClient;
  readonly stores: KeyStores;
  readonly book: SourceBook;
  readonly suites: SuiteBook;
  readonly folder: string;
  readonly ring: KeyRing;
  readonly recoveryKey: string;
  readonly refusals: VaultRefusal[];
  /** Operations in the order of their calls. */
  readonly calls: string[];
  /** Set it and the service stops answering. */
  readonly outage: { on: boolean };
  close(): Promise<void>;
}

/**
 * `openStore` opens what tenants bring; without it nobody can bring anything. `inPlaceOfRing` makes the installation's store
 * of the ring's; default: the ring's itself.
 */
export async function vaultInProcess(
  clock: Clock,
  openStore?: OpenStore,
  inPlaceOfRing: (local: KekProvider) => KekProvider = (local) => local,
): Promise<VaultInProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'vault-'));
  const random = systemRandom;
  const place = { path: join(folder, 'ring.json'), rootKey: random.bytes(32), clock, random };
  const { ring, recoveryKey } = await initKeyRing({ ...place, wrappedKeysInStore: 0 });
  const refusals: VaultRefusal[] = [];
  const calls: string[] = [];
  const outage = { on: false };
  const installation = inPlaceOfRing(localKekProvider({ ring, random }));
  const book = await openSourceBook({ path: join(folder, 'source-book'), ring, clock, random });
  const none: OpenStore = () => Promise.reject(new AppError('source_unavailable', 'no key store here'));
  const stores = openKeyStores({ installation, book, openStore: openStore ?? none, clock });
  const suites = await openSuiteBook({ path: join(folder, 'suite-book'), ring, random });
  const uses = keyUseBook(clock);
  const vault = createVault({ provider: stores, onRefusal: (refusal) => refusals.push(refusal) });
  const kinds = ['local', 'aws-kms', 'xks', 'pkcs11'] as const;
  const sources = vaultSources({ stores, book, uses, clock, random, kinds, installationAssurance: 'development' });
  const rooms = [
    keysRoutes({ vault: recordedVault(vault, uses), suites }),
    vaultSourceRoutes({ sources }),
    vaultSuiteRoutes({ suites }),
  ];
  const client: InternalClient = {
    async call(route, input) {
      calls.push(route.operation);
      if (outage.on) throw new AppError('service_unavailable', 'nobody answers');
      const named = rooms.flatMap(({ contract, handlers }) =>
        Object.entries(contract).flatMap(([name, { operation }]) =>
          operation === route.operation ? [handlers[name]] : [],
        ),
      );
      const handler = named[0] as unknown as Handler<RouteContract>;
      const body = route.body === undefined || route.body === 'stream' ? undefined : route.body.parse(input.body);
      try {
        return await handler({ requestId: input.requestId, peer: 'workspace', body } as never);
      } catch (error) {
        const told = isAppError(error) && error.publicDetail !== undefined ? { publicDetail: error.publicDetail } : {};
        throw isAppError(error) ? new AppError(error.code, 'a problem was answered', told) : error;
      }
    },
  };
  const close = () => rm(folder, { recursive: true, force: true });
  return {
    keysClient: createKeysClient(client),
    sourcesClient: createKeySourcesClient(client),
    client,
    stores,
    book,
    suites,
    folder,
    ring,
    recoveryKey,
    refusals,
    calls,
    outage,
    close,
  };
}
