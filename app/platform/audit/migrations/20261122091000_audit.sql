-- The audit log: entries are written in the transaction of the business row, sequenced by the ledger, signed by the
-- signer. See ../README.md for the roles and the order of durability.

grant usage on schema audit to ax_workspace, ax_issuer, ax_ledger, ax_sentinel;

-- Everything that is searched is read out of the leaf by the server, once (`audit.read_leaf`): a writer cannot file an
-- entry under another resource, person or time than the one that gets hashed and signed.
create table audit.entry (
  tenant_id uuid not null,
  id uuid not null,
  -- No role that inserts may name any column but tenant_id, id and leaf; the trigger overwrites the others all the same.
  xid xid8 not null,
  writer name not null,
  leaf bytea not null,
  leaf_hash bytea not null generated always as (sha256('\x00'::bytea || leaf)) stored,
  type text not null,
  resource_kind text not null,
  resource_id uuid not null,
  outcome text not null,
  actor_person uuid,
  occurred_ms bigint not null,
  token_hash text,
  primary key (tenant_id, id),
  constraint entry_leaf_size check (octet_length(leaf) between 2 and 4096),
  constraint entry_outcome check (outcome in ('allowed', 'denied', 'failed'))
);

create function audit.read_leaf() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  body constant jsonb := convert_from(new.leaf, 'UTF8')::jsonb;
begin
  if body ->> 'id' is distinct from new.id::text then
    raise exception 'the leaf carries another id' using errcode = 'check_violation', constraint = 'entry_leaf_id';
  end if;
  new.xid := pg_current_xact_id();
  new.writer := session_user;
  new.type := body ->> 'type';
  new.resource_kind := body -> 'resource' ->> 0;
  new.resource_id := (body -> 'resource' ->> 1)::uuid;
  new.outcome := body ->> 'outcome';
  new.actor_person := case when body -> 'actor' ->> 0 = 'person' then (body -> 'actor' ->> 1)::uuid end;
  new.occurred_ms := (body ->> 'time')::bigint;
  new.token_hash := body ->> 'token';
  return new;
end $$;
revoke all on function audit.read_leaf() from public;
create trigger read_leaf before insert on audit.entry for each row execute function audit.read_leaf();

-- What the commit guard looks up.
create index entry_resource on audit.entry (tenant_id, resource_id, xid);

-- Personal or confidential values, outside the tree: destroying them leaves every leaf, proof and checkpoint intact.
create table audit.disclosure (
  tenant_id uuid not null,
  entry_id uuid not null,
  digest text not null,
  sealed bytea not null,
  primary key (tenant_id, entry_id, digest),
  foreign key (tenant_id, entry_id) references audit.entry (tenant_id, id)
);

-- The queue between writers and the sequencer: claimed and deleted, so that a late commit is never skipped.
create table audit.pending (
  tenant_id uuid not null,
  entry_id uuid not null,
  seq bigint generated always as identity,
  leaf_hash bytea not null,
  primary key (tenant_id, entry_id)
);
create index pending_seq on audit.pending (seq);

create table audit.log (
  tenant_id uuid not null,
  generation integer not null default 1 check (generation >= 1),
  origin text not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, generation),
  unique (origin)
);

-- `position` is the one order over all logs: a single sequencer (advisory lock) hands it out, so readers may keep it as
-- a watermark.
create table audit.log_index (
  tenant_id uuid not null,
  generation integer not null,
  idx bigint not null,
  entry_id uuid not null,
  leaf_hash bytea not null check (octet_length(leaf_hash) = 32),
  position bigint generated always as identity,
  primary key (tenant_id, generation, idx),
  unique (tenant_id, entry_id)
);
create unique index log_index_position on audit.log_index (position);

-- Full tiles only (256 hashes); partial ones are rebuilt from log_index and from the roots kept here.
create table audit.log_tile (
  tenant_id uuid not null,
  generation integer not null,
  level integer not null check (level between 0 and 7),
  n bigint not null check (n >= 0),
  data bytea not null check (octet_length(data) = 8192),
  root bytea not null check (octet_length(root) = 32),
  primary key (tenant_id, generation, level, n)
);

create table audit.log_head (
  tenant_id uuid not null,
  generation integer not null,
  size bigint not null check (size >= 0),
  root bytea not null check (octet_length(root) = 32),
  primary key (tenant_id, generation)
);

create table audit.checkpoint (
  tenant_id uuid not null,
  generation integer not null,
  size bigint not null,
  root bytea not null check (octet_length(root) = 32),
  note text not null,
  published_at timestamptz not null default now(),
  primary key (tenant_id, generation, size)
);

-- The heartbeat of the one sequencer. Starts in the past: a house without a ledger refuses privileged writes.
create table audit.beat (
  only_row boolean primary key default true check (only_row),
  beat timestamptz not null
);
insert into audit.beat (beat) values ('-infinity');

