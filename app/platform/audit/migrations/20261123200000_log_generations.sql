-- A log whose database was put back, or whose signatures can no longer be trusted, goes on as a new generation. Its entry 0
-- names the last good checkpoint of the one before and what was signed beyond it. The ledger can write no entry and read
-- none; these two functions are its whole way to this kind of entry.

-- Opens the generation after the one that the leaf names. AX106: the leaf is no such statement about this tenant's log.
create function audit.open_generation(tenant uuid, opening bytea) returns table (log_origin text, log_generation integer)
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  body constant jsonb := convert_from(opening, 'UTF8')::jsonb;
  previous constant text := body -> 'public' ->> 'previousOrigin';
  kept constant bigint := (body -> 'public' ->> 'keptSize')::bigint;
  kept_root constant bytea := decode(body -> 'public' ->> 'keptRoot', 'base64');
  opening_id constant uuid := (body ->> 'id')::uuid;
  opening_hash constant bytea := sha256('\x00'::bytea || opening);
  newest record;
  following integer;
begin
  -- The sequencer's own lock: a batch that is under way ends first, none begins in between.
  perform pg_advisory_xact_lock(7204115001);
  if body -> 'actor' is distinct from '["service", "ledger"]'::jsonb
    or body ->> 'type' is distinct from 'log.generation.opened'
    or body -> 'resource' is distinct from jsonb_build_array('log', tenant::text) then
    raise exception 'the ledger writes about logs only, under its own name' using errcode = 'AX106';
  end if;
  select l.generation, l.origin, h.size into newest
    from audit.log l join audit.log_head h on h.tenant_id = l.tenant_id and h.generation = l.generation
    where l.tenant_id = tenant and l.moved_to is null order by l.generation desc limit 1;
  following := substring(previous from '/([1-9][0-9]{0,8})$')::integer + 1;
  if not found or following is null or following <= newest.generation
    or regexp_replace(previous, '[0-9]+$', '') <> regexp_replace(newest.origin, '[0-9]+$', '')
    or kept is null or kept < 0 or kept > newest.size or (previous <> newest.origin and kept > 0) then
    raise exception 'it names another log, or more than there is' using errcode = 'AX106';
  end if;
  if previous = newest.origin then
    -- What stands here beyond the kept checkpoint was never signed like this: these entries get a new place.
    with surplus as (
      delete from audit.log_index i
      where i.tenant_id = tenant and i.generation = newest.generation and i.idx >= kept
      returning i.entry_id, i.leaf_hash, i.idx
    )
    insert into audit.pending (tenant_id, entry_id, leaf_hash)
      select tenant, s.entry_id, s.leaf_hash from surplus s order by s.idx;
    delete from audit.log_tile t
      where t.tenant_id = tenant and t.generation = newest.generation and (t.n + 1) * (256::numeric ^ (t.level + 1)) > kept;
    update audit.log_head h set size = kept, root = kept_root
      where h.tenant_id = tenant and h.generation = newest.generation and h.size > kept;
  end if;
  insert into audit.entry (tenant_id, id, leaf) values (tenant, opening_id, opening);
  delete from audit.pending p where p.tenant_id = tenant and p.entry_id = opening_id;
  log_origin := regexp_replace(previous, '[0-9]+$', following::text);
  log_generation := following;
  insert into audit.log (tenant_id, generation, origin) values (tenant, following, log_origin);
  insert into audit.log_head (tenant_id, generation, size, root) values (tenant, following, 1, opening_hash);
  insert into audit.log_index (tenant_id, generation, idx, entry_id, leaf_hash)
    values (tenant, following, 0, opening_id, opening_hash);
  return next;
end $$;

-- Entry 0 of a later generation, which the signer wants to read before it signs anything of it. Public, like every leaf.
create function audit.log_opening(tenant uuid, of_generation integer) returns bytea
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select e.leaf from audit.log_index i join audit.entry e on e.tenant_id = i.tenant_id and e.id = i.entry_id
  where i.tenant_id = tenant and i.generation = of_generation and i.generation > 1 and i.idx = 0
    and e.type = 'log.generation.opened'
$$;

revoke all on function audit.open_generation(uuid, bytea), audit.log_opening(uuid, integer) from public;
grant execute on function audit.open_generation(uuid, bytea), audit.log_opening(uuid, integer) to ax_ledger;
