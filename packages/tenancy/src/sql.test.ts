import { describe, expect, test } from 'vitest';
import { sql } from './sql.ts';

describe('T5: a statement', () => {
  test('takes values as parameters only', () => {
    const statement = sql`select ${"x'; drop table app.t; --"} where a = ${2}`;
    expect(statement.sql).toBe('select $1 where a = $2');
    expect(statement.parameters).toEqual(["x'; drop table app.t; --", 2]);
  });

  test('takes another statement with its parameters renumbered', () => {
    const filter = sql`and a = ${'f'} and b = ${'g'}`;
    const statement = sql`select ${1} ${filter} limit ${3} ${sql``}`;
    expect(statement.sql).toBe('select $1 and a = $2 and b = $3 limit $4 ');
    expect(statement.parameters).toEqual([1, 'f', 'g', 3]);
  });

  test('does not take a look-alike for a statement', () => {
    const statement = sql`select ${{ sql: 'drop table app.t', parameters: [] }}`;
    expect(statement.sql).toBe('select $1');
  });

  test('refuses undefined', () => {
    expect(() => sql`select ${undefined}`).toThrow(TypeError);
  });
});
