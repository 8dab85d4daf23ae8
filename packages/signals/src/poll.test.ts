import { manualClock, systemRandom } from '@auditrax/base';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { backoffOf, retryAfterOf } from './backoff.ts';
import { FIRST_POLL, pollOnce, type PollState, type PollStep, type RefusedSet, type SignalsFetch } from './index.ts';
import {
  BACKOFF_MS_MAX,
  BACKOFF_MS_MIN,
  POLL_BYTES_MAX,
  POLL_INTERVAL_MS,
  POLL_SETS_MAX,
  RETRY_AFTER_MS_MAX,
} from './limits.ts';
import { jsonAnswer, makeRsaKey, NOW_MS, Receiver, signedSet, type SigningKey } from './testing/forger.ts';

let key: SigningKey;
beforeAll(() => {
  key = makeRsaKey('key-1');
});

const AUTHORIZATION = 'Bearer of-the-receiver';

interface Told {
  readonly ack: readonly string[];
  readonly setErrs?: Readonly<Record<string, { readonly err: string }>>;
  readonly maxEvents: number;
}

/** A receiver that polls a transmitter whose answers the test writes. */
class Poller {
  readonly receiver = new Receiver([key.jwk]);
  readonly told: Told[] = [];
  readonly noted: RefusedSet[] = [];
  state: PollState = FIRST_POLL;
  answer: (told: Told) => Response = () => jsonAnswer({ sets: {} });
  note: () => Promise<void> = () => Promise.resolve();

  async step(): Promise<PollStep> {
    const fetch: SignalsFetch = (_, init) => {
      expect(init.headers['authorization']).toBe(AUTHORIZATION);
      this.told.push(JSON.parse(init.body!) as Told);
      return Promise.resolve(this.answer(this.told.at(-1)!));
    };
    const { receiver } = this;
    const noteRefused = async (refused: RefusedSet) => {
      await this.note();
      this.noted.push(refused);
    };
    const ports = {
      fetch,
      clock: receiver.clock,
      random: systemRandom,
      noteRefused,
      expectsState: receiver.expectsState,
      store: { keep: (...given: Parameters<typeof receiver.store.keep>) => receiver.store.keep(...given) },
    };
    const url = 'https://signals.provider.test/poll';
    const input = {
      state: this.state,
      url,
      authorization: AUTHORIZATION,
      stream: receiver.stream,
      keys: receiver.keys,
    };
    const step = await pollOnce(input, ports);
    // As it would come back from a database.
    this.state = JSON.parse(JSON.stringify(step.state)) as PollState;
    return step;
  }
}

const event = (jti: string, claims: Readonly<Record<string, unknown>> = {}) => signedSet(key, { jti, ...claims });

