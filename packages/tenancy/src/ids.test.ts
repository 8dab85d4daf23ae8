import { createHmac } from 'node:crypto';
import { parseUuid, systemRandom, uuidV4, type Uuid } from '@auditrax/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatId, ID_PATTERN, idKeys, idPattern, parseId, type IdKeys } from './ids.ts';

const key = (version: number, fill: number) => ({ version, key: Buffer.alloc(32, fill) });
const keys: IdKeys = idKeys(key(2, 2), [key(1, 1)]);
const harbour = { tenantPart: 0xfeed_beef };
const lakeside = { tenantPart: 7 };
const uuid = '018f3a5b-0000-7000-8000-000000000001' as Uuid;

describe('T1: an id', () => {
  test('comes back as the UUID it was made of', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.nat({ max: 0xffff_ffff }), (text, tenantPart) => {
        const id = parseUuid(text)!;
        const formatted = formatId('eng', { tenantPart }, id, keys);
        expect(formatted).toMatch(ID_PATTERN);
        expect(formatted).toMatch(idPattern('eng'));
        expect(parseId('eng', formatted, { tenantPart }, keys)).toEqual({ ok: true, uuid: id, keyVersion: 2 });
      }),
    );
  });

  test('of another tenant is foreign, and says whose', () => {
    expect(parseId('eng', formatId('eng', lakeside, uuid, keys), harbour, keys)).toEqual({
      ok: false,
      reason: 'foreign',
      tenantPart: 7,
    });
  });

  test('with any one bit changed is forged or malformed, never foreign and never good', () => {
    const good = Buffer.from(formatId('eng', harbour, uuid, keys).slice(4), 'base64url');
    for (let bit = 0; bit < good.length * 8; bit += 1) {
      const bytes = Buffer.from(good);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(parseId('eng', `eng_${bytes.toString('base64url')}`, harbour, keys)).toEqual({
        ok: false,
        reason: 'forged',
      });
    }
  });

  test('of another kind is forged', () => {
    const body = formatId('eng', harbour, uuid, keys).slice(3);
    expect(parseId('res', `res${body}`, harbour, keys)).toEqual({ ok: false, reason: 'forged' });
    expect(parseId('res', `eng${body}`, harbour, keys)).toEqual({ ok: false, reason: 'malformed' });
  });

  test('has one spelling', () => {
    const good = formatId('eng', harbour, uuid, keys);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const tail = alphabet.indexOf(good.at(-1)!);
    // 28 bytes leave four bits over in the last character; all but zero in them is another spelling.
    for (let extra = 1; extra < 4; extra += 1) {
      expect(parseId('eng', good.slice(0, -1) + alphabet[tail + extra], harbour, keys)).toEqual({
        ok: false,
        reason: 'malformed',
      });
    }
    for (const text of [`${good}=`, ` ${good}`, `${good}\n`, good.toUpperCase(), good.slice(0, -1), '', 'eng_', uuid]) {
      expect(parseId('eng', text, harbour, keys)).toEqual({ ok: false, reason: 'malformed' });
    }
  });

  test('random text is never good', () => {
    for (let round = 0; round < 200; round += 1) {
      const text = `eng_${Buffer.from(systemRandom.bytes(28)).toString('base64url')}`;
      expect(parseId('eng', text, harbour, keys)).toEqual({ ok: false, reason: 'forged' });
    }
  });
});

describe('T1: the tag', () => {
  test('is the HMAC that everybody else computes, for keys shorter and longer than a block', () => {
    fc.assert(
      fc.property(
        fc.record({
          secret: fc.uint8Array({ minLength: 32, maxLength: 130 }),
          text: fc.uuid(),
          tenantPart: fc.nat({ max: 0xffff_ffff }),
          kind: fc.constantFrom('eng', 'ev', 'crit'),
        }),
        ({ secret, text, tenantPart, kind }) => {
          const bytes = formatId(kind, { tenantPart }, parseUuid(text)!, idKeys({ version: 1, key: secret }));
          const whole = Buffer.from(bytes.slice(kind.length + 1), 'base64url');
          const mac = createHmac('sha256', secret).update(`tenancy/id/1\0${kind}\0`).update(whole.subarray(0, 20));
          expect(whole.subarray(20)).toEqual(mac.digest().subarray(0, 8));
        },
      ),
    );
  });
});

describe('T2: keys', () => {
  test('an accepted key still reads, a removed one does not', () => {
    const old = formatId('eng', harbour, uuid, idKeys(key(1, 1)));
    expect(parseId('eng', old, harbour, keys)).toMatchObject({ ok: true, keyVersion: 1 });
    expect(parseId('eng', old, harbour, idKeys(key(2, 2)))).toEqual({ ok: false, reason: 'forged' });
    expect(formatId('eng', harbour, uuid, keys)).not.toBe(old);
  });

  test('a bad ring is refused where it is made', () => {
    expect(() => idKeys({ version: 1, key: Buffer.alloc(31) })).toThrow(RangeError);
    expect(() => idKeys(key(1, 1), [key(1, 2)])).toThrow(RangeError);
    expect(() =>
      idKeys(
        key(1, 1),
        [2, 3, 4, 5].map((n) => key(n, n)),
      ),
    ).toThrow(RangeError);
    expect(() => formatId('Eng_', harbour, uuidV4(systemRandom), keys)).toThrow(RangeError);
  });
});
