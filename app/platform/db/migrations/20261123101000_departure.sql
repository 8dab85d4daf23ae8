-- After a move nothing is answered from the old place, however late a process hears of it. Whoever moves a tenant writes
-- here, in the database that the rows leave (which may be the one they stay in, in another schema): who knows a version
-- of the tenant's place below this one is refused. A tenant that comes back comes with a higher version.

create table platform.departure (
  tenant_id uuid primary key references platform.tenant (id),
  -- Of the placement that is true from then on.
  version integer not null check (version >= 1),
  departed_at timestamptz not null default now()
);
select platform.declare_global_table('platform.departure', 'tenants that are no longer where they were');
grant select, insert, update on platform.departure to ax_issuer;
grant select on platform.departure to ax_workspace, ax_ledger, ax_sentinel;

-- Says in any transaction whether a place is still the tenant's: AX005 when it is an older one. For what needs no scope.
create function app.present(tenant uuid, place_version integer) returns void
language plpgsql stable security definer
set search_path = pg_catalog
as $$
begin
  if exists (select from platform.departure d where d.tenant_id = tenant and d.version > place_version) then
    raise exception using errcode = 'AX005', message = 'the tenant is no longer here';
  end if;
end
$$;

-- As before, and: who knows only an older place is refused (AX005). Both looks are one statement, since every
-- transaction of every tenant pays for them.
drop function app.enter(uuid);
create function app.enter(tenant uuid, place_version integer default 0) returns void
language plpgsql volatile security definer
set search_path = pg_catalog
as $$
declare
  is_held boolean;
  has_left boolean;
begin
  if tenant is null then
    raise exception using errcode = 'AX003', message = 'a transaction needs a tenant';
  end if;
  if coalesce(current_setting('app.tenant', true), '') <> '' then
    raise exception using errcode = 'AX002', message = 'the tenant of this transaction is already set';
  end if;
  select exists (select from platform.hold h where h.tenant_id = tenant),
         exists (select from platform.departure d where d.tenant_id = tenant and d.version > place_version)
    into is_held, has_left;
  if has_left then
    raise exception using errcode = 'AX005', message = 'the tenant is no longer here';
  end if;
  if starts_with(session_user::text, 'ax_t_') and not exists (
    select from platform.place p where p.role_name = session_user::text and p.tenant_id = tenant
  ) then
    raise exception using errcode = 'AX004', message = 'this role was made for another tenant';
  end if;
  perform set_config('app.tenant', tenant::text, true);
  if is_held then
    perform set_config('transaction_read_only', 'on', true);
  end if;
end
$$;

revoke all on function app.enter(uuid, integer), app.present(uuid, integer) from public;
grant execute on function app.enter(uuid, integer), app.present(uuid, integer)
  to ax_issuer, ax_workspace, ax_ledger, ax_sentinel;
