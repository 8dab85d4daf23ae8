import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import type { ServiceName, Uuid } from '@auditrax/base';
import type { WorkloadPools } from '@auditrax/workload';
import { ATTEMPTS_COUNTED, REFUSALS, type Observation } from '../platform/audit/index.ts';
import { COUNTED_PATH, countedAttempts, type CountedAttempts } from '../platform/http/attempt-counter.ts';

/** One entry for each service, code and source within this time, however many attempts there were. */
export const COUNT_WINDOW_MS = 60_000;

export interface AttemptCountsDeps {
  readonly services: readonly ServiceName[];
  /** What a service has counted since it began. */
  readonly read: (service: ServiceName) => Promise<CountedAttempts>;
  /** Into the operator's log. */
  readonly record: (observation: Observation) => Promise<unknown>;
  /** Where it is remembered what has been told, over restarts. */
  readonly file: string;
  readonly interval_ms: number;
  readonly onFailure: (error: unknown) => void;
}

export interface AttemptCounts {
  /** Fetches from every service and tells what is new; returns how many entries were written. */
  runOnce(): Promise<number>;
  start(): void;
  stop(): Promise<void>;
}

/** By service: which life of it, and what of each code and source has been told. */
type Told = Partial<Record<ServiceName, { boot: string; counts: Record<string, number> }>>;

/** Asks a service over its own listener. Throws when it does not answer as declared. */
export function countsOver(pools: WorkloadPools): AttemptCountsDeps['read'] {
  return async (service) => {
    const reply = await pools.to(service).request({ method: 'GET', path: COUNTED_PATH });
    return countedAttempts.parse(await reply.body.json());
  };
}

function readTold(file: string): Told {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Told;
  } catch {
    return {}; // a first start, or a file cut short: the sums since each process began are told once more
  }
}

/**
 * Fetches from each process what it has refused without writing it down, and writes sums. The sentinel reaches every
 * process anyhow; so none of them needs a way to the log for this, and a flood costs one entry a window.
 */
export function createAttemptCounts(deps: AttemptCountsDeps): AttemptCounts {
  const told = readTold(deps.file);
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<unknown> = Promise.resolve();

  const tellOf = async (service: ServiceName): Promise<number> => {
    const { boot, counts } = await deps.read(service);
    const known = told[service]?.boot === boot ? told[service] : { boot, counts: {} };
    told[service] = known;
    let written = 0;
    for (const { code, source, count } of counts) {
      const fresh = count - (known.counts[`${code} ${source}`] ?? 0);
      if (fresh <= 0) continue;
      await deps.record({
        type: ATTEMPTS_COUNTED,
        resource: ['process', boot as Uuid],
        outcome: 'denied',
        requestId: randomUUID(),
        public: { code, layer: REFUSALS[code].layer, service, source, count: fresh },
      });
      known.counts[`${code} ${source}`] = count;
      written += 1;
    }
    return written;
  };
  const runOnce = async (): Promise<number> => {
    let written = 0;
    for (const service of deps.services) {
      try {
        written += await tellOf(service);
      } catch (error) {
        deps.onFailure(error); // told with the next round
      }
    }
    if (written > 0) {
      writeFileSync(`${deps.file}.new`, JSON.stringify(told), { mode: 0o600 });
      renameSync(`${deps.file}.new`, deps.file);
    }
    return written;
  };
  return {
    runOnce,
    start: () => {
      timer = setInterval(() => {
        running = running.then(runOnce).catch(deps.onFailure);
      }, deps.interval_ms);
    },
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}
