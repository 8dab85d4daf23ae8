-- The commit guard, by the statement: what a statement changed in a privileged table is noted once, as a set, and looked
-- at once when the transaction commits. One row or five thousand, INSERT, UPDATE, DELETE, MERGE, COPY, ON CONFLICT or a
-- cascade: PostgreSQL fires a trigger of the statement with the rows that it changed. AX101 and AX102 mean what they meant.

-- Lives inside one transaction: written by the statement's trigger, taken away by the look at the commit. No role but the
-- owner has any right on it, so what was noted cannot be taken back without taking back the rows.
create table audit.guard_note (
  seq bigint generated always as identity primary key,
  relation text not null,
  kind text not null,
  tenant uuid not null,
  -- One that is null belongs to a row that no entry can be about, and is refused.
  ids uuid[] not null,
  -- Of rows whose sealed values changed; see audit.reseal_demand. Null: their own entry, nothing else.
  demand jsonb
);
alter table audit.guard_note alter column ids set storage external;
select platform.declare_global_table('audit.guard_note', 'ids of changed rows, for the length of one transaction');

-- What covers a row whose sealed values changed. All changes are re-encryptions and nothing else changed: the entry of the
-- batch of each of `keys` (purpose and version), or, unless `strict`, the row's own. Otherwise `refused` where a value
-- changed that nobody may edit, and null (the row's own entry) where people may.
create function audit.reseal_demand(relation text, before jsonb, after jsonb) returns jsonb
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  sealed record;
  ignored text[] := '{}';
  keys jsonb := '[]';
  is_strict boolean := false;
  pure boolean := true;
begin
  for sealed in select s.column_name, s.purpose, s.editable from platform.sealed_column s
      where s.relation = reseal_demand.relation order by s.column_name loop
    ignored := ignored || sealed.column_name || (sealed.column_name || '_dek');
    continue when before -> sealed.column_name = after -> sealed.column_name;
    is_strict := is_strict or not sealed.editable;
    pure := pure and coalesce(platform.is_reencryption((before ->> sealed.column_name)::bytea, (after ->> sealed.column_name)::bytea), false);
    keys := keys || jsonb_build_array(jsonb_build_array(sealed.purpose, (after ->> (sealed.column_name || '_dek'))::bigint));
  end loop;
  if pure and before - ignored = after - ignored then
    return jsonb_build_object('keys', keys, 'strict', is_strict);
  end if;
  return case when is_strict then '{"refused": true}'::jsonb end;
end $$;

-- After an INSERT or a DELETE; arguments: kind, id column.
create function audit.note_rows() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  relation constant text := platform.model_relation(tg_table_schema, tg_table_name);
begin
  -- Nearly every table calls its id `id`, and that one's plan is kept.
  if tg_argv[1] = 'id' then
    insert into audit.guard_note (relation, kind, tenant, ids)
      select relation, tg_argv[0], c.tenant_id, array_agg(c.id) from changed c group by c.tenant_id;
  else
    execute format('insert into audit.guard_note (relation, kind, tenant, ids)
      select $1, $2, c.tenant_id, array_agg(distinct c.%I) from changed c group by c.tenant_id', tg_argv[1])
      using relation, tg_argv[0];
  end if;
  return null;
end $$;

-- After an UPDATE; arguments: kind, id column, columns of the primary key. A row that moves to another id or tenant needs
-- an entry for both.
create function audit.note_updates() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  relation constant text := platform.model_relation(tg_table_schema, tg_table_name);
  sealed constant name[] := array(select s.column_name from platform.sealed_column s
    where s.relation = platform.model_relation(tg_table_schema, tg_table_name) order by 1);
  same_row text;
  same_values text;
  moved boolean;
begin
  if cardinality(sealed) > 0 then
    select string_agg(format('o.%1$I = n.%1$I', k), ' and ') into same_row from unnest(string_to_array(tg_argv[2], ',')) k;
    select string_agg(format('o.%1$I is not distinct from n.%1$I', k), ' and ') into same_values from unnest(sealed) k;
    execute format('select (select count(*) from old_rows) <> (select count(*) from old_rows o join new_rows n on %s)', same_row)
      into moved;
    -- With keys changed, no row can be told from another by its key: then nothing counts as encrypted anew.
    if not moved then
      execute format('insert into audit.guard_note (relation, kind, tenant, ids, demand)
        select $1, $2, p.tenant_id, array_agg(distinct p.id), p.demand from (
          select n.tenant_id, v.id, case when not (%1$s) then audit.reseal_demand($1, to_jsonb(o), to_jsonb(n)) end as demand
          from old_rows o join new_rows n on %2$s cross join lateral (values (o.%3$I), (n.%3$I)) v (id)) p
        group by p.tenant_id, p.demand', same_values, same_row, tg_argv[1])
        using relation, tg_argv[0];
      return null;
    end if;
  end if;
  if tg_argv[1] = 'id' then
    insert into audit.guard_note (relation, kind, tenant, ids)
      select relation, tg_argv[0], p.tenant_id, array_agg(p.id)
      from (select o.tenant_id, o.id from old_rows o union select n.tenant_id, n.id from new_rows n) p group by p.tenant_id;
  else
    execute format('insert into audit.guard_note (relation, kind, tenant, ids)
      select $1, $2, p.tenant_id, array_agg(p.id)
      from (select tenant_id, %1$I as id from old_rows union select tenant_id, %1$I from new_rows) p group by p.tenant_id', tg_argv[1])
      using relation, tg_argv[0];
  end if;
  return null;
end $$;

-- Emptying a table would leave no rows to note.
create function audit.refuse_truncate() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'a table of the commit guard is not truncated: %.%', tg_table_schema, tg_table_name using errcode = 'AX101';
end $$;

-- At the commit, once for each statement (and tenant). The heartbeat is looked at here, not earlier: a transaction that
-- idles while the sequencer dies must not commit after it.
create function audit.check_note() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from audit.beat b where b.beat >= clock_timestamp() - audit.beat_age_max()) then
    raise exception 'the audit log is not running: % refused', new.relation using errcode = 'AX102';
  end if;
  if new.demand is not null then
    if not new.demand ? 'refused' and not exists (
      select from jsonb_array_elements(new.demand -> 'keys') k
      where not audit.resealed_under(new.tenant, k ->> 0, (k ->> 1)::bigint)
    ) then
      delete from audit.guard_note g where g.seq = new.seq;
      return null;
    end if;
    if coalesce((new.demand ->> 'refused')::boolean, (new.demand ->> 'strict')::boolean) then
      raise exception 'a row of % was encrypted anew without the entry of its batch', new.relation using errcode = 'AX101';
    end if;
  end if;
  -- A look into the index for each id. As a join, the planner would sooner or later read the whole log for it.
  if exists (
    select from unnest(new.ids) changed (id) where (
      select true from audit.entry e
      where e.tenant_id = new.tenant and e.resource_id = changed.id and e.xid = pg_current_xact_id() and e.resource_kind = new.kind
      limit 1) is null
  ) then
    raise exception 'a row of % changed without its audit entry', new.relation using errcode = 'AX101';
  end if;
  delete from audit.guard_note g where g.seq = new.seq;
  return null;
end $$;
create constraint trigger audit_guard after insert on audit.guard_note deferrable initially deferred
  for each row execute function audit.check_note();

-- As before for whoever calls it. A table with children or partitions is refused: a statement that names a child fires
-- the child's triggers, not those of its parent.
create or replace function audit.guard_table(target regclass, kind text, id_column name default 'id') returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  relation text;
  key_columns text;
begin
  select format('%I.%I', n.nspname, c.relname) into relation
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = target and c.relkind = 'r' and not c.relispartition
      and not exists (select from pg_inherits h where target in (h.inhrelid, h.inhparent));
  if relation is null then
    raise exception '% is no plain table without children', target;
  end if;
  if (select count(*) from pg_attribute a
      where a.attrelid = target and a.attname in ('tenant_id', id_column) and a.atttypid = 'uuid'::regtype and not a.attisdropped) <> 2 then
    raise exception '% needs uuid columns tenant_id and %', relation, id_column;
  end if;
  select string_agg(a.attname, ',' order by a.attnum) into key_columns
    from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey::smallint[])
    where i.indrelid = target and i.indisprimary and i.indimmediate;
  if key_columns is null then
    raise exception '% needs a primary key that is checked at once', relation;
  end if;
  execute format(
    'create trigger audit_guard_insert after insert on %1$s referencing new table as changed
       for each statement execute function audit.note_rows(%2$L, %3$L);
     create trigger audit_guard_delete after delete on %1$s referencing old table as changed
       for each statement execute function audit.note_rows(%2$L, %3$L);
     create trigger audit_guard_update after update on %1$s referencing old table as old_rows new table as new_rows
       for each statement execute function audit.note_updates(%2$L, %3$L, %4$L);
     create trigger audit_guard_truncate before truncate on %1$s
       for each statement execute function audit.refuse_truncate()', relation, kind, id_column, key_columns);
  insert into audit.guarded_table (relation, kind, id_column) values (relation, kind, id_column);
end $$;

-- The tables that were guarded row by row. Copies of `app` follow their model a moment later, and are guarded by
-- `audit.guard_row` until then; that is all it is still for.
do $$
declare
  one record;
begin
  for one in delete from audit.guarded_table returning relation, kind, id_column loop
    execute format('drop trigger audit_guard on %s', one.relation);
    perform audit.guard_table(one.relation::regclass, one.kind, one.id_column);
  end loop;
end $$;

revoke all on function audit.reseal_demand(text, jsonb, jsonb), audit.note_rows(), audit.note_updates(), audit.refuse_truncate(),
  audit.check_note() from public;
