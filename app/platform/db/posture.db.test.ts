import type { Database, FindingCode } from '@auditrax/tenancy';
import { manualClock } from '@auditrax/base';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNotes, numberedUuid, openAsWorkspace, superuser } from './tenancy-fixture.ts';
import { POSTURE_AGE_MS_MAX, postureExpectations, watchPosture } from './readiness.ts';
import { startTestDatabase, type TestDatabase } from './testing.ts';

let database: TestDatabase;
let admin: Client;
let doors: Database;
beforeAll(async () => {
  database = await startTestDatabase();
  admin = await superuser(database);
  await createNotes(admin, { tenants: 2, rows: 2 });
  ({ doors } = openAsWorkspace(database, { poolSize: 1 }));
});
afterAll(async () => {
  await doors?.close();
  await admin?.end();
  await database?.stop();
});

const expectations = postureExpectations({ durable: false });
const MARKED = numberedUuid(77);
const ADD_MARKED = `insert into platform.tenant (id, part, kind, slug, display_name) values ('${MARKED}', 77, 'customer', 'marked', 'Marked')`;
const DROP_MARK = `drop schema "moved_${MARKED}"`;

/** What is done, what must be seen, and how it is undone. */
const SABOTAGES: readonly [name: string, sabotage: string, seen: FindingCode, undo: string][] = [
  [
    'row-level security off',
    'alter table app.note disable row level security',
    'table_unwalled',
    'alter table app.note enable row level security',
  ],
  [
    'the mark of a held tenant dropped',
    `${ADD_MARKED}; insert into platform.hold (tenant_id, reason) values ('${MARKED}', 'moved by a test'); ${DROP_MARK}`,
    'scope_mark_missing',
    `delete from platform.hold; delete from platform.tenant where id = '${MARKED}'`,
  ],
  [
    'the mark of a tenant that has left dropped',
    `${ADD_MARKED}; insert into platform.departure (tenant_id, version) values ('${MARKED}', 1); ${DROP_MARK}`,
    'scope_mark_missing',
    `delete from platform.departure; delete from platform.tenant where id = '${MARKED}'`,
  ],
  [
    'not forced on the owner',
    'alter table app.note no force row level security',
    'table_unwalled',
    'alter table app.note force row level security',
  ],
  [
    'wall dropped',
    'drop policy tenant_wall on app.note',
    'table_wall_changed',
    `create policy tenant_wall on app.note as restrictive using (case when tenant_id = current_setting('app.tenant')::uuid then true else app.trip(tenant_id) end) with check (case when tenant_id = current_setting('app.tenant')::uuid then true else app.trip(tenant_id) end)`,
  ],
  [
    'wall made silent',
    `alter policy tenant_wall on app.note using (tenant_id = current_setting('app.tenant')::uuid)`,
    'table_wall_changed',
    `alter policy tenant_wall on app.note using (case when tenant_id = current_setting('app.tenant')::uuid then true else app.trip(tenant_id) end)`,
  ],
  [
    'wall for reading only',
    `alter policy tenant_wall on app.note with check (true)`,
    'table_wall_changed',
    `alter policy tenant_wall on app.note with check (case when tenant_id = current_setting('app.tenant')::uuid then true else app.trip(tenant_id) end)`,
  ],
  [
    'wall for other roles only',
    'alter policy tenant_wall on app.note to ax_ledger',
    'table_wall_changed',
    'alter policy tenant_wall on app.note to public',
  ],
  [
    'unset tenant tolerated',
    `alter policy tenant_wall on app.note using (case when tenant_id = current_setting('app.tenant', true)::uuid then true else app.trip(tenant_id) end)`,
    'table_wall_changed',
    `alter policy tenant_wall on app.note using (case when tenant_id = current_setting('app.tenant')::uuid then true else app.trip(tenant_id) end)`,
  ],
  [
    'a table without a wall',
    'create table app.open (tenant_id uuid not null, id uuid, primary key (tenant_id, id)); alter table app.open owner to ax_owner',
    'table_unwalled',
    'drop table app.open',
  ],
  [
    'a table without a tenant in a tenant schema',
    'create table app.global (id uuid primary key); alter table app.global owner to ax_owner',
    'table_tenant_column',
    'drop table app.global',
  ],
  ['a unique key across tenants', 'create unique index oops on app.note (body)', 'table_key', 'drop index app.oops'],
  [
    'tenant may be null',
    'create table app.loose (tenant_id uuid, id uuid primary key)',
    'table_tenant_column',
    'drop table app.loose',
  ],
  [
    'truncate granted',
    'grant truncate on app.note to ax_workspace',
    'table_grant',
    'revoke truncate on app.note from ax_workspace',
  ],
  [
    'granted to everybody',
    'grant select on app.note to public',
    'table_grant',
    'revoke select on app.note from public',
  ],
  [
    'a column granted to everybody',
    'grant select (body) on app.note to public',
    'table_grant',
    'revoke select (body) on app.note from public',
  ],
  [
    'tenant may be rewritten',
    'grant update on app.note to ax_workspace',
    'table_grant',
    'revoke update on app.note from ax_workspace; grant update (n, body) on app.note to ax_workspace',
  ],
  ['another owner', 'alter table app.note owner to ax_super', 'table_owner', 'alter table app.note owner to ax_owner'],
  ['bypassrls', 'alter role ax_workspace bypassrls', 'role_attribute', 'alter role ax_workspace nobypassrls'],
  ['superuser', 'alter role ax_ledger superuser', 'role_attribute', 'alter role ax_ledger nosuperuser'],
  ['owner may log in', 'alter role ax_owner login', 'role_attribute', 'alter role ax_owner nologin'],
  ['member of the owner', 'grant ax_owner to ax_workspace', 'role_member', 'revoke ax_owner from ax_workspace'],
  [
    'member of pg_read_all_data',
    'grant pg_read_all_data to ax_sentinel',
    'role_member',
    'revoke pg_read_all_data from ax_sentinel',
  ],
  [
    'the owner inherits',
    'grant pg_write_all_data to ax_owner',
    'role_member',
    'revoke pg_write_all_data from ax_owner',
  ],
  [
    'a stranger may log in',
    'create role stranger login; grant connect on database auditrax to stranger',
    'role_unknown',
    'drop owned by stranger; drop role stranger',
  ],
  [
    'a tenant by default',
    `alter role ax_workspace set app.tenant = '00000000-0000-7000-8000-000000000001'`,
    'role_setting',
    'alter role ax_workspace reset app.tenant',
  ],
  [
    'search path by role',
    'alter role ax_issuer set search_path = app',
    'role_setting',
    'alter role ax_issuer set search_path = pg_catalog',
  ],
  [
    'set_config for everybody',
    'grant execute on function pg_catalog.set_config(text, text, boolean) to public',
    'function_set_config',
    'revoke execute on function pg_catalog.set_config(text, text, boolean) from public',
  ],
  [
    'the tripwire answers true',
    `create or replace function app.trip(row_tenant uuid) returns boolean language sql as 'select true'`,
    'object_changed',
    '',
  ],
  [
    'a definer function without search path',
    `create function app.leak() returns bigint language sql security definer as 'select count(*) from app.note'`,
    'function_search_path',
    'drop function app.leak()',
  ],
  [
    'a function that no migration made',
    `create function app.extra() returns int language sql as 'select 1'`,
    'object_unlisted',
    'drop function app.extra()',
  ],
  [
    'a view that runs as its owner',
    'create view app.all_notes as select * from app.note; alter view app.all_notes owner to ax_owner',
    'view_definer',
    'drop view app.all_notes',
  ],
  [
    'a materialised copy',
    'create materialized view app.copy as select * from app.note; alter materialized view app.copy owner to ax_owner',
    'table_kind',
    'drop materialized view app.copy',
  ],
  [
    'a rule',
    'create rule oops as on delete to app.note do also notify oops',
    'table_rule',
    'drop rule oops on app.note',
  ],
  ['a child table', 'create table app.child () inherits (app.note)', 'table_inheritance', 'drop table app.child'],
  [
    'a disabled trigger',
    'alter table audit.entry disable trigger enqueue_entry',
    'trigger_disabled',
    'alter table audit.entry enable trigger enqueue_entry',
  ],
  [
    'a mark that movers would not make',
    'alter table platform.hold enable trigger mark_tenant',
    'object_changed',
    'alter table platform.hold enable always trigger mark_tenant',
  ],
  [
    'temporary tables',
    'grant temporary on database auditrax to ax_workspace',
    'database_create',
    'revoke temporary on database auditrax from ax_workspace',
  ],
  [
    'create in a schema',
    'grant create on schema app to ax_workspace',
    'schema_create',
    'revoke create on schema app from ax_workspace',
  ],
  ['replication of rows', 'create publication everything for all tables', 'publication', 'drop publication everything'],
  [
    'the application owns a table',
    'alter table app.note owner to ax_workspace',
    'table_owner',
    'alter table app.note owner to ax_owner; grant select, insert, delete, update (n, body) on app.note to ax_workspace',
  ],
  [
    'wall made permissive',
    `drop policy tenant_wall on app.note; create policy tenant_wall on app.note using (case when tenant_id = current_setting('app.tenant')::uuid then true else app.trip(tenant_id) end) with check (case when tenant_id = current_setting('app.tenant')::uuid then true else app.trip(tenant_id) end)`,
    'table_wall_changed',
    `drop policy tenant_wall on app.note; create policy tenant_wall on app.note as restrictive using (case when tenant_id = current_setting('app.tenant')::uuid then true else app.trip(tenant_id) end) with check (case when tenant_id = current_setting('app.tenant')::uuid then true else app.trip(tenant_id) end)`,
  ],
  [
    'a foreign key across tenants',
    'create table app.link (tenant_id uuid not null, id uuid not null, note uuid, primary key (tenant_id, id)); alter table app.link owner to ax_owner; create unique index lonely on app.note (id); alter table app.link add foreign key (note) references app.note (id)',
    'table_key',
    'drop table app.link; drop index app.lonely',
  ],
  [
    'a definer function with an owner’s rights in another schema, its search path pinned',
    `create function claims.peek() returns bigint language sql security definer set search_path = pg_catalog as 'select count(*) from app.note'; alter function claims.peek() owner to ax_owner; grant execute on function claims.peek() to ax_workspace`,
    'object_unlisted',
    'drop function claims.peek()',
  ],
  [
    'a function of ours under another owner',
    'alter function app.trip(uuid) owner to ax_super',
    'object_changed',
    'alter function app.trip(uuid) owner to ax_owner',
  ],
  [
    'a trigger that no migration made',
    `create trigger oops before insert on app.note for each row execute function platform.guard_sealed()`,
    'object_unlisted',
    'drop trigger oops on app.note',
  ],
  [
    'one service is a member of another',
    'grant ax_ledger to ax_issuer',
    'role_member',
    'revoke ax_ledger from ax_issuer',
  ],
  ['a role that makes roles', 'alter role ax_issuer createrole', 'role_attribute', 'alter role ax_issuer nocreaterole'],
  [
    'row-level security off by a role’s setting',
    'alter role ax_workspace set row_security = off',
    'role_setting',
    'alter role ax_workspace reset row_security',
  ],
  [
    'a right that may be handed on',
    'grant select on app.note to ax_workspace with grant option',
    'table_grant',
    'revoke grant option for select on app.note from ax_workspace',
  ],
  [
    'a table that a crash empties',
    'alter table app.note set unlogged',
    'table_unlogged',
    'alter table app.note set logged',
  ],
  ['an extension nobody listed', 'create extension dblink', 'extension_unknown', 'drop extension dblink'],
  [
    'a hook in everybody’s commands',
    `create function public.hook() returns event_trigger language plpgsql as 'begin end'; create event trigger oops on ddl_command_end execute function public.hook()`,
    'event_trigger',
    'drop event trigger oops; drop function public.hook()',
  ],
  [
    'detail in the log',
    `alter database auditrax set log_error_verbosity = 'verbose'`,
    'setting',
    'alter database auditrax reset log_error_verbosity',
  ],
];

