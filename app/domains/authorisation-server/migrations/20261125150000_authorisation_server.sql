-- Programs that act for people by OAuth 2.1: who may ask, who has allowed it, and what was handed out.

create table identity.api_client (
  tenant_id uuid not null,
  id uuid not null,
  -- An agent proves itself by a key of its own; an application has none that it could keep.
  kind text not null check (kind in ('application', 'agent')),
  -- The most that people may allow it.
  access text not null check (access in ('read', 'write')),
  -- Name, redirect addresses and public key: sealed as one, so that no address can be put under another's name.
  content bytea not null,
  registered_by uuid not null,
  registered_at timestamptz not null,
  removed_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, registered_by) references identity.member (tenant_id, id)
);

-- What a person has allowed a client. Every code and token belongs to one, and works only while it is open.
create table identity.api_grant (
  tenant_id uuid not null,
  id uuid not null,
  client_id uuid not null,
  member_id uuid not null,
  access text not null check (access in ('read', 'write')),
  given_at timestamptz not null,
  expires_at timestamptz not null,
  ended_at timestamptz,
  ended_reason text check (ended_reason in ('person', 'client', 'client-removed', 'reused', 'attempts', 'left', 'unused')),
  primary key (tenant_id, id),
  foreign key (tenant_id, client_id) references identity.api_client (tenant_id, id),
  foreign key (tenant_id, member_id) references identity.member (tenant_id, id),
  check ((ended_at is null) = (ended_reason is null)),
  check (expires_at <= given_at + interval '90 days')
);
create index api_grant_member on identity.api_grant (tenant_id, member_id) where ended_at is null;
create index api_grant_client on identity.api_grant (tenant_id, client_id) where ended_at is null;

select platform.protect_tenant_table('identity.api_client');
select platform.protect_tenant_table('identity.api_grant');
select platform.seal_column('identity.api_client', 'content', '{"field": 2160, "purpose": "fields", "service": "issuer"}');
select audit.guard_table('identity.api_client', 'api-client');
select audit.guard_table('identity.api_grant', 'api-grant');
grant select on identity.api_client to ax_issuer;
grant insert (tenant_id, id, kind, access, content, registered_by, registered_at) on identity.api_client to ax_issuer;
grant update (removed_at) on identity.api_client to ax_issuer;
grant select on identity.api_grant to ax_issuer;
grant insert (tenant_id, id, client_id, member_id, access, given_at, expires_at) on identity.api_grant to ax_issuer;
grant update (ended_at, ended_reason) on identity.api_grant to ax_issuer;

create table identity.api_artifact (
  -- SHA-256 of kind and value: whoever reads the database can use no code and no token of it.
  value_hash bytea primary key check (octet_length(value_hash) = 32),
  tenant_id uuid not null,
  kind text not null check (kind in ('request', 'code', 'access', 'refresh', 'proof')),
  grant_id uuid,
  -- Under a key that only the value gives.
  payload bytea not null check (octet_length(payload) between 29 and 16384),
  consumed_at timestamptz,
  expires_at timestamptz not null,
  check ((grant_id is null) = (kind in ('request', 'proof')))
);
create index api_artifact_grant on identity.api_artifact (tenant_id, grant_id) where grant_id is not null;
create index api_artifact_expires on identity.api_artifact (expires_at);
select platform.declare_global_table('identity.api_artifact', 'finds the tenant of an access token; codes, tokens and proofs that were used once');
grant select, insert, delete, update (consumed_at) on identity.api_artifact to ax_issuer;
