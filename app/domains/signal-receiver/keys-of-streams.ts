import type { Clock, Uuid } from '@auditrax/base';
import { createKeySource, type KeySource, type SignalsFetch } from '@auditrax/signals';
import type { GuardedFetch } from '../../platform/outward/guarded-fetch.ts';
import type { StandIns } from '../sso/index.ts';
import type { ConnectedStream } from './settings.ts';

/** Streams whose keys are at hand; beyond it the one used longest ago is read again. */
const KNOWN_MAX = 500;

/** Keys of transmitters, by stream and version of its settings. */
export interface KeysOfStreams {
  of(stream: ConnectedStream): KeySource;
}

export function createKeysOfStreams(deps: {
  readonly clock: Clock;
  readonly fetch: GuardedFetch & SignalsFetch;
  readonly isRehearsal?: boolean;
  /** Ways out of canaries' streams to the sentinel's stand-in. */
  readonly standIns?: Pick<StandIns, 'find'>;
}): KeysOfStreams {
  const known = new Map<Uuid, { readonly version: number; readonly keys: KeySource }>();
  return {
    of({ id, version, receiver, settings }) {
      const found = known.get(id);
      known.delete(id);
      const oldest = known.size >= KNOWN_MAX ? known.keys().next() : undefined;
      if (oldest?.done === false) known.delete(oldest.value);
      const fetch: GuardedFetch & SignalsFetch = (url: string, init: Parameters<GuardedFetch>[1]) =>
        (deps.standIns?.find(id) ?? deps.fetch)(url, init);
      const source = () => createKeySource(receiver, settings.jwksUri, { ...deps, fetch });
      const keys = found?.version === version ? found.keys : source();
      known.set(id, { version, keys });
      return keys;
    },
  };
}
