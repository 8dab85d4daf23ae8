import type { Uuid } from '@auditrax/base';
import { FIRST_POLL, pollOnce, type PollState } from '@auditrax/signals';
import { z } from 'zod';
import { act } from './acting.ts';
import type { Place, SignalReceiverDeps } from './deps.ts';
import { expectsState, noteRefused, storeOf } from './keeping.ts';
import * as queries from './queries.ts';
import type { PulseRow } from './queries.ts';
import { portsOf } from './reaching.ts';
import type { ConnectedStream } from './settings.ts';
import { noteReached, noteUnreached } from './silence.ts';

const FIELD = 'identity.received_pulse.progress' as const;
/** Of one turn, 25 tokens each; the next turn is five seconds later, so that no stream brings more than a pushed one may. */
const POLLS_PER_TURN_MAX = 2;
export const TURN_MS = 5_000;

const progress = z.strictObject({
  acks: z.array(z.string()),
  errors: z.record(
    z.string(),
    z.strictObject({
      err: z.enum([
        'invalid_request',
        'invalid_key',
        'invalid_issuer',
        'invalid_audience',
        'authentication_failed',
        'access_denied',
        'invalid_state',
      ]),
      description: z.string(),
    }),
  ),
  failures: z.number(),
  next_ms: z.number(),
});

/** An earlier one may be taken up again, or none: events then come again and find themselves kept. */
async function openProgress(deps: SignalReceiverDeps, { context, stream }: Place, pulse: PulseRow): Promise<PollState> {
  if (pulse.progress === null) return FIRST_POLL;
  const opened = await deps.sealer.openText({ context, field: FIELD, rowId: stream.id, sealed: pulse.progress });
  return progress.parse(JSON.parse(opened));
}

async function storeProgress(deps: SignalReceiverDeps, { context, stream }: Place, state: PollState): Promise<void> {
  const value = JSON.stringify(state);
  const sealed = await deps.sealer.seal({ context, field: FIELD, rowId: stream.id, value });
  await deps.tenant.scoped(context, queries.noteProgress(context, { id: stream.id, progress: sealed }));
}

/** One poll: what it brings is kept, carried out, and only then remembered as to be acknowledged. */
async function poll(
  deps: SignalReceiverDeps,
  place: Place,
  { stream, state }: { readonly stream: ConnectedStream; readonly state: PollState },
): Promise<PollState> {
  const { pollUrl, authorization } = stream.settings;
  const kept: Uuid[] = [];
  const input = {
    state,
    url: pollUrl!,
    authorization: authorization ?? undefined,
    stream: stream.receiver,
    keys: deps.keysOfStreams.of(stream),
  };
  const step = await pollOnce(input, {
    ...portsOf(deps),
    clock: deps.clock,
    random: deps.random,
    store: storeOf(deps, place, (id) => kept.push(id)),
    expectsState: (asked) => expectsState(deps, place, asked),
    noteRefused: (refused) => noteRefused(deps, place, refused),
  });
  for (const id of kept)
    await act(deps, place, id).catch((error: unknown) => deps.log.warn('signal-not-carried-out', { error }));
  await storeProgress(deps, place, step.state);
  const { failure } = step;
  if (failure?.code !== undefined) await noteUnreached(deps, place, failure.code);
  else if (failure === undefined) await noteReached(deps, place);
  else deps.log.warn('signal-poll-failed', { error: failure.cause });
  return step.state;
}

/** Polls a stream as often as it is due within one turn; says when it is due again. */
export async function pollStream(
  deps: SignalReceiverDeps,
  place: Place,
  { stream, pulse }: { readonly stream: ConnectedStream; readonly pulse: PulseRow },
): Promise<number> {
  let state = await openProgress(deps, place, pulse);
  for (let left = POLLS_PER_TURN_MAX; left > 0 && state.next_ms <= deps.clock.nowMs(); left -= 1)
    state = await poll(deps, place, { stream, state });
  return Math.max(state.next_ms, deps.clock.nowMs() + TURN_MS);
}
