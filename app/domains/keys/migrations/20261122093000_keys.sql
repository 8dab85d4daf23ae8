-- Data keys of each tenant, wrapped by a key that only the keys process holds. The two promises of rotation: nothing new
-- is sealed under a key older than 90 days (the writer enforces it), and old keys only open what they sealed.

create table app.dek (
  tenant_id uuid not null references platform.tenant (id),
  id uuid not null,
  purpose text not null check (purpose in ('fields', 'objects')),
  version integer not null check (version >= 1),
  -- Which key-encryption key, as `provider:id`.
  kek_ref text not null check (length(kek_ref) between 3 and 512),
  wrapped bytea not null check (octet_length(wrapped) between 48 and 4096),
  -- Fixes the key from its creation on: a key store that answers with another key is noticed.
  commitment bytea not null check (octet_length(commitment) = 32),
  state text not null check (state in ('PENDING', 'ACTIVE', 'DECRYPT_ONLY', 'RETIRED', 'DESTROYED')),
  created_at timestamptz not null,
  not_after timestamptz not null,
  primary key (tenant_id, id),
  unique (tenant_id, purpose, version),
  constraint dek_lifetime check (not_after > created_at and not_after <= created_at + interval '90 days')
);
-- One key seals at a time; two rotations at once cannot both win.
create unique index dek_one_active on app.dek (tenant_id, purpose) where state = 'ACTIVE';

select platform.protect_tenant_table('app.dek');
-- Wrapped bytes and commitment can be written once and never changed: only the state moves.
grant select, insert, update (state) on app.dek to ax_workspace, ax_issuer;
select audit.guard_table('app.dek', 'dek');
