import fc from 'fast-check';
import { expect, it } from 'vitest';
import { plainJson, readStrictJson, type JsonBounds } from './strict-json.ts';

class Refused extends Error {}
const read = (text: string, bounds: JsonBounds = { depth_max: 8 }) =>
  plainJson(readStrictJson(text, bounds, (fault) => new Refused(fault)));
const fault = (text: string, bounds?: JsonBounds) => {
  try {
    return ['read', read(text, bounds)];
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return error.message;
  }
};

it('B9 reads what JSON.stringify makes as JSON.parse does', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), fc.boolean(), (value, isSpaced) => {
      const text = JSON.stringify(value, undefined, isSpaced ? 2 : undefined);
      fc.pre(!/\\ud[89a-f]/i.test(text) && text.isWellFormed());
      expect(read(text)).toEqual(JSON.parse(text));
    }),
  );
});

it('B9 a name that stands twice is refused, however it is written; the same name elsewhere is not', () => {
  for (const text of ['{"iss":1,"iss":2}', '{"iss":1,"\\u0069ss":2}', '{"a":[{"b":1,"b":1}]}', '{"":1,"":2}'])
    expect(fault(text)).toBe('name_repeated');
  expect(read('{"a":{"b":1},"b":[{"b":2},{"b":3}]}')).toEqual({ a: { b: 1 }, b: [{ b: 2 }, { b: 3 }] });
  const own = read('{"__proto__":{"isAdmin":true}}') as object;
  expect([Object.keys(own), (own as { isAdmin?: boolean }).isAdmin]).toEqual([['__proto__'], undefined]);
});

it('B9 what is no JSON, a lone surrogate, or beyond a bound is refused', () => {
  for (const text of ['', '{', '[1,]', '{"a":1}x', '01', '1e999', '"\\ud800"', "{'a':1}", 'undefined'])
    expect(fault(text), text).toBe('malformed');
  const nested = (depth: number) => `${'['.repeat(depth)}1${']'.repeat(depth)}`;
  expect(fault(nested(3), { depth_max: 3 })).toEqual(['read', [[[1]]]]);
  expect(fault(nested(4), { depth_max: 3 })).toBe('too_deep');
  expect(fault('['.repeat(1_000_000), { depth_max: 3 })).toBe('too_deep');
  expect(fault('[1,2,3]', { depth_max: 3, values_max: 3 })).toBe('too_many');
  expect(fault('{"abcd":1}', { depth_max: 3, name_characters_max: 3 })).toBe('name_too_long');
});
