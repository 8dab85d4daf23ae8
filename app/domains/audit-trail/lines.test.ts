import { describe, expect, it } from 'vitest';
import type { Uuid } from '@auditrax/base';
import { csvField, csvHead, csvLine, CSV_COLUMNS } from './lines.ts';

const id = '0190a0a0-0000-7000-8000-000000000001' as Uuid;
const leaf = {
  v: 1,
  id,
  time: Date.UTC(2026, 10, 22, 19, 31, 7),
  type: 'evidence.received',
  actor: ['person', id] as const,
  resource: ['evidence', id] as const,
  outcome: 'allowed' as const,
  request: 'r-1',
  grant: '0190c0c0-0000-7000-8000-000000000004',
  public: { name: '=cmd|"/c calc"!A1' },
  decision: { policies: ['evidence/upload'], revision: 'abc' },
};

describe('lines for a spreadsheet', () => {
  it('no text is run as a formula, and none can leave its field', () => {
    for (const evil of ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '=HYPERLINK("http://x","y")'])
      expect(csvField(evil).replace(/^"/, ''), JSON.stringify(evil)).toMatch(/^'/);
    expect(csvField('a"b')).toBe('"a""b"');
    expect(csvField('a,=1')).toBe('"a,=1"');
    expect(csvField('a;=1')).toBe('"a;=1"');
    expect(csvField('a\n=1')).toBe('"a\n=1"');
    expect(csvField('plain - text')).toBe('plain - text');
    expect(csvField('')).toBe('');
  });

  it('a line has the columns of the head, whatever stands in the entry', () => {
    expect(csvHead()).toBe(`${CSV_COLUMNS.join(',')}\r\n`);
    const line = csvLine({ index: 7, leaf, leafHash: new Uint8Array(32) });
    expect(line).toBe(
      `7,2026-11-22T19:31:07.000Z,evidence.received,allowed,person,${id},,evidence,${id},r-1,,evidence/upload,abc,` +
        `"{""name"":""=cmd|\\""/c calc\\""!A1""}",${id},${'A'.repeat(43)}=,,${leaf.grant}\r\n`,
    );
  });
});
