import { systemRandom } from '@auditrax/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterPoll,
  afterPush,
  EMPTY_OUTBOX,
  enqueue,
  expire,
  nextPush,
  setStatus,
  takeDead,
  type Outbox,
  type PushResult,
} from './index.ts';
import {
  BACKOFF_MS_MAX,
  DEAD_LETTERS_MAX,
  OUTBOX_AGE_MS_MAX,
  OUTBOX_ENTRIES_MAX,
  PUSH_ATTEMPTS_MAX,
} from './limits.ts';
import { codeOf, NOW_MS } from './testing/forger.ts';

const built = (tokenId: string, issuedAt_ms = NOW_MS) => ({ tokenId, token: `token of ${tokenId}`, issuedAt_ms });
const filled = (...ids: readonly string[]) =>
  ids.reduce<Outbox>((outbox, id) => enqueue(outbox, built(id)).outbox, EMPTY_OUTBOX);
const ids = (outbox: Outbox) => outbox.waiting.map(({ tokenId }) => tokenId);
const deadOf = (outbox: Outbox) => outbox.dead.map(({ entry, reason, err }) => [entry.tokenId, reason, err]);
const TAKEN: PushResult = { kind: 'taken' };
const RETRY: PushResult = { kind: 'retry', reason: 'status 503', wait_ms: 0 };
const moment = (now_ms = NOW_MS) => ({ now_ms, random: systemRandom });
const NO_ERRORS: ReadonlyMap<string, string> = new Map();

