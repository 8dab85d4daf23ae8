import { describe, expect, it } from 'vitest';
import { checks, verdict } from './verdict.ts';

describe('the verdict of a probe', () => {
  it('is green only when something was tried and all of it held', () => {
    const done = checks();
    done.expect(true, 'never said');
    expect(verdict(done, { green: 'All well.' })).toEqual({ state: 'green', detail: 'All well.' });
  });

  it('is red when nothing was tried', () => {
    expect(verdict(checks(), { green: 'All well.' }).state).toBe('red');
  });

  it('tells the first faults and counts the rest', () => {
    const done = checks();
    for (let at = 1; at <= 6; at += 1) done.expect(false, `Fault ${at}.`);
    const measured = { value: 1, limit: 2, unit: 'days' };
    expect(verdict(done, { green: 'All well.', measured })).toEqual({
      state: 'red',
      detail: 'Fault 1. Fault 2. Fault 3. Fault 4. And 2 more.',
      measured,
    });
  });
});
