-- What a tenant's own systems are told of its people's access (OpenID SSF 1.0). Names, addresses, secrets and signed tokens
-- are sealed; what stands here in the clear says which stream, which member, what kind of event, and when.

create table identity.signal_stream (
  tenant_id uuid not null,
  id uuid not null,
  -- Name, audience, and where pushed ones go with which authorization.
  settings bytea not null,
  method text not null check (method in ('push', 'poll')),
  subjects text not null check (subjects in ('provider', 'own')),
  tells_sessions boolean not null,
  tells_accounts boolean not null,
  tells_passkeys boolean not null,
  -- What an administrator has chosen; it holds for deliveries once the receiver was told (signal_queue.status).
  status text not null default 'enabled' check (status in ('enabled', 'paused', 'disabled')),
  -- SHA-256 of 256 random bits, by which the receiver polls and asks.
  token_hash bytea not null check (octet_length(token_hash) = 32),
  created_by uuid not null,
  created_at timestamptz not null,
  removed_at timestamptz,
  primary key (tenant_id, id),
  check (tells_sessions or tells_accounts or tells_passkeys)
);

-- Where a stream stands: moves with every delivery, and is looked through for all tenants at once.
create table identity.signal_queue (
  tenant_id uuid not null,
  stream_id uuid not null,
  method text not null check (method in ('push', 'poll')),
  status text not null default 'enabled' check (status in ('enabled', 'paused', 'disabled')),
  -- A status that waits until the event that announces it is settled.
  pending_status text check (pending_status in ('enabled', 'paused', 'disabled')),
  pending_event uuid,
  failures integer not null default 0,
  -- When the next try is due after one that came to nothing; null: whenever something waits.
  next_at timestamptz,
  -- Why the last try came to nothing, as a code; null after one that did not.
  trouble text,
  taken bigint not null default 0,
  taken_at timestamptz,
  -- When the receiver last asked for a verification.
  asked_at timestamptz,
  -- Which process sends now, and until when it alone may.
  held_by uuid,
  held_until timestamptz,
  primary key (tenant_id, stream_id),
  check ((pending_status is null) = (pending_event is null))
);
create index signal_queue_next on identity.signal_queue (next_at) where next_at is not null;
select platform.declare_global_table('identity.signal_queue', 'looked through for all tenants at once, and moves on with every delivery; holds ids, states and instants');

create table identity.signal_event (
  tenant_id uuid not null,
  id uuid not null,
  stream_id uuid not null,
  -- Order within a transaction.
  rank smallint not null,
  event text not null check (event in ('session-revoked', 'account-disabled', 'account-enabled', 'credential-change',
    'verification', 'stream-updated')),
  member_id uuid,
  session_id uuid,
  -- Why: a word of this product, of one table in the program.
  cause text not null,
  noted_at timestamptz not null,
  -- All events of one cause have one.
  cause_id uuid not null,
  state text not null default 'waiting' check (state in ('waiting', 'dead')),
  -- Id and text of the signed token, once it was made.
  token_id text,
  token bytea,
  issued_at timestamptz,
  attempts integer not null default 0,
  dead_reason text check (dead_reason in ('refused', 'attempts', 'age', 'disabled')),
  dead_error text,
  dead_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, stream_id) references identity.signal_stream (tenant_id, id),
  check ((member_id is null) = (event in ('verification', 'stream-updated'))),
  check ((token_id is null) = (token is null)),
  check ((token_id is null) = (issued_at is null)),
  check ((state = 'dead') = (dead_reason is not null)),
  check ((state = 'dead') = (dead_at is not null))
);
create index signal_event_waiting on identity.signal_event (tenant_id, stream_id, noted_at, rank, id) where state = 'waiting';
create index signal_event_dead on identity.signal_event (tenant_id, stream_id, dead_at) where state = 'dead';
create index signal_event_member on identity.signal_event (tenant_id, member_id) where member_id is not null;

-- One key signs, the next one is published ahead of its time, former ones are published while their tokens are believed.
create table identity.signal_key (
  tenant_id uuid not null,
  id uuid not null,
  state text not null check (state in ('next', 'now', 'former')),
  private_key bytea not null,
  -- SubjectPublicKeyInfo.
  public_key bytea not null,
  made_at timestamptz not null,
  used_at timestamptz,
  replaced_at timestamptz,
  primary key (tenant_id, id),
  check ((state = 'next') = (used_at is null)),
  check ((state = 'former') = (replaced_at is not null))
);
create unique index signal_key_one on identity.signal_key (tenant_id, state) where state in ('next', 'now');

-- How a provider calls somebody, kept only while a stream is to call them so.
create table identity.signal_name (
  tenant_id uuid not null,
  -- Of the account. A name without one is not used, and is swept.
  id uuid not null,
  member_id uuid not null,
  name bytea not null,
  named_at timestamptz not null,
  primary key (tenant_id, id)
);
create index signal_name_member on identity.signal_name (tenant_id, member_id);

select platform.protect_tenant_table('identity.signal_stream');
select platform.protect_tenant_table('identity.signal_event');
select platform.protect_tenant_table('identity.signal_key');
select platform.protect_tenant_table('identity.signal_name');
select platform.seal_column('identity.signal_stream', 'settings', '{"field": 2180, "purpose": "fields", "service": "issuer", "editable": true}');
select platform.seal_column('identity.signal_event', 'token', '{"field": 2181, "purpose": "fields", "service": "issuer", "editable": true}');
select platform.seal_column('identity.signal_key', 'private_key', '{"field": 2182, "purpose": "fields", "service": "issuer"}');
select platform.seal_column('identity.signal_name', 'name', '{"field": 2183, "purpose": "fields", "service": "issuer", "editable": true}');
select audit.guard_table('identity.signal_stream', 'signal-stream');
select audit.guard_table('identity.signal_key', 'signal-key');

grant select on identity.signal_stream to ax_issuer;
grant insert (tenant_id, id, settings, method, subjects, tells_sessions, tells_accounts, tells_passkeys, token_hash, created_by, created_at)
  on identity.signal_stream to ax_issuer;
grant update (status, token_hash, removed_at) on identity.signal_stream to ax_issuer;
grant select, delete, insert (tenant_id, stream_id, method),
  update (status, pending_status, pending_event, failures, next_at, trouble, taken, taken_at, asked_at, held_by, held_until)
  on identity.signal_queue to ax_issuer;
grant select, delete on identity.signal_event to ax_issuer;
grant insert (tenant_id, id, stream_id, rank, event, member_id, session_id, cause, noted_at, cause_id) on identity.signal_event to ax_issuer;
grant update (noted_at, rank, state, token_id, token, issued_at, attempts, dead_reason, dead_error, dead_at) on identity.signal_event to ax_issuer;
grant select, delete, insert (tenant_id, id, state, private_key, public_key, made_at, used_at),
  update (state, used_at, replaced_at) on identity.signal_key to ax_issuer;
grant select, delete, insert (tenant_id, id, member_id, name, named_at), update (name, named_at) on identity.signal_name to ax_issuer;
