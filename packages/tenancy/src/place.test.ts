import { manualClock, type Uuid } from '@auditrax/base';
import { describe, expect, test } from 'vitest';
import { openPlaceBook, PLACE_AGE_MS_MAX, type Place } from './place.ts';

const ONE = '00000000-0000-7000-8000-000000000001' as Uuid;
const placeAt = (version: number): Place => ({
  cell: version === 0 ? 'home' : `south/ax_${version}`,
  region: 'north',
  schema: 'app',
  role: 'ax_workspace',
  version,
});

function bookOf() {
  const clock = manualClock(0);
  const asked: PromiseWithResolvers<Place>[] = [];
  const book = openPlaceBook(() => {
    const answer = Promise.withResolvers<Place>();
    asked.push(answer);
    return answer.promise;
  }, clock);
  return { book, clock, asked };
}

describe('T32: where a tenant lives', () => {
  test('is asked once for all who want to know, then known at once', async () => {
    const { book, asked } = bookOf();
    const both = Promise.all([book.of(ONE), book.of(ONE)]);
    asked[0]!.resolve(placeAt(0));
    await both;
    expect(book.of(ONE)).toEqual(placeAt(0));
    expect(asked).toHaveLength(1);
  });

  test('is asked again when it is old, without holding anybody up, and an unanswered question changes nothing', async () => {
    const { book, asked, clock } = bookOf();
    const first = book.of(ONE);
    asked[0]!.resolve(placeAt(0));
    const known = await first;
    clock.advance(PLACE_AGE_MS_MAX);
    expect(book.of(ONE)).toBe(known);
    expect(book.of(ONE)).toBe(known);
    expect(asked).toHaveLength(2);
    asked[1]!.reject(new Error('home is down'));
    await new Promise(setImmediate);
    expect(book.of(ONE)).toBe(known);
    clock.advance(PLACE_AGE_MS_MAX);
    expect(book.of(ONE)).toBe(known);
    asked[2]!.resolve(placeAt(0));
    await new Promise(setImmediate);
    expect(book.of(ONE)).toBe(known);
  });

  test('an answer that is older than what is known does not replace it', async () => {
    const { book, asked } = bookOf();
    const slow = book.of(ONE);
    const ask = book.ask(ONE, placeAt(1));
    asked[0]!.resolve(placeAt(1));
    await slow;
    await new Promise(setImmediate);
    // The question under way knew nothing newer, so it was asked anew.
    asked[1]!.resolve(placeAt(2));
    expect(await ask).toEqual(placeAt(2));
    const late = book.ask(ONE, placeAt(2));
    await new Promise(setImmediate);
    asked[2]!.resolve(placeAt(1));
    expect(await late).toEqual(placeAt(2));
    expect(book.of(ONE)).toEqual(placeAt(2));
  });

  test('a question that nobody answered is asked anew by the next', async () => {
    const { book, asked } = bookOf();
    const first = book.of(ONE);
    asked[0]!.reject(new Error('home is down'));
    await expect(first).rejects.toThrow('home is down');
    const second = book.of(ONE);
    asked[1]!.resolve(placeAt(0));
    expect(await second).toEqual(placeAt(0));
  });

  test('a schema that could not be written into a statement is refused', async () => {
    const { book, asked } = bookOf();
    const first = book.of(ONE);
    asked[0]!.resolve({ ...placeAt(1), schema: 't_1; drop schema app' });
    await expect(first).rejects.toMatchObject({ code: 'database_failed' });
  });
});
