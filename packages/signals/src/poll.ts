import type { Random } from '@auditrax/base';
import { backoffOf, retryAfterOf } from './backoff.ts';
import { isPassing, isSignalsError, refusal, type SignalsCode } from './errors.ts';
import { ask, objectOf, type Answer, type ReachPorts } from './http.ts';
import { isObject, isPlainText, memberOf, type JsonObject } from './json.ts';
import type { KeySource } from './keys.ts';
import { ID_CHARACTERS_MAX, POLL_BYTES_MAX, POLL_INTERVAL_MS, POLL_SETS_MAX } from './limits.ts';
import { deliveryErrorOf, type DeliveryError, type RefusedSet } from './push.ts';
import { receiveSet, type ReceivedSet, type SetPorts, type SetStore } from './set.ts';
import type { ReceiverStream } from './stream.ts';

/**
 * Where the polling of one stream stands; plain JSON, to be stored after each step. An older one than the last may be
 * taken up again, or {@link FIRST_POLL}: events then come again and find themselves kept.
 */
export interface PollState {
  /** Kept, and not told yet. */
  readonly acks: readonly string[];
  /** Refused and noted, and not told yet; by token id. */
  readonly errors: Readonly<Record<string, { readonly err: DeliveryError; readonly description: string }>>;
  /** In a row. */
  readonly failures: number;
  /** Not before. */
  readonly next_ms: number;
}

export const FIRST_POLL: PollState = { acks: [], errors: {}, failures: 0, next_ms: 0 };

/** What one poll asks (RFC 8936 2.4). */
export function pollRequest(state: PollState): JsonObject {
  const hasErrors = Object.keys(state.errors).length > 0;
  return {
    maxEvents: POLL_SETS_MAX,
    returnImmediately: true,
    ack: state.acks,
    ...(hasErrors ? { setErrs: state.errors } : {}),
  };
}

interface PollAnswer {
  readonly sets: readonly (readonly [tokenId: string, token: string])[];
  readonly isMore: boolean;
}

/** E33: reads an answer to a poll. Throws `signals_poll_form`. */
export function parsePollAnswer(value: JsonObject): PollAnswer {
  const sets = memberOf(value, 'sets');
  const isMore = memberOf(value, 'moreAvailable') ?? false;
  if (!isObject(sets) || typeof isMore !== 'boolean') throw refusal('signals_poll_form');
  const entries = Object.entries(sets);
  // Who sends more than was asked for has them taken in the next polls: what is not acknowledged comes again.
  const taken = entries.slice(0, POLL_SETS_MAX).map(([tokenId, token]) => {
    if (!isPlainText(tokenId, ID_CHARACTERS_MAX) || typeof token !== 'string') throw refusal('signals_poll_form');
    return [tokenId, token] as const;
  });
  return { sets: taken, isMore: isMore || entries.length > POLL_SETS_MAX };
}

/** Why a poll did not come to its end; `cause` is what the store threw where there is no code. */
export interface PollFailure {
  readonly code: SignalsCode | undefined;
  readonly cause: unknown;
}

export interface PollStep {
  readonly state: PollState;
  /** New events, kept already: act on their verdicts. */
  readonly received: readonly ReceivedSet[];
  /** Refused for good and noted already: tell an administrator. */
  readonly refused: readonly RefusedSet[];
  readonly failure: PollFailure | undefined;
}

export interface PollInput {
  readonly state: PollState;
  readonly url: string;
  /** The whole value of the header, secret. */
  readonly authorization: string | undefined;
  readonly stream: ReceiverStream;
  readonly keys: KeySource;
}

export interface PollPorts extends ReachPorts, SetPorts {
  readonly store: SetStore;
  readonly random: Random;
  /** E32: notes a refused token, durably and within bounds, before the transmitter is told. It must not come twice. */
  noteRefused(refused: RefusedSet): Promise<void>;
}

interface Batch {
  readonly acks: string[];
  readonly errors: Record<string, { readonly err: DeliveryError; readonly description: string }>;
  readonly received: ReceivedSet[];
  readonly refused: RefusedSet[];
}

async function settleOne(
  [tokenId, token]: readonly [string, string],
  batch: Batch,
  { input, ports }: { readonly input: PollInput; readonly ports: PollPorts },
): Promise<void> {
  try {
    const { set, isNew } = await receiveSet({ ...input, token, listedAs: tokenId }, ports);
    batch.acks.push(tokenId);
    if (isNew) batch.received.push(set);
  } catch (error) {
    if (!isSignalsError(error) || isPassing(error.code)) throw error;
    const refused = { token, code: error.code, message: error.message };
    await ports.noteRefused(refused);
    batch.refused.push(refused);
    batch.errors[tokenId] = deliveryErrorOf(error.code);
  }
}

function failed(state: PollState, wait_ms: number, ports: PollPorts): PollState {
  const failures = state.failures + 1;
  return { ...state, failures, next_ms: ports.clock.nowMs() + Math.max(backoffOf(failures, ports.random), wait_ms) };
}

function failureOf(cause: unknown): PollFailure {
  return { code: isSignalsError(cause) ? cause.code : undefined, cause };
}

async function askTransmitter(input: PollInput, ports: PollPorts): Promise<Answer> {
  const { url, authorization, state } = input;
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json',
    ...(authorization === undefined ? {} : { authorization }),
  };
  const body = JSON.stringify(pollRequest(state));
  return await ask({ url, method: 'POST', headers, body, bytes_max: POLL_BYTES_MAX }, ports);
}

/**
 * E31 to E34: one poll (RFC 8936): tells what was kept and refused, takes what waits, keeps it, and says when to come
 * again. Never throws: a failure is in the step, and what was kept before it is acknowledged with the next poll.
 */
export async function pollOnce(input: PollInput, ports: PollPorts): Promise<PollStep> {
  const { state } = input;
  let answer: Answer | undefined;
  let polled: PollAnswer;
  try {
    answer = await askTransmitter(input, ports);
    polled = parsePollAnswer(objectOf(answer, [200]));
  } catch (cause) {
    const wait_ms = retryAfterOf(answer?.retryAfter, ports.clock.nowMs());
    return { state: failed(state, wait_ms, ports), received: [], refused: [], failure: failureOf(cause) };
  }
  const batch: Batch = { acks: [], errors: {}, received: [], refused: [] };
  let failure: PollFailure | undefined;
  for (const one of polled.sets) {
    try {
      await settleOne(one, batch, { input, ports });
    } catch (cause) {
      // Neither acknowledged nor refused: it comes again, and so does all that stands behind it.
      failure = failureOf(cause);
      break;
    }
  }
  const told = { acks: batch.acks, errors: batch.errors, failures: state.failures, next_ms: 0 };
  // A transmitter that shows the same events over and over is not asked over and over.
  const isProgress = batch.received.length > 0 || batch.refused.length > 0;
  const wait_ms = polled.isMore && isProgress ? 0 : POLL_INTERVAL_MS;
  const next =
    failure === undefined ? { ...told, failures: 0, next_ms: ports.clock.nowMs() + wait_ms } : failed(told, 0, ports);
  return { state: next, received: batch.received, refused: batch.refused, failure };
}
