-- What somebody approved while the tenant's key store was away. It is encrypted to a key pair of the tenant, whose private
-- half lies under the tenant's ring: everybody who writes entries can put something in, and nobody can take it out before
-- the key store is back. A chore moves it to the other withheld values then.

create table audit.late_key (
  tenant_id uuid not null,
  id uuid not null,
  -- X25519, 32 bytes.
  public_key bytea not null check (octet_length(public_key) = 32),
  -- Its private half (PKCS #8) under the tenant's ring.
  sealed bytea not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, id)
);
create table audit.late_disclosure (
  tenant_id uuid not null,
  entry_id uuid not null,
  digest text not null,
  key_id uuid not null,
  -- One-time public key, then the value under what the two keys agree on.
  sealed bytea not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, entry_id, digest),
  foreign key (tenant_id, key_id) references audit.late_key (tenant_id, id)
);
select platform.protect_tenant_table('audit.late_key');
select platform.protect_tenant_table('audit.late_disclosure');

-- Both are written with the entry whose value they hold, and hold nothing that changes what it says.
grant select (tenant_id, id, public_key, created_at), insert (tenant_id, id, public_key, sealed)
  on audit.late_key to ax_workspace, ax_issuer;
grant select on audit.late_key to ax_workspace;
grant insert (tenant_id, entry_id, digest, key_id, sealed) on audit.late_disclosure to ax_workspace, ax_issuer;
grant select, delete on audit.late_disclosure to ax_workspace;

select platform.seal_column('audit.late_key', 'sealed',
  '{"field": 3003, "purpose": "fields", "service": "workspace", "key": "id", "row": "id"}');
