-- Tenants with a schema of their own have the tables of `app` once more, in `t_<opaque>`. Rules that name a table of
-- `app` mean the tenant's own there.

-- The table of which this one is a copy, or itself: registers name models only.
create function platform.model_relation(table_schema name, table_name name) returns text
  language sql immutable parallel safe set search_path = pg_catalog as $$
  select case when starts_with(table_schema::text, 't_') then 'app' else table_schema::text end || '.' || table_name $$;

-- Where the rows of a tenant's rooms are in this database.
create function platform.tenant_schema(tenant uuid) returns text
  language sql stable security definer set search_path = pg_catalog as $$
  select coalesce((select p.schema_name from platform.placement p where p.tenant_id = tenant), 'app') $$;

-- For migrations that drop or rename what holds rows in `app`: runs the statement for `app` and for every copy. `@schema`
-- and `@role` stand for the schema and for the role of the workspace there. All else is copied by itself.
create function platform.each_app_schema(statement text) returns void
  language plpgsql set search_path = pg_catalog as $$
declare
  place record;
begin
  for place in select 'app' as schema_name, 'ax_workspace' as role_name
      union all select 't_' || p.name, p.role_name from platform.place p where p.kind = 'schema' and p.level is not null loop
    execute replace(replace(statement, '@schema', place.schema_name), '@role', place.role_name);
  end loop;
end $$;

create or replace function platform.guard_sealed() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  sealed record;
  before bytea;
  after bytea;
  resealed boolean := false;
  ignored text[] := '{}';
begin
  for sealed in select s.column_name, s.editable from platform.sealed_column s
      where s.relation = platform.model_relation(tg_table_schema, tg_table_name) loop
    ignored := ignored || sealed.column_name || (sealed.column_name || '_dek');
    execute format('select ($1).%1$I, ($2).%1$I', sealed.column_name) into before, after using old, new;
    continue when before is not distinct from after or sealed.editable;
    if before is null or after is null or not platform.is_reencryption(before, after) then
      raise exception 'a sealed value of %.% may only be encrypted anew', tg_table_schema, tg_table_name using errcode = 'AX104';
    end if;
    resealed := true;
  end loop;
  if resealed and to_jsonb(old) - ignored is distinct from to_jsonb(new) - ignored then
    raise exception 'encrypting a value anew changes nothing else of its row' using errcode = 'AX104';
  end if;
  return new;
end $$;

-- Whether the batch's entry of this transaction names the very key: a row of the tenant's own keys.
create function audit.resealed_under(tenant uuid, purpose text, version bigint) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  keys constant text := platform.tenant_schema(tenant);
  found_entry boolean;
begin
  if keys = 'app' then
    return exists (
      select from audit.entry e join app.dek d on d.tenant_id = e.tenant_id and d.id = e.resource_id
      where e.tenant_id = tenant and d.tenant_id = tenant
        and e.xid = pg_current_xact_id() and e.type = 'key.resealed' and e.resource_kind = 'dek'
        and d.purpose = resealed_under.purpose and d.state in ('ACTIVE', 'DECRYPT_ONLY') and d.version = resealed_under.version);
  end if;
  execute format(
    $query$select exists (
      select from audit.entry e join %I.dek d on d.tenant_id = e.tenant_id and d.id = e.resource_id
      where e.tenant_id = $1 and d.tenant_id = $1
        and e.xid = pg_current_xact_id() and e.type = 'key.resealed' and e.resource_kind = 'dek'
        and d.purpose = $2 and d.state in ('ACTIVE', 'DECRYPT_ONLY') and d.version = $3)$query$, keys)
    into found_entry using tenant, purpose, version;
  return found_entry;
end $$;

create or replace function audit.covered_by_reseal(relation text, before jsonb, after jsonb) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  sealed record;
  ignored text[] := '{}';
  old_value bytea;
  new_value bytea;
  changed boolean := false;
