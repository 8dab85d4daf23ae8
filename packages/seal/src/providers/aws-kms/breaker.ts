import type { Clock } from '@auditrax/base';

/** Failures in a row after which nobody is made to wait for a key store that is down. */
const FAILURES_MAX = 5;
/** How long it is then left alone, before one call may try it again. */
const OPEN_MS = 5_000;

/** What a breaker says to the next call. */
export type Admission = 'go' | 'trial' | 'wait';

/**
 * Circuit breaker of one key store. After five failures in a row it answers `wait` for five seconds; then a single
 * `trial` decides. A refusal that the store gave itself (disabled, denied) shows that it is alive and counts as success.
 */
export class Breaker {
  readonly #clock: Clock;
  #failures = 0;
  #openUntilMs = 0;
  #isTrying = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isOpen(): boolean {
    return this.#failures >= FAILURES_MAX;
  }

  admit(): Admission {
    if (!this.isOpen) return 'go';
    if (this.#isTrying || this.#clock.nowMs() < this.#openUntilMs) return 'wait';
    this.#isTrying = true;
    return 'trial';
  }

  succeeded(): void {
    this.#failures = 0;
    this.#isTrying = false;
  }

  failed(): void {
    this.#failures += 1;
    this.#isTrying = false;
    if (this.isOpen) this.#openUntilMs = this.#clock.nowMs() + OPEN_MS;
  }
}
