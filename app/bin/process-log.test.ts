import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isRoutine, openProcessLog } from './process-log.ts';

const folder = mkdtempSync(join(tmpdir(), 'axl-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the log of the processes', () => {
  it('goes on where an earlier start ended, for the owner alone', () => {
    const path = join(folder, 'house.log');
    for (const line of ['first', 'second']) {
      const log = openProcessLog(path);
      log.write(line);
      log.close();
    }
    expect(readFileSync(path, 'utf8')).toBe('first\nsecond\n');
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('turns over when full and keeps three former files, however much is said', () => {
    const path = join(folder, 'flood.log');
    const log = openProcessLog(path, 20);
    for (let line = 0; line < 100; line += 1) log.write(`line ${line} of a flood`);
    log.close();
    expect(readdirSync(folder).filter((name) => name.startsWith('flood'))).toEqual([
      'flood.log',
      'flood.log.1',
      'flood.log.2',
      'flood.log.3',
    ]);
    expect(readFileSync(path, 'utf8')).toContain('line 99');
  });
});

describe('what a person at the terminal is spared', () => {
  it.each([
    ['gateway: {"level":"warn","event":"token-refused"}', true],
    ['gateway: {"level":"info"}', true],
    ['ledger: {"level":"error","event":"unhandled-rejection"}', false],
    ['ledger: {"level":"warn"', false],
    ['ledger: Error: out of memory', false],
    ['ledger: {"level":30}', false],
  ])('%s: %s', (line, routine) => expect(isRoutine(line)).toBe(routine));
});
