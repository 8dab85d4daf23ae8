import type { Uuid } from '@auditrax/base';

/** What a person confirmed with a passkey, kept until the entry about it is written. */
export interface NotedApproval {
  /** The text that is kept with the entry (`formatApproval` of the tlog package). */
  readonly text: string;
  /** The person, other than the one who approves, that the action names; their erasure destroys the text. */
  readonly about: Uuid | null;
}

/** Longer than any request that was approved takes until its entry. */
const NOTED_MS_MAX = 10 * 60 * 1000;
/** People give a few a minute; each holds one action. */
const NOTED_MAX = 4096;

const noted = new Map<string, NotedApproval & { readonly until: number }>();

/**
 * Remembers an approval that this service has verified, by the hash that entries name it with. Called by the verifier alone,
 * so that a room can neither forget nor change what is kept.
 */
export function noteApproval(assertionHash: string, approval: NotedApproval, nowMs: number): void {
  for (const [old, { until }] of noted) {
    if (until > nowMs && noted.size < NOTED_MAX) break; // in order of time
    noted.delete(old);
  }
  noted.set(assertionHash, { ...approval, until: nowMs + NOTED_MS_MAX });
}

/** The approval behind a hash; undefined when this service has verified none, or long ago. */
export function approvalOf(assertionHash: string): NotedApproval | undefined {
  return noted.get(assertionHash);
}
