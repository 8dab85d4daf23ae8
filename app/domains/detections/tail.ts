import type { Clock } from '@auditrax/base';
import type { SystemDoor, SystemTransaction } from '@auditrax/tenancy';
import { eventsAfter, moveCursor, readCursor } from './queries.ts';
import { detect, type Alert, type LogEvent } from './rules.ts';

/** Between two looks at the log; detection within seconds is the promise, the database pays one index read. */
const POLL_MS = 100;
/** Events taken at once; a larger backlog is worked off in rounds. */
const BATCH_EVENTS_MAX = 500;

export interface TailDeps {
  readonly door: SystemDoor;
  readonly clock: Clock;
  /** Stores the alerts in the transaction that moves the cursor: never lost, never raised twice. */
  readonly raise: (tx: SystemTransaction, alerts: readonly Alert[]) => Promise<void>;
  readonly onFailure: (error: unknown) => void;
}

export interface Tail {
  /** Works off what is there now; returns how many events it has seen. */
  runOnce(): Promise<number>;
  start(): void;
  stop(): Promise<void>;
  /** When the tail last reached the end of the log, milliseconds since the epoch. */
  lastCaughtUp_ms(): number;
}

interface Leaf {
  readonly type: string;
  readonly outcome: string;
  readonly time: number;
  readonly request?: string;
  readonly actor: readonly [string, string];
  readonly public?: Record<string, string | number | boolean>;
}

function eventOf(row: { position: string; entry_id: string; tenant_id: string; kind: string; leaf: Buffer }): LogEvent {
  const leaf = JSON.parse(row.leaf.toString('utf8')) as Leaf;
  return {
    position: BigInt(row.position),
    entryId: row.entry_id,
    tenantId: row.tenant_id,
    tenantKind: row.kind,
    type: leaf.type,
    outcome: leaf.outcome,
    occurred_ms: leaf.time,
    requestId: leaf.request ?? '',
    actor: leaf.actor.join(':'),
    facts: leaf.public ?? {},
  };
}

/**
 * Follows every tenant's log in the sequencer's order and raises what the rules find. The cursor moves in the same
 * transaction as the alerts, so a crash repeats a batch rather than skipping one.
 */
export function createTail(deps: TailDeps): Tail {
  let caughtUp_ms = 0;
  let running: Promise<void> = Promise.resolve();
  const ending = new AbortController();

  const batch = (): Promise<number> =>
    deps.door.transaction(async (tx) => {
      const [cursor] = await tx.query(readCursor());
      const rows = await tx.query(eventsAfter(BigInt(cursor!.position), BATCH_EVENTS_MAX));
      const last = rows.at(-1);
      if (last === undefined) return 0;
      const alerts = rows.flatMap((row) => detect(eventOf(row)));
      await deps.raise(tx, alerts);
      await tx.query(moveCursor(BigInt(last.position)));
      return rows.length;
    });

  const runOnce = async (): Promise<number> => {
    let seen = 0;
    for (;;) {
      const count = await batch();
      seen += count;
      if (count < BATCH_EVENTS_MAX) break;
    }
    caughtUp_ms = deps.clock.nowMs();
    return seen;
  };

  const loop = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      await runOnce().catch(deps.onFailure);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
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
    lastCaughtUp_ms: () => caughtUp_ms,
  };
}
