-- The super-log: one leaf an epoch that commits to what every tenant's log stood at, each in a salted slot of its own.
-- Only home's tables are used; the other cells have them empty, as they have every table. Only the ledger comes here: a
-- slot's neighbours are none of any tenant's business, and the salts' key is what hides them from the witnesses.

create table audit.super_log (
  generation integer primary key check (generation >= 1),
  origin text not null unique,
  size bigint not null check (size >= 0),
  root bytea not null check (octet_length(root) = 32),
  created_at timestamptz not null default now()
);

-- A slot is given once and for all, also when its owner is gone: evidence that was handed out goes on naming it.
create table audit.super_slot (
  slot bigint primary key check (slot >= 0 and slot < 16777216),
  log_owner uuid not null unique,
  given_at timestamptz not null default now()
);

-- What a slot held from an epoch on. Written when it changed, not with every epoch.
create table audit.super_slot_state (
  slot bigint not null references audit.super_slot,
  epoch bigint not null check (epoch >= 0),
  origin text not null,
  size bigint not null check (size >= 0),
  note text not null,
  primary key (slot, epoch)
);
create unique index super_slot_state_size on audit.super_slot_state (slot, origin, size);

create table audit.super_epoch (
  epoch bigint primary key check (epoch >= 0),
  generation integer not null references audit.super_log,
  idx bigint not null check (idx >= 0),
  leaf text not null check (length(leaf) between 2 and 1024),
  leaf_hash bytea not null check (octet_length(leaf_hash) = 32),
  -- The epoch's salts are made from it.
  slot_key bytea not null check (octet_length(slot_key) = 32),
  unique (generation, idx)
);

create table audit.super_tile (
  generation integer not null references audit.super_log,
  level integer not null check (level between 0 and 7),
  n bigint not null check (n >= 0),
  data bytea not null check (octet_length(data) = 8192),
  root bytea not null check (octet_length(root) = 32),
  primary key (generation, level, n)
);

create table audit.super_checkpoint (
  generation integer not null references audit.super_log,
  size bigint not null check (size >= 1),
  note text not null,
  published_at timestamptz not null default now(),
  primary key (generation, size)
);

-- Signature lines of witnesses over those checkpoints, verified before they are stored.
create table audit.super_cosignature (
  generation integer not null,
  size bigint not null,
  -- The witness's whole verifier key.
  witness text not null check (length(witness) <= 400),
  line text not null check (length(line) <= 600),
  cosigned_at timestamptz not null,
  primary key (generation, size, witness),
  foreign key (generation, size) references audit.super_checkpoint
);
create index super_cosignature_witness on audit.super_cosignature (witness, generation, size);

-- RFC 3161 tokens over the SHA-256 of a checkpoint's text, verified before they are stored.
create table audit.super_timestamp (
  generation integer not null,
  size bigint not null,
  token bytea not null check (octet_length(token) between 1 and 65536),
  stamped_at timestamptz not null,
  primary key (generation, size),
  foreign key (generation, size) references audit.super_checkpoint
);

do $$
declare
  relation text;
begin
  foreach relation in array array['super_log', 'super_slot', 'super_slot_state', 'super_epoch', 'super_tile',
    'super_checkpoint', 'super_cosignature', 'super_timestamp'] loop
    perform platform.declare_global_table(format('audit.%I', relation),
      'the super-log is over all tenants; only the ledger reads it, and tells a tenant its own slot');
    execute format('alter table audit.%I enable row level security', relation);
    execute format('alter table audit.%I force row level security', relation);
    execute format('create policy super_log on audit.%I to ax_owner, ax_ledger using (true) with check (true)', relation);
    execute format('grant select on audit.%I to ax_ledger', relation);
  end loop;
end $$;

grant insert (generation, origin, size, root), update (size, root) on audit.super_log to ax_ledger;
grant insert (slot, log_owner) on audit.super_slot to ax_ledger;
grant insert on audit.super_slot_state, audit.super_epoch, audit.super_tile, audit.super_cosignature,
  audit.super_timestamp to ax_ledger;
grant insert (generation, size, note) on audit.super_checkpoint to ax_ledger;
