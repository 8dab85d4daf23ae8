import type { SignalsFetch } from '@auditrax/signals';
import type { AttemptCounter } from '../../platform/http/attempt-counter.ts';
import type { Log } from '../../platform/http/request-log.ts';
import type { GuardedFetch } from '../../platform/outward/guarded-fetch.ts';
import type { ConnectionDeps, LoadedConnection } from '../connections/index.ts';
import type { IdentityDeps, KnownTenant } from '../identity/index.ts';
import type { KeysOfStreams } from './keys-of-streams.ts';
import type { OpenStream } from './settings.ts';

/** What the receiver of signals is built from. */
export type SignalReceiverDeps = IdentityDeps &
  ConnectionDeps & {
    /** Reaches transmitters; refuses private addresses but those that the operator named. */
    readonly fetch: GuardedFetch & SignalsFetch;
    /** Pushes whose authorization is none. */
    readonly counter: Pick<AttemptCounter, 'count'>;
    /** What could not be carried out at once and is taken up again. */
    readonly log: Pick<Log, 'warn'>;
    /** One of the process, so that each key set is read once an hour. */
    readonly keysOfStreams: KeysOfStreams;
    /** Of one stream; a test sends more than a transmitter does. */
    readonly events_perMinute_max?: number;
  };

/** Whose events these are. */
export interface Place {
  readonly context: KnownTenant['context'];
  readonly connection: LoadedConnection;
  readonly stream: OpenStream;
}
