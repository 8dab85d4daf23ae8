import type { GuardedFetch } from '../../platform/outward/guarded-fetch.ts';
import type { ConnectionDeps } from '../connections/index.ts';
import type { IdentityDeps } from '../identity/index.ts';

/** What the sign-in path is built from. */
export type SsoDeps = IdentityDeps &
  ConnectionDeps & {
    /** Reaches providers; refuses private addresses but those that the operator named. */
    readonly fetch: GuardedFetch;
    /** Of one address; a test has all of its people behind one. */
    readonly steps_perMinute_max?: number;
  };
