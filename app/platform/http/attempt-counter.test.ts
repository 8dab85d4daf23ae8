import { describe, expect, it } from 'vitest';
import { countedAttempts, createAttemptCounter } from './attempt-counter.ts';

describe('the counter of refusals that anybody can provoke', () => {
  it('sums by code and source, in memory that does not grow with whoever floods it', () => {
    const counter = createAttemptCounter();
    for (let at = 0; at < 5_000; at += 1) counter.count('edge.session-missing', 'edge internet');
    counter.count('edge.session-dead', 'edge internet');
    for (let at = 0; at < 5_000; at += 1) counter.count('peer.wrong', `peer ${at}`);
    const { counts } = counter.read();
    const of = (code: string, source: string) =>
      counts.find((one) => one.code === code && one.source === source)?.count;
    expect(of('edge.session-missing', 'edge internet')).toBe(5_000);
    expect(of('edge.session-dead', 'edge internet')).toBe(1);
    expect(counts.length).toBeLessThanOrEqual(201);
    expect(counts.reduce((sum, one) => sum + one.count, 0)).toBe(10_001);
    expect(countedAttempts.parse(JSON.parse(JSON.stringify(counter.read())))).toEqual(counter.read());
  });
});
