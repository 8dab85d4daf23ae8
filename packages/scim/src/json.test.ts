import { isAppError } from '@auditrax/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readMessage, type Raw } from './json.ts';
import { JSON_DEPTH_MAX, JSON_VALUES_MAX, MESSAGE_BYTES_MAX } from './limits.ts';
import { bytesOf } from './testing/world.ts';

function verdict(text: string | Uint8Array): string {
  try {
    readMessage(typeof text === 'string' ? bytesOf(text) : text);
    return 'accepted';
  } catch (error) {
    if (!isAppError(error)) throw error;
    return error.code;
  }
}

function plain(raw: Raw): unknown {
  if (raw instanceof Map) {
    const made = Object.create(null) as Record<string, unknown>;
    for (const [name, value] of raw) made[name] = plain(value as Raw);
    return made;
  }
  return Array.isArray(raw) ? raw.map(plain) : raw;
}

describe('P1: a message', () => {
  it('agrees with JSON.parse on whatever JSON.stringify makes', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })), fc.boolean(), (value, isSpaced) => {
        const text = JSON.stringify(value, undefined, isSpaced ? 2 : undefined);
        fc.pre(text.isWellFormed() && !/\\ud[89a-f]/i.test(text));
        expect(JSON.stringify(plain(readMessage(bytesOf(text))))).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
  });

  it('agrees with JSON.parse on what is no JSON', () => {
    const alphabet = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"a"',
      '"b"',
      ':',
      ',',
      '1',
      '-',
      '.5',
      'e3',
      'true',
      'nul',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(alphabet, { maxLength: 12 }), (parts) => {
        const text = `{"x":${parts.join('')}}`;
        let isJson = true;
        try {
          JSON.parse(text);
        } catch {
          isJson = false;
        }
        if (isJson) expect(['accepted', 'scim_name_repeated']).toContain(verdict(text));
        else expect(['scim_message_json', 'scim_name_repeated']).toContain(verdict(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('is an object, in strict UTF-8, without lone surrogates', () => {
    for (const text of [
      '',
      'null',
      '[]',
      '"a"',
      '1',
      '{"a":1}x',
      "{'a':1}",
      '{"a":1,}',
      '{"a":01}',
      '{"a":1e999}',
      '{"a":"\n"}',
    ])
      expect([text, verdict(text)]).toEqual([text, 'scim_message_json']);
    expect(verdict('{"a":"\\ud800"}')).toBe('scim_message_json');
    expect(verdict(new Uint8Array([...bytesOf('{"a":"'), 0xff, ...bytesOf('"}')]))).toBe('scim_message_json');
    expect(verdict('\ufeff{"a":1}')).toBe('accepted');
  });

  it('is bounded in bytes, depth, values and names', () => {
    const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
    expect(verdict(nested(JSON_DEPTH_MAX))).toBe('accepted');
    expect(verdict(nested(JSON_DEPTH_MAX + 1))).toBe('scim_message_depth');
    expect(verdict(`{"a":${'['.repeat(100_000)}`)).toBe('scim_message_depth');
    const list = (length: number) => JSON.stringify({ a: Array.from({ length }, () => 1) });
    expect(verdict(list(JSON_VALUES_MAX - 2))).toBe('accepted');
    expect(verdict(list(JSON_VALUES_MAX - 1))).toBe('scim_message_depth');
    expect(verdict(JSON.stringify({ ['n'.repeat(257)]: 1 }))).toBe('scim_message_depth');
    expect(verdict(`{"a":"${'x'.repeat(MESSAGE_BYTES_MAX - 8)}"}`)).toBe('accepted');
    expect(verdict(`{"a":"${'x'.repeat(MESSAGE_BYTES_MAX - 7)}"}`)).toBe('scim_message_too_large');
  });

  it('has each name once, however it is escaped', () => {
    expect(verdict('{"active":false,"active":true}')).toBe('scim_name_repeated');
    expect(verdict('{"active":false,"\\u0061ctive":true}')).toBe('scim_name_repeated');
    expect(verdict('{"a":[{"b":1,"b":2}]}')).toBe('scim_name_repeated');
  });
});

describe('P2: names that mean something to the runtime', () => {
  it('are keys of a Map', () => {
    const message = readMessage(bytesOf('{"__proto__":{"polluted":1},"constructor":2,"prototype":3}'));
    expect([...message.keys()]).toEqual(['__proto__', 'constructor', 'prototype']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});
