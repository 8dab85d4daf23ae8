import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readMigrations, type Migration } from './migrate.ts';

const APP = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
/** Before this one there were no copies that could be left behind. */
const FIRST = '20261123100100_placement_guards';

/**
 * What a migration must not do to the tables of `app` alone. Whatever adds something is copied to each tenant's schema by
 * comparison; what drops or renames rows' columns, or changes rows, is not, and needs `platform.each_app_schema`.
 */
const REFUSED: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['drops a table', /\bdrop\s+table\s+(if\s+exists\s+)?app\./i],
  [
    'drops a column',
    /\balter\s+table\s+(if\s+exists\s+)?(only\s+)?app\.[^;]*\bdrop\s+(column\s+(if\s+exists\s+)?)?(?!constraint|column|default|not|expression|identity)\w+/i,
  ],
  ['renames', /\balter\s+table\s+(if\s+exists\s+)?(only\s+)?app\.[^;]*\brename\b/i],
  ['changes rows', /(^|;)\s*(with\b[^;]*)?\b(update\s+app\.|delete\s+from\s+app\.|insert\s+into\s+app\.)/i],
];

function faults({ name, sql }: Pick<Migration, 'name' | 'sql'>): string[] {
  const text = sql
    .replace(/--[^\n]*/g, '')
    .replace(/\$(\w*)\$[\s\S]*?\$\1\$/g, "''")
    .replace(/'(?:[^']|'')*'/g, "''");
  return REFUSED.filter(([, pattern]) => pattern.test(text)).map(([what]) => `${name} ${what} in app alone`);
}

describe('D14: migrations since tenants have schemas of their own', () => {
  test('none changes app in a way that no copy would follow', () => {
    const later = readMigrations([APP]).filter(({ name }) => name > FIRST);
    expect(later.flatMap((migration) => faults(migration))).toEqual([]);
  });

  test.each([
    ['drop table app.memo', 1],
    ['alter table app.memo drop column body', 1],
    ['alter table app.memo drop body', 1],
    ['alter table app.memo rename column body to text', 1],
    ["update app.memo set body = ''", 1],
    ['select 1; delete from app.memo', 1],
    ['insert into app.memo select 1', 1],
    ['alter table app.memo drop constraint memo_body; create index on app.memo (tenant_id)', 0],
    ['alter table app.memo alter column body drop default', 0],
    ["select platform.each_app_schema('alter table @schema.memo drop column body')", 0],
    ['grant update (body) on app.memo to ax_workspace', 0],
    ['-- drop table app.memo\nalter table app.memo add column more text', 0],
  ])('the lint judges %s', (sql, count) => {
    expect(faults({ name: 'this', sql })).toHaveLength(count);
  });
});
