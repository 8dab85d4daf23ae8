import { toBase64Url, type AppError } from '@auditrax/base';
import type { SignalsCode } from '@auditrax/signals';
import type { Place, SignalReceiverDeps } from './deps.ts';
import { isSignalsError } from './errors.ts';
import { entryOf, stateHash } from './keeping.ts';
import * as queries from './queries.ts';
import type { PulseRow } from './queries.ts';
import { managerOf } from './reaching.ts';
import type { ConnectedStream } from './settings.ts';

/** Silence looks like peace: a sign of life is asked for four times a day, as it is cheap and nobody waits for it. */
export const ASK_EVERY_MS = 6 * 3_600_000;
/** While a stream is silent, so that its return is seen within the hour. */
const ASK_SILENT_MS = 3_600_000;
/** A transmitter that retries has delivered by then. */
export const ANSWER_MS_MAX = 15 * 60_000;
/** So long may a transmitter be away before somebody is told: updates and outages of an hour are weather. */
export const UNREACHED_MS_MAX = 3_600_000;
const STATE_BYTES = 32;

const latest = (...dates: readonly (Date | null)[]): Date =>
  new Date(Math.max(...dates.map((date) => date?.getTime() ?? 0)));

/** The transmitter could not be asked; kept since the first time. */
export async function noteUnreached(
  deps: SignalReceiverDeps,
  { context, stream }: Place,
  trouble: SignalsCode,
): Promise<void> {
  const at = new Date(deps.clock.nowMs());
  await deps.tenant.scoped(context, queries.noteTrouble(context, { id: stream.id, trouble, at }));
}

/** The transmitter answered: what was wrong is over, and so is a silence that it was the reason of. */
export async function noteReached(deps: SignalReceiverDeps, place: Place): Promise<void> {
  const { context, stream } = place;
  const [pulse] = await deps.tenant.scoped(context, queries.pulseOf(context, stream.id));
  if (pulse?.trouble == null) return;
  await deps.tenant.transaction(context, async (tx) => {
    await tx.query(queries.noteTrouble(context, { id: stream.id, trouble: null, at: null }));
    if (pulse.silent_since === null) return;
    await tx.query(queries.noteSilent(context, { id: stream.id, since: null }));
    await deps.recordAudit(tx, { ...entryOf(place), type: 'signals.heard-again' });
  });
}

/** Whether a question waits for its answer, nothing else was heard since, and nobody was told yet. */
function waits(pulse: PulseRow | undefined): boolean {
  const { asked_at, asked_hash, heard_at, answered_at, silent_since } = pulse ?? {};
  if (asked_at == null || asked_hash == null || silent_since != null) return false;
  return latest(heard_at ?? null, answered_at ?? null) <= asked_at;
}

/**
 * Asks for a sign of life. Its state is kept before it is sent: the answer may be here before the request is over. Asked
 * again while an answer is due, it is due since the first time: who asks each minute must not hide a silence. Returns why
 * the transmitter could not be asked.
 */
export async function askForLife(
  deps: SignalReceiverDeps,
  place: Place,
  stream: ConnectedStream,
): Promise<AppError<SignalsCode> | undefined> {
  const { context } = place;
  const state = toBase64Url(deps.random.bytes(STATE_BYTES));
  const [pulse] = await deps.tenant.scoped(context, queries.pulseOf(context, stream.id));
  const at = waits(pulse) ? pulse!.asked_at! : new Date(deps.clock.nowMs());
  await deps.tenant.scoped(context, queries.noteAsked(context, { id: stream.id, at, hash: stateHash(state) }));
  try {
    await managerOf(deps, stream.settings)!.verify(stream.settings.streamId!, state);
  } catch (error) {
    if (!isSignalsError(error)) throw error;
    await noteUnreached(deps, place, error.code);
    return error;
  }
  // That it takes the question is no sign of life: the answer is. Whether a polled one can be reached its polls say.
  if (stream.row.delivery === 'push')
    await deps.tenant.scoped(context, queries.noteTrouble(context, { id: stream.id, trouble: null, at: null }));
  return undefined;
}

/** When nothing was heard of a stream that ought to speak; undefined while nobody has to be told. */
function silentSince({ row }: ConnectedStream, pulse: PulseRow, now_ms: number): Date | undefined {
  if (pulse.silent_since !== null) return undefined;
  const last = latest(pulse.heard_at, pulse.answered_at, row.created_at);
  const { asked_at, asked_hash, troubled_at } = pulse;
  const isUnanswered =
    asked_at !== null && asked_hash !== null && last <= asked_at && now_ms - asked_at.getTime() >= ANSWER_MS_MAX;
  const isAway = troubled_at !== null && now_ms - troubled_at.getTime() >= UNREACHED_MS_MAX;
  return isUnanswered || isAway ? last : undefined;
}

/** Asks for a sign of life when one is due, where the transmitter offers it, and tells of a stream that has fallen silent. */
export async function listen(
  deps: SignalReceiverDeps,
  place: Place,
  { stream, pulse }: { readonly stream: ConnectedStream; readonly pulse: PulseRow },
): Promise<void> {
  const { context } = place;
  const now_ms = deps.clock.nowMs();
  const since = silentSince(stream, pulse, now_ms);
  if (since !== undefined)
    await deps.tenant.transaction(context, async (tx) => {
      await tx.query(queries.noteSilent(context, { id: stream.id, since }));
      await deps.recordAudit(tx, { ...entryOf(place, { since: since.toISOString() }), type: 'signals.silent' });
    });
  const { management, streamId } = stream.settings;
  if (management?.verificationEndpoint == null || streamId === null) return;
  const every_ms = pulse.silent_since === null ? ASK_EVERY_MS : ASK_SILENT_MS;
  if (now_ms - (pulse.asked_at?.getTime() ?? -Infinity) >= every_ms) await askForLife(deps, place, stream);
}
