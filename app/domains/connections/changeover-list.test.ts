import { describe, expect, it } from 'vitest';
import { LINES_MAX, readList, suggest } from './changeover-list.ts';

const people = [
  { name: 'anna', isMoved: false },
  { name: 'berta', isMoved: false },
  { name: 'berta', isMoved: false },
  { name: 'carl', isMoved: true },
];
const suggested = (text: string) => suggest(readList(text), (key) => people.filter(({ name }) => name === key));

describe('a list of people', () => {
  it('is two columns, as spreadsheets write them', () => {
    expect(readList('a,1\r\n\n b ; 2\n"c, d"\t"3 ""x"""\n')).toEqual([
      { line: 1, key: 'a', subject: '1' },
      { line: 3, key: 'b', subject: '2' },
      { line: 4, key: 'c, d', subject: '3 "x"' },
    ]);
  });

  it('names the line that is wrong', () => {
    for (const [text, line] of [
      ['a,1\nb', 2],
      [',1', 1],
      ['a,', 1],
      ['a,1\u0000', 1],
      [`a,${'x'.repeat(1025)}`, 1],
    ] as const)
      expect(() => readList(text), text.slice(0, 20)).toThrow(
        expect.objectContaining({
          code: 'connection_setting_invalid',
          publicDetail: expect.stringContaining(`${line}:`),
        }),
      );
    const many = Array.from({ length: LINES_MAX + 1 }, (_, index) => `a${index},b${index}`).join('\n');
    expect(() => readList(many)).toThrow(expect.objectContaining({ code: 'connections_full' }));
  });

  it('suggests whom a line names alone, and nobody who is named twice or moved already', () => {
    expect(suggested('anna,1\nberta,2\ncarl,3\ndora,4')).toEqual({
      suggestions: [{ person: people[0], subject: '1' }],
      unmatched: [
        { line: 2, why: 'several' },
        { line: 3, why: 'moved' },
        { line: 4, why: 'nobody' },
      ],
    });
    expect(suggested('anna,1\nanna,2').suggestions).toEqual([]);
    expect(suggested('anna,1\ndora,1').suggestions).toEqual([]);
  });
});
