import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAppError } from '@auditrax/base';
import { attachmentDisposition, downloadHeaders, plainMediaType, safeFileName } from './file-name.ts';

describe('a hostile file name is refused with the reason', () => {
  test.each([
    ['../../etc/passwd', /folder/],
    ['..\\windows\\win.ini', /folder/],
    ['C:secret.txt', /drive/],
    ['file.txt:stream', /colon/],
    ['a／b.pdf', /folder/],
    ['', /empty/],
    ['   ', /empty/],
    ['.', /empty/],
    ['...', /empty/],
    ['a\0b', /control/],
    ['a\r\nSet-Cookie: x', /colon/],
    ['a\nb', /control/],
    ['report\u202efdp.exe', /invisible/],
    ['zero\u200bwidth.pdf', /invisible/],
    ['line\u2028break', /invisible/],
    ['CON', /device/],
    ['nul.txt', /device/],
    ['COM1.log', /device/],
    ['\ud800.pdf', /Unicode/],
    ['x'.repeat(256), /255 bytes/],
    ['ü'.repeat(128), /255 bytes/],
  ])('%j', (name, reason) => {
    try {
      safeFileName(name);
      expect.unreachable();
    } catch (error) {
      expect(isAppError(error, 'file_name_refused')).toBe(true);
      expect(error).toMatchObject({ field: 'body.fileName', publicDetail: expect.stringMatching(reason) });
    }
  });
});

describe('an ordinary file name is kept', () => {
  test.each([
    ['Quartalsbericht Q3.pdf', 'Quartalsbericht Q3.pdf'],
    ['  padded.txt . ', 'padded.txt'],
    ['re\u0301sume\u0301.pdf', 'résumé.pdf'],
    ['a\u00a0b.txt', 'a b.txt'],
    ['what? *really*.txt', 'what_ _really_.txt'],
    ['.htaccess', '.htaccess'],
    ['控制措施.xlsx', '控制措施.xlsx'],
    ['family 👨‍👩‍👧.png', 'family 👨‍👩‍👧.png'],
    ['می‌خواهم.pdf', 'می‌خواهم.pdf'],
    ['console.log', 'console.log'],
  ])('%j becomes %j', (given, kept) => {
    expect(safeFileName(given)).toBe(kept);
  });

  test('keeping is idempotent, and what is kept is a plain file of every common system', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }), (given) => {
        let kept: string;
        try {
          kept = safeFileName(given);
        } catch {
          return;
        }
        expect(safeFileName(kept)).toBe(kept);
        expect(kept).not.toMatch(/[/\\:<>"|?*\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
        expect(kept).toBe(kept.trim());
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a download is an attachment and nothing else', () => {
  test('the header is one line of ASCII for any name, and gives the exact name back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), (name) => {
        const value = attachmentDisposition(name);
        expect(value).toMatch(
          /^attachment; filename="[\x20-\x21\x23-\x5b\x5d-\x7e]*"; filename\*=UTF-8''[\x21-\x7e]+$/,
        );
        expect(decodeURIComponent(value.split("UTF-8''")[1]!)).toBe(name);
      }),
    );
  });

  test('example of RFC 6266 section 5', () => {
    expect(attachmentDisposition('€ rates')).toBe(`attachment; filename="_ rates"; filename*=UTF-8''%E2%82%AC%20rates`);
  });

  test('no type, no sniffing, no script, no cache', () => {
    expect(downloadHeaders({ fileName: 'x.html', sizeBytes: 7 })).toEqual({
      'content-type': 'application/octet-stream',
      'content-length': '7',
      'content-disposition': `attachment; filename="x.html"; filename*=UTF-8''x.html`,
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-store',
    });
  });
});

describe('a media type is a plain word pair', () => {
  test.each([
    ['Text/HTML; charset=utf-8', 'text/html'],
    [
      'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
      'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    ],
  ])('%s', (given, kept) => expect(plainMediaType(given)).toBe(kept));
  test.each(['', 'text', 'text/', '/html', 'text/html\r\nx: y', 'a b/c', 'ä/b'])('%j is refused', (given) => {
    expect(() => plainMediaType(given)).toThrow(/media type/);
  });
});