-- What the issuer minted, so that a writer cannot put another person's name under its own deed unseen.
create table audit.mint (
  token_hash text primary key,
  tenant_id uuid not null,
  person_id uuid not null,
  session_id uuid not null,
  minted_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index mint_expires on audit.mint (expires_at);

create table audit.guarded_table (
  relation text primary key,
  kind text not null,
  id_column text not null
);

-- Row walls. The two roles that act for a tenant stay behind the tenant wall; the log's own machinery sees every
-- tenant's hashes and public-safe leaves, by the grants below and nothing more.
do $$
declare
  relation text;
  wall record;
begin
  foreach relation in array array['entry', 'disclosure', 'pending', 'log', 'log_index', 'log_tile', 'log_head', 'checkpoint'] loop
    perform platform.protect_tenant_table(format('audit.%I', relation)::regclass);
    for wall in select policyname from pg_policies
      where schemaname = 'audit' and tablename = relation and permissive = 'RESTRICTIVE' loop
      execute format('alter policy %I on audit.%I to ax_workspace, ax_issuer', wall.policyname, relation);
    end loop;
    execute format(
      'create policy log_machinery on audit.%I to ax_owner, ax_ledger, ax_sentinel using (true) with check (true)', relation);
  end loop;
end $$;

select platform.declare_global_table('audit.mint', 'the issuer writes it before any tenant is entered; hashes and ids only');
select platform.declare_global_table('audit.beat', 'one row: the heartbeat of the sequencer');
select platform.declare_global_table('audit.guarded_table', 'which tables the commit guard watches');
alter table audit.mint enable row level security;
alter table audit.mint force row level security;
create policy mint_write on audit.mint to ax_owner, ax_issuer using (true) with check (true);
create policy mint_read on audit.mint for select to ax_sentinel using (true);

grant insert (tenant_id, id, leaf) on audit.entry to ax_workspace, ax_issuer;
grant select on audit.entry to ax_workspace, ax_issuer, ax_sentinel;
grant insert (tenant_id, entry_id, digest, sealed) on audit.disclosure to ax_workspace, ax_issuer;
grant select on audit.disclosure to ax_workspace;
grant select on audit.log_index to ax_workspace, ax_issuer, ax_sentinel;
grant select on audit.checkpoint, audit.log_head, audit.log, audit.mint, audit.beat, audit.guarded_table to ax_sentinel;
grant select on audit.pending to ax_sentinel;

grant select, delete on audit.pending to ax_ledger;
grant select, insert (tenant_id, generation, origin) on audit.log to ax_ledger;
grant select, insert (tenant_id, generation, idx, entry_id, leaf_hash) on audit.log_index to ax_ledger;
grant select, insert (tenant_id, generation, level, n, data, root) on audit.log_tile to ax_ledger;
grant select, insert (tenant_id, generation, size, root), update (size, root) on audit.log_head to ax_ledger;
grant select, insert (tenant_id, generation, size, root, note) on audit.checkpoint to ax_ledger;
grant select, update (beat) on audit.beat to ax_ledger;
grant insert (token_hash, tenant_id, person_id, session_id, expires_at), delete on audit.mint to ax_issuer;
grant select (token_hash, expires_at) on audit.mint to ax_issuer;

-- Every entry gets into the queue, whoever writes it: writers have no right on the queue, so they cannot leave one out
-- or put another hash in.
create function audit.enqueue_entry() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into audit.pending (tenant_id, entry_id, leaf_hash) values (new.tenant_id, new.id, new.leaf_hash);
  return null;
end $$;
create trigger enqueue_entry after insert on audit.entry for each row execute function audit.enqueue_entry();

-- How old the sequencer's heartbeat may be before privileged writes are refused (fail closed).
create function audit.beat_age_max() returns interval
  language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$ select interval '2 seconds' $$;

-- AX101: a privileged row changed without its entry. AX102: the log is not running.
create function audit.require_entry(tenant uuid, kind text, row_id uuid, relation text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from audit.beat b where b.beat >= clock_timestamp() - audit.beat_age_max()) then
    raise exception 'the audit log is not running: % refused', relation using errcode = 'AX102';
  end if;
  if not exists (
    select from audit.entry e
    where e.tenant_id = tenant and e.resource_id = row_id and e.xid = pg_current_xact_id() and e.resource_kind = kind
  ) then
    raise exception 'a row of % changed without its audit entry', relation using errcode = 'AX101';
  end if;
end $$;

-- Deferred to the commit: row and entry may come in either order, but only together. An update that moves a row to
-- another id or tenant needs an entry for both.
create function audit.guard_row() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  relation constant text := tg_table_schema || '.' || tg_table_name;
  old_tenant uuid;
  old_id uuid;
  new_tenant uuid;
  new_id uuid;
begin
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

-- Puts a table under the guard: each changed row needs an entry with its tenant, `kind` as resource kind and the row's
-- `id_column` as resource id, written in the same transaction.
create function audit.guard_table(target regclass, kind text, id_column name default 'id') returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  relation text;
begin
  select format('%I.%I', n.nspname, c.relname) into strict relation
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = target;
  if (select count(*) from pg_attribute a
      where a.attrelid = target and a.attname in ('tenant_id', id_column) and a.atttypid = 'uuid'::regtype and not a.attisdropped) <> 2 then
    raise exception '% needs uuid columns tenant_id and %', relation, id_column;
  end if;
  execute format(
    'create constraint trigger audit_guard after insert or update or delete on %s deferrable initially deferred
       for each row execute function audit.guard_row(%L, %L)', relation, kind, id_column);
  insert into audit.guarded_table (relation, kind, id_column) values (relation, kind, id_column);
end $$;

-- The sentinel's only way to write: its own observations, into the operator's log, under its own name.
create function audit.append_observation(leaf bytea) returns uuid
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  body constant jsonb := convert_from(leaf, 'UTF8')::jsonb;
  operator uuid;
begin
  if body -> 'actor' is distinct from '["service", "sentinel"]'::jsonb then
    raise exception 'an observation is written under the name of the sentinel' using errcode = 'AX103';
  end if;
  select t.id into strict operator from platform.tenant t where t.kind = 'operator';
  insert into audit.entry (tenant_id, id, leaf) values (operator, (body ->> 'id')::uuid, leaf);
  return (body ->> 'id')::uuid;
end $$;

revoke all on function audit.enqueue_entry(), audit.guard_row(), audit.require_entry(uuid, text, uuid, text),
  audit.guard_table(regclass, text, name), audit.append_observation(bytea) from public;
grant execute on function audit.append_observation(bytea) to ax_sentinel;
