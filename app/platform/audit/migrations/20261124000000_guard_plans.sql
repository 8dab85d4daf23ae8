-- The look at the commit, with a short way for one row. What it demands is what it demanded.

-- By the row first, which is random and of one tenant. A plan that is kept was made when the log was empty or small, and
-- there PostgreSQL took the primary key for as good an index: each commit then read all entries of its tenant. So the guard
-- asks for the tenant in a way that no index answers, and this is the only one left.
drop index audit.entry_resource;
create index entry_resource on audit.entry (resource_id, xid);

create or replace function audit.check_note() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  is_running boolean;
  is_covered boolean := false;
begin
  -- One row, as most statements change: a statement of its own, whose plan PostgreSQL keeps. That of a list is made anew at
  -- each commit, since it cannot know how long the list is, and took two thirds of the guard's time.
  if new.demand is null and cardinality(new.ids) = 1 then
    select b.beat >= clock_timestamp() - audit.beat_age_max(), exists (
        select from audit.entry e
        where e.resource_id = new.ids[1] and e.xid = pg_current_xact_id() and e.resource_kind = new.kind
          and e.tenant_id is not distinct from new.tenant)
      into is_running, is_covered from audit.beat b;
  else
    select b.beat >= clock_timestamp() - audit.beat_age_max() into is_running from audit.beat b;
  end if;
  if is_running is not true then
    raise exception 'the audit log is not running: % refused', new.relation using errcode = 'AX102';
  end if;
  if new.demand is not null then
    is_covered := not new.demand ? 'refused' and not exists (
      select from jsonb_array_elements(new.demand -> 'keys') k
      where not audit.resealed_under(new.tenant, k ->> 0, (k ->> 1)::bigint));
    if not is_covered and coalesce((new.demand ->> 'refused')::boolean, (new.demand ->> 'strict')::boolean) then
      raise exception 'a row of % was encrypted anew without the entry of its batch', new.relation using errcode = 'AX101';
    end if;
  end if;
  -- A look into the index for each id. As a join, the planner would sooner or later read the whole log for it.
  if not is_covered and exists (
    select from unnest(new.ids) changed (id) where (
      select true from audit.entry e
      where e.resource_id = changed.id and e.xid = pg_current_xact_id() and e.resource_kind = new.kind
        and e.tenant_id is not distinct from new.tenant
      limit 1) is null
  ) then
    raise exception 'a row of % changed without its audit entry', new.relation using errcode = 'AX101';
  end if;
  delete from audit.guard_note g where g.seq = new.seq;
  return null;
end $$;

-- Without a setting of its own PostgreSQL puts it into the statement of its caller, all of whom have pinned theirs.
create or replace function platform.model_relation(table_schema name, table_name name) returns text
  language sql immutable parallel safe as $$
  select case when pg_catalog.starts_with(table_schema::text, 't_') then 'app' else table_schema::text end || '.' || table_name $$;
