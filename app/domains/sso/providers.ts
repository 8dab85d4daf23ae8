import type { Uuid } from '@auditrax/base';
import {
  createKeySource,
  discoverProvider,
  type KeySource,
  type OidcConnection,
  type OidcProvider,
} from '@auditrax/oidc';
import type { SsoDeps } from './deps.ts';
import { fetchOf } from './stand-ins.ts';

/** A discovery document is read anew once a day; its keys have times of their own. */
const DOCUMENT_MS_MAX = 86_400_000;
/** Between two readings of a document that failed: anybody can begin sign-ins, and a silent provider is asked in vain. */
export const DOCUMENT_RETRY_MS_MIN = 5_000;
/** Connections whose documents are at hand; beyond it the one used longest ago is read again. */
const KNOWN_MAX = 500;

export interface Reached {
  readonly provider: OidcProvider;
  readonly keys: KeySource;
}

/** Documents and keys of providers, by connection and version of its settings. */
export interface Providers {
  /** Throws what `discoverProvider` throws; a failure is everybody's answer for five seconds. */
  reach(connection: OidcConnection, of: { readonly id: Uuid; readonly version: number }): Promise<Reached>;
}

interface Known {
  readonly version: number;
  readonly until_ms: number;
  readonly reached: Promise<Reached>;
}

export function createProviders(deps: Pick<SsoDeps, 'fetch' | 'clock' | 'standIns'>): Providers {
  const known = new Map<Uuid, Known>();
  const read = async (connection: OidcConnection, id: Uuid): Promise<Reached> => {
    const ports = { clock: deps.clock, fetch: fetchOf(deps, id) };
    const provider = await discoverProvider(connection, ports);
    return { provider, keys: createKeySource(connection, provider, ports) };
  };
  return {
    reach(connection, { id, version }) {
      const now = deps.clock.nowMs();
      const found = known.get(id);
      known.delete(id);
      if (found !== undefined && found.version === version && found.until_ms > now) {
        known.set(id, found);
        return found.reached;
      }
      const oldest = known.size >= KNOWN_MAX ? known.keys().next() : undefined;
      if (oldest?.done === false) known.delete(oldest.value);
      const made: Known = { version, until_ms: now + DOCUMENT_MS_MAX, reached: read(connection, id) };
      known.set(id, made);
      made.reached.catch(() => {
        if (known.get(id) === made) known.set(id, { ...made, until_ms: deps.clock.nowMs() + DOCUMENT_RETRY_MS_MIN });
      });
      return made.reached;
    },
  };
}
