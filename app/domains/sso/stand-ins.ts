import type { Clock, Uuid } from '@auditrax/base';
import { createAddressGuard } from '../../platform/outward/address-guard.ts';
import { createGuardedFetch, type GuardedFetch } from '../../platform/outward/guarded-fetch.ts';
import type { SsoDeps } from './deps.ts';

/** A probe takes seconds; what a stand-in was let be reached for does not outlive it by more than this. */
const STAND_IN_MS_MAX = 60_000;

/** Before an address that the stand-in is asked about in its owner's place. */
const AT = '/at/';

/** Where the sentinel plays a provider just now. */
export interface StandIn {
  /** On this machine's loopback; this one place, and no other port of it. */
  readonly origin: string;
  /** PEM of the one authority that is believed for it, beside the public ones. */
  readonly authority: string;
}

/**
 * The one exception from the guard against private addresses, for connections of canaries and their streams of signals: by
 * an id that is made here for a canary and is never one that a tenant has set up, whatever address the tenant writes.
 */
export interface StandIns {
  /** The caller has made the connection or stream, in a canary. */
  let(id: Uuid, standIn: StandIn): void;
  find(id: Uuid): GuardedFetch | undefined;
}

export function createStandIns(clock: Clock): StandIns {
  const known = new Map<Uuid, { readonly fetch: GuardedFetch; readonly until_ms: number }>();
  return {
    let(id, { origin, authority }) {
      const guard = createAddressGuard({ allowed: [new URL(origin).host] });
      const guarded = createGuardedFetch({ guard, authorities: [authority] });
      // Whatever place a replayed provider names, it is asked of the stand-in: nothing else is dialled for a canary.
      const fetch: GuardedFetch = (url, init) =>
        guarded(url.startsWith(`${origin}/`) ? url : `${origin}${AT}${encodeURIComponent(url)}`, init);
      known.set(id, { fetch, until_ms: clock.nowMs() + STAND_IN_MS_MAX });
    },
    find(id) {
      const found = known.get(id);
      if (found === undefined || found.until_ms > clock.nowMs()) return found?.fetch;
      known.delete(id);
      return undefined;
    },
  };
}

/** How the provider of a connection is reached: by the guarded fetch, of whomever the connection is. */
export function fetchOf(deps: Pick<SsoDeps, 'fetch' | 'standIns'>, connectionId: Uuid): GuardedFetch {
  return deps.standIns?.find(connectionId) ?? deps.fetch;
}
