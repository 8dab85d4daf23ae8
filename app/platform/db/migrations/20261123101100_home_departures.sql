-- Home holds the places of all, so here a departure needs nobody to remember it: with each place that a tenant gets,
-- whoever knows an older one is refused in this database. In a cell it is written by whoever moves a tenant out of it.

create function platform.note_departure() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into platform.departure as d (tenant_id, version) values (new.tenant_id, new.version)
  on conflict (tenant_id) do update set version = excluded.version, departed_at = now() where d.version < excluded.version;
  return null;
end
$$;

-- A place that changes has a higher version, whatever the statement says: an old answer must never look like a new one.
create function platform.raise_version() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if (new.cell, new.region, new.schema_name, new.role_name) is distinct from (old.cell, old.region, old.schema_name, old.role_name) then
    new.version := greatest(new.version, old.version + 1);
  elsif new.version < old.version then
    new.version := old.version;
  end if;
  return new;
end
$$;

create trigger raise_version before update on platform.placement
  for each row execute function platform.raise_version();
create trigger note_departure after insert or update on platform.placement
  for each row execute function platform.note_departure();

insert into platform.departure (tenant_id, version) select tenant_id, version from platform.placement
on conflict (tenant_id) do nothing;
