-- Shared signals: streams over which a tenant's providers say that somebody's sessions or account are to end, and the
-- events that came. Addresses, authorizations and events are sealed; what stands here in the clear says how far it is.

create table identity.received_stream (
  tenant_id uuid not null,
  id uuid not null,
  connection_id uuid not null,
  state text not null default 'draft' check (state in ('draft', 'on', 'paused', 'off')),
  delivery text not null check (delivery in ('push', 'poll')),
  -- Issuer, audience, addresses and our authorization: sealed as one, so that none is put under another's.
  settings bytea not null,
  -- SHA-256 of the whole header that the transmitter sends with a push; 256 bits of it are random.
  push_hash bytea check (octet_length(push_hash) = 32),
  version integer not null default 1 check (version between 1 and 1000000),
  created_at timestamptz not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, connection_id) references identity.connection (tenant_id, id),
  check ((delivery = 'push') = (push_hash is not null))
);
create index received_stream_connection on identity.received_stream (tenant_id, connection_id);

create table identity.received_event (
  tenant_id uuid not null,
  id uuid not null,
  stream_id uuid not null,
  -- SHA-256 of the token's id: whatever comes under it again does nothing.
  token_hash bytea not null check (octet_length(token_hash) = 32),
  verdict text not null check (verdict in ('nothing', 'alert', 'end_sessions', 'suspend')),
  -- What is new or acting was not carried out to its end yet; what is held waits for a person.
  state text not null check (state in ('new', 'acting', 'held', 'done')),
  outcome text check (outcome in ('nothing', 'alerted', 'nobody', 'sessions-ended', 'suspended', 'dismissed')),
  -- The token, whom it means and what it says.
  content bytea not null,
  member_id uuid,
  -- [{"holder", "ended", "at"}]: of each kind of thing how many ended, and when.
  effects jsonb not null default '[]' check (jsonb_typeof(effects) = 'array'),
  received_at timestamptz not null,
  -- When it was counted among those whom this stream suspends.
  counted_at timestamptz,
  decided_by uuid,
  done_at timestamptz,
  -- Before that the token could be believed again.
  forget_at timestamptz not null,
  primary key (tenant_id, id),
  unique (tenant_id, stream_id, token_hash),
  foreign key (tenant_id, stream_id) references identity.received_stream (tenant_id, id),
  check ((state = 'done') = (outcome is not null and done_at is not null))
);
create index received_event_recent on identity.received_event (tenant_id, stream_id, received_at desc);
create index received_event_open on identity.received_event (tenant_id, stream_id) where state in ('new', 'acting', 'held');
create index received_event_counted on identity.received_event (tenant_id, stream_id, counted_at) where counted_at is not null;

-- How a stream is doing: changes with every event and every poll, and is no record of anything.
create table identity.received_pulse (
  tenant_id uuid not null,
  id uuid not null,
  heard_at timestamptz,
  events bigint not null default 0,
  refused bigint not null default 0,
  -- A verification that was asked for: SHA-256 of its state, while it has not been answered.
  asked_at timestamptz,
  asked_hash bytea check (octet_length(asked_hash) = 32),
  answered_at timestamptz,
  silent_since timestamptz,
  -- Code of what went wrong with the transmitter last.
  trouble text check (trouble ~ '^[a-z0-9_]{1,64}$'),
  troubled_at timestamptz,
  -- Where polling stands: what was kept or refused and not told yet.
  progress bytea,
  primary key (tenant_id, id),
  foreign key (tenant_id, id) references identity.received_stream (tenant_id, id)
);

-- Pushed and polled tokens that were refused lately, for the connection's administrators; bounded.
create table identity.received_refusal (
  tenant_id uuid not null,
  id uuid not null,
  stream_id uuid not null,
  -- Code of the failed check, its message, the request.
  report bytea not null,
  refused_at timestamptz not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, stream_id) references identity.received_stream (tenant_id, id)
);
create index received_refusal_stream on identity.received_refusal (tenant_id, stream_id, refused_at);

select platform.protect_tenant_table('identity.received_stream');
select platform.protect_tenant_table('identity.received_event');
select platform.protect_tenant_table('identity.received_pulse');
select platform.protect_tenant_table('identity.received_refusal');
select platform.seal_column('identity.received_stream', 'settings', '{"field": 2170, "purpose": "fields", "service": "issuer", "editable": true}');
select platform.seal_column('identity.received_event', 'content', '{"field": 2171, "purpose": "fields", "service": "issuer"}');
select platform.seal_column('identity.received_refusal', 'report', '{"field": 2172, "purpose": "fields", "service": "issuer"}');
select platform.seal_column('identity.received_pulse', 'progress', '{"field": 2173, "purpose": "fields", "service": "issuer", "editable": true}');
select audit.guard_table('identity.received_stream', 'received-stream');
select audit.guard_table('identity.received_event', 'received-stream', 'stream_id');

grant select on identity.received_stream to ax_issuer;
grant insert (tenant_id, id, connection_id, delivery, settings, push_hash, created_at) on identity.received_stream to ax_issuer;
grant update (state, push_hash, version) on identity.received_stream to ax_issuer;
grant select, delete on identity.received_event to ax_issuer;
grant insert (tenant_id, id, stream_id, token_hash, verdict, state, outcome, content, member_id, received_at, done_at, forget_at)
  on identity.received_event to ax_issuer;
grant update (state, outcome, member_id, effects, counted_at, decided_by, done_at) on identity.received_event to ax_issuer;
grant select, delete on identity.received_pulse to ax_issuer;
grant insert (tenant_id, id, heard_at, events, refused, asked_at, asked_hash, answered_at, silent_since, trouble, troubled_at),
  update (heard_at, events, refused, asked_at, asked_hash, answered_at, silent_since, trouble, troubled_at)
  on identity.received_pulse to ax_issuer;
grant select, delete on identity.received_refusal to ax_issuer;
grant insert (tenant_id, id, stream_id, report, refused_at) on identity.received_refusal to ax_issuer;

-- Leads from the id in a public address to the tenant, and says when the house looks at a stream next.
create table identity.received_index (
  stream_id uuid primary key,
  tenant_id uuid not null,
  -- Null: there is nothing to look at.
  due_at timestamptz,
  -- Who looks at it now; of several issuers one polls.
  leased_until timestamptz
);
create index received_index_tenant on identity.received_index (tenant_id);
create index received_index_due on identity.received_index (due_at) where due_at is not null;
select platform.declare_global_table('identity.received_index', 'finds the tenant of a stream whose public address was called, and the streams that are due');
grant select, insert, delete, update (due_at, leased_until) on identity.received_index to ax_issuer;
