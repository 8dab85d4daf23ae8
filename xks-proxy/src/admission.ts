import type { Clock } from '@auditrax/base';

/**
 * A bucket that fills at `perSecond` and holds one second's worth: a burst passes, a lasting excess is turned away at
 * once instead of timing out for everybody.
 */
export class RateLimit {
  readonly #clock: Clock;
  #level: number;
  #filledAtMs: number;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#level = perSecond;
    this.#filledAtMs = clock.nowMs();
  }

  /** True when one more may pass at a rate of `perSecond`, which a reload may have changed. */
  take(perSecond: number): boolean {
    const now = this.#clock.nowMs();
    const gained = (Math.max(0, now - this.#filledAtMs) / 1000) * perSecond;
    this.#filledAtMs = now;
    this.#level = Math.min(perSecond, this.#level + gained);
    if (this.#level < 1) return false;
    this.#level -= 1;
    return true;
  }
}
