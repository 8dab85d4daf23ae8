import type { SystemDoor } from '@auditrax/tenancy';
import { findTenant } from '../identity/index.ts';
import { finishEvents } from './acting.ts';
import type { Place, SignalReceiverDeps } from './deps.ts';
import { entryOf } from './keeping.ts';
import { pollStream } from './polling.ts';
import * as queries from './queries.ts';
import { connected, loadPlace } from './settings.ts';
import { listen } from './silence.ts';

/** Of one round in one database; the rest comes with the next one. */
const STREAMS_AT_ONCE_MAX = 16;
/** Longer than a turn takes, whatever the transmitter does: two polls of ten seconds each, and what they bring. */
export const LEASE_MS = 120_000;
/** What a crash has left is taken up within so long. */
export const LOOK_MS = 30_000;
/** Kept although nobody could send them again: the newest, for whoever looks at the page. */
const EVENTS_KEPT = 200;

async function forget(deps: SignalReceiverDeps, place: Place): Promise<void> {
  const { context, stream } = place;
  const of = { streamId: stream.id, now: new Date(deps.clock.nowMs()), kept: EVENTS_KEPT };
  await deps.tenant.transaction(context, async (tx) => {
    const gone = await tx.query(queries.forgetEvents(context, of));
    if (gone.length === 0) return;
    await deps.recordAudit(tx, { ...entryOf(place, { count: gone.length }), type: 'signals.forgotten' });
  });
}

/** One look at one stream. Says when it is due again; null: never. */
async function tend(deps: SignalReceiverDeps, place: Place): Promise<Date | null> {
  const { context, stream } = place;
  if (stream.row.state === 'off') return null;
  await finishEvents(deps, place);
  await forget(deps, place);
  const next_ms = deps.clock.nowMs() + LOOK_MS;
  const [pulse] = await deps.tenant.scoped(context, queries.pulseOf(context, stream.id));
  const open = stream.row.state === 'on' ? connected(deps, place) : undefined;
  if (open === undefined || pulse === undefined) return new Date(next_ms);
  await listen(deps, place, { stream: open, pulse });
  if (stream.row.delivery === 'push') return new Date(next_ms);
  return new Date(Math.min(next_ms, await pollStream(deps, place, { stream: open, pulse })));
}

async function tendOne(
  deps: SignalReceiverDeps,
  cell: SystemDoor,
  { row, leasedUntil, requestId }: { readonly row: queries.IndexRow; leasedUntil: Date; requestId: string },
): Promise<void> {
  let dueAt: Date | null = new Date(deps.clock.nowMs() + LOOK_MS);
  try {
    const tenant = await findTenant(deps, row.tenant_id, requestId);
    const place = tenant === undefined ? undefined : await loadPlace(deps, tenant, row.stream_id);
    // Closed, or moved: where its tenant lives now another row leads to it.
    dueAt = place === undefined ? null : await tend(deps, place);
  } finally {
    await cell.system(queries.endLease({ streamId: row.stream_id, leasedUntil, dueAt }));
  }
}

/**
 * Looks at every stream that is due, in every cell: takes up events that were kept and not carried out, polls, asks for
 * signs of life. Called by the issuer every few seconds; of several issuers one takes each stream. Returns how many. A
 * failure is thrown after all had a turn.
 */
export async function tendSignals(deps: SignalReceiverDeps, requestId: string): Promise<number> {
  const rounds = deps.system.everywhere().map(async ({ system: cell }) => {
    const now_ms = deps.clock.nowMs();
    const leasedUntil = new Date(now_ms + LEASE_MS);
    const lease = { now: new Date(now_ms), until: leasedUntil, limit: STREAMS_AT_ONCE_MAX };
    const rows = await cell.system(queries.leaseDue(lease));
    const turns = await Promise.allSettled(rows.map((row) => tendOne(deps, cell, { row, leasedUntil, requestId })));
    const failure = turns.find((turn) => turn.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
    return rows.length;
  });
  const done = await Promise.allSettled(rounds);
  const failure = done.find((round) => round.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  return done.reduce((sum, round) => sum + (round.status === 'fulfilled' ? round.value : 0), 0);
}