describe('T16: the posture check', () => {
  test('is green on what the migrations make', async () => {
    expect(await doors.posture(expectations)).toEqual([]);
  });

  test.each(SABOTAGES)('turns red: %s', async (...sabotageCase) => {
    const [, sabotage, seen, undo] = sabotageCase;
    const original = (
      await admin.query<{ text: string }>(`select pg_get_functiondef('app.trip(uuid)'::regprocedure) as text`)
    ).rows[0]!.text;
    await admin.query(sabotage);
    try {
      const fresh = openAsWorkspace(database, { poolSize: 1 });
      const findings = await fresh.doors.posture(expectations);
      await fresh.doors.close();
      expect(findings.map((finding) => finding.code)).toContain(seen);
    } finally {
      if (undo !== '') await admin.query(undo);
      await admin.query(original);
    }
    expect(await doors.posture(expectations)).toEqual([]);
  });

  test('T13: stays green with one more permissive policy, which widens nothing', async () => {
    await admin.query('create policy wide on app.note using (true) with check (true)');
    expect(await doors.posture(expectations)).toEqual([]);
    const raw = new Client(database.connectionFor('ax_workspace'));
    await raw.connect();
    await raw.query('begin');
    await raw.query('select app.enter($1)', [numberedUuid(1)]);
    await expect(raw.query('select * from app.note')).rejects.toMatchObject({ code: 'AX001' });
    await raw.end();
    await admin.query('drop policy wide on app.note');
  });

  test('asks for durability where it is expected', async () => {
    expect((await doors.posture(postureExpectations())).map((finding) => finding.object).sort()).toEqual([
      'fsync',
      'full_page_writes',
      'synchronous_commit',
    ]);
  });
});

describe('D6: readiness', () => {
  test('follows the posture, and an old look or a silent database is not ready', async () => {
    const clock = manualClock(0);
    const pages: string[][] = [];
    const watch = watchPosture({
      database: doors,
      expectations,
      clock,
      onRed: (findings) => pages.push(findings.map((finding) => finding.code)),
    });
    expect(watch.state().ready).toBe(false);
    expect(await watch.look()).toMatchObject({ ready: true, summary: 'green' });
    await admin.query('alter table app.note disable row level security');
    expect((await watch.look()).ready).toBe(false);
    expect((await watch.look()).ready).toBe(false);
    expect(pages).toEqual([['table_unwalled']]);
    await admin.query('alter table app.note enable row level security');
    expect((await watch.look()).ready).toBe(true);
    clock.advance(POSTURE_AGE_MS_MAX + 1);
    expect(watch.state().ready).toBe(false);
    watch.stop();
    const silent = watchPosture({
      database: { posture: () => Promise.reject(new Error('gone')) },
      expectations,
      clock,
      onRed: () => undefined,
    });
    expect(await silent.look()).toMatchObject({ ready: false, summary: 'gone' });
    silent.stop();
  });
});
