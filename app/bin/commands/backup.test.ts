import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { retentionLines } from './backup.ts';

const folder = mkdtempSync(join(tmpdir(), 'ax-retention-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const NOW = Date.UTC(2026, 10, 23);

it('a backup says by when it goes, that its time is longer than the law gives, and which others should be gone', () => {
  const put = (name: string, magic: string, ageDays: number) => {
    const path = join(folder, name);
    writeFileSync(path, `${magic}...`);
    utimesSync(path, (NOW - ageDays * 86_400_000) / 1000, (NOW - ageDays * 86_400_000) / 1000);
    return path;
  };
  const [old, part] = [put('old.axb', 'AXB1', 31), put('old.axb.south', 'AXR1', 31)];
  put('young.axb', 'AXB1', 29);
  put('letter.txt', 'Dear', 400);
  const file = put('new.axb', 'AXB1', 0);
  const [until, ...warnings] = retentionLines(file, 30, NOW);
  expect(until).toContain('2026-12-23');
  expect(
    warnings.map((line) => [old, part].filter((path) => line.startsWith(`WARNING: ${path} is of`))).flat(),
  ).toEqual([old, part]);
  expect(warnings).toHaveLength(2);
  expect(retentionLines(file, 31, NOW).filter((line) => line.includes('longer than the 30 days'))).toHaveLength(1);
});
