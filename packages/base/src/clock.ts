/** Time is handed in, so that every test is repeatable. */
export interface Clock {
  /** Milliseconds since the Unix epoch, wall clock. */
  nowMs(): number;
}

export const systemClock: Clock = { nowMs: () => Date.now() };

/** A clock that tests move by hand. */
export function manualClock(startMs: number): Clock & { advance(milliseconds: number): void } {
  let current = startMs;
  return {
    nowMs: () => current,
    advance: (milliseconds) => {
      current += milliseconds;
    },
  };
}
