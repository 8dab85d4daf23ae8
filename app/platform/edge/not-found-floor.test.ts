import { describe, expect, it } from 'vitest';
import { createNotFoundFloor, NOT_FOUND_FLOOR_MS, NOT_FOUND_FLOOR_MS_MAX } from './not-found-floor.ts';

const sentAt = (floor: ReturnType<typeof createNotFoundFloor>, elapsed_ms: number): number =>
  elapsed_ms + floor.waitFor(elapsed_ms);

describe('the floor of time under a 404', () => {
  it('E8 sends at one time what took different times', () => {
    const floor = createNotFoundFloor();
    for (const elapsed of [1, 7, 19, 30]) expect(sentAt(floor, elapsed)).toBe(NOT_FOUND_FLOOR_MS);
  });

  it('E8 rises when the house is slow, so that the slower kind does not stand out, and falls again', () => {
    const floor = createNotFoundFloor();
    const slow = () => [20, 130].map((elapsed) => sentAt(floor, elapsed));
    for (let warm = 0; warm < 64; warm += 1) slow();
    expect(slow()).toEqual([200, 200]);
    for (let calm = 0; calm < 128; calm += 1) floor.waitFor(5);
    expect(sentAt(floor, 5)).toBe(NOT_FOUND_FLOOR_MS);
  });

  it('E8 rises no further than its limit, whatever one client does', () => {
    const floor = createNotFoundFloor();
    for (let at = 0; at < 200; at += 1) floor.waitFor(60_000);
    expect(sentAt(floor, 3)).toBe(NOT_FOUND_FLOOR_MS_MAX);
  });
});
