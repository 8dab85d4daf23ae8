import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { planMigrations, readMigrations, type Migration } from './migrate.ts';

const root = mkdtempSync(join(tmpdir(), 'ax-migrate-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function room(name: string, files: Record<string, string>): string {
  const directory = join(root, name, 'migrations');
  mkdirSync(directory, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text);
  return join(root, name);
}

const migration = (name: string, sha256 = name): Migration => ({ name, sha256, path: name, sql: '' });

describe('D5: migrations', () => {
  test('are found below every root and ordered by timestamp, not by room', () => {
    const roots = [
      room('b', { '20260101000000_first.sql': 'select 1', '20260301000000_third.sql': 'select 1' }),
      room('a', { '20260201000000_second.sql': 'select 1' }),
    ];
    expect(readMigrations(roots).map((one) => one.name)).toEqual([
      '20260101000000_first',
      '20260201000000_second',
      '20260301000000_third',
    ]);
  });

  test('with a wrong name or one timestamp twice are refused', () => {
    expect(() => readMigrations([room('c', { '2026_x.sql': '' })])).toThrow(
      expect.objectContaining({ code: 'migration_invalid' }),
    );
    expect(() => readMigrations([room('d', { '20260101000000_x.sql': '', '20260101000000_y.sql': '' })])).toThrow(
      expect.objectContaining({ code: 'migration_invalid' }),
    );
  });

  test('that are applied already are skipped', () => {
    expect(planMigrations([migration('1'), migration('2')], [migration('1')]).map((one) => one.name)).toEqual(['2']);
  });

  test('are refused when a file was changed, the database is newer, or a new file comes too early', () => {
    expect(() => planMigrations([migration('1', 'other')], [migration('1')])).toThrow(
      expect.objectContaining({ code: 'migration_changed' }),
    );
    expect(() => planMigrations([migration('1')], [migration('1'), migration('2')])).toThrow(
      expect.objectContaining({ code: 'migration_database_newer' }),
    );
    expect(() => planMigrations([migration('1'), migration('2')], [migration('2')])).toThrow(
      expect.objectContaining({ code: 'migration_out_of_order' }),
    );
  });
});
