import { toBase64 } from '@auditrax/tlog';
import { logOf, superLogOf, testKey } from '@auditrax/tlog/testing';
import { describe, expect, it } from 'vitest';
import { sealSmallLog } from '../../../e2e/gallery-log.ts';
import { verifyRangeInBrowser, type RangeInput } from './browser-range.ts';

// The log is written from the RFC's text alone (e2e/gallery-log.ts), not by the library that is checked here.

const leavesOf = (count: number): string[] => Array.from({ length: count }, (_, at) => `{"n":${at},"x":"ä€"}`);

function rangeOf(leaves: readonly string[], range: { from: number; to: number }): RangeInput {
  const log = sealSmallLog('example.test/log/range', leaves);
  return {
    ...range,
    checkpoint: log.checkpoint,
    vkey: log.vkey,
    changes: [],
    outside: null,
    first: log.proof(range.from).path,
    last: log.proof(range.to - 1).path,
    leaves: async ({ from, to }) => leaves.slice(from, to),
    onProgress: () => undefined,
    signal: new AbortController().signal,
  };
}

describe('a range of entries against one signed root', () => {
  it('holds for every range of small logs, and for long ones', async () => {
    for (const size of [1, 2, 3, 5, 8, 13]) {
      const leaves = leavesOf(size);
      for (let from = 0; from < size; from += 1)
        for (let to = from + 1; to <= size; to += 1)
          expect((await verifyRangeInBrowser(rangeOf(leaves, { from, to }))).ok, `${from}-${to} of ${size}`).toBe(true);
    }
    const seen: number[] = [];
    const long = rangeOf(leavesOf(1700), { from: 100, to: 1650 });
    const verdict = await verifyRangeInBrowser({ ...long, onProgress: (done) => seen.push(done) });
    expect(verdict.steps.filter((step) => step.ok === false)).toEqual([]);
    expect(seen).toEqual([500, 1000, 1500, 1550]);
  });

  it('fails for an entry that was changed, left out, put in, exchanged or moved, and for another path or key', async () => {
    const leaves = leavesOf(40);
    const good = rangeOf(leaves, { from: 7, to: 29 });
    const given = (alter: (all: string[]) => string[]) => ({
      ...good,
      leaves: async ({ from, to }: { from: number; to: number }) => alter([...leaves]).slice(from, to),
    });
    const bad: RangeInput[] = [
      given((all) => all.with(9, '{"n":9,"x":"a€"}')),
      given((all) => all.toSpliced(9, 1)),
      given((all) => all.toSpliced(9, 0, '{}')),
      given((all) => all.with(9, all[10]!).with(10, all[9]!)),
      given((all) => all.toSpliced(20)),
      { ...good, first: good.first.slice(1) },
      { ...good, first: good.first.with(0, 'x') },
      { ...good, last: good.last.with(0, good.first[0]!) },
      { ...good, from: 8 },
      { ...good, to: 31 },
      { ...good, from: 29, to: 7 },
      { ...good, to: 41 },
      { ...good, vkey: sealSmallLog('example.test/log/range', leaves).vkey },
    ];
    for (const [at, input] of bad.entries()) expect((await verifyRangeInBrowser(input)).ok, `case ${at}`).toBe(false);
  });

  it('stops when it is cancelled', async () => {
    const ending = new AbortController();
    const input = rangeOf(leavesOf(1200), { from: 0, to: 1200 });
    const running = verifyRangeInBrowser({
      ...input,
      signal: ending.signal,
      onProgress: () => ending.abort(new Error('enough')),
    });
    await expect(running).rejects.toThrow('enough');
  });

  it('is looked for in what others have seen: an epoch that holds all of it, of the same history', async () => {
    const PREFIX = 'auditrax.example/log/';
    const key = testKey();
    const leaves = leavesOf(40).map((leaf) => Buffer.from(leaf));
    const log = logOf(await key.named(`${PREFIX}a1b2/1`), leaves);
    const at = async (count: number) => {
      const then = logOf(log.signer, leaves.slice(0, count));
      const superLog = superLogOf(await key.named(`${PREFIX}super/1`));
      const evidence = await superLog.epoch({
        epoch: 1,
        checkpoint: then.note(),
        seconds: 1_795_000_000,
        witnesses: [],
      });
      return { evidence, path: (await log.consistency(count)).map(toBase64), policy: null };
    };
    const good: RangeInput = {
      ...rangeOf(leavesOf(40), { from: 7, to: 29 }),
      checkpoint: log.note(),
      vkey: log.signer.verifierKey,
      first: (await log.inclusion(7)).map(toBase64),
      last: (await log.inclusion(28)).map(toBase64),
      outside: await at(33),
    };
    const { ok, steps } = await verifyRangeInBrowser(good);
    expect(ok).toBe(true);
    expect(steps.slice(-2)).toMatchObject([
      { ok: true, detail: 'epoch 1, at 33 entries of this log' },
      { ok: null, detail: expect.stringContaining('no outside witness') },
    ]);
    expect((await verifyRangeInBrowser({ ...good, outside: null })).ok).toBe(true);
    const early = await at(28);
    for (const outside of [early, { ...good.outside!, path: [] }, { ...good.outside!, path: ['?'] }])
      expect((await verifyRangeInBrowser({ ...good, outside })).ok).toBe(false);
  });
});
