-- What every statement pays for the wall, made cheaper; what it guarantees is the same.

-- Ends a scope step that must not be: a function of its own, so that the step itself is one expression.
create function app.refuse_scope(tenant uuid) returns text
language plpgsql volatile
set search_path = pg_catalog
as $$
begin
  if tenant is null then
    raise exception using errcode = 'AX003', message = 'a transaction needs a tenant';
  end if;
  raise exception using errcode = 'AX002', message = 'the tenant of this transaction is already set';
end
$$;

-- The looks into the tables of places: AX005 for an older place, AX004 for a role of another tenant, read-only on hold.
create function app.check_place(tenant uuid, place_version integer) returns void
language plpgsql volatile
set search_path = pg_catalog
as $$
begin
  if exists (select from platform.departure d where d.tenant_id = tenant and d.version > place_version) then
    raise exception using errcode = 'AX005', message = 'the tenant is no longer here';
  end if;
  if starts_with(session_user::text, 'ax_t_') and not exists (
    select from platform.place p where p.role_name = session_user::text and p.tenant_id = tenant
  ) then
    raise exception using errcode = 'AX004', message = 'this role was made for another tenant';
  end if;
  if exists (select from platform.hold h where h.tenant_id = tenant) then
    perform set_config('transaction_read_only', 'on', true);
  end if;
end
$$;

-- As before, at about half the price: plpgsql prepares each expression anew in every transaction, so there are two
-- instead of five, and no query as long as nobody has ever been moved in this database. A table without a single page
-- holds no row, committed or not; a page is there before the first row is. Whoever cannot tell (another engine) looks.
create or replace function app.enter(tenant uuid, place_version integer default 0) returns void
language plpgsql volatile security definer
set search_path = pg_catalog
as $$
declare
  entered constant text := set_config('app.tenant', case
    when tenant is null or current_setting('app.tenant', true) <> '' then app.refuse_scope(tenant)
    else tenant::text end, true);
begin
  if starts_with(session_user::text, 'ax_t_')
    or pg_relation_size('platform.hold') is distinct from 0
    or pg_relation_size('platform.departure') is distinct from 0 then
    perform app.check_place(tenant, place_version);
  end if;
end
$$;

revoke all on function app.refuse_scope(uuid), app.check_place(uuid, integer) from public;

-- The wall reads the setting once for a statement, not once for each row. It is the `initplan` form of
-- packages/tenancy/src/wall.ts; the posture check compares both.
create or replace function platform.protect_tenant_table(target regclass) returns void
language plpgsql
set search_path = pg_catalog
as $$
declare
  condition constant text :=
    'case when tenant_id = (select current_setting(''app.tenant'')::uuid) then true else app.trip(tenant_id) end';
begin
  perform platform.check_tenant_keys(target);
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format('revoke all on %s from public', target);
  execute format('create policy tenant_base on %s using (true) with check (true)', target);
  execute format('create policy tenant_wall on %s as restrictive using (%s) with check (%s)', target, condition, condition);
  insert into platform.table_rule (table_name, kind, reason) values (target::text, 'tenant', 'rows of a tenant');
end
$$;

do $$
declare
  condition constant text :=
    'case when tenant_id = (select current_setting(''app.tenant'')::uuid) then true else app.trip(tenant_id) end';
  walled regclass;
begin
  for walled in select p.polrelid from pg_catalog.pg_policy p where p.polname = 'tenant_wall' loop
    execute pg_catalog.format('alter policy tenant_wall on %s using (%s) with check (%s)', walled, condition, condition);
  end loop;
end
$$;
