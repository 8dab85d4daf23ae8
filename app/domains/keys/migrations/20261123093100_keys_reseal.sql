-- Rotation of data keys: which columns hold sealed values, how far each has come, and what may change when a value is
-- encrypted anew. The decision record on re-encryption says why it is built like this.

-- The registry of sealed columns. The schema lint compares it with the rooms' `sealed-fields.ts`, both ways.
create table platform.sealed_column (
  relation text not null,
  column_name text not null,
  -- Bound into every ciphertext; 1 is the key of a stored object.
  field bigint not null check (field between 1 and 4294967295),
  purpose text not null check (purpose in ('fields', 'objects')),
  -- The uuid columns by which rows are walked, and to which the ciphertext is bound.
  key_column text not null,
  row_column text not null,
  -- Whose role encrypts anew.
  service text not null check (service in ('workspace', 'issuer')),
  -- True where people may give the value anew, under the row's own entry.
  editable boolean not null,
  primary key (relation, column_name)
);
grant select on platform.sealed_column to ax_workspace, ax_issuer, ax_sentinel;

-- A sealed value is `A7 | suite | version u32 | nonce 24 | ciphertext | tag 16`. Re-encryption changes nonce, tag and a
-- version that only grows; as the ciphertext is as long as the plaintext, the length stays. That the plaintext is the
-- same cannot be seen from here: the digest in the entry and the values committed to in the log bear it out.
create function platform.is_reencryption(before bytea, after bytea) returns boolean
  language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select octet_length(after) = octet_length(before)
    and get_byte(after, 1) >= get_byte(before, 1)
    and substring(after from 3 for 4) > substring(before from 3 for 4) $$;

-- Before an update of a table with sealed values: one that nobody may edit is only ever encrypted anew, and a statement
-- that does so changes nothing else. AX104.
create function platform.guard_sealed() returns trigger
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
  if resealed and to_jsonb(old) - ignored is distinct from to_jsonb(new) - ignored then
    raise exception 'encrypting a value anew changes nothing else of its row' using errcode = 'AX104';
  end if;
  return new;
end $$;

-- Registers a sealed column: only the sealed form gets in, the key version is a column of its own (an expression could
-- not be looked up in an index behind the tenant wall: its function is not leakproof), and its service may encrypt anew.
create function platform.seal_column(target regclass, sealed name, rule jsonb) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  relation text;
  owner_role constant text := 'ax_' || (rule ->> 'service');
  key_column constant text := coalesce(rule ->> 'key', 'id');
  row_column constant text := coalesce(rule ->> 'row', 'id');
begin
  select format('%I.%I', n.nspname, c.relname) into strict relation
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = target;
  insert into platform.sealed_column (relation, column_name, field, purpose, key_column, row_column, service, editable)
    values (relation, sealed, (rule ->> 'field')::bigint, rule ->> 'purpose', key_column, row_column, rule ->> 'service',
      coalesce((rule ->> 'editable')::boolean, false));
  execute format('alter table %s add constraint %I check (octet_length(%I) >= 46 and get_byte(%3$I, 0) = 167)',
    relation, sealed || '_sealed', sealed);
  execute format(
    'alter table %s add column %I bigint generated always as
      ((get_byte(%3$I, 2)::bigint << 24) + (get_byte(%3$I, 3) << 16) + (get_byte(%3$I, 4) << 8) + get_byte(%3$I, 5)) stored',
    relation, sealed || '_dek', sealed);
  execute format('create index on %s (tenant_id, %I, %I)', relation, sealed || '_dek', key_column);
  execute format('grant update (%I) on %s to %I', sealed, relation, owner_role);
  execute format('grant select (tenant_id, %I) on %s to ax_workspace', sealed || '_dek', relation);
  execute format('create or replace trigger guard_sealed before update on %s for each row execute function platform.guard_sealed()',
    relation);
end $$;

-- A row whose sealed values alone changed, each into a younger key's, is covered by the entry of its batch: one
-- `key.resealed` of the very key that the new values name, in the same transaction.
create function audit.covered_by_reseal(relation text, before jsonb, after jsonb) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  sealed record;
  ignored text[] := '{}';
  old_value bytea;
  new_value bytea;
  changed boolean := false;
