-- A log whose key changes says so itself, in an entry that the old key has signed for. The ledger can write no entry and
-- read none; these two functions are its whole way to this kind of entry.

-- Writes the entry into the tenant's log. AX106: the leaf is no such statement about this tenant's log.
create function audit.announce_key(tenant uuid, change bytea) returns uuid
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  body constant jsonb := convert_from(change, 'UTF8')::jsonb;
begin
  if body -> 'actor' is distinct from '["service", "ledger"]'::jsonb
    or body ->> 'type' is distinct from 'log.key.rotated'
    or body -> 'resource' is distinct from jsonb_build_array('log', tenant::text) then
    raise exception 'the ledger writes about logs only, under its own name' using errcode = 'AX106';
  end if;
  insert into audit.entry (tenant_id, id, leaf) values (tenant, (body ->> 'id')::uuid, change);
  return (body ->> 'id')::uuid;
end $$;

-- Such entries with their places, of one tenant's log or of every log that is open here. Public, like every leaf.
create function audit.key_changes(only_tenant uuid)
  returns table (tenant_id uuid, generation integer, origin text, idx bigint, leaf bytea)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select e.tenant_id, l.generation, l.origin, i.idx, e.leaf from audit.entry e
  join audit.log_index i on i.tenant_id = e.tenant_id and i.entry_id = e.id
  join audit.log l on l.tenant_id = i.tenant_id and l.generation = i.generation
  where e.type = 'log.key.rotated' and l.moved_to is null and e.tenant_id = coalesce(only_tenant, e.tenant_id)
  order by e.tenant_id, l.generation, i.idx
$$;

revoke all on function audit.announce_key(uuid, bytea), audit.key_changes(uuid) from public;
grant execute on function audit.announce_key(uuid, bytea), audit.key_changes(uuid) to ax_ledger;

-- A handful in the life of a log, looked for at each start and in each export.
create index entry_key_changes on audit.entry (tenant_id, id) where type = 'log.key.rotated';
create index super_epoch_key_changes on audit.super_epoch (generation, idx) where leaf not like '{"epoch":%';
