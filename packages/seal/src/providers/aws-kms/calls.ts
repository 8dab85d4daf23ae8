import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, type Clock, type Random } from '@auditrax/base';
import { createBreaker, type Breaker } from '../../breaker.ts';
import { verdictOf, type Verdict } from './faults.ts';

/** How long a call may take and how often it is made. */
export interface CallLimits {
  /** For the call with all its repetitions. */
  readonly deadline_ms: number;
  /** For each attempt. */
  readonly attempt_ms: number;
  readonly attempts_max: number;
}

/** A person waits behind most calls; AWS answers in tens of milliseconds, so two seconds mean that it will not. */
export const CALL_LIMITS: CallLimits = { deadline_ms: 5_000, attempt_ms: 2_000, attempts_max: 3 };
/** Full jitter below this, doubled for each attempt: callers that failed together do not come back together. */
const BACKOFF_MS = 100;
const BACKOFF_MS_MAX = 1_000;

/** One request: with `signal` it can be given up. `repeat` tells what a lost answer may hide. */
export interface Call<T> {
  readonly send: (signal: AbortSignal) => Promise<T>;
  /** `untouched`: changes something at AWS, and is made again only if AWS surely did not act. */
  readonly repeat?: 'safe' | 'untouched';
}

/** The calls to one key: deadline, repetition where that is safe, breaker, typed errors. */
export class Calls {
  readonly #keyArn: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #limits: CallLimits;
  readonly #breaker: Breaker;
  readonly #onExpired: () => void;

  constructor(input: {
    readonly keyArn: string;
    readonly clock: Clock;
    readonly random: Random;
    readonly limits: CallLimits;
    /** Called when temporary credentials are refused as expired. */
    readonly onExpired: () => void;
  }) {
    this.#keyArn = input.keyArn;
    this.#clock = input.clock;
    this.#random = input.random;
    this.#limits = input.limits;
    this.#onExpired = input.onExpired;
    this.#breaker = createBreaker(input.clock, `KMS key ${input.keyArn}`);
  }

  /** Throws a typed error and nothing else; see `faults.ts`. */
  async make<T>(call: Call<T>): Promise<T> {
    const deadline = AbortSignal.timeout(this.#limits.deadline_ms);
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#attempt(call, deadline);
      if ('value' in outcome) return outcome.value;
      const { verdict } = outcome;
      const may = call.repeat === 'untouched' ? verdict.isUntouched : verdict.mayRepeat;
      if (!may || attempt >= this.#limits.attempts_max || deadline.aborted) throw verdict.error;
      await sleep(this.#backoffMs(attempt), undefined, { signal: deadline }).catch(() => undefined);
      if (deadline.aborted) throw verdict.error;
    }
  }

  async #attempt<T>(call: Call<T>, deadline: AbortSignal): Promise<{ value: T } | { verdict: Verdict }> {
    let verdict: Verdict | undefined;
    try {
      const value = await this.#breaker.run(async () => {
        try {
          return await call.send(AbortSignal.any([deadline, AbortSignal.timeout(this.#limits.attempt_ms)]));
        } catch (cause) {
          if (cause instanceof AppError) throw cause;
          verdict = verdictOf(cause, { keyArn: this.#keyArn, nowMs: this.#clock.nowMs() });
          throw verdict.error;
        }
      });
      return { value };
    } catch (error) {
      // What the breaker, or the look at the answer, refuses is final.
      if (!verdict) throw error;
      if (verdict.name === 'ExpiredTokenException') this.#onExpired();
      return { verdict };
    }
  }

  #backoffMs(attempt: number): number {
    const ceiling = Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** (attempt - 1));
    return (Buffer.from(this.#random.bytes(2)).readUInt16BE() / 0x10000) * ceiling;
  }
}