begin
  for sealed in select s.column_name, s.purpose from platform.sealed_column s where s.relation = covered_by_reseal.relation loop
    ignored := ignored || sealed.column_name || (sealed.column_name || '_dek');
    continue when before -> sealed.column_name = after -> sealed.column_name;
    old_value := (before ->> sealed.column_name)::bytea;
    new_value := (after ->> sealed.column_name)::bytea;
    if old_value is null or new_value is null or not platform.is_reencryption(old_value, new_value) then
      return false;
    end if;
    if not exists (
      select from audit.entry e join app.dek d on d.tenant_id = e.tenant_id and d.id = e.resource_id
      where e.tenant_id = (after ->> 'tenant_id')::uuid and d.tenant_id = (after ->> 'tenant_id')::uuid
        and e.xid = pg_current_xact_id() and e.type = 'key.resealed' and e.resource_kind = 'dek'
        and d.purpose = sealed.purpose and d.state in ('ACTIVE', 'DECRYPT_ONLY')
        and d.version = (after ->> (sealed.column_name || '_dek'))::bigint
    ) then
      return false;
    end if;
    changed := true;
  end loop;
  return changed and before - ignored = after - ignored;
end $$;

-- True when a value that nobody may edit has changed: then the row's own entry does not cover it.
create function audit.sealed_changed(relation text, before jsonb, after jsonb) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (select from platform.sealed_column s where s.relation = sealed_changed.relation and not s.editable
    and before -> s.column_name is distinct from after -> s.column_name) $$;

create or replace function audit.guard_row() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  relation constant text := tg_table_schema || '.' || tg_table_name;
  old_tenant uuid;
  old_id uuid;
  new_tenant uuid;
  new_id uuid;
begin
  if tg_op = 'UPDATE' and exists (select from platform.sealed_column s where s.relation = tg_table_schema || '.' || tg_table_name) then
    if audit.covered_by_reseal(relation, to_jsonb(old), to_jsonb(new)) then
      perform audit.require_beat(relation);
      return null;
    end if;
    if audit.sealed_changed(relation, to_jsonb(old), to_jsonb(new)) then
      raise exception 'a row of % was encrypted anew without the entry of its batch', relation using errcode = 'AX101';
    end if;
  end if;
  -- Nearly every table calls its id `id`, and that one needs no statement of its own for each row.
  if tg_op <> 'INSERT' then
    if tg_argv[1] = 'id' then
      old_tenant := old.tenant_id;
      old_id := old.id;
    else
      execute format('select ($1).tenant_id, ($1).%I', tg_argv[1]) into old_tenant, old_id using old;
    end if;
  end if;
  if tg_op <> 'DELETE' then
    if tg_argv[1] = 'id' then
      new_tenant := new.tenant_id;
      new_id := new.id;
    else
      execute format('select ($1).tenant_id, ($1).%I', tg_argv[1]) into new_tenant, new_id using new;
    end if;
    perform audit.require_entry(new_tenant, tg_argv[0], new_id, relation);
  end if;
  if tg_op <> 'INSERT' and (old_tenant, old_id) is distinct from (new_tenant, new_id) then
    perform audit.require_entry(old_tenant, tg_argv[0], old_id, relation);
  end if;
  return null;
end $$;

create function audit.require_beat(relation text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from audit.beat b where b.beat >= clock_timestamp() - audit.beat_age_max()) then
    raise exception 'the audit log is not running: % refused', relation using errcode = 'AX102';
  end if;
end $$;

-- Withheld values of the log have no guard of their own (they come with their entry and never change); encrypted anew
-- they need the batch's entry like any other.
create function audit.guard_disclosure() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not audit.covered_by_reseal('audit.disclosure', to_jsonb(old), to_jsonb(new)) then
    raise exception 'a withheld value was encrypted anew without the entry of its batch' using errcode = 'AX101';
  end if;
  perform audit.require_beat('audit.disclosure');
  return null;
end $$;
create constraint trigger audit_guard after update on audit.disclosure deferrable initially deferred
  for each row execute function audit.guard_disclosure();

revoke all on function platform.is_reencryption(bytea, bytea), platform.guard_sealed(), platform.seal_column(regclass, name, jsonb),
  audit.covered_by_reseal(text, jsonb, jsonb), audit.sealed_changed(text, jsonb, jsonb), audit.require_beat(text),
  audit.guard_disclosure() from public;

