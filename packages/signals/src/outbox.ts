import type { Random } from '@auditrax/base';
import { backoffOf } from './backoff.ts';
import type { BuiltSet } from './build.ts';
import { refusal } from './errors.ts';
import { DEAD_LETTERS_MAX, OUTBOX_AGE_MS_MAX, OUTBOX_ENTRIES_MAX, PUSH_ATTEMPTS_MAX } from './limits.ts';
import type { StreamStatus } from './management.ts';

/** A token that waits. */
export interface OutboxEntry extends BuiltSet {
  /** Tries to push it that came to nothing. */
  readonly attempts: number;
}

/** Why a token was given up. */
export type DeadReason = 'refused' | 'attempts' | 'age' | 'disabled';

/** A token that no receiver took. Nothing is dropped: it is here until the caller has taken it out. */
export interface DeadLetter {
  readonly entry: OutboxEntry;
  readonly reason: DeadReason;
  /** What the receiver said of a refused one, or how the last of too many tries ended. */
  readonly err: string | undefined;
  readonly at_ms: number;
}

/** What a stream has still to say; plain JSON. Each function gives a new one. */
export interface Outbox {
  readonly status: StreamStatus;
  /** The status once the announcement with this id is settled; until then the stream goes on as it was. */
  readonly pending: { readonly status: StreamStatus; readonly tokenId: string } | undefined;
  /** In the order of their coming; only the first is ever pushed. */
  readonly waiting: readonly OutboxEntry[];
  readonly dead: readonly DeadLetter[];
  /** Of pushing, in a row. */
  readonly failures: number;
  readonly next_ms: number;
}

export const EMPTY_OUTBOX: Outbox = {
  status: 'enabled',
  pending: undefined,
  waiting: [],
  dead: [],
  failures: 0,
  next_ms: 0,
};

/** What became of one try to push. */
export type PushResult =
  | { readonly kind: 'taken' }
  | { readonly kind: 'refused'; readonly err: string }
  | { readonly kind: 'retry'; readonly reason: string; readonly wait_ms: number };

function buried(
  entry: OutboxEntry,
  at_ms: number,
  why: { readonly reason: DeadReason; readonly err?: string | undefined },
): DeadLetter {
  return { entry, reason: why.reason, err: why.err, at_ms };
}

function withStatus(outbox: Outbox, status: StreamStatus, now_ms: number): Outbox {
  const changed = { ...outbox, status, pending: undefined };
  if (status !== 'disabled') return changed;
  // SSF 1.0: a disabled stream holds nothing for later. What it held is said, not forgotten.
  const dead = outbox.waiting.map((entry) => buried(entry, now_ms, { reason: 'disabled' }));
  return { ...changed, waiting: [], dead: [...outbox.dead, ...dead] };
}

/** Takes settled tokens out, and changes the status when its announcement is among them. */
function settle(
  outbox: Outbox,
  dead: readonly DeadLetter[],
  options: { isGone(id: string): boolean; now_ms: number },
): Outbox {
  const { isGone, now_ms } = options;
  const waiting = outbox.waiting.filter(({ tokenId }) => !isGone(tokenId));
  const next = { ...outbox, waiting, dead: [...outbox.dead, ...dead] };
  const { pending } = outbox;
  const isAnnounced = pending !== undefined && !waiting.some(({ tokenId }) => tokenId === pending.tokenId);
  return isAnnounced ? withStatus(next, pending.status, now_ms) : next;
}

/**
 * E41: a token joins the end of a stream. `isHeld` is false where the stream is disabled: the caller knows that it will
 * never go out. Throws `signals_outbox_full`, so that nothing is dropped unseen.
 */
export function enqueue(outbox: Outbox, built: BuiltSet): { readonly outbox: Outbox; readonly isHeld: boolean } {
  if (outbox.status === 'disabled') return { outbox, isHeld: false };
  if (outbox.waiting.length >= OUTBOX_ENTRIES_MAX) throw refusal('signals_outbox_full', 'events wait');
  if (outbox.dead.length >= DEAD_LETTERS_MAX) throw refusal('signals_outbox_full', 'dead letters wait');
  if (outbox.waiting.some(({ tokenId }) => tokenId === built.tokenId))
    throw refusal('signals_set_invalid', 'it waits already');
  const { tokenId, token, issuedAt_ms } = built;
  return {
    outbox: { ...outbox, waiting: [...outbox.waiting, { tokenId, token, issuedAt_ms, attempts: 0 }] },
    isHeld: true,
  };
}

