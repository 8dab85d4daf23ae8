import type { Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import type { ClosedReason } from './queries.ts';
import type { RevocationCause } from './revocation-queries.ts';

/** What has happened to somebody’s access, in the words of this room. */
export type AccessSignal =
  /** All sessions of the person, or only those named. */
  | {
      readonly kind: 'sessions-ended';
      readonly memberId: Uuid;
      readonly sessionIds?: readonly Uuid[];
      readonly reason: ClosedReason;
    }
  | { readonly kind: 'suspended'; readonly memberId: Uuid; readonly cause: RevocationCause }
  | { readonly kind: 'reinstated'; readonly memberId: Uuid; readonly cause: RevocationCause }
  | { readonly kind: 'passkey-added'; readonly memberId: Uuid }
  | { readonly kind: 'passkey-removed'; readonly memberId: Uuid };

/** How a provider calls somebody: issuer and subject as it writes them. */
export interface ProviderName {
  readonly issuer: string;
  readonly subject: string;
}

/**
 * Who is told what happened here, outside of this room. Each is called in the transaction of what happened, so that one
 * never is without the other. `note` and `forget` wait for nobody and need no tenant's key: access ends also while the key
 * store is away.
 */
export interface AccessSignals {
  note(tx: ScopedTransaction, signal: AccessSignal): Promise<void>;
  /** A provider has just named somebody, who signs in by this account. */
  named(
    tx: ScopedTransaction,
    who: { readonly memberId: Uuid; readonly accountId: Uuid; readonly name: ProviderName },
  ): Promise<void>;
  /** Somebody is erased: what waits to be told must not call them by a provider's name any more. */
  forget(tx: ScopedTransaction, memberId: Uuid): Promise<void>;
}

/** Nobody is told; for one-shot commands and for tests of other things. */
export const NO_SIGNALS: AccessSignals = {
  note: () => Promise.resolve(),
  named: () => Promise.resolve(),
  forget: () => Promise.resolve(),
};

/** The person has ended it on this device, or begun another one in the same browser: nothing that others need to act on. */
const ORDINARY: readonly ClosedReason[] = ['sign-out', 'replaced', 'expired', 'tenant-deleted'];

/** Whether a session ended for a cause that others want to know. */
export const isForCause = (reason: ClosedReason): boolean => !ORDINARY.includes(reason);
