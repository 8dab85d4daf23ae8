import { AppError, type Clock, type Random, type Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import { toOcsf, type CellDoor, type LeafBody, type Observation } from '../../platform/audit/index.ts';
import type { AddressGuard } from './address-guard.ts';
import { deliver } from './delivery.ts';
import * as queries from './stream-queries.ts';
import { DeliveryError, errorCode, type StreamEvent } from './event.ts';
import type { Target } from './target-contract.ts';

/** Between two looks for what is due. */
const ROUND_MS = 1_000;
/** Streams of one cell in one round; the others are due in the next. */
const STREAMS_PER_ROUND_MAX = 64;
/** A batch stays below a megabyte, which every collector takes. */
const EVENTS_PER_BATCH_MAX = 100;
/** One that is far behind takes turns with the others. */
const BATCHES_PER_ROUND_MAX = 20;
/** Connections open at once, over all tenants. */
const AT_ONCE_MAX = 8;
const BACK_OFF_MS = { first: 1_000, most: 5 * 60_000 } as const;
/** A receiver's maintenance takes minutes; what fails longer is somebody's to look at. */
const FAILING_MS_MAX = 15 * 60_000;
/** A settings' secret is asked for anew after this long, so that a withdrawn key ends the stream. */
const MATERIAL_AGE_MS_MAX = 5 * 60_000;

export interface StreamerDeps {
  /** Cells that are open, home first. */
  readonly cells: () => readonly CellDoor[];
  /** Where a tenant's rows are; another cell may hold what is left of a move. */
  readonly cellOf: (tenantId: Uuid) => Promise<string>;
  /** The settings with their secret; rejects when they have changed or the tenant's key is withdrawn. */
  readonly material: (stream: { tenantId: Uuid; streamId: Uuid; version: number }) => Promise<Target>;
  readonly guard: AddressGuard;
  readonly clock: Clock;
  readonly random: Random;
  /** Into the operator's log, where detection finds it. */
  readonly record: (observation: Observation) => Promise<unknown>;
  readonly onFailure: (error: unknown) => void;
}

export interface Streamer {
  /** One round over all cells; resolves with the number of events that were taken. */
  runOnce(): Promise<number>;
  start(): void;
  /** Ends after the batches in hand. */
  stop(): Promise<void>;
}

interface Known {
  readonly target: Target;
  readonly version: number;
  readonly at_ms: number;
}

type Books = StreamerDeps & { readonly known: Map<string, Known> };

async function targetOf(books: Books, due: queries.DueRow): Promise<Target> {
  const { known, clock } = books;
  const found = known.get(due.id);
  if (found?.version === due.version && clock.nowMs() - found.at_ms < MATERIAL_AGE_MS_MAX) return found.target;
  known.delete(due.id);
  const target = await books.material({ tenantId: due.tenant_id, streamId: due.id, version: due.version });
  known.set(due.id, { target, version: due.version, at_ms: clock.nowMs() });
  return target;
}

function eventOf(tenantId: Uuid, row: queries.LeafRow): StreamEvent {
  const body = JSON.parse(row.leaf.toString('utf8')) as LeafBody;
  const index = Number(row.idx);
  return {
    origin: row.origin,
    index,
    time_ms: body.time,
    type: body.type,
    outcome: body.outcome,
    entryId: body.id,
    body: toOcsf(row.leaf, { tenantId, origin: row.origin, index, leafHash: row.leaf_hash }),
  };
}

/** A batch without a hole, of one generation. Throws `log_gap` rather than skip what is not there. */
function batchOf(due: queries.DueRow, rows: readonly queries.LeafRow[]): readonly queries.LeafRow[] {
  const generation = rows[0]!.generation;
  const batch = rows.filter((row) => row.generation === generation);
  const first = generation === due.generation ? Number(due.next_idx) : 0;
  batch.forEach((row, at) => {
    if (Number(row.idx) !== first + at) throw new AppError('log_gap', `entry ${first + at} is not in the database`);
  });
  return batch;
}

/** Sends the next batch of one stream; resolves with the number of events, 0 when there is nothing. */
async function pump(
  books: Books,
  door: SystemDoor,
  due: queries.DueRow,
): Promise<{ sent: number; due: queries.DueRow }> {
  const { guard, clock } = books;
  const rows = await door.system(queries.leavesFrom(due, EVENTS_PER_BATCH_MAX));
  if (rows.length === 0) return { sent: 0, due };
  const batch = batchOf(due, rows);
  const target = await targetOf(books, due);
  const last = Number(batch.at(-1)!.idx);
  const first = Number(batch[0]!.idx);
  const tried = due.tried_idx === null ? -1 : Number(due.tried_idx);
  await deliver(
    target,
    batch.map((row) => eventOf(due.tenant_id, row)),
    {
      guard,
      onSending: async () => {
        const marked = await door.system(queries.markTried(due, Math.max(last, tried)));
        if (marked.length === 0) throw new AppError('stream_changed', 'the stream was changed meanwhile');
      },
    },
  );
  const { generation } = batch[0]!;
  const repeated = generation === due.generation ? Math.max(0, Math.min(last, tried) - first + 1) : 0;
  const to = { generation, index: last + 1, sent: batch.length, repeated, now: new Date(clock.nowMs()) };
  await door.system(queries.moveOn(due, to));
  const next = { ...due, generation, next_idx: String(last + 1), tried_idx: null, attempts: 0, failing_since: null };
  return { sent: batch.length, due: next };
}

/** Step and code; what is no failure of a delivery is the house's own. */
function wordsOf(error: unknown): string {
  if (error instanceof DeliveryError) return `${error.step}: ${error.code}`;
  if (error instanceof AppError) return `here: ${error.code}`;
  return `here: ${errorCode(error, 'FAILED')}`;
}

function backOff_ms(attempts: number, random: Random): number {
  const ceiling = Math.min(BACK_OFF_MS.most, BACK_OFF_MS.first * 2 ** Math.min(attempts, 20));
  // Half of it is chance, so that many streams to one receiver do not come back together.
  return ceiling / 2 + (ceiling / 2) * (random.bytes(1)[0]! / 255);
}

async function fail(
  books: Books,
  door: SystemDoor,
  { due, error }: { due: queries.DueRow; error: unknown },
): Promise<void> {
  const { clock, random, record } = books;
  const now_ms = clock.nowMs();
  const now = new Date(now_ms);
  const words = wordsOf(error);
  books.known.delete(due.id);
  const retryAt = new Date(now_ms + backOff_ms(due.attempts, random));
  await door.system(queries.noteFailure(due, { error: words, retryAt, now }));
  const since = due.failing_since?.getTime() ?? now_ms;
  if (due.told_at !== null || now_ms - since < FAILING_MS_MAX) return;
  await record({
    type: 'stream.failing',
    resource: ['stream', due.id],
    outcome: 'failed',
    requestId: due.id,
    public: { tenant: due.tenant_id, error: words, minutes: Math.floor((now_ms - since) / 60_000) },
  });
  await door.system(queries.noteTold(due, now));
}

async function serveStream(books: Books, { cell, door }: CellDoor, due: queries.DueRow): Promise<number> {
  if ((await books.cellOf(due.tenant_id)) !== cell) return 0;
  let sent = 0;
  let now = due;
  try {
    for (let batch = 0; batch < BATCHES_PER_ROUND_MAX; batch += 1) {
      const done = await pump(books, door, now);
      sent += done.sent;
      if (done.sent === 0) break;
      now = done.due;
    }
  } catch (error) {
    await fail(books, door, { due: now, error });
  }
  return sent;
}

async function serveCell(books: Books, source: CellDoor): Promise<number> {
  const due = await source.door.system(queries.dueStreams(new Date(books.clock.nowMs()), STREAMS_PER_ROUND_MAX));
  let sent = 0;
  for (let at = 0; at < due.length; at += AT_ONCE_MAX) {
    const group = due.slice(at, at + AT_ONCE_MAX).map((one) => serveStream(books, source, one));
    for (const result of await Promise.allSettled(group)) {
      if (result.status === 'fulfilled') sent += result.value;
      else books.onFailure(result.reason);
    }
  }
  return sent;
}

/**
 * Streams the logs of all tenants that want it, each from where it stands: in the order of its log, without a gap, at
 * least once. The cursor moves after the receiver has taken a batch; what was under way when the house or the line broke
 * goes again and is counted. A cell or a receiver that is away holds up nobody else.
 */
export function createStreamer(deps: StreamerDeps): Streamer {
  const books: Books = { ...deps, known: new Map() };
  const ending = new AbortController();
  let running: Promise<void> = Promise.resolve();
  const runOnce = async (): Promise<number> => {
    const counts = await Promise.all(
      deps.cells().map((source) =>
        serveCell(books, source).catch((error: unknown) => {
          deps.onFailure(error);
          return 0;
        }),
      ),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  };
  const loop = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      await runOnce();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ROUND_MS);
        ending.signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
      });
    }
  };
  return {
    runOnce,
    start: () => {
      running = loop();
    },
    stop: async () => {
      ending.abort();
      await running;
    },
  };
}
