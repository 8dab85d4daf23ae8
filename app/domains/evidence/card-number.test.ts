import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAppError } from '@auditrax/base';
import { cardNumberScanner, findCardNumber, passesLuhn, refuseCardNumber } from './card-number.ts';

/** Numbers that the networks and payment processors publish for testing. */
const PUBLISHED: readonly (readonly [string, string])[] = [
  ['4111111111111111', 'visa'],
  ['4242424242424242', 'visa'],
  ['4000056655665556', 'visa'],
  ['4222222222222', 'visa'],
  ['5555555555554444', 'mastercard'],
  ['5105105105105100', 'mastercard'],
  ['2223003122003222', 'mastercard'],
  ['378282246310005', 'amex'],
  ['371449635398431', 'amex'],
  ['6011111111111117', 'discover'],
  ['3056930009020004', 'diners'],
  ['36227206271667', 'diners'],
  ['30569309025904', 'diners'],
  ['3566002020360505', 'jcb'],
  ['6200000000000005', 'unionpay'],
  ['6759649826438453', 'maestro'],
];

/** A second reading of the Luhn rule, by table, so that the test does not repeat the code under test. */
function luhnByTable(digits: string): boolean {
  const doubled = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
  const sum = [...digits].reverse().reduce((total, d, i) => total + (i % 2 === 1 ? doubled[Number(d)]! : Number(d)), 0);
  return sum % 10 === 0;
}

function scan(pieces: readonly Uint8Array[]): ReturnType<ReturnType<typeof cardNumberScanner>['end']> {
  const scanner = cardNumberScanner();
  for (const piece of pieces) scanner.push(piece);
  return scanner.end();
}

const visa = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 14, maxLength: 14 }).map((middle) => {
  const body = `4${middle}`;
  return [...'0123456789'].map((check) => body + check).find(luhnByTable)!;
});

describe('a payment card number is found in text', () => {
  test.each(PUBLISHED)('%s is a %s number', (digits, network) => {
    expect(findCardNumber(`paid with ${digits} on site`)).toMatchObject({ network, at: 10, digits: digits.length });
  });

  test.each([
    '4111 1111 1111 1111',
    '4111-1111-1111-1111',
    '4111.1111.1111.1111',
    '4111/1111/1111/1111',
    '4111 - 1111 - 1111 - 1111',
    '4111\u00a01111\u20071111\u202f1111',
    '4111\u20101111\u20111111\u20131111',
    '41\u200b11\u00ad1111\u20601111\ufeff1111',
    '4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1',
    '４１１１１１１１１１１１１１１１',
    '٤١١١١١١١١١١١١١١١',
    '४१११११११११११११११',
    '2026-11-22 4111 1111 1111 1111 12/28',
    'ref 00 4111111111111111',
    'card:4111111111111111,cvv',
  ])('however it is written: %s', (text) => {
    expect(findCardNumber(text)).toMatchObject({ network: 'visa', digits: 16 });
  });

  test.each([
    ['wrong check digit', '4111111111111112'],
    ['unknown issuer', '9999999999999995'],
    ['wrong length for the issuer', '37828224631000'],
    ['inside a longer number', '11411111111111111122'],
    ['over two lines', '4111 1111\n1111 1111'],
    ['a hash in hexadecimal', '5f41b1e4a7c24111d11111b1f1c9e0'],
    ['an ISO date and time', '2026-11-22T20:45:35.123456Z'],
    ['an empty text', ''],
    ['a telephone number', '+254 20 555 0100'],
  ])('%s is no card', (_name, text) => {
    expect(findCardNumber(text)).toBeUndefined();
  });

  test('the check digit rule agrees with a second reading of it', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 19 }), (digits) => {
        expect(passesLuhn(digits)).toBe(luhnByTable(digits));
      }),
    );
  });

  test('any Visa number is found between any words', () => {
    const word = fc.string({ unit: fc.constantFrom(...'abcXYZ ,;\n"'), maxLength: 40 });
    fc.assert(
      fc.property(word, visa, word, (before, digits, after) => {
        expect(findCardNumber(`${before}${digits}${after}`)).toBeDefined();
      }),
    );
  });

  test('a hostile text of digits takes time in proportion to its length', () => {
    // The longest note, every digit of it a group of its own that begins like a card.
    // Of this thread's processor alone: what else the machine does is not the finder's time.
    const time_us = (groups: number): number => {
      const before = process.threadCpuUsage();
      expect(findCardNumber('6 '.repeat(groups))).toBeUndefined();
      const { user, system } = process.threadCpuUsage(before);
      return user + system;
    };
    time_us(5_000);
    const [short, long] = [time_us(5_000), time_us(50_000)];
    expect(long / short).toBeLessThan(60); // ten times is linear; a hundred would be quadratic
    expect(findCardNumber('1'.repeat(500_000))).toBeUndefined();
  });
});

describe('a form field refuses a card number', () => {
  test('and the error names the field, never the number', () => {
    const refuse = (): unknown => refuseCardNumber({ title: 'fine', note: 'no 4111 1111 1111 1111' }, undefined);
    expect(refuse).toThrow();
    try {
      refuse();
    } catch (error) {
      expect(isAppError(error, 'card_number_refused')).toBe(true);
      expect(error).toMatchObject({ field: 'note' });
      expect(JSON.stringify(error) + String(error)).not.toMatch(/4111/);
    }
  });

  test('a declared exception passes and is handed back for the log', () => {
    expect(refuseCardNumber({ note: '4111111111111111' }, ['note'])).toEqual([{ field: 'note', network: 'visa' }]);
  });

  test('a declaration that was not needed is not recorded, and one for another field does not help', () => {
    expect(refuseCardNumber({ note: 'nothing here' }, ['note'])).toEqual([]);
    expect(() => refuseCardNumber({ note: '4111111111111111' }, ['title'])).toThrow();
  });
});

describe('a file is flagged, however it arrives in pieces', () => {
  test('any number is found at any cut', () => {
    const file = fc.record({
      noise: fc.uint8Array({ maxLength: 200 }),
      cut: fc.nat(220),
      mark: fc.constantFrom('', ' ', '-'),
    });
    fc.assert(
      fc.property(visa, file, (digits, { noise, cut, mark }) => {
        const grouped = digits.replace(/(\d{4})(?=\d)/g, `$1${mark}`);
        const bytes = Buffer.concat([Buffer.from(noise), Buffer.from(`\n${grouped}\n`)]);
        expect(scan([bytes.subarray(0, cut), bytes.subarray(cut)])).toBeDefined();
        expect(scan([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(scan([bytes]));
      }),
    );
  });

  test('UTF-16 text is read too', () => {
    expect(scan([Buffer.from('card 4242 4242 4242 4242.', 'utf16le')])).toMatchObject({ network: 'visa' });
  });

  test('a table of small numbers, a long serial and random digits raise no flag', () => {
    expect(scan([Buffer.from('4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n4,1,1,1,1,1\n')])).toBeUndefined();
    expect(scan([Buffer.from('11411111111111111122\n')])).toBeUndefined();
    expect(scan([Buffer.from('4111\n1111\n1111\n1111\n')])).toBeUndefined();
  });

  test('memory stays constant over a long row', () => {
    const scanner = cardNumberScanner();
    for (let i = 0; i < 20_000; i += 1) scanner.push(Buffer.from('7777 '));
    scanner.push(Buffer.from('4111 1111 1111 1111\n'));
    expect(scanner.end()).toMatchObject({ network: 'visa' });
  });
});
