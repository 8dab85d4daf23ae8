import type { GuardedFetch } from '../../platform/outward/guarded-fetch.ts';
import type { ConnectionDeps } from '../connections/index.ts';
import type { IdentityDeps } from '../identity/index.ts';
import type { StandIns } from './stand-ins.ts';

/** What the sign-in path is built from. */
export type SsoDeps = IdentityDeps &
  ConnectionDeps & {
    /** Reaches providers; refuses private addresses but those that the operator named. */
    readonly fetch: GuardedFetch;
    /** Ways out of canaries' connections to the sentinel's stand-in. */
    readonly standIns?: StandIns;
    /** Of one address; a test has all of its people behind one. */
    readonly steps_perMinute_max?: number;
  };
