// What a schema must be to grow onto many machines (docs/adr), looked at after every migration; and every statement of
// the sources before the guard.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkStatement, wallDeparsed, wallStatements } from '@auditrax/tenancy';
import type { Client } from 'pg';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
// The door's own check; the package's public door has no use for it.
import { checkSystemStatement } from '../../../packages/tenancy/src/system.ts';
import { globalTables } from './global-tables.ts';
import { superuser } from './tenancy-fixture.ts';
import { startTestDatabase, type TestDatabase } from './testing.ts';

let database: TestDatabase;
let admin: Client;
beforeAll(async () => {
  database = await startTestDatabase();
  admin = await superuser(database);
});
afterAll(async () => {
  await admin?.end();
  await database?.stop();
});

/** Chooses its own keys (positions of one log), so it is exempt by name. */
const LOG_SCHEMA = 'audit';
const OWN_SCHEMA = `n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and n.nspname not like 'pg\\_%'`;
/** Tables that hold tenants' rows, outside the log. */
const TENANT_TABLES = `tenant_tables as (
  select r.oid, n.nspname || '.' || r.relname as name, a.attnum as tenant
  from pg_class r join pg_namespace n on n.oid = r.relnamespace
  join pg_attribute a on a.attrelid = r.oid and a.attname = 'tenant_id' and not a.attisdropped
  where ${OWN_SCHEMA} and r.relkind in ('r', 'p') and n.nspname <> '${LOG_SCHEMA}'
    and n.nspname || '.' || r.relname not in (select table_name from platform.table_rule where kind = 'global'))`;

interface Rule {
  readonly name: string;
  /** Gives rows `{ fault }`. */
  readonly query: string;
  /** Breaks the rule, so that it is known to notice. */
  readonly sabotage: string;
}