/** E40: tokens that nobody took in three days become dead letters. */
export function expire(outbox: Outbox, now_ms: number): Outbox {
  const old = outbox.waiting.filter(({ issuedAt_ms }) => now_ms - issuedAt_ms > OUTBOX_AGE_MS_MAX);
  if (old.length === 0) return outbox;
  const ids = new Set(old.map(({ tokenId }) => tokenId));
  const dead = old.map((entry) => buried(entry, now_ms, { reason: 'age' }));
  return settle(outbox, dead, { isGone: (id) => ids.has(id), now_ms });
}

/** E39: the one token that may be pushed now: the first, where the stream is enabled and its back-off is over. */
export function nextPush(outbox: Outbox, now_ms: number): OutboxEntry | undefined {
  return outbox.status === 'enabled' && now_ms >= outbox.next_ms ? outbox.waiting[0] : undefined;
}

/** E39 and E40: after a try to push the first token. An id that is not the first's changes nothing. */
export function afterPush(
  outbox: Outbox,
  { tokenId, result }: { readonly tokenId: string; readonly result: PushResult },
  { now_ms, random }: { readonly now_ms: number; readonly random: Random },
): Outbox {
  const [first, ...others] = outbox.waiting;
  if (first === undefined || first.tokenId !== tokenId) return outbox;
  const isGone = (id: string) => id === tokenId;
  const rested = { ...outbox, failures: 0, next_ms: now_ms };
  if (result.kind === 'taken') return settle(rested, [], { isGone, now_ms });
  if (result.kind === 'refused')
    return settle(rested, [buried(first, now_ms, { reason: 'refused', err: result.err })], { isGone, now_ms });
  const failures = outbox.failures + 1;
  const tried = { ...first, attempts: first.attempts + 1 };
  const next_ms = now_ms + Math.max(backoffOf(failures, random), result.wait_ms);
  const waited = { ...outbox, failures, next_ms, waiting: [tried, ...others] };
  if (tried.attempts < PUSH_ATTEMPTS_MAX) return waited;
  return settle(waited, [buried(tried, now_ms, { reason: 'attempts', err: result.reason })], { isGone, now_ms });
}

/** E42: after a poll: what was acknowledged is gone, what was refused is a dead letter. Unknown ids change nothing. */
export function afterPoll(
  outbox: Outbox,
  { acks, errors }: { readonly acks: readonly string[]; readonly errors: ReadonlyMap<string, string> },
  now_ms: number,
): Outbox {
  const acked = new Set(acks);
  const dead = outbox.waiting
    .filter(({ tokenId }) => errors.has(tokenId) && !acked.has(tokenId))
    .map((entry) => buried(entry, now_ms, { reason: 'refused', err: errors.get(entry.tokenId) }));
  return settle(outbox, dead, { isGone: (id) => acked.has(id) || errors.has(id), now_ms });
}

/**
 * E41: changes the status. With an `announcement`, which has to wait in the stream already, only after the receiver has
 * taken it (or it was given up): SSF 1.0 wants it told before the stream stops. `paused` holds what comes.
 */
export function setStatus(
  outbox: Outbox,
  status: StreamStatus,
  { now_ms, announcement }: { readonly now_ms: number; readonly announcement?: string },
): Outbox {
  if (announcement === undefined || !outbox.waiting.some(({ tokenId }) => tokenId === announcement))
    return withStatus(outbox, status, now_ms);
  return { ...outbox, pending: { status, tokenId: announcement } };
}

/** Takes the dead letters out; the caller has stored them before it stores the outbox. */
export function takeDead(outbox: Outbox): { readonly outbox: Outbox; readonly dead: readonly DeadLetter[] } {
  return { outbox: { ...outbox, dead: [] }, dead: outbox.dead };
}