select platform.seal_column('app.engagement', 'title', '{"field": 1001, "purpose": "fields", "service": "workspace"}');
select platform.seal_column('app.engagement', 'client_name', '{"field": 1002, "purpose": "fields", "service": "workspace"}');
select platform.seal_column('app.engagement', 'catalogue', '{"field": 1003, "purpose": "fields", "service": "workspace"}');
select platform.seal_column('app.criterion', 'content', '{"field": 1004, "purpose": "fields", "service": "workspace"}');
select platform.seal_column('app.result', 'note', '{"field": 1005, "purpose": "fields", "service": "workspace"}');
select platform.seal_column('app.evidence_upload', 'description', '{"field": 1101, "purpose": "fields", "service": "workspace"}');
select platform.seal_column('app.evidence', 'description', '{"field": 1102, "purpose": "fields", "service": "workspace"}');
select platform.seal_column('app.evidence', 'manifest', '{"field": 1103, "purpose": "fields", "service": "workspace"}');
select platform.seal_column('app.evidence_upload', 'object_key', '{"field": 1, "purpose": "objects", "service": "workspace"}');
select platform.seal_column('app.evidence', 'object_key', '{"field": 1, "purpose": "objects", "service": "workspace", "row": "upload_id"}');
select platform.seal_column('identity.member', 'label', '{"field": 2001, "purpose": "fields", "service": "issuer", "editable": true}');
select platform.seal_column('identity.invitation', 'label', '{"field": 2002, "purpose": "fields", "service": "issuer"}');
select platform.seal_column('identity.invitation', 'name', '{"field": 2003, "purpose": "fields", "service": "issuer"}');
select platform.seal_column('audit.disclosure', 'sealed',
  '{"field": 3001, "purpose": "fields", "service": "workspace", "key": "entry_id", "row": "entry_id"}');

-- States of a key. The table is the one of ../states.ts (a test compares them); what leaves a state is kept from coming
-- back by this trigger, whatever a program asks for. AX105: no such step. AX106: rows still need the key.
alter table app.dek add column state_since timestamptz not null default now();
alter table app.dek add constraint dek_destroyed
  check ((state = 'DESTROYED') = (wrapped = decode(repeat('00', 48), 'hex')));

create function app.dek_step_allowed(before text, after text) returns boolean
  language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select (before, after) in (('PENDING', 'ACTIVE'), ('PENDING', 'DESTROYED'), ('ACTIVE', 'DECRYPT_ONLY'),
    ('ACTIVE', 'DESTROYED'), ('DECRYPT_ONLY', 'RETIRED'), ('DECRYPT_ONLY', 'DESTROYED'), ('RETIRED', 'DECRYPT_ONLY'),
    ('RETIRED', 'DESTROYED')) $$;

create function app.guard_dek() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  sealed record;
  used boolean;
begin
  if tg_op = 'INSERT' then
    if new.state not in ('PENDING', 'ACTIVE') then
      raise exception 'a key does not begin as %', new.state using errcode = 'AX105';
    end if;
    return new;
  end if;
  if new.state = old.state then
    return new;
  end if;
  if not app.dek_step_allowed(old.state, new.state) then
    raise exception 'a key does not go from % to %', old.state, new.state using errcode = 'AX105';
  end if;
  if new.state = 'RETIRED' then
    for sealed in select s.relation, s.column_name from platform.sealed_column s where s.purpose = new.purpose loop
      execute format('select exists (select from %s where tenant_id = $1 and %I = $2)', sealed.relation, sealed.column_name || '_dek')
        into used using new.tenant_id, new.version::bigint;
      if used then
        raise exception 'values of %.% still need the key', sealed.relation, sealed.column_name using errcode = 'AX106';
      end if;
    end loop;
  end if;
  new.state_since := clock_timestamp();
  return new;
end $$;
create trigger guard_dek before insert or update on app.dek for each row execute function app.guard_dek();
revoke all on function app.dek_step_allowed(text, text), app.guard_dek() from public;

-- How far the re-encryption of a column has come. `walked` is where the next batch begins; lost, a walk begins anew and
-- finds less to do.
create table app.reseal_progress (
  tenant_id uuid not null references platform.tenant (id),
  relation text not null,
  column_name text not null,
  -- The version that values are encrypted to; a younger one begins a new count.
  version integer not null check (version >= 1),
  walked uuid,
  done bigint not null check (done >= 0),
  unreadable bigint not null check (unreadable >= 0),
  updated_at timestamptz not null,
  primary key (tenant_id, relation, column_name)
);
select platform.protect_tenant_table('app.reseal_progress');
grant select, insert, update (version, walked, done, unreadable, updated_at) on app.reseal_progress to ax_workspace, ax_issuer;
