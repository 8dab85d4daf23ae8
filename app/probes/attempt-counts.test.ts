import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Observation } from '../platform/audit/index.ts';
import { createAttemptCounter, type AttemptCounter } from '../platform/http/attempt-counter.ts';
import { createAttemptCounts } from './attempt-counts.ts';

let folder: string;
let counter: AttemptCounter;
let written: Observation[];
let logAway: boolean;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'counts-'));
  counter = createAttemptCounter();
  written = [];
  logAway = false;
});
afterEach(() => rmSync(folder, { recursive: true }));

const reader = () =>
  createAttemptCounts({
    services: ['gateway'],
    read: async () => counter.read(),
    record: async (observation) => {
      if (logAway) throw new Error('log away');
      written.push(observation);
    },
    file: join(folder, 'counted'),
    interval_ms: 60_000,
    onFailure: () => {},
  });
const counts = () => written.map((one) => one.public!['count']);

describe('the sums of what is only counted', () => {
  it('a flood of ten thousand is one entry a window, and nothing of it is lost', async () => {
    const counting = reader();
    for (let at = 0; at < 10_000; at += 1) counter.count('edge.session-missing', 'edge internet');
    expect(await counting.runOnce()).toBe(1);
    expect(await counting.runOnce()).toBe(0);
    for (let at = 0; at < 7; at += 1) counter.count('edge.session-missing', 'edge internet');
    counter.count('gateway.id-malformed', 'edge internet');
    expect(await counting.runOnce()).toBe(2);
    expect(counts()).toEqual([10_000, 7, 1]);
    expect(written[0]!.public).toMatchObject({ code: 'edge.session-missing', layer: 'edge', service: 'gateway' });
  });

  it('are told once, over restarts of the teller, and from nothing again after one of the counted', async () => {
    counter.count('token.missing', 'gateway');
    await reader().runOnce();
    counter.count('token.missing', 'gateway');
    await reader().runOnce();
    counter = createAttemptCounter();
    counter.count('token.missing', 'gateway');
    await reader().runOnce();
    expect(counts()).toEqual([1, 1, 1]);
  });

  it('wait while the log is away', async () => {
    const counting = reader();
    counter.count('peer.wrong', 'keys');
    logAway = true;
    expect(await counting.runOnce()).toBe(0);
    logAway = false;
    counter.count('peer.wrong', 'keys');
    await counting.runOnce();
    expect(counts()).toEqual([2]);
  });
});
