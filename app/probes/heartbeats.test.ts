import { manualClock } from '@auditrax/base';
import { describe, expect, it } from 'vitest';
import type { CellDoor, Observation } from '../platform/audit/index.ts';
import { createHeartbeats } from './heartbeats.ts';

/** Seconds since the beat of each cell; `away` when it does not answer. */
function watching(ages: Record<string, number | 'away'>) {
  const clock = manualClock(0);
  const told: Observation[] = [];
  const cells = (): CellDoor[] =>
    Object.keys(ages).map((cell) => ({
      cell,
      door: {
        system: () => {
          const age = ages[cell]!;
          if (age === 'away') return Promise.reject(new Error('no route'));
          return Promise.resolve([{ age_seconds: age }] as never);
        },
        transaction: () => Promise.reject(new Error('not used')),
      },
    }));
  const heartbeats = createHeartbeats({
    cells,
    clock,
    record: (observation) => Promise.resolve(told.push(observation)),
    onFailure: () => {},
  });
  const after = async (seconds: number): Promise<string[]> => {
    clock.advance(seconds * 1_000);
    await heartbeats.look();
    return told.splice(0).map(({ type, public: facts }) => `${type} ${JSON.stringify(facts)}`);
  };
  return { ages, after };
}

describe('heartbeats of the logs', () => {
  it.each([
    [3, 'no-heartbeat'],
    [Infinity, 'no-heartbeat'],
    ['away', 'unreachable'],
  ] as const)('a cell that is silent (%s) for half a minute is told once, and when it is back', async (age, reason) => {
    const { ages, after } = watching({ home: 0.1, south: 0.1 });
    expect(await after(1)).toEqual([]);
    ages['south'] = age;
    expect(await after(1)).toEqual([]);
    expect(await after(29)).toEqual([]);
    expect(await after(1)).toEqual([`audit.cell.silent {"cell":"south","reason":"${reason}"}`]);
    expect(await after(60)).toEqual([]);
    ages['south'] = 0.4;
    expect(await after(5)).toEqual(['audit.cell.running {"cell":"south"}']);
    expect(await after(5)).toEqual([]);
  });

  it('a short silence is none, and home is not spoken of', async () => {
    const { ages, after } = watching({ home: 'away', south: 'away' });
    await after(1);
    await after(20);
    ages['south'] = 0.1;
    expect(await after(5)).toEqual([]);
    ages['south'] = 'away';
    expect(await after(5)).toEqual([]);
    expect(await after(20)).toEqual([]);
  });
});
