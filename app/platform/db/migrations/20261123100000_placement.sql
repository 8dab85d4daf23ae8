-- Where each tenant lives. No row: rows in the shared tables of this database. A cell is one database with the complete
-- schema; `home` is this one, and it alone holds the whole table.

create table platform.placement (
  tenant_id uuid primary key references platform.tenant (id),
  kind text not null check (kind in ('shared', 'schema', 'database')),
  -- The customer's choice; a named cluster of the configuration.
  region text not null check (region ~ '^[a-z][a-z0-9-]{0,30}$'),
  -- `home`, or `<region>/<database>`.
  cell text not null default 'home' check (cell = 'home' or cell ~ '^[a-z][a-z0-9-]{0,30}/ax_[0-9a-f]{16}$'),
  -- Both names are opaque: everybody who may log in can read the catalogue's names.
  schema_name text not null default 'app' check (schema_name ~ '^(app|t_[0-9a-f]{16})$'),
  role_name text not null default 'ax_workspace' check (role_name ~ '^(ax_workspace|ax_t_[0-9a-f]{16})$'),
  state text not null check (state in ('provisioning', 'active', 'moving')),
  -- Grows with each change, so that a process can tell an old answer from a new one.
  version integer not null default 1 check (version >= 1),
  changed_at timestamptz not null default now(),
  constraint placement_shape check (case kind
    when 'shared' then cell = 'home' and schema_name = 'app' and role_name = 'ax_workspace'
    when 'schema' then cell = 'home' and schema_name <> 'app' and role_name <> 'ax_workspace'
    else cell <> 'home' and schema_name = 'app' and role_name <> 'ax_workspace' end)
);
select platform.declare_global_table('platform.placement', 'where each tenant lives; no content of any');
grant select, insert, update on platform.placement to ax_issuer;
grant select on platform.placement to ax_workspace, ax_ledger, ax_sentinel;

-- The places that were made, each for one tenant for good: what the set-up process needs to finish an interrupted one,
-- to migrate each and to know whose role is whose. A cell holds the row of its own tenant. Nobody else may write here.
create table platform.place (
  -- The opaque part of the schema's, the database's and the role's name.
  name text primary key check (name ~ '^[0-9a-f]{16}$'),
  tenant_id uuid not null references platform.tenant (id),
  kind text not null check (kind in ('schema', 'database')),
  region text not null check (region ~ '^[a-z][a-z0-9-]{0,30}$'),
  role_name text not null generated always as ('ax_t_' || name) stored,
  -- Null until it is complete. The last migration that it is known to have.
  level text,
  made_at timestamptz not null default now(),
  unique (role_name),
  unique (tenant_id, kind, region)
);
select platform.declare_global_table('platform.place', 'names of schemas, databases and roles made for tenants');
grant select on platform.place to ax_issuer, ax_workspace, ax_ledger, ax_sentinel;

-- A tenant that stands here is read-only for everybody: its rows are on the move. In the database that it moves from.
create table platform.hold (
  tenant_id uuid primary key references platform.tenant (id),
  since timestamptz not null default now(),
  reason text not null check (length(reason) between 1 and 200)
);
select platform.declare_global_table('platform.hold', 'tenants that are read-only while they are moved');
grant select, insert, delete on platform.hold to ax_issuer;
grant select on platform.hold to ax_workspace, ax_ledger, ax_sentinel;

-- As before, and: a role made for one tenant enters no other (AX004), and nothing is written for a tenant on hold. A
-- transaction cannot take its read-only state back. The shared roles cost one look into a table that is nearly empty.
create or replace function app.enter(tenant uuid) returns void
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
  if starts_with(session_user::text, 'ax_t_') and not exists (
    select from platform.place p where p.role_name = session_user::text and p.tenant_id = tenant
  ) then
    raise exception using errcode = 'AX004', message = 'this role was made for another tenant';
  end if;
  perform set_config('app.tenant', tenant::text, true);
  if exists (select from platform.hold h where h.tenant_id = tenant) then
    perform set_config('transaction_read_only', 'on', true);
  end if;
end
$$;
