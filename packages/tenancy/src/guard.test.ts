import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkParameters, checkStatement, STATEMENT_CHARACTERS_MAX } from './guard.ts';
import { checkSystemStatement } from './system.ts';

const vectors = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8')) as T;
const good = vectors<{ name: string; sql: string; tenantParameters: number[] }[]>('good');
const bad = vectors<{ name: string; sql: string; reason: string }[]>('bad');

describe('T3: the guard lets through what holds every relation to the tenant', () => {
  test.each(good)('$name', ({ sql, tenantParameters }) => {
    const decision = checkStatement(sql);
    expect(decision).toMatchObject({ allowed: true });
    expect(decision.allowed && [...decision.tenantParameters].sort()).toEqual(tenantParameters);
  });
});

describe('T3: the guard refuses', () => {
  test.each(bad)('$name', ({ sql, reason }) => {
    expect(checkStatement(sql)).toMatchObject({ allowed: false, reason });
  });

  test('the corpus only grows', () => {
    expect(good.length).toBeGreaterThanOrEqual(102);
    expect(bad.length).toBeGreaterThanOrEqual(609);
    expect(new Set([...good, ...bad].map((vector) => vector.sql)).size).toBe(good.length + bad.length);
  });

  test('T3: a good statement whose tenant predicate is weakened', () => {
    for (const { name, sql, tenantParameters } of good) {
      if (tenantParameters.length === 0 || name.startsWith('a second') || !/tenant_id = \$1/.test(sql)) continue;
      for (const weaker of [
        'tenant_id = tenant_id',
        '(tenant_id = $1 or true)',
        'true',
        'tenant_id <> $1',
        'not tenant_id = $1',
      ]) {
        const index = sql.lastIndexOf('tenant_id = $1');
        const start = /[a-z]\.$/.test(sql.slice(0, index)) ? index - 2 : index;
        const qualifier = start === index ? '' : sql.slice(start, index);
        const changed =
          sql.slice(0, start) +
          weaker.replaceAll('tenant_id', `${qualifier}tenant_id`) +
          sql.slice(index + 'tenant_id = $1'.length);
        expect(checkStatement(changed).allowed, changed).toBe(false);
      }
    }
  });

  test('text that is too long, too deep or random, without harm to the next statement', () => {
    expect(checkStatement(`select ${'1 + '.repeat(STATEMENT_CHARACTERS_MAX)}1`)).toMatchObject({ reason: 'too_long' });
    checkStatement(`select ${'('.repeat(30_000)}1${')'.repeat(30_000)}`);
    checkStatement(`select ${'not '.repeat(15_000)}true`);
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 200 }),
        (text) => !checkStatement(`select * from app.t where ${text}`).allowed || /tenant_id/.test(text),
      ),
      { numRuns: 300 },
    );
    expect(checkStatement(good[0]!.sql)).toMatchObject({ allowed: true });
  });
});

describe('T4: a tenant parameter', () => {
  const decision = checkStatement('select id from app.t where tenant_id = $2 and id = $1');
  const own = '018f0000-0000-7000-8000-000000000001';

  test('must be the very tenant of the context', () => {
    expect(checkParameters(decision, ['x', own], own)).toBe(true);
    for (const other of [
      '018f0000-0000-7000-8000-000000000002',
      own.toUpperCase(),
      `{${own}}`,
      ` ${own}`,
      null,
      undefined,
      [own],
      { toString: () => own },
    ]) {
      expect(checkParameters(decision, ['x', other], own)).toBe(false);
    }
    expect(checkParameters(decision, ['x'], own)).toBe(false);
  });
});

describe('T6: the system door', () => {
  const demands = { tables: new Set(['platform.tenant']), functions: new Set<string>() };

  test('takes listed tables only, wherever they stand', () => {
    expect(checkSystemStatement('select id from platform.tenant where slug = $1', demands).allowed).toBe(true);
    expect(
      checkSystemStatement(
        'insert into platform.tenant (id) values ($1) on conflict (id) do update set part = $2',
        demands,
      ).allowed,
    ).toBe(true);
    for (const sql of [
      'select * from app.engagement',
      'select * from platform.tenant t, app.engagement e',
      'select (select count(*) from app.engagement) from platform.tenant',
      'with x as (delete from app.engagement returning 1) select * from platform.tenant',
      'insert into app.engagement (id) select id from platform.tenant',
      'select * from tenant',
      'select * from pg_catalog.pg_authid',
    ]) {
      expect(checkSystemStatement(sql, demands).allowed, sql).toBe(false);
    }
  });

  test('has the same grammar', () => {
    expect(checkSystemStatement('set role ax_owner', demands)).toMatchObject({ reason: 'statement_kind' });
    expect(checkSystemStatement("select set_config('a', 'b', true)", demands)).toMatchObject({ reason: 'function' });
  });
});