const RULES: readonly Rule[] = [
  {
    name: 'every key and every index of a tenant table begins with the tenant',
    query: `with ${TENANT_TABLES} select t.name || ' ' || i.indexrelid::regclass as fault
      from tenant_tables t join pg_index i on i.indrelid = t.oid where i.indkey[0] <> t.tenant`,
    sabotage: 'create index oops on app.engagement (state)',
  },
  {
    name: 'tenant_id is a uuid that is never null',
    query: `with ${TENANT_TABLES} select t.name as fault from tenant_tables t
      join pg_attribute a on a.attrelid = t.oid and a.attnum = t.tenant
      where a.atttypid <> 'uuid'::regtype or not a.attnotnull or a.atthasdef`,
    sabotage: 'alter table app.engagement alter column tenant_id set default gen_random_uuid()',
  },
  {
    name: 'ids come from the application: no sequence, no identity, no serial outside the log',
    query: `select n.nspname || '.' || r.relname as fault from pg_class r join pg_namespace n on n.oid = r.relnamespace
      where ${OWN_SCHEMA} and r.relkind = 'S' and n.nspname <> '${LOG_SCHEMA}'
      union all
      select a.attrelid::regclass || '.' || a.attname from pg_attribute a
      join pg_class r on r.oid = a.attrelid join pg_namespace n on n.oid = r.relnamespace
      where ${OWN_SCHEMA} and a.attidentity <> '' and n.nspname <> '${LOG_SCHEMA}'`,
    sabotage: 'alter table app.engagement add column number bigint generated always as identity',
  },
  {
    name: 'a foreign key stays inside its tenant: (tenant_id, …) on both sides, or the tenant itself',
    query: `with ${TENANT_TABLES} select con.conrelid::regclass || ' ' || con.conname as fault
      from pg_constraint con
      left join tenant_tables own on own.oid = con.conrelid
      left join tenant_tables other on other.oid = con.confrelid
      where con.contype = 'f' and (own.oid is not null or other.oid is not null)
        and not (own.oid is not null and con.conkey[1] = own.tenant and (
          (other.oid is not null and con.confkey[1] = other.tenant)
          or (con.confrelid = 'platform.tenant'::regclass and cardinality(con.conkey) = 1)))`,
    sabotage: `create table oncall.oops (id uuid primary key, tenant_id uuid not null, engagement_id uuid not null,
      foreign key (engagement_id, tenant_id) references app.engagement (id, tenant_id))`,
  },
  {
    name: 'nothing cascades from one row to others, past the wall of the second table',
    query: `select con.conrelid::regclass || ' ' || con.conname as fault from pg_constraint con
      join pg_namespace n on n.oid = con.connamespace
      where ${OWN_SCHEMA} and con.contype = 'f' and (con.confdeltype not in ('a', 'r') or con.confupdtype not in ('a', 'r'))`,
    sabotage: `alter table app.criterion add constraint oops foreign key (tenant_id, engagement_id)
      references app.engagement (tenant_id, id) on delete cascade`,
  },
  {
    name: 'nothing is deferred but the guard of the log',
    query: `select con.conrelid::regclass || ' ' || con.conname as fault from pg_constraint con
      join pg_namespace n on n.oid = con.connamespace
      where ${OWN_SCHEMA} and con.condeferrable and not (con.contype = 't' and con.conname = 'audit_guard')
      union all
      select t.tgrelid::regclass || ' ' || t.tgname from pg_trigger t join pg_class r on r.oid = t.tgrelid
      join pg_namespace n on n.oid = r.relnamespace
      where ${OWN_SCHEMA} and t.tgdeferrable and not t.tgisinternal
        and not (t.tgname = 'audit_guard' and t.tgfoid::regproc::text in ('audit.check_note', 'audit.guard_disclosure'))`,
    sabotage: `alter table app.criterion add constraint oops foreign key (tenant_id, engagement_id)
      references app.engagement (tenant_id, id) deferrable initially deferred`,
  },
  {
    name: 'no inheritance and no partitions above the tenant',
    query: `select inhrelid::regclass::text as fault from pg_inherits h join pg_class r on r.oid = h.inhrelid
      join pg_namespace n on n.oid = r.relnamespace where ${OWN_SCHEMA} and r.relkind in ('r', 'p', 'f')`,
    sabotage: 'create table app.oops () inherits (app.engagement)',
  },
  {
    name: 'no exclusion constraint, no rule, no materialised view, no foreign table',
    query: `select con.conrelid::regclass || ' ' || con.conname as fault from pg_constraint con
      join pg_namespace n on n.oid = con.connamespace where ${OWN_SCHEMA} and con.contype = 'x'
      union all
      select w.ev_class::regclass || ' ' || w.rulename from pg_rewrite w join pg_class r on r.oid = w.ev_class
      join pg_namespace n on n.oid = r.relnamespace where ${OWN_SCHEMA} and w.rulename <> '_RETURN'
      union all
      select r.oid::regclass::text from pg_class r join pg_namespace n on n.oid = r.relnamespace
      where ${OWN_SCHEMA} and r.relkind in ('m', 'f')`,
    sabotage: 'create materialized view app.oops as select 1 as a',
  },
  {
    name: 'every table of a tenant schema has a wall of one and the same text, and no further policy',
    query: `with ${TENANT_TABLES} select t.name as fault from tenant_tables t
      where (select array_agg(p.polname::text order by p.polname) from pg_policy p where p.polrelid = t.oid)
          is distinct from array['tenant_base', 'tenant_wall']
        or (select count(distinct pg_get_expr(p.polqual, p.polrelid)) from pg_policy p
            join tenant_tables o on o.oid = p.polrelid where p.polname = 'tenant_wall') > 1`,
    sabotage: 'create policy wide on app.engagement using (true)',
  },
];

