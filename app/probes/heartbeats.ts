import { randomUUID } from 'node:crypto';
import type { Clock, Uuid } from '@auditrax/base';
import { sql } from '@auditrax/tenancy';
import { HOME_CELL, type CellDoor, type Observation } from '../platform/audit/index.ts';

const LOOK_MS = 5_000;
/** Older than this, the heartbeat has stopped: the commit guard refuses every writer of the cell by then. */
const BEAT_AGE_SECONDS_MAX = 2;
/** A ledger that is being restarted is back within seconds, a loaded machine's within this. */
const SILENT_MS_MAX = 30_000;

export interface HeartbeatDeps {
  readonly cells: () => readonly CellDoor[];
  readonly clock: Clock;
  readonly record: (observation: Observation) => Promise<unknown>;
  readonly onFailure: (error: unknown) => void;
}

/** Sees to it that a log that stands still wakes somebody, in whichever database it is. */
export interface Heartbeats {
  /** One look at every cell. */
  look(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}

interface Silence {
  readonly since_ms: number;
  isTold: boolean;
}

const beatAge = sql<{ age_seconds: number }>`
  select extract(epoch from clock_timestamp() - b.beat)::double precision as age_seconds from audit.beat b`;

/** Undefined when the log runs; else what is wrong with it. */
async function silenceOf({ door }: CellDoor): Promise<'no-heartbeat' | 'unreachable' | undefined> {
  try {
    const [row] = await door.system(beatAge);
    return row !== undefined && row.age_seconds <= BEAT_AGE_SECONDS_MAX ? undefined : 'no-heartbeat';
  } catch {
    return 'unreachable';
  }
}

/**
 * Writes into the operator's log, which is home's, when the log of another cell has stood still for half a minute, and
 * when it runs again; the detections page the first. Home's own standstill turns the whole house unready instead: an
 * entry about it would wait in the queue that stands still.
 */
export function createHeartbeats({ cells, clock, record, onFailure }: HeartbeatDeps): Heartbeats {
  const silences = new Map<string, Silence>();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();

  const tell = (type: string, facts: Record<string, string>): Promise<unknown> => {
    const id = randomUUID() as Uuid;
    const outcome = type === 'audit.cell.silent' ? 'failed' : 'allowed';
    return record({ type, resource: ['cell', id], outcome, requestId: id, public: facts });
  };
  const lookAt = async (one: CellDoor): Promise<void> => {
    const reason = await silenceOf(one);
    const known = silences.get(one.cell);
    if (reason === undefined) {
      if (known?.isTold === true) await tell('audit.cell.running', { cell: one.cell });
      silences.delete(one.cell);
      return;
    }
    const silence = known ?? { since_ms: clock.nowMs(), isTold: false };
    silences.set(one.cell, silence);
    if (silence.isTold || clock.nowMs() - silence.since_ms < SILENT_MS_MAX) return;
    await tell('audit.cell.silent', { cell: one.cell, reason });
    silence.isTold = true;
  };
  const look = async (): Promise<void> => {
    const others = cells().filter(({ cell }) => cell !== HOME_CELL);
    for (const cell of silences.keys()) if (others.every((one) => one.cell !== cell)) silences.delete(cell);
    await Promise.all(others.map((one) => lookAt(one).catch(onFailure)));
  };

  return {
    look,
    start: () => {
      timer = setInterval(() => {
        running = running.then(look);
      }, LOOK_MS);
    },
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}
