-- A stored generated column is not computed yet when a trigger runs before the update, so the guard took the row of a
-- result that supersedes another for a changed one and refused to encrypt it anew. Such a column says nothing that the
-- columns it is made of do not say, and those are compared.
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
      where s.relation = tg_table_schema || '.' || tg_table_name loop
    ignored := ignored || sealed.column_name || (sealed.column_name || '_dek');
    execute format('select ($1).%1$I, ($2).%1$I', sealed.column_name) into before, after using old, new;
    continue when before is not distinct from after or sealed.editable;
    if before is null or after is null or not platform.is_reencryption(before, after) then
      raise exception 'a sealed value of %.% may only be encrypted anew', tg_table_schema, tg_table_name using errcode = 'AX104';
    end if;
    resealed := true;
  end loop;
  if not resealed then
    return new;
  end if;
  ignored := ignored || array(select a.attname::text from pg_attribute a where a.attrelid = tg_relid and a.attgenerated <> '');
  if to_jsonb(old) - ignored is distinct from to_jsonb(new) - ignored then
    raise exception 'encrypting a value anew changes nothing else of its row' using errcode = 'AX104';
  end if;
  return new;
end $$;