begin
  for sealed in select s.column_name, s.purpose from platform.sealed_column s where s.relation = covered_by_reseal.relation loop
    ignored := ignored || sealed.column_name || (sealed.column_name || '_dek');
    continue when before -> sealed.column_name = after -> sealed.column_name;
    old_value := (before ->> sealed.column_name)::bytea;
    new_value := (after ->> sealed.column_name)::bytea;
    if old_value is null or new_value is null or not platform.is_reencryption(old_value, new_value) then
      return false;
    end if;
    if not audit.resealed_under((after ->> 'tenant_id')::uuid, sealed.purpose,
        (after ->> (sealed.column_name || '_dek'))::bigint) then
      return false;
    end if;
    changed := true;
  end loop;
  return changed and before - ignored = after - ignored;
end $$;

create or replace function audit.guard_row() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  relation constant text := platform.model_relation(tg_table_schema, tg_table_name);
  old_tenant uuid;
  old_id uuid;
  new_tenant uuid;
  new_id uuid;
begin
  if tg_op = 'UPDATE' and exists (select from platform.sealed_column s where s.relation = platform.model_relation(tg_table_schema, tg_table_name)) then
    if audit.covered_by_reseal(relation, to_jsonb(old), to_jsonb(new)) then
      perform audit.require_beat(relation);
      return null;
    end if;
    if audit.sealed_changed(relation, to_jsonb(old), to_jsonb(new)) then
      raise exception 'a row of % was encrypted anew without the entry of its batch', relation using errcode = 'AX101';
    end if;
  end if;
  -- Nearly every table calls its id `id`, and that one needs no statement of its own for each row.
  if tg_op <> 'INSERT' then
    if tg_argv[1] = 'id' then
      old_tenant := old.tenant_id;
      old_id := old.id;
    else
      execute format('select ($1).tenant_id, ($1).%I', tg_argv[1]) into old_tenant, old_id using old;
    end if;
  end if;
  if tg_op <> 'DELETE' then
    if tg_argv[1] = 'id' then
      new_tenant := new.tenant_id;
      new_id := new.id;
    else
      execute format('select ($1).tenant_id, ($1).%I', tg_argv[1]) into new_tenant, new_id using new;
    end if;
    perform audit.require_entry(new_tenant, tg_argv[0], new_id, relation);
  end if;
  if tg_op <> 'INSERT' and (old_tenant, old_id) is distinct from (new_tenant, new_id) then
    perform audit.require_entry(old_tenant, tg_argv[0], old_id, relation);
  end if;
  return null;
end $$;

-- The tables of `app` that may still need a key are those beside it.
create or replace function app.guard_dek() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  sealed record;
  used boolean;
begin
  if tg_op = 'INSERT' then
    if new.state not in ('PENDING', 'ACTIVE') then
      raise exception 'a key does not begin as %', new.state using errcode = 'AX105';
    end if;
    return new;
  end if;
  if new.state = old.state then
    return new;
  end if;
  if not app.dek_step_allowed(old.state, new.state) then
    raise exception 'a key does not go from % to %', old.state, new.state using errcode = 'AX105';
  end if;
  if new.state = 'RETIRED' then
    for sealed in select s.relation, s.column_name from platform.sealed_column s where s.purpose = new.purpose loop
      execute format('select exists (select from %s where tenant_id = $1 and %I = $2)',
          regexp_replace(sealed.relation, '^app\.', quote_ident(tg_table_schema) || '.'), sealed.column_name || '_dek')
        into used using new.tenant_id, new.version::bigint;
      if used then
        raise exception 'values of %.% still need the key', sealed.relation, sealed.column_name using errcode = 'AX106';
      end if;
    end loop;
  end if;
  new.state_since := clock_timestamp();
  return new;
end $$;

revoke all on function platform.model_relation(name, name), platform.tenant_schema(uuid), platform.each_app_schema(text),
  audit.resealed_under(uuid, text, bigint) from public;
