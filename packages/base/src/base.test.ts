import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AppError,
  canonicalJson,
  fromBase64Url,
  isAppError,
  manualClock,
  parseUuid,
  systemRandom,
  toBase64Url,
  uuidFromBytes,
  uuidToBytes,
  uuidV4,
  uuidV7,
  type Json,
} from './index.ts';

const bytes = fc.uint8Array({ maxLength: 64 });

describe('B1: base64url has one spelling', () => {
  it('reads back what it wrote', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        expect(fromBase64Url(toBase64Url(value))).toEqual(Buffer.from(value));
      }),
    );
  });

  it('accepts no text that it would not write', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...'ABCDwxyz019-_=+/ \n') });
    fc.assert(
      fc.property(nearly, (text) => {
        const read = fromBase64Url(text);
        if (read !== undefined) expect(toBase64Url(read)).toBe(text);
      }),
    );
  });

  it.each(['AA==', 'A', 'AB', 'AA\n', 'A+', 'A/', 'Ä'])('refuses %j', (text) => {
    expect(fromBase64Url(text)).toBeUndefined();
  });
});

describe('B2: canonical JSON', () => {
  it('agrees with an implementation written elsewhere', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const isWellFormed = JSON.stringify(value) === JSON.stringify(value).toWellFormed();
        if (isWellFormed && !/\\ud[89a-f]/i.test(JSON.stringify(value)))
          expect(canonicalJson(value as Json)).toBe(canonicalize(value));
      }),
    );
  });

  it('orders keys by UTF-16 code units and leaves out what is undefined', () => {
    expect(canonicalJson({ '\u{1f600}': 1, '\ufb33': 2, b: undefined, a: [1e21, -0, 'é\u0007'] })).toBe(
      '{"a":[1e+21,0,"é\\u0007"],"\u{1f600}":1,"\ufb33":2}',
    );
  });

  it.each([[Number.NaN], [Number.POSITIVE_INFINITY], ['\ud800'], [{ a: ['\udc00'] }]])('refuses %j', (value) => {
    expect(() => canonicalJson(value as Json)).toThrow(expect.objectContaining({ code: 'json_not_canonical' }));
  });
});

describe('B3: a UUID has one spelling', () => {
  it('leads from bytes to text and back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (value) => {
        const id = uuidFromBytes(value);
        expect(parseUuid(id)).toBe(id);
        expect(uuidToBytes(id)).toEqual(Buffer.from(value));
      }),
    );
  });

  it('refuses other spellings and other lengths', () => {
    const id = uuidV4(systemRandom);
    for (const text of [id.toUpperCase(), `{${id}}`, id.replaceAll('-', ''), `${id} `, `${id}\n`, ''])
      if (text !== id) expect(parseUuid(text), text).toBeUndefined();
    expect(() => uuidFromBytes(new Uint8Array(15))).toThrow(RangeError);
  });
});

describe('B4: versions', () => {
  it('carries version and variant', () => {
    for (let count = 0; count < 50; count += 1) {
      expect(uuidV4(systemRandom)).toMatch(/^.{14}4.{4}[89ab]/);
      expect(uuidV7(manualClock(1_700_000_000_000 + count), systemRandom)).toMatch(/^.{14}7.{4}[89ab]/);
    }
  });

  it('sorts later ids after earlier ones', () => {
    const clock = manualClock(0xff_ffff);
    const made = Array.from({ length: 50 }, () => {
      clock.advance(1);
      return uuidV7(clock, systemRandom);
    });
    expect(made.toSorted()).toEqual(made);
    expect(uuidToBytes(made[0]!).readUIntBE(0, 6)).toBe(0x100_0000);
  });
});

describe('B5: errors', () => {
  const error = new AppError('database_full', 'no room on /secret/disk', { field: 'body.title' });

  it('are recognised by their code', () => {
    expect(isAppError(error)).toBe(true);
    expect(isAppError(error, 'other', 'database_full')).toBe(true);
    expect(isAppError(error, 'other')).toBe(false);
    expect(isAppError(new Error('database_full'), 'database_full')).toBe(false);
  });

  it('tell a caller nothing unless told to', () => {
    expect(error.publicDetail).toBeUndefined();
    expect(new AppError('x', 'inside', { publicDetail: 'outside' }).publicDetail).toBe('outside');
  });
});