describe('E39 to E41: what a stream has still to say', () => {
  it('E39: only the first is ever sent, and the next after it was settled', () => {
    let outbox = filled('a', 'b', 'c');
    expect(nextPush(outbox, NOW_MS)!.tokenId).toBe('a');
    expect(afterPush(outbox, { tokenId: 'b', result: TAKEN }, moment())).toBe(outbox);
    outbox = afterPush(outbox, { tokenId: 'a', result: TAKEN }, moment());
    expect([ids(outbox), nextPush(outbox, NOW_MS)!.tokenId]).toEqual([['b', 'c'], 'b']);
    outbox = afterPush(outbox, { tokenId: 'b', result: RETRY }, moment());
    expect(nextPush(outbox, NOW_MS)).toBeUndefined();
    expect(nextPush(outbox, outbox.next_ms)!.tokenId).toBe('b');
    outbox = afterPush(outbox, { tokenId: 'b', result: { kind: 'refused', err: 'invalid_key' } }, moment());
    expect([ids(outbox), deadOf(outbox), outbox.failures]).toEqual([['c'], [['b', 'refused', 'invalid_key']], 0]);
  });

  it('E40: tries are counted, spaced and bounded; then it is a dead letter', () => {
    let outbox = filled('a', 'b');
    let now_ms = NOW_MS;
    for (let attempt = 1; attempt < PUSH_ATTEMPTS_MAX; attempt += 1) {
      outbox = afterPush(outbox, { tokenId: 'a', result: RETRY }, moment(now_ms));
      expect(outbox.waiting[0]!.attempts).toBe(attempt);
      expect(outbox.next_ms - now_ms).toBeLessThanOrEqual(BACKOFF_MS_MAX);
      expect(outbox.next_ms).toBeGreaterThan(now_ms);
      now_ms = outbox.next_ms;
    }
    outbox = afterPush(outbox, { tokenId: 'a', result: RETRY }, moment(now_ms));
    expect([ids(outbox), deadOf(outbox)]).toEqual([['b'], [['a', 'attempts', 'status 503']]]);
    // The receiver is still away: the next one does not begin to hurry.
    expect(outbox.next_ms - now_ms).toBeGreaterThanOrEqual(BACKOFF_MS_MAX / 2);
    const asked = afterPush(filled('a'), { tokenId: 'a', result: { ...RETRY, wait_ms: 600_000 } }, moment());
    expect(asked.next_ms).toBe(NOW_MS + 600_000);
  });

  it('E40: what nobody took in three days is a dead letter', () => {
    const outbox = enqueue(enqueue(EMPTY_OUTBOX, built('a', NOW_MS - OUTBOX_AGE_MS_MAX - 1)).outbox, built('b')).outbox;
    const later = expire(outbox, NOW_MS);
    expect([ids(later), deadOf(later)]).toEqual([['b'], [['a', 'age', undefined]]]);
    expect(expire(later, NOW_MS)).toBe(later);
  });

  it('E40: a dead letter keeps the token until it was taken out', () => {
    const outbox = afterPush(filled('a'), { tokenId: 'a', result: { kind: 'refused', err: 'invalid_key' } }, moment());
    const { outbox: emptied, dead } = takeDead(outbox);
    expect([dead[0]!.entry.token, dead[0]!.at_ms, emptied.dead]).toEqual(['token of a', NOW_MS, []]);
  });

  it('E41: paused holds, disabled takes nothing and forgets nothing', () => {
    let outbox = setStatus(filled('a'), 'paused', { now_ms: NOW_MS });
    expect(nextPush(outbox, NOW_MS)).toBeUndefined();
    outbox = enqueue(outbox, built('b')).outbox;
    expect(ids(outbox)).toEqual(['a', 'b']);
    expect(nextPush(setStatus(outbox, 'enabled', { now_ms: NOW_MS }), NOW_MS)!.tokenId).toBe('a');
    outbox = setStatus(outbox, 'disabled', { now_ms: NOW_MS });
    expect([ids(outbox), deadOf(outbox)]).toEqual([
      [],
      [
        ['a', 'disabled', undefined],
        ['b', 'disabled', undefined],
      ],
    ]);
    expect(enqueue(outbox, built('c'))).toEqual({ outbox, isHeld: false });
  });

  it('E41: a status of our choosing waits until its announcement was taken', () => {
    let outbox = setStatus(filled('a', 'notice', 'b'), 'disabled', { now_ms: NOW_MS, announcement: 'notice' });
    expect(outbox.status).toBe('enabled');
    outbox = afterPush(outbox, { tokenId: 'a', result: TAKEN }, moment());
    expect([outbox.status, nextPush(outbox, NOW_MS)!.tokenId]).toEqual(['enabled', 'notice']);
    outbox = afterPush(outbox, { tokenId: 'notice', result: TAKEN }, moment());
    expect([outbox.status, outbox.pending, deadOf(outbox)]).toEqual([
      'disabled',
      undefined,
      [['b', 'disabled', undefined]],
    ]);
    const polled = setStatus(filled('notice', 'b'), 'paused', { now_ms: NOW_MS, announcement: 'notice' });
    expect(afterPoll(polled, { acks: ['notice'], errors: NO_ERRORS }, NOW_MS).status).toBe('paused');
    // One that does not wait here is no reason to go on.
    expect(setStatus(filled('a'), 'paused', { now_ms: NOW_MS, announcement: 'gone' }).status).toBe('paused');
  });

  it('E41: it is bounded, and says so instead of dropping', async () => {
    const waiting = Array.from({ length: OUTBOX_ENTRIES_MAX }, (_, at) => ({ ...built(`id-${at}`), attempts: 0 }));
    const add = (outbox: Outbox, id: string) => codeOf(() => Promise.resolve(enqueue(outbox, built(id)).isHeld));
    expect(await add({ ...EMPTY_OUTBOX, waiting }, 'one more')).toBe('signals_outbox_full');
    const letter = { entry: waiting[0]!, reason: 'age', err: undefined, at_ms: NOW_MS } as const;
    const dead = Array.from({ length: DEAD_LETTERS_MAX }, () => letter);
    expect(await add({ ...EMPTY_OUTBOX, dead }, 'one more')).toBe('signals_outbox_full');
    expect(await add(filled('a'), 'a')).toBe('signals_set_invalid');
  });

  it('E39 E40 E41: whatever happens, each token waits, was taken, or is a dead letter, once, and order is kept', () => {
    const result = fc.constantFrom<PushResult>(TAKEN, RETRY, { kind: 'refused', err: 'invalid_request' });
    const step = fc.oneof(
      fc.record({ kind: fc.constant('add' as const) }),
      fc.record({ kind: fc.constant('push' as const), result }),
      fc.record({
        kind: fc.constant('poll' as const),
        acks: fc.array(fc.nat(20), { maxLength: 4 }),
        errs: fc.array(fc.nat(20), { maxLength: 2 }),
      }),
      fc.record({ kind: fc.constant('wait' as const), hours: fc.nat(30) }),
      fc.record({
        kind: fc.constant('status' as const),
        status: fc.constantFrom('enabled' as const, 'paused' as const, 'disabled' as const),
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let outbox = EMPTY_OUTBOX;
        let now_ms = NOW_MS;
        let count = 0;
        const taken: string[] = [];
        for (const one of steps) {
          const before = new Set(ids(outbox));
          if (one.kind === 'add') {
            const added = enqueue(outbox, built(`id-${count}`, now_ms));
            if (added.isHeld) count += 1;
            outbox = added.outbox;
          } else if (one.kind === 'push') {
            const next = nextPush(outbox, now_ms);
            if (next === undefined) continue;
            expect(next.tokenId).toBe(ids(outbox)[0]);
            outbox = afterPush(outbox, { tokenId: next.tokenId, result: one.result }, moment(now_ms));
            if (one.result.kind === 'taken') taken.push(next.tokenId);
          } else if (one.kind === 'poll') {
            const acks = one.acks.map((at) => `id-${at}`);
            const errors = new Map(one.errs.map((at) => [`id-${at}`, 'invalid_request']));
            outbox = afterPoll(outbox, { acks, errors }, now_ms);
            taken.push(...new Set(acks.filter((id) => before.has(id))));
          } else if (one.kind === 'wait') {
            now_ms += one.hours * 3_600_000;
            outbox = expire(outbox, now_ms);
          } else outbox = setStatus(outbox, one.status, { now_ms });
          const everywhere = [...ids(outbox), ...taken, ...outbox.dead.map(({ entry }) => entry.tokenId)];
          expect(everywhere.toSorted()).toEqual(Array.from({ length: count }, (_, at) => `id-${at}`).toSorted());
          const order = ids(outbox).map((id) => Number(id.slice(3)));
          expect(order).toEqual(order.toSorted((a, b) => a - b));
        }
      }),
      { numRuns: 200 },
    );
  });
});
