import { describe, expect, it } from 'vitest';
import type { Attempt } from './attempts-contract.ts';
import { attemptsCsv, attemptsJson } from './attempts-file.ts';

const attempt: Attempt = {
  entryId: '0190a0a0-0000-7000-8000-000000000001',
  logIndex: 7,
  ownEntry: null,
  code: 'gateway.id-foreign',
  says: 'A genuine id of another tenant was presented.',
  layer: 'gateway',
  severity: 'high',
  operation: '=cmd|"x",y',
  who: { kind: 'person', label: 'p1' },
  sessionId: null,
  source: null,
  tenant: 'harbour',
  target: 'lakeside',
  times: 3,
  canary: false,
  at: '2026-01-02T03:04:05.000Z',
  requestId: 'r1',
  page: null,
};

describe('an export of denied attempts', () => {
  it('has one line each, and no cell that a spreadsheet runs or that breaks out of its place', () => {
    const lines = attemptsCsv([attempt, { ...attempt, operation: null }]).split('\r\n');
    expect(lines).toHaveLength(4);
    expect(lines[0]!.split(',')).toHaveLength(18);
    expect(lines[1]).toContain(`,"'=cmd|""x"",y",person,p1,`);
    expect(lines[2]!.split(',')).toHaveLength(18);
    expect(attemptsCsv([])).toBe(`${lines[0]}\r\n`);
  });

  it('is in JSON what the API said', () => {
    expect(JSON.parse(attemptsJson([attempt]))).toEqual([attempt]);
  });
});
