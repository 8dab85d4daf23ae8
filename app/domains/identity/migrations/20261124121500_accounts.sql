-- Who a person is at an identity provider of their tenant, and sessions that such a provider has opened.

create table identity.account (
  tenant_id uuid not null,
  id uuid not null,
  connection_id uuid not null,
  -- SHA-256 of the provider's immutable name for the person. Never of an e-mail address, which others may be given.
  subject_hash bytea not null check (octet_length(subject_hash) = 32),
  member_id uuid not null,
  -- Who vouched for it being this member: an invitation, the provider alone, or the member in a live session.
  origin text not null check (origin in ('invitation', 'just-in-time', 'connect', 'scim')),
  created_at timestamptz not null,
  primary key (tenant_id, id),
  unique (tenant_id, connection_id, subject_hash),
  foreign key (tenant_id, member_id) references identity.member (tenant_id, id),
  foreign key (tenant_id, connection_id) references identity.connection (tenant_id, id)
);
create index account_member on identity.account (tenant_id, member_id);
select platform.protect_tenant_table('identity.account');
select audit.guard_table('identity.account', 'account');
grant select, insert, delete on identity.account to ax_issuer;

alter table identity.session
  add column connection_id uuid,
  add column account_id uuid,
  -- Hashes of what the provider calls its own session and this person, for its word that they have left.
  add column provider_session bytea check (octet_length(provider_session) = 32),
  add column provider_subject bytea check (octet_length(provider_subject) = 32);
alter table identity.session drop constraint session_method_check;
alter table identity.session add constraint session_method_check check (method in ('passkey', 'link', 'canary', 'sso'));
alter table identity.session add constraint session_connection_check
  check ((method = 'sso') = (connection_id is not null) and (connection_id is null) = (account_id is null));
alter table identity.session drop constraint session_closed_reason_check;
alter table identity.session add constraint session_closed_reason_check check (closed_reason in
  ('sign-out', 'everywhere', 'replaced', 'suspended', 'expired', 'tenant-deleted', 'attempts', 'provider', 'connection'));
create index session_connection on identity.session (tenant_id, connection_id)
  where closed_at is null and connection_id is not null;
