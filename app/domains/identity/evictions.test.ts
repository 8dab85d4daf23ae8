import type { Readable } from 'node:stream';
import { systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FEED_BEAT_MS } from '../../platform/edge/evictions-contract.ts';
import { createEvictions, type Evictions } from './evictions.ts';

const id = (): Uuid => uuidV4(systemRandom);
/** A transaction that is through when the test says so. */
function transaction() {
  const afterwards: ((outcome: 'committed' | 'unknown') => void)[] = [];
  return {
    afterCommit: (work: (outcome: 'committed' | 'unknown') => void) => void afterwards.push(work),
    end: (outcome: 'committed' | 'unknown' = 'committed') => afterwards.splice(0).forEach((work) => work(outcome)),
  };
}
const linesOf = (reader: Readable): Record<string, unknown>[] =>
  ((reader.read() as Buffer | null)?.toString() ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

let evictions: Evictions;
beforeEach(() => void (evictions = createEvictions({ random: systemRandom })));
afterEach(() => evictions.close());

function end(sessionId = id()): Uuid {
  const tx = transaction();
  evictions.endSession(tx, sessionId);
  tx.end();
  return sessionId;
}

describe('the feed of evictions', () => {
  it('says nothing before the commit, then tells every reader, with consecutive numbers', () => {
    const readers = [evictions.follow({}), evictions.follow({})];
    readers.forEach((reader) => linesOf(reader));
    const [one, two, person] = [id(), id(), id()];
    const tx = transaction();
    evictions.endSession(tx, one);
    evictions.endSession(tx, two);
    evictions.endPerson(tx, person);
    expect(readers.flatMap((reader) => linesOf(reader))).toEqual([]);
    tx.end();
    const told = [{ sequence: 1, sessionId: one }, { sequence: 2, sessionId: two }, { sequence: 3, personId: person }]; // prettier-ignore
    for (const reader of readers) expect(linesOf(reader)).toEqual(told);
  });

  it('tells also when nobody knows whether the commit took place', () => {
    const reader = evictions.follow({});
    const tx = transaction();
    evictions.endSession(tx, id());
    tx.end('unknown');
    expect(linesOf(reader)).toHaveLength(2);
  });

  it('goes on where a reader left off, with all that it missed', () => {
    const first = evictions.follow({});
    const { feed } = linesOf(first)[0] as { feed: string };
    const missed = [end(), end(), end()];
    const [hello, ...rest] = linesOf(evictions.follow({ feed, after: 1 }));
    expect(hello).toEqual({ feed, sequence: 1, goesOn: true });
    expect(rest).toEqual([{ sequence: 2, sessionId: missed[1] }, { sequence: 3, sessionId: missed[2] }]); // prettier-ignore
  });

  it('does not go on for a reader of another issuer, of a number that is not there yet, or of one that is forgotten', () => {
    const { feed } = linesOf(evictions.follow({}))[0] as { feed: string };
    end();
    for (const from of [{}, { feed: id(), after: 1 }, { feed, after: 2 }, { feed }])
      expect(linesOf(evictions.follow(from))).toEqual([{ feed, sequence: 1, goesOn: false }]);
    for (let more = 0; more < 10_001; more += 1) end();
    expect(linesOf(evictions.follow({ feed, after: 1 }))[0]).toMatchObject({ goesOn: false });
    expect(linesOf(evictions.follow({ feed, after: 2 }))).toHaveLength(10_001);
  });

  it('beats, so that silence can be told from peace', async () => {
    const reader = evictions.follow({});
    linesOf(reader);
    end();
    await expect.poll(() => linesOf(reader)).toContainEqual({ beat: true, sequence: 1 });
  });

  it('ends every feed at a stop and says nothing afterwards, also to whoever comes back then', async () => {
    const failures: unknown[] = [];
    const readers = [evictions.follow({}), evictions.follow({})];
    evictions.close();
    readers.push(evictions.follow({}));
    for (const reader of readers) reader.on('error', (error) => failures.push(error));
    end();
    await new Promise((resolve) => setTimeout(resolve, 2 * FEED_BEAT_MS));
    for (const reader of readers) linesOf(reader);
    expect(failures).toEqual([]);
    expect(evictions.readers()).toBe(0);
  });

  it('lets a reader go that does not read, and counts who listens', async () => {
    const reader = evictions.follow({});
    evictions.follow({});
    expect(evictions.readers()).toBe(2);
    for (let more = 0; more < 20_000 && !reader.destroyed; more += 1) end();
    expect(reader.destroyed).toBe(true);
    await expect.poll(() => evictions.readers()).toBeLessThan(2);
  });
});
