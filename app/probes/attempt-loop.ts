import { randomUUID } from 'node:crypto';
import { AppError, type Clock, type Uuid } from '@auditrax/base';
import type { AttemptOutcome, ProbeHouse } from '../claims/probe.ts';
import type { Observation } from '../platform/audit/index.ts';
import { followAttempt, type Attempt } from './attempts.ts';
import type { Watch } from './watch.ts';

/** Every route and layer comes round within an hour, with a little to spare for a slow one. */
const ROUND_MINUTES = 55;
const MINUTE_MS = 60_000;
/** Outcomes kept at hand: a day of one or two a minute. */
const OUTCOMES_MAX = 4_000;

export interface AttemptLoopDeps {
  readonly clock: Clock;
  readonly watch: Watch;
  readonly corpus: () => readonly Attempt[];
  /** Into the operator's log. */
  readonly record: (observation: Observation) => Promise<unknown>;
  /** One minute, unless a test is in a hurry. */
  readonly interval_ms: number;
  readonly onFailure: (error: unknown) => void;
}

export interface AttemptLoop {
  /** Makes the next attempt of the rotation now. */
  next(): Promise<AttemptOutcome>;
  recent: ProbeHouse['recentAttempts'];
  start(): void;
  stop(): Promise<void>;
}

function facts(outcome: AttemptOutcome, nonce: string) {
  return {
    nonce,
    attempt: outcome.name.slice(0, 200),
    refused: outcome.refused,
    seen: outcome.seen !== undefined,
    paged: outcome.page !== undefined,
    page_latency_ms: outcome.page_latency_ms ?? -1,
  };
}

/**
 * One attempt after another, all day: the nonce stands in the log before the attempt is made, so that nobody can say
 * afterwards that a page was for something else, nor leave a missing one out.
 */
export function createAttemptLoop(deps: AttemptLoopDeps): AttemptLoop {
  const { clock, watch, record } = deps;
  const outcomes: AttemptOutcome[] = [];
  let turn = 0;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();

  const next = async (): Promise<AttemptOutcome> => {
    const corpus = deps.corpus();
    const attempt = corpus[turn % corpus.length];
    if (attempt === undefined) throw new AppError('no_attempts', 'the corpus of attempts is empty');
    turn += 1;
    const nonce = randomUUID() as Uuid;
    const base = { resource: ['attempt', nonce] as const, requestId: nonce };
    await record({
      ...base,
      type: 'canary.attempt.announced',
      outcome: 'allowed',
      public: { nonce, attempt: attempt.name.slice(0, 200) },
    });
    const outcome = await followAttempt(attempt, { watch, clock });
    outcomes.push(outcome);
    if (outcomes.length > OUTCOMES_MAX) outcomes.shift();
    const whole = outcome.refused && outcome.seen !== undefined && outcome.page !== undefined;
    await record({
      ...base,
      type: 'canary.attempt.checked',
      outcome: whole ? 'allowed' : 'failed',
      public: facts(outcome, nonce),
    });
    return outcome;
  };

  const round = async (): Promise<void> => {
    const perMinute = Math.max(1, Math.ceil(deps.corpus().length / ROUND_MINUTES));
    const count = Math.max(1, Math.round((perMinute * deps.interval_ms) / MINUTE_MS));
    for (let made = 0; made < count; made += 1) await next();
  };

  return {
    next,
    recent: (window_seconds) => {
      const since_ms = clock.nowMs() - window_seconds * 1000;
      return outcomes.filter((outcome) => outcome.started_ms >= since_ms);
    },
    start: () => {
      timer = setInterval(() => {
        running = running.then(round).catch(deps.onFailure);
      }, deps.interval_ms);
    },
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}
