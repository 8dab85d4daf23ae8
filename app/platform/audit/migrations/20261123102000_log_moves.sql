-- A tenant's log moves with its rows to another cell. It is open in one cell only: the signer knows it by its origin,
-- and two cells that both grew it would be a fork. Whoever moves a tenant calls, as the owner: `close_log` in the old
-- cell (short, in a transaction of its own), copies the rows of `audit` (log_index without `position`: the new cell
-- hands out its own), `log_arrived` in the new cell, and only then deletes. `reopen_log` takes an interrupted move back.

alter table audit.log
  -- Set: this cell neither takes entries of the tenant nor grows its log.
  add column moved_to text check (moved_to <> ''),
  -- Entries below it came with the move: they were looked at where they came from.
  add column arrived_size bigint not null default 0 check (arrived_size >= 0);

-- As before, and: no entry enters a log that has moved on (AX105). The lock is shared by writers, so they do not wait for
-- each other; `close_log` takes it alone, so no writer that has begun can slip an entry in behind it.
create or replace function audit.enqueue_entry() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock_shared(7204115, hashtext(new.tenant_id::text));
  if exists (select from audit.log l where l.tenant_id = new.tenant_id and l.moved_to is not null) then
    raise exception 'the audit log of this tenant is in another cell' using errcode = 'AX105';
  end if;
  insert into audit.pending (tenant_id, entry_id, leaf_hash) values (new.tenant_id, new.id, new.leaf_hash);
  return null;
end $$;

-- AX104: not yet; entries still wait for their place or the newest tree for its signature. Ask again in a moment.
create function audit.close_log(tenant uuid, destination text)
  returns table (generation integer, origin text, size bigint, root bytea)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(7204115, hashtext(tenant::text));
  -- The sequencer's own lock: a batch that is under way ends first.
  perform pg_advisory_xact_lock(7204115001);
  if not exists (select from audit.log l where l.tenant_id = tenant) then
    raise exception 'this tenant has no log yet' using errcode = 'AX104';
  end if;
  if exists (select from audit.pending p where p.tenant_id = tenant) then
    raise exception 'entries of this tenant still wait for their place' using errcode = 'AX104';
  end if;
  if exists (
    select from audit.log_head h where h.tenant_id = tenant and h.size > 0 and not exists (
      select from audit.checkpoint c
      where c.tenant_id = tenant and c.generation = h.generation and c.size = h.size and c.root = h.root)
  ) then
    raise exception 'the log of this tenant still waits for its signature' using errcode = 'AX104';
  end if;
  update audit.log l set moved_to = destination where l.tenant_id = tenant;
  return query select l.generation, l.origin, h.size, h.root
    from audit.log l join audit.log_head h on h.tenant_id = l.tenant_id and h.generation = l.generation
    where l.tenant_id = tenant;
end $$;

create function audit.reopen_log(tenant uuid) returns void
  language sql set search_path = pg_catalog, pg_temp as $$
  update audit.log l set moved_to = null where l.tenant_id = tenant
$$;

create function audit.log_arrived(tenant uuid) returns void
  language sql set search_path = pg_catalog, pg_temp as $$
  update audit.log l set moved_to = null, arrived_size = h.size
  from audit.log_head h where l.tenant_id = tenant and h.tenant_id = tenant and h.generation = l.generation
$$;

revoke all on function audit.close_log(uuid, text), audit.reopen_log(uuid), audit.log_arrived(uuid) from public;