describe('E31 to E34: polled events', () => {
  it('E31: what was kept is acknowledged with the next poll, and not before', async () => {
    const poller = new Poller();
    poller.answer = () => jsonAnswer({ sets: { a: event('a'), b: event('b') } });
    const step = await poller.step();
    expect(step.received.map(({ tokenId }) => tokenId)).toEqual(['a', 'b']);
    expect([...poller.receiver.kept.keys()]).toEqual(['a', 'b']);
    expect(poller.told[0]).toEqual({ maxEvents: POLL_SETS_MAX, returnImmediately: true, ack: [] });
    poller.answer = () => jsonAnswer({ sets: {} });
    await poller.step();
    expect(poller.told[1]!.ack).toEqual(['a', 'b']);
    await poller.step();
    expect(poller.told[2]!.ack).toEqual([]);
  });

  it('E31: what the store does not keep is not acknowledged, nor what stands behind it', async () => {
    const poller = new Poller();
    poller.answer = () => jsonAnswer({ sets: { a: event('a'), b: event('b'), c: event('c') } });
    const keep = poller.receiver.store.keep.bind(poller.receiver.store);
    Object.assign(poller.receiver.store, {
      keep: (...given: Parameters<typeof keep>) =>
        given[0].tokenId === 'b' ? Promise.reject(new Error('disk full')) : keep(...given),
    });
    const step = await poller.step();
    expect(step.state.acks).toEqual(['a']);
    expect(step.failure).toMatchObject({ code: undefined, cause: { message: 'disk full' } });
    expect(step.state.failures).toBe(1);
    Object.assign(poller.receiver.store, { keep });
    expect((await poller.step()).received.map(({ tokenId }) => tokenId)).toEqual(['b', 'c']);
    expect(poller.told[1]!.ack).toEqual(['a']);
  });

  it('E31 E34: any earlier state may be taken up again: events come again, are kept once, and nothing is lost', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ lost: fc.boolean(), broken: fc.boolean() }), { minLength: 1, maxLength: 6 }),
        async (rounds) => {
          const poller = new Poller();
          const waiting = new Map(['a', 'b', 'c', 'd'].map((id) => [id, event(id)]));
          const seen: string[] = [];
          const serve = (told: Told) => {
            for (const id of told.ack) waiting.delete(id);
            return jsonAnswer({ sets: Object.fromEntries([...waiting].slice(0, 2)), moreAvailable: waiting.size > 2 });
          };
          for (const { lost, broken } of [
            ...rounds,
            ...Array.from({ length: 4 }, () => ({ lost: false, broken: false })),
          ]) {
            const before = poller.state;
            poller.answer = broken ? () => new Response('', { status: 502 }) : serve;
            seen.push(...(await poller.step()).received.map(({ tokenId }) => tokenId));
            if (lost) poller.state = before;
          }
          expect(seen.toSorted()).toEqual(['a', 'b', 'c', 'd']);
          expect(waiting.size).toBe(0);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('E32: what is refused is noted first, and then told with a registered code', async () => {
    const poller = new Poller();
    const sets = { a: event('a', { aud: 'other' }), b: event('b'), c: 'no.token' };
    poller.answer = () => jsonAnswer({ sets });
    const step = await poller.step();
    expect(poller.noted.map(({ code, token }) => [code, token])).toEqual([
      ['signals_audience', sets.a],
      ['signals_token_form', 'no.token'],
    ]);
    expect(step.refused).toEqual(poller.noted);
    await poller.step();
    expect(poller.told[1]!.ack).toEqual(['b']);
    expect(Object.entries(poller.told[1]!.setErrs!).map(([id, { err }]) => [id, err])).toEqual([
      ['a', 'invalid_audience'],
      ['c', 'invalid_request'],
    ]);
  });

  it('E32: what could not be noted is not told', async () => {
    const poller = new Poller();
    poller.answer = () => jsonAnswer({ sets: { a: event('a', { aud: 'other' }) } });
    poller.note = () => Promise.reject(new Error('disk full'));
    const step = await poller.step();
    expect([step.state.errors, step.refused, step.state.failures]).toEqual([{}, [], 1]);
  });

  it('E32: what may be our own fault is neither told nor acknowledged', async () => {
    const poller = new Poller();
    poller.receiver.published = 'nonsense';
    poller.answer = () => jsonAnswer({ sets: { a: event('a') } });
    const step = await poller.step();
    expect([step.failure!.code, step.state.acks, step.state.errors]).toEqual(['signals_answer_form', [], {}]);
  });

  it('E33: an answer is bounded, and each token has the id that it is listed under', async () => {
    const poller = new Poller();
    poller.answer = () => jsonAnswer({ sets: { other: event('a') } });
    expect((await poller.step()).refused[0]!.code).toBe('signals_poll_id');
    expect(poller.receiver.kept.size).toBe(0);
    const forms = [
      {},
      { sets: [] },
      { sets: { a: 7 } },
      { sets: {}, moreAvailable: 1 },
      { sets: { '': 'x' } },
      { sets: { ['a'.repeat(257)]: 'x' } },
    ];
    for (const value of forms) {
      poller.answer = () => jsonAnswer(value);
      expect((await poller.step()).failure!.code).toBe('signals_poll_form');
    }
    poller.answer = () => jsonAnswer({ sets: { a: 'a'.repeat(POLL_BYTES_MAX) } });
    expect((await poller.step()).failure!.code).toBe('signals_answer_too_large');
    poller.state = FIRST_POLL;
    const many = Object.fromEntries(
      Array.from({ length: POLL_SETS_MAX + 5 }, (_, at) => [`id-${at}`, event(`id-${at}`)]),
    );
    poller.answer = () => jsonAnswer({ sets: many });
    const step = await poller.step();
    expect([step.received.length, step.state.next_ms]).toEqual([POLL_SETS_MAX, NOW_MS]);
  });

  it('E34: comes again at once while there is more and it is new, else after a while', async () => {
    const poller = new Poller();
    poller.answer = () => jsonAnswer({ sets: { a: event('a') }, moreAvailable: true });
    expect((await poller.step()).state.next_ms).toBe(NOW_MS);
    // The same again and again, and "there is more" for ever.
    expect((await poller.step()).state.next_ms).toBe(NOW_MS + POLL_INTERVAL_MS);
    poller.answer = () => jsonAnswer({ sets: {}, moreAvailable: true });
    expect((await poller.step()).state.next_ms).toBe(NOW_MS + POLL_INTERVAL_MS);
  });

  it('E34: backs off, keeps what it has to tell, and waits as long as it is asked to, within an hour', async () => {
    const poller = new Poller();
    poller.answer = () => jsonAnswer({ sets: { a: event('a') } });
    await poller.step();
    for (const [status, code] of [
      [500, 'signals_answer_form'],
      [401, 'signals_denied'],
      [403, 'signals_denied'],
      [302, 'signals_redirected'],
    ] as const) {
      poller.answer = () => new Response(null, { status });
      const step = await poller.step();
      expect([step.failure!.code, step.state.acks]).toEqual([code, ['a']]);
    }
    expect(poller.state.failures).toBe(4);
    expect(poller.state.next_ms).toBeGreaterThanOrEqual(NOW_MS + (BACKOFF_MS_MIN * 8) / 2);
    poller.answer = () => new Response(null, { status: 429, headers: { 'retry-after': '1200' } });
    expect((await poller.step()).state.next_ms).toBe(NOW_MS + 1_200_000);
    poller.answer = () => jsonAnswer({ sets: {} });
    expect((await poller.step()).state.failures).toBe(0);
    expect(poller.told.at(-1)!.ack).toEqual(['a']);
  });

  it('E34: the back-off grows, spreads and ends; what is asked of us is bounded', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5_000 }), (failures) => {
        const wait_ms = backoffOf(failures, systemRandom);
        expect(wait_ms).toBeGreaterThanOrEqual(BACKOFF_MS_MIN / 2);
        expect(wait_ms).toBeLessThanOrEqual(BACKOFF_MS_MAX);
        if (failures > 12) expect(wait_ms).toBeGreaterThanOrEqual(BACKOFF_MS_MAX / 2);
      }),
    );
    const { nowMs } = manualClock(NOW_MS);
    for (const [text, wait_ms] of [
      [undefined, 0],
      ['', 0],
      ['soon', 0],
      ['-5', 0],
      ['30', 30_000],
      ['999999999', RETRY_AFTER_MS_MAX],
      ['1e9', 0],
      [new Date(NOW_MS + 60_000).toUTCString(), 60_000],
      [new Date(NOW_MS - 60_000).toUTCString(), 0],
    ] as const)
      expect([text, retryAfterOf(text, nowMs())]).toEqual([text, wait_ms]);
  });
});