describe('T20: the schema', () => {
  test('has tenant tables to look at', async () => {
    const { rows } = await admin.query<{ n: number }>(
      `with ${TENANT_TABLES} select count(*)::int as n from tenant_tables`,
    );
    expect(rows[0]!.n).toBeGreaterThan(10);
  });

  test.each(RULES)('$name', async ({ query, sabotage }) => {
    expect((await admin.query<{ fault: string }>(query)).rows).toEqual([]);
    await admin.query('begin');
    await admin.query(sabotage);
    expect((await admin.query(query)).rowCount).toBeGreaterThan(0);
    await admin.query('rollback');
  });

  test('has the wall in the form that reads the tenant once for a statement', async () => {
    await admin.query('set search_path = pg_catalog');
    const { rows } = await admin.query<{ text: string }>(
      `select distinct regexp_replace(pg_get_expr(polqual, polrelid), '\\s+', ' ', 'g') as text from pg_policy
       where polname = 'tenant_wall'`,
    );
    await admin.query('reset search_path');
    expect(rows.map(({ text }) => text.trim())).toEqual([wallDeparsed('initplan')]);
  });

  test('exempts the log by name only', async () => {
    const { rows } = await admin.query<{ schema: string }>(
      `select distinct n.nspname as schema from pg_class r join pg_namespace n on n.oid = r.relnamespace
       where ${OWN_SCHEMA} and r.relkind = 'S'`,
    );
    expect(rows).toEqual([{ schema: LOG_SCHEMA }]);
  });

  test('T15: each form of the wall is deparsed as the posture check expects it', async () => {
    for (const form of ['direct', 'initplan'] as const) {
      await admin.query('begin');
      await admin.query(
        'create table app.oops (tenant_id uuid not null, id uuid not null, primary key (tenant_id, id))',
      );
      for (const statement of wallStatements('app.oops', form)) await admin.query(statement);
      await admin.query('set local search_path = pg_catalog');
      const { rows } = await admin.query<{ text: string }>(
        `select regexp_replace(pg_get_expr(polqual, polrelid), '\\s+', ' ', 'g') as text from pg_policy
         where polrelid = 'app.oops'::regclass and polname = 'tenant_wall'`,
      );
      expect(rows[0]!.text.trim()).toBe(wallDeparsed(form));
      await admin.query('rollback');
    }
  });
});

const ROOT = join(import.meta.dirname, '../../..');

/** Statements that are wrong on purpose: the drills send them past the guard, or show that it refuses. */
const ATTACKS = 'app/domains/drills/queries.ts';
/** Reads every tenant's positions for the detections, as a role that stands outside the log's wall by its task. */
const LOG_READERS: ReadonlySet<string> = new Set([
  'app/domains/detections/queries.ts',
  'app/domains/siem/stream-queries.ts',
]);

interface Found {
  readonly path: string;
  readonly text: string;
}

/** The text of a template with its values as parameters; undefined for what is no whole statement. */
function statementOf(template: ts.TemplateLiteral | ts.StringLiteral): string | undefined {
  const text =
    'templateSpans' in template
      ? template.head.text + template.templateSpans.map((span, i) => `$${i + 1}${span.literal.text}`).join('')
      : template.text;
  return /^\s*(select|insert|update|delete|with)\s/.test(text) ? text.trim() : undefined;
}

/** Every statement that is written with the `sql` tag, below `app/`, tests left out. */
function statements(): Found[] {
  const found: Found[] = [];
  for (const path of globSync('app/**/*.ts', { cwd: ROOT, exclude: ['**/node_modules/**', '**/dist/**'] })) {
    if (/\.test\.ts$|\/testing\/|testing\.ts$|-fixture\.ts$/.test(path)) continue;
    const source = readFileSync(join(ROOT, path), 'utf8');
    if (!/\bsql[`<]/.test(source)) continue;
    const visit = (node: ts.Node): void => {
      if (ts.isTaggedTemplateExpression(node) && node.tag.getText() === 'sql') {
        const text = statementOf(node.template);
        if (text !== undefined) found.push({ path, text });
      }
      ts.forEachChild(node, visit);
    };
    visit(ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true));
  }
  return found;
}

describe('T20: the statements of the sources', () => {
  const all = statements();

  test('are found', () => {
    expect(all.length).toBeGreaterThan(120);
    expect(new Set(all.map(({ path }) => path)).size).toBeGreaterThan(8);
  });

  test('each carry the tenant in every relation, joins and subqueries included, or name global tables only', async () => {
    const { rows } = await admin.query<{ name: string }>(
      `select table_name as name from platform.table_rule where kind = 'global'`,
    );
    const tables = new Set(['platform.tenant', ...Object.keys(globalTables), ...rows.map(({ name }) => name)]);
    const demands = { tables, functions: new Set<string>() };
    const faults = all
      .filter(({ path }) => path !== ATTACKS && !LOG_READERS.has(path))
      .flatMap(({ path, text }) => {
        const tenant = checkStatement(text);
        if (tenant.allowed || checkSystemStatement(text, demands).allowed) return [];
        return [`${path}: ${tenant.reason} ${tenant.subject}: ${text.replace(/\s+/g, ' ').slice(0, 120)}`];
      });
    expect(faults).toEqual([]);
  });

  test('of the drills are noticed, so that this look can fail', () => {
    const refused = all.filter(({ path, text }) => path === ATTACKS && !checkStatement(text).allowed);
    expect(refused.length).toBeGreaterThan(2);
  });
});
