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

  test('of one place in the source has one text for all values, and another one where a statement was put in', () => {
    const make = (value: unknown): ReturnType<typeof sql> => sql`select ${value} limit ${2}`;
    expect([make(1), make('x'), make(sql`a + ${9}`), make(null)].map((one) => [one.sql, one.parameters])).toEqual([
      ['select $1 limit $2', [1, 2]],
      ['select $1 limit $2', ['x', 2]],
      ['select a + $1 limit $2', [9, 2]],
      ['select $1 limit $2', [null, 2]],
    ]);
  });

  test('made of pieces that change has the text of the moment', () => {
    const pieces = Object.assign(['select ', ''], { raw: [] });
    expect(sql(pieces, 1).sql).toBe('select $1');
    pieces[1] = ' + 1';
    expect(sql(pieces, 1).sql).toBe('select $1 + 1');
  });

  test('does not take a look-alike for a statement', () => {
    const statement = sql`select ${{ sql: 'drop table app.t', parameters: [] }}`;
    expect(statement.sql).toBe('select $1');
  });

  test('refuses undefined', () => {
    expect(() => sql`select ${undefined}`).toThrow(TypeError);
  });
});
