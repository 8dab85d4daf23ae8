import { describe, expect, it } from 'vitest';
import { placeFromUuid, placeToUuid } from './list-place.ts';

describe('a place in a list', () => {
  it.each([
    [0, 0],
    [1, 2 ** 48 - 1],
    [2 ** 32 - 1, 17],
  ])('survives the way out and back (%i, %i)', (major, minor) => {
    expect(placeFromUuid('criteria of x', placeToUuid('criteria of x', { major, minor }))).toEqual({ major, minor });
  });
  it('of one list is none of another', () => {
    expect(placeFromUuid('criteria of y', placeToUuid('criteria of x', { major: 0, minor: 5 }))).toBeUndefined();
  });
  it('that does not fit is an error, not another place', () => {
    expect(() => placeToUuid('x', { major: 2 ** 32, minor: 0 })).toThrow(RangeError);
    expect(() => placeToUuid('x', { major: 0, minor: 2 ** 48 })).toThrow(RangeError);
    expect(() => placeToUuid('x', { major: -1, minor: 0 })).toThrow(RangeError);
  });
});
