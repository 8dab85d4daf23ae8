import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstJsonFault } from './json-fault.ts';

describe('the first fault of a dropped JSON file', () => {
  it('agrees with JSON.parse on what is JSON, for any text made of JSON pieces', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b\\u00e4"',
      '"',
      '\\',
      '1',
      '-',
      '0',
      '.5',
      'e3',
      'true',
      'null',
      'nul',
      ' ',
      '\n',
      '\t',
      '\u0000',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const text = pieces.join('');
        const parses = (() => {
          try {
            JSON.parse(text);
            return true;
          } catch {
            return false;
          }
        })();
        expect(firstJsonFault(text) === null).toBe(parses);
      }),
      { numRuns: 5_000 },
    );
  });

  it('accepts whatever JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(firstJsonFault(JSON.stringify(value, null, 2))).toBeNull();
      }),
    );
  });

  it('names the path, line and column', () => {
    expect(firstJsonFault('{"catalog": {"uuid": "x",\n "metadata": }')).toEqual({
      path: '$.catalog.metadata',
      line: 2,
      column: 14,
      message: 'a value is missing, found "}"',
    });
    expect(firstJsonFault('{"a":[1,2')).toMatchObject({
      path: '$.a[1]',
      message: 'a comma or ] is missing after it, the file ends here',
    });
    expect(firstJsonFault('{"odd key": {1}}')).toMatchObject({ path: '$["odd key"]' });
    expect(firstJsonFault('{} {}')).toMatchObject({ path: '$', column: 4 });
  });

  it('does not exhaust the stack on a hostile depth', () => {
    expect(firstJsonFault('['.repeat(1_000_000))?.message).toContain('nested deeper');
  });
});
