-- Schemas, the tenants, the tenant wall. Runs as ax_owner; every later migration builds on it.

create schema app;
create schema identity;
create schema audit;
create schema oncall;
create schema claims;

grant usage on schema platform, app, identity, audit, oncall, claims to ax_issuer, ax_workspace, ax_ledger, ax_sentinel;

-- Functions are for those who are named, never for everybody.
alter default privileges revoke execute on functions from public;

create table platform.tenant (
  id uuid primary key,
  -- Random, so that ids do not tell how many tenants there are; 32 bits, unsigned.
  part bigint not null unique check (part between 0 and 4294967295),
  kind text not null check (kind in ('sample', 'canary', 'operator', 'customer')),
  slug text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  -- The organisation's public name, shown before anybody has signed in.
  display_name text not null check (length(display_name) between 1 and 200),
  created_at timestamptz not null default now()
);
grant select, insert, update on platform.tenant to ax_issuer;
grant select on platform.tenant to ax_workspace, ax_ledger, ax_sentinel;
grant select on platform.migration, platform.pinned_object to ax_issuer, ax_workspace, ax_ledger, ax_sentinel;

-- What each table of a tenant schema promised to be. The posture check compares the catalogue with it.
create table platform.table_rule (
  table_name text primary key,
  kind text not null check (kind in ('tenant', 'global')),
  reason text not null
);
grant select on platform.table_rule to ax_issuer, ax_workspace, ax_ledger, ax_sentinel;

-- Raised when a statement meets a row of another tenant: loud, where a plain policy would answer "not found".
-- The rows are named in DETAIL only, which the driver drops and the server does not log.
create function app.trip(row_tenant uuid) returns boolean
language plpgsql volatile parallel safe
set search_path = pg_catalog
as $$
begin
  raise exception using
    errcode = 'AX001',
    message = 'a row of another tenant was met',
    detail = format('row %s, context %s', row_tenant, current_setting('app.tenant', true));
end
$$;

-- The only way to say whose rows a transaction may touch; once, so that injected SQL cannot say it again.
create function app.enter(tenant uuid) returns void
language plpgsql volatile security definer
set search_path = pg_catalog
as $$
begin
  if tenant is null then
    raise exception using errcode = 'AX003', message = 'a transaction needs a tenant';
  end if;
  if coalesce(current_setting('app.tenant', true), '') <> '' then
    raise exception using errcode = 'AX002', message = 'the tenant of this transaction is already set';
  end if;
  perform set_config('app.tenant', tenant::text, true);
end
$$;

revoke all on function app.trip(uuid), app.enter(uuid) from public;
grant execute on function app.trip(uuid), app.enter(uuid) to ax_issuer, ax_workspace, ax_ledger, ax_sentinel;

-- Refuses a table whose keys do not begin with its tenant.
create function platform.check_tenant_keys(target regclass) returns void
language plpgsql
set search_path = pg_catalog
as $$
declare
  tenant_column smallint;
  fault text;
begin
  select a.attnum into tenant_column from pg_attribute a
  where a.attrelid = target and a.attname = 'tenant_id' and a.atttypid = 'uuid'::regtype and a.attnotnull;
  if tenant_column is null then
    raise exception '% needs a column tenant_id uuid not null', target;
  end if;
  select i.indexrelid::regclass::text into fault from pg_index i
  join pg_class c on c.oid = i.indrelid
  where i.indrelid = target and i.indisunique and i.indkey[0] <> tenant_column
    -- Positions and origins of a log are chosen by the log, so that a collision tells no tenant anything.
    and (i.indisprimary or c.relnamespace <> 'audit'::regnamespace);
  if fault is not null then
    raise exception 'the unique index % must begin with tenant_id', fault;
  end if;
  if not exists (select from pg_index i where i.indrelid = target and i.indisprimary) then
    raise exception '% needs a primary key that begins with tenant_id', target;
  end if;
  select c.conname into fault from pg_constraint c
  join pg_attribute f on f.attrelid = c.confrelid and f.attnum = c.confkey[1]
  where c.conrelid = target and c.contype = 'f'
    and not (c.conkey[1] = tenant_column and (f.attname = 'tenant_id' or c.confrelid = 'platform.tenant'::regclass));
  if fault is not null then
    raise exception 'the foreign key % of % must begin with tenant_id on both sides', fault, target;
  end if;
end
$$;

-- Puts the tenant wall around a table: row-level security also for its owner, one policy that lets rows be seen at all
-- and one restrictive policy that no later policy can widen. The text of the wall is the `direct` form of
-- packages/tenancy/src/wall.ts; the posture check compares both.
create function platform.protect_tenant_table(target regclass) returns void
language plpgsql
set search_path = pg_catalog
as $$
declare
  condition constant text :=
    'case when tenant_id = current_setting(''app.tenant'')::uuid then true else app.trip(tenant_id) end';
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

-- Says of a table in a tenant schema that it holds no tenant's rows, and why.
create function platform.declare_global_table(target regclass, reason text) returns void
language plpgsql
set search_path = pg_catalog
as $$
begin
  if exists (select from pg_attribute where attrelid = target and attname = 'tenant_id' and not attisdropped)
     and target::text not like 'platform.%' and target::text not like 'audit.%' and target::text not like 'identity.%' then
    raise exception '% has a tenant_id: protect it', target;
  end if;
  execute format('revoke all on %s from public', target);
  insert into platform.table_rule (table_name, kind, reason) values (target::text, 'global', reason);
end
$$;

revoke all on function platform.check_tenant_keys(regclass), platform.protect_tenant_table(regclass),
  platform.declare_global_table(regclass, text) from public;
