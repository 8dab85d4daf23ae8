import type { SystemDoor, SystemTransaction } from '@auditrax/tenancy';
import { beginCursor, eventsAfter, moveCursor, readCursor, type EventRow } from './queries.ts';
import { detect, type Alert, type LogEvent } from './rules.ts';

/** Between two looks at the log; detection within seconds is the promise, the database pays one index read. */
const POLL_MS = 100;
/** Events taken at once; a larger backlog is worked off in rounds. */
const BATCH_EVENTS_MAX = 500;

export interface TailDeps {
  /** Home, where the pages and the cursors are. */
  readonly door: SystemDoor;
  /** The cell whose log is followed. */
  readonly source: { readonly cell: string; readonly door: SystemDoor };
  /** Stores the alerts in the transaction that moves the cursor: never lost, never raised twice. */
  readonly raise: (tx: SystemTransaction, alerts: readonly Alert[]) => Promise<void>;
  /** Told of every event, in the same transaction; for views of the log. */
  readonly note?: (tx: SystemTransaction, events: readonly LogEvent[]) => Promise<void>;
  readonly onFailure: (error: unknown) => void;
}

export interface Tail {
  /** Works off what is there now; returns how many events it has seen. */
  runOnce(): Promise<number>;
  start(): void;
  stop(): Promise<void>;
  /** Position up to which everything was seen and what it raised is stored. */
  position(): Promise<bigint>;
}

interface Leaf {
  readonly type: string;
  readonly outcome: string;
  readonly time: number;
  readonly request?: string;
  readonly session?: string;
  readonly actor: readonly [string, string];
  readonly public?: Record<string, string | number | boolean>;
}

function eventOf(row: EventRow): LogEvent {
  const leaf = JSON.parse(row.leaf.toString('utf8')) as Leaf;
  return {
    position: BigInt(row.position),
    entryId: row.entry_id,
    tenantId: row.tenant_id,
    tenantKind: row.kind ?? 'unknown',
    type: leaf.type,
    outcome: leaf.outcome,
    occurred_ms: leaf.time,
    requestId: leaf.request ?? '',
    index: BigInt(row.idx),
    sessionId: leaf.session,
    actor: leaf.actor.join(':'),
    facts: leaf.public ?? {},
  };
}

/**
 * Follows the log of one cell in its sequencer's order and raises what the rules find. The cursor moves in the same
 * transaction of home as the alerts, so a crash repeats a batch rather than skipping one, and no batch counts twice. A
 * cell that is away holds up its own tail only.
 */
export function createTail({ door, source, ...deps }: TailDeps): Tail {
  let running: Promise<void> = Promise.resolve();
  const ending = new AbortController();

  const position = async (): Promise<bigint> => {
    const [cursor] = await door.system(readCursor(source.cell));
    if (cursor !== undefined) return BigInt(cursor.position);
    await door.system(beginCursor(source.cell));
    return 0n;
  };
  const batch = async (): Promise<number> => {
    const from = await position();
    const rows = await source.door.system(eventsAfter(from, BATCH_EVENTS_MAX));
    const last = rows.at(-1);
    if (last === undefined) return 0;
    const events = rows.map(eventOf);
    return door.transaction(async (tx) => {
      const moved = await tx.query(moveCursor(source.cell, { from, to: BigInt(last.position) }));
      if (moved.length === 0) return 0; // another tail has stored these alerts
      await deps.raise(tx, events.flatMap(detect));
      await deps.note?.(tx, events);
      return rows.length;
    });
  };

  const runOnce = async (): Promise<number> => {
    let seen = 0;
    for (;;) {
      const count = await batch();
      seen += count;
      if (count < BATCH_EVENTS_MAX) return seen;
    }
  };

  const loop = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      await runOnce().catch(deps.onFailure);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  };

  return {
    runOnce,
    position,
    start: () => {
      running = loop();
    },
    stop: async () => {
      ending.abort();
      await running;
    },
  };
}
