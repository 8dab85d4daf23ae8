-- A tenant's identity providers. Addresses, client secrets, keys and group names are the tenant's content, sealed; what
-- stands here in the clear says what kind of provider there is and how far its set-up has come.

create table identity.connection (
  tenant_id uuid not null,
  id uuid not null,
  kind text not null check (kind in ('oidc', 'saml')),
  profile text not null check (profile in ('entra', 'okta', 'google', 'jumpcloud', 'adfs', 'pingfederate', 'other')),
  state text not null default 'draft' check (state in ('draft', 'active', 'disabled')),
  -- Name, addresses and secret: sealed as one, so that an address cannot be put under another's secret.
  settings bytea not null,
  -- This side's keys and their certificates; SAML only.
  own_keys bytea,
  -- Of the settings: what was tested was one of them.
  version integer not null default 1 check (version between 1 and 1000000),
  created_at timestamptz not null,
  primary key (tenant_id, id),
  check ((kind = 'saml') = (own_keys is not null))
);

create table identity.connection_certificate (
  tenant_id uuid not null,
  id uuid not null,
  connection_id uuid not null,
  fingerprint bytea not null check (octet_length(fingerprint) = 32),
  pem bytea not null,
  state text not null check (state in ('pending', 'active', 'retired')),
  -- Pasted by a person, or found in the provider's metadata.
  source text not null check (source in ('pasted', 'metadata')),
  not_after timestamptz not null,
  seen_at timestamptz not null,
  -- The person who approved or retired it. Null while it waits, and where a trusted key vouched for it.
  decided_by uuid,
  decided_at timestamptz,
  -- The certificate whose key signed the metadata that brought this one.
  vouched_by bytea check (octet_length(vouched_by) = 32),
  -- Days before its end that somebody was told of last: 60, 30, 7, 0.
  warned_days smallint check (warned_days in (60, 30, 7, 0)),
  primary key (tenant_id, id),
  unique (tenant_id, connection_id, fingerprint),
  foreign key (tenant_id, connection_id) references identity.connection (tenant_id, id)
);

-- Groups of the provider, each with the role that it gives here.
create table identity.connection_group (
  tenant_id uuid not null,
  id uuid not null,
  connection_id uuid not null,
  role text not null check (role in ('lead', 'auditor', 'client')),
  -- The group's id at the provider and what people call it.
  content bytea not null,
  mapped_by uuid not null,
  mapped_at timestamptz not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, connection_id) references identity.connection (tenant_id, id)
);
create index connection_group_connection on identity.connection_group (tenant_id, connection_id);

-- What a connection was asked lately and how it went: for its administrators, bounded, and no record of anything.
create table identity.connection_attempt (
  tenant_id uuid not null,
  id uuid not null,
  connection_id uuid not null,
  purpose text not null check (purpose in ('test', 'sign-in')),
  outcome text not null check (outcome in ('accepted', 'refused')),
  -- Of the settings that were tried.
  version integer not null,
  -- Code of the failed check, sentence, claims.
  report bytea not null,
  tried_at timestamptz not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, connection_id) references identity.connection (tenant_id, id)
);
create index connection_attempt_connection on identity.connection_attempt (tenant_id, connection_id, tried_at);

select platform.protect_tenant_table('identity.connection');
select platform.protect_tenant_table('identity.connection_certificate');
select platform.protect_tenant_table('identity.connection_group');
select platform.protect_tenant_table('identity.connection_attempt');
select platform.seal_column('identity.connection', 'settings', '{"field": 2101, "purpose": "fields", "service": "issuer", "editable": true}');
select platform.seal_column('identity.connection', 'own_keys', '{"field": 2102, "purpose": "fields", "service": "issuer", "editable": true}');
select platform.seal_column('identity.connection_certificate', 'pem', '{"field": 2103, "purpose": "fields", "service": "issuer"}');
select platform.seal_column('identity.connection_group', 'content', '{"field": 2104, "purpose": "fields", "service": "issuer"}');
select platform.seal_column('identity.connection_attempt', 'report', '{"field": 2105, "purpose": "fields", "service": "issuer"}');
select audit.guard_table('identity.connection', 'connection');
select audit.guard_table('identity.connection_certificate', 'connection', 'connection_id');
select audit.guard_table('identity.connection_group', 'connection', 'connection_id');

grant select, delete on identity.connection to ax_issuer;
grant insert (tenant_id, id, kind, profile, settings, own_keys, created_at) on identity.connection to ax_issuer;
grant update (state, version) on identity.connection to ax_issuer;
grant select, delete on identity.connection_certificate to ax_issuer;
grant insert (tenant_id, id, connection_id, fingerprint, pem, state, source, not_after, seen_at, decided_by, decided_at, vouched_by)
  on identity.connection_certificate to ax_issuer;
grant update (state, decided_by, decided_at, warned_days) on identity.connection_certificate to ax_issuer;
grant select, delete on identity.connection_group to ax_issuer;
grant insert (tenant_id, id, connection_id, role, content, mapped_by, mapped_at) on identity.connection_group to ax_issuer;
grant select, delete on identity.connection_attempt to ax_issuer;
grant insert (tenant_id, id, connection_id, purpose, outcome, version, report, tried_at) on identity.connection_attempt to ax_issuer;

-- Leads from the id in a public address to the tenant, and says when the house looks at a provider's metadata next.
create table identity.connection_index (
  connection_id uuid primary key,
  tenant_id uuid not null,
  -- Null: there is nothing to look at.
  look_at timestamptz,
  looked_at timestamptz,
  -- Code of what went wrong at the last look.
  trouble text check (trouble ~ '^[a-z0-9_]{1,64}$')
);
create index connection_index_tenant on identity.connection_index (tenant_id);
create index connection_index_look on identity.connection_index (look_at) where look_at is not null;
select platform.declare_global_table('identity.connection_index', 'finds the tenant of a connection whose public address was called');
grant select, insert, delete, update (look_at, looked_at, trouble) on identity.connection_index to ax_issuer;
