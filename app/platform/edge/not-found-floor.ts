/**
 * Every 404 is sent at a multiple of the floor after the request's arrival: whether something is missing, hidden, forged
 * or another tenant's takes different work, and the difference must not be measurable. On a machine at rest this is longer
 * than any of them takes.
 */
export const NOT_FOUND_FLOOR_MS = 50;
/** However slow the machine or a client's body is: nobody can make the answers of others slower than this. */
export const NOT_FOUND_FLOOR_MS_MAX = 500;
/** Answers looked back at: a few seconds of a busy edge. */
const RECENT_MAX = 128;
/** What nearly all of them needed, and as much again by half, so that hardly one slips to the next multiple. */
const NEARLY_ALL = 0.95;
const ROOM = 1.5;

export interface NotFoundFloor {
  /** How long an answer that is ready after `elapsed_ms` has to wait. */
  waitFor(elapsed_ms: number): number;
}

/** Holds while the house is slow: the floor rises with what the answers of late have needed, in steps of its least. */
export function createNotFoundFloor(): NotFoundFloor {
  const recent: number[] = [];
  let next = 0;
  const step = (): number => {
    const sorted = recent.toSorted((a, b) => a - b);
    const needed = (sorted[Math.floor(sorted.length * NEARLY_ALL)] ?? sorted.at(-1) ?? 0) * ROOM;
    const steps = Math.max(1, Math.ceil(needed / NOT_FOUND_FLOOR_MS));
    return Math.min(steps * NOT_FOUND_FLOOR_MS, NOT_FOUND_FLOOR_MS_MAX);
  };
  return {
    waitFor: (elapsed_ms) => {
      recent[next] = elapsed_ms;
      next = (next + 1) % RECENT_MAX;
      const floor_ms = step();
      return Math.ceil(elapsed_ms / floor_ms) * floor_ms - elapsed_ms;
    },
  };
}
