-- People and groups of a tenant's directories, as the directories tell of them by SCIM. Names and addresses are sealed;
-- what stands here in the clear says whose resource it is, whether it is active, and when it changed.

create table identity.scim_token (
  tenant_id uuid not null,
  id uuid not null,
  connection_id uuid not null,
  -- SHA-256 of 256 random bits: whoever reads the database speaks for no directory.
  token_hash bytea not null check (octet_length(token_hash) = 32),
  created_by uuid not null,
  created_at timestamptz not null,
  expires_at timestamptz not null check (expires_at > created_at),
  ended_at timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, connection_id, token_hash),
  foreign key (tenant_id, connection_id) references identity.connection (tenant_id, id)
);

create table identity.scim_resource (
  tenant_id uuid not null,
  id uuid not null,
  connection_id uuid not null,
  kind text not null check (kind in ('User', 'Group')),
  -- SHA-256 of the provider's immutable id, as of an account's subject.
  external_hash bytea check (octet_length(external_hash) = 32),
  -- The member whom this person is; null while they are none, and of groups.
  member_id uuid,
  active boolean not null,
  -- The resource as the provider sent it.
  content bytea not null,
  version integer not null default 1 check (version >= 1),
  created_at timestamptz not null,
  modified_at timestamptz not null,
  -- When this connection has put its person out, while they are.
  suspended_at timestamptz,
  -- Of a person whom the directory has deleted: nothing but the member, and when they were put out, is kept.
  deleted_at timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, connection_id, kind, external_hash),
  foreign key (tenant_id, connection_id) references identity.connection (tenant_id, id),
  check (kind = 'User' or (member_id is null and suspended_at is null and deleted_at is null)),
  check (deleted_at is null or (member_id is not null and external_hash is null))
);
create index scim_resource_member on identity.scim_resource (tenant_id, member_id) where member_id is not null;
create index scim_resource_wave on identity.scim_resource (tenant_id, connection_id, suspended_at) where suspended_at is not null;

-- When a token was used last, and when somebody was spoken of last: changes with every message, and is no record of anything.
create table identity.scim_heard (
  tenant_id uuid not null,
  id uuid not null,
  connection_id uuid not null,
  heard_at timestamptz not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, connection_id) references identity.connection (tenant_id, id)
);

-- Messages that were refused lately, for the connection's administrators; bounded.
create table identity.scim_refusal (
  tenant_id uuid not null,
  id uuid not null,
  connection_id uuid not null,
  -- Code of the failed check, method, kind, place.
  report bytea not null,
  refused_at timestamptz not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, connection_id) references identity.connection (tenant_id, id)
);
create index scim_refusal_connection on identity.scim_refusal (tenant_id, connection_id, refused_at);

select platform.protect_tenant_table('identity.scim_token');
select platform.protect_tenant_table('identity.scim_resource');
select platform.protect_tenant_table('identity.scim_heard');
select platform.protect_tenant_table('identity.scim_refusal');
select platform.seal_column('identity.scim_resource', 'content', '{"field": 2106, "purpose": "fields", "service": "issuer", "editable": true}');
select platform.seal_column('identity.scim_refusal', 'report', '{"field": 2107, "purpose": "fields", "service": "issuer"}');
select audit.guard_table('identity.scim_token', 'connection', 'connection_id');
select audit.guard_table('identity.scim_resource', 'scim-resource');

grant select on identity.scim_token to ax_issuer;
grant insert (tenant_id, id, connection_id, token_hash, created_by, created_at, expires_at) on identity.scim_token to ax_issuer;
grant update (ended_at) on identity.scim_token to ax_issuer;
grant select, delete on identity.scim_resource to ax_issuer;
grant insert (tenant_id, id, connection_id, kind, external_hash, member_id, active, content, created_at, modified_at, suspended_at)
  on identity.scim_resource to ax_issuer;
grant update (external_hash, member_id, active, version, modified_at, suspended_at, deleted_at) on identity.scim_resource to ax_issuer;
grant select, delete on identity.scim_heard to ax_issuer;
grant insert (tenant_id, id, connection_id, heard_at), update (heard_at) on identity.scim_heard to ax_issuer;
grant select, delete on identity.scim_refusal to ax_issuer;
grant insert (tenant_id, id, connection_id, report, refused_at) on identity.scim_refusal to ax_issuer;
