import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkStatement } from './guard.ts';
import { isPlaceSchema, placeText } from './placing.ts';

const SCHEMA = 't_0123456789abcdef';
const good = JSON.parse(readFileSync(new URL('../vectors/good.json', import.meta.url), 'utf8')) as {
  name: string;
  sql: string;
}[];
const place = (text: string): string => placeText(text, checkStatement(text), SCHEMA);

describe('T30: a statement is placed by the grammar', () => {
  test('every good statement of the corpus names the other schema only, and the guard finds the same in it', () => {
    let mentions = 0;
    for (const { name, sql } of good) {
      const [before, after] = [checkStatement(sql), checkStatement(place(sql))];
      if (!before.allowed || !after.allowed) throw new Error(`${name} is not allowed`);
      expect(after.relations, name).toEqual(
        before.relations.map((relation) => relation.replace(/^app\./, `${SCHEMA}.`)),
      );
      expect(after.tenantParameters, name).toEqual(before.tenantParameters);
      mentions += before.relations.filter((relation) => relation.startsWith('app.')).length;
    }
    expect(mentions).toBeGreaterThan(30);
  });

  test.each([
    [
      `/* app.t */ insert into app.t (tenant_id, a) values ($1, 'app.t é') on conflict (tenant_id) do update set a = app.t.a`,
      `/* app.t */ insert into ${SCHEMA}.t (tenant_id, a) values ($1, 'app.t é') on conflict (tenant_id) do update set a = ${SCHEMA}.t.a`,
    ],
    [
      `select 'é€😀', "app"."t"."a", app.t.*, app.a from "app"."t", app.u as app where t.tenant_id = $1 and app.tenant_id = $1`,
      `select 'é€😀', ${SCHEMA}."t"."a", ${SCHEMA}.t.*, app.a from ${SCHEMA}."t", ${SCHEMA}.u as app where t.tenant_id = $1 and app.tenant_id = $1`,
    ],
    [
      `with app as (select 1 as x from app.t where tenant_id = $1) update app.u set a = x from app where u.tenant_id = $1 returning app.u.a`,
      `with app as (select 1 as x from ${SCHEMA}.t where tenant_id = $1) update ${SCHEMA}.u set a = x from app where u.tenant_id = $1 returning ${SCHEMA}.u.a`,
    ],
    [
      `select app.f((select a from app.t where tenant_id = $1)), audit.x.a from audit.x where tenant_id = $1`,
      `select app.f((select a from ${SCHEMA}.t where tenant_id = $1)), audit.x.a from audit.x where tenant_id = $1`,
    ],
  ])('functions, strings, comments and aliases stay: %s', (text, placed) => {
    expect(place(text)).toBe(placed);
    expect(placeText(text, checkStatement(text), 'app')).toBe(text);
  });

  test.each([
    'select a from APP.t where tenant_id = $1',
    'select a from app . t where tenant_id = $1',
    'select a from app/* . */.t where tenant_id = $1',
    String.raw`select a from U&"\0061pp".t where tenant_id = $1`,
    'select auditrax.app.t.a from app.t where tenant_id = $1',
    'delete from auditrax.app.t where tenant_id = $1',
    'select a from app.t where',
  ])('what cannot be located is refused, never sent as it is: %s', (text) => {
    expect(() => place(text)).toThrow(expect.objectContaining({ reason: 'relation_not_located' }));
    // Asked again, the answer is the same.
    expect(() => place(text)).toThrow(expect.objectContaining({ code: 'tenant_statement_refused' }));
  });

  test('a schema whose name needs quotes, or is a word of the grammar, is no place', () => {
    for (const name of ['t_0123; drop', 'T_0123', 'select', '"t_0123"', 't_', '', 'public', 'pg_catalog']) {
      expect(isPlaceSchema(name)).toBe(false);
      expect(() => placeText('select a from app.t where tenant_id = $1', checkStatement(''), name)).toThrow();
    }
    expect(isPlaceSchema('app')).toBe(true);
  });
});
