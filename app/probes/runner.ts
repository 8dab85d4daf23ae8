import { AppError, uuidV7, type Clock, type Random, type Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import type { Observation } from '../claims/grade.ts';
import type { Probe, ProbeHouse, ProbeResult } from '../claims/probe.ts';
import { insertObservation, newestObservations, observationFrom } from '../claims/queries.ts';
import type { Observation as LogObservation } from '../platform/audit/index.ts';

/** A probe that needs longer has not seen. All of them take a few seconds; a machine with much else to do takes more. */
export const PROBE_MS_MAX = 30_000;
/** At once, when all are asked for: most of a probe's time is waiting for others. */
const PARALLEL_MAX = 4;
/** What a log entry can hold of a detail. */
const DETAIL_IN_LOG_MAX = 300;

export interface RunnerDeps {
  readonly probes: readonly Probe[];
  readonly house: ProbeHouse;
  readonly door: SystemDoor;
  readonly clock: Clock;
  readonly random: Random;
  readonly record: (observation: LogObservation) => Promise<{ entryId: Uuid }>;
  /** Between two looks at which probe is due. */
  readonly interval_ms: number;
  readonly onFailure: (error: unknown) => void;
}

export interface Runner {
  /** Runs these now and stores what they saw. */
  run(probes: readonly Probe[]): Promise<void>;
  observations(probeId: string): Promise<readonly Observation[]>;
  /** Runs each when it is due, one at a time. */
  start(): void;
  stop(): Promise<void>;
}

function codeOf(error: unknown): string {
  return error instanceof AppError ? error.code : error instanceof Error ? error.name : 'unknown';
}

async function within<T>(work: Promise<T>, limit_ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new AppError('probe_timeout', `no answer within ${limit_ms} ms`)), limit_ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What the probe saw; one that fails or takes too long is red with the code of its failure. */
export async function seeProbe(probe: Probe, house: ProbeHouse, limit_ms = PROBE_MS_MAX): Promise<ProbeResult> {
  try {
    return await within(probe.run(house), limit_ms);
  } catch (error) {
    return { state: 'red', detail: `The check could not be carried out (${codeOf(error)}).` };
  }
}

/** Stored runs of a probe, newest first. */
export async function observationsOf(door: SystemDoor, probeId: string): Promise<readonly Observation[]> {
  return (await door.system(newestObservations(probeId))).map(observationFrom);
}

type Seen = Promise<void>;

/** Runs one probe, logs what it saw and stores it. */
async function runOne(deps: RunnerDeps, probe: Probe): Promise<void> {
  const { house, door, clock } = deps;
  if ((await probe.isReady?.(house)) === false) return;
  const observedAt_ms = clock.nowMs();
  const result = await seeProbe(probe, house, probe.limit_ms);
  const id = uuidV7(clock, deps.random);
  const detail = result.detail.slice(0, DETAIL_IN_LOG_MAX);
  const entry = await deps
    .record({
      type: 'claim.observed',
      resource: ['observation', id],
      outcome: result.state === 'green' ? 'allowed' : 'failed',
      requestId: id,
      public: { probe: probe.id, state: result.state, detail },
    })
    .catch((error: unknown) => {
      // The run counts all the same, and the page says that it has no entry.
      deps.onFailure(error);
      return undefined;
    });
  const observation: Observation = {
    probeId: probe.id,
    observedAt_ms,
    duration_ms: Math.round(clock.nowMs() - observedAt_ms),
    ...result,
    ...(entry === undefined ? {} : { entry: { entryId: entry.entryId } }),
  };
  await door.system(insertObservation(id, probe.claims, observation));
}

export function createRunner(deps: RunnerDeps): Runner {
  const { door, clock } = deps;
  const lastRun_ms = new Map<string, number>();
  const underWay = new Map<string, Seen>();
  let timer: NodeJS.Timeout | undefined;
  let scheduled: Seen | undefined;

  /** A probe never runs twice at once: it would meet its own traces. Who asks meanwhile waits for the run under way. */
  const once = (probe: Probe): Seen => {
    const known = underWay.get(probe.id);
    if (known !== undefined) return known;
    lastRun_ms.set(probe.id, clock.nowMs());
    const run = runOne(deps, probe).finally(() => underWay.delete(probe.id));
    underWay.set(probe.id, run);
    return run;
  };
  /** The one that has waited longest past its time. */
  const due = (): Probe | undefined => {
    const now = clock.nowMs();
    const late_ms = (probe: Probe): number => now - (lastRun_ms.get(probe.id) ?? 0) - probe.everySeconds * 1000;
    return deps.probes.filter((probe) => late_ms(probe) >= 0).toSorted((a, b) => late_ms(b) - late_ms(a))[0];
  };
  const tick = (): void => {
    const probe = scheduled === undefined ? due() : undefined;
    if (probe === undefined) return;
    scheduled = once(probe)
      .catch(deps.onFailure)
      .finally(() => {
        scheduled = undefined;
      });
  };

  return {
    run: async (probes) => {
      const waiting = [...probes];
      const worker = async (): Promise<void> => {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await once(next);
      };
      await Promise.all(Array.from({ length: PARALLEL_MAX }, worker));
    },
    observations: (probeId) => observationsOf(door, probeId),
    start: () => {
      timer = setInterval(tick, deps.interval_ms);
    },
    stop: async () => {
      clearInterval(timer);
      await Promise.allSettled(underWay.values());
    },
  };
}
