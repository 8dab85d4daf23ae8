-- Personal API keys: whose, what for, until when. Of the key itself only a hash is kept.
create table identity.api_key (
  tenant_id uuid not null,
  id uuid not null,
  member_id uuid not null,
  name bytea not null,
  secret_hash bytea not null check (octet_length(secret_hash) = 32),
  scope text not null check (scope in ('read', 'write')),
  created_at timestamptz not null,
  expires_at timestamptz not null,
  ended_at timestamptz,
  ended_reason text check (ended_reason in ('owner', 'administrator', 'revoked', 'attempts')),
  primary key (tenant_id, id),
  foreign key (tenant_id, member_id) references identity.member (tenant_id, id),
  -- Without an end there is no key, whatever the program says.
  check (expires_at > created_at and expires_at <= created_at + interval '90 days'),
  check ((ended_at is null) = (ended_reason is null))
);
create index api_key_member on identity.api_key (tenant_id, member_id) where ended_at is null;

-- When a key was last used, to the minute: moves with every use, and says nothing that is worth an entry each time.
create table identity.api_key_use (
  tenant_id uuid not null,
  key_id uuid not null,
  last_used_at timestamptz not null,
  primary key (tenant_id, key_id),
  foreign key (tenant_id, key_id) references identity.api_key (tenant_id, id)
);

select platform.protect_tenant_table('identity.api_key');
select platform.protect_tenant_table('identity.api_key_use');
select platform.seal_column('identity.api_key', 'name', '{"field": 2401, "purpose": "fields", "service": "issuer"}');
select audit.guard_table('identity.api_key', 'api-key');
grant select, insert, update (ended_at, ended_reason) on identity.api_key to ax_issuer;
grant select, insert, update (last_used_at) on identity.api_key_use to ax_issuer;
