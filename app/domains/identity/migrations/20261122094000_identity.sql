-- People, their passkeys and sessions. The issuer alone works here; the workspace may look up role and state.

create table identity.member (
  tenant_id uuid not null,
  id uuid not null,
  role text not null check (role in ('lead', 'auditor', 'client', 'operator')),
  state text not null check (state in ('invited', 'active', 'suspended')),
  label bytea not null,
  created_at timestamptz not null,
  primary key (tenant_id, id)
);

create table identity.invitation (
  tenant_id uuid not null,
  id uuid not null,
  member_id uuid not null,
  role text not null check (role in ('lead', 'auditor', 'client', 'operator')),
  label bytea not null,
  name bytea,
  invited_by uuid,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  accepted_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, member_id) references identity.member (tenant_id, id)
);
create index invitation_member on identity.invitation (tenant_id, member_id);

create table identity.credential (
  tenant_id uuid not null,
  id uuid not null,
  member_id uuid not null,
  credential_hash bytea not null check (octet_length(credential_hash) = 32),
  device_type text not null check (device_type in ('singleDevice', 'multiDevice')),
  created_at timestamptz not null,
  removed_at timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, credential_hash),
  foreign key (tenant_id, member_id) references identity.member (tenant_id, id)
);
create index credential_member on identity.credential (tenant_id, member_id);

create table identity.session (
  tenant_id uuid not null,
  id uuid not null,
  member_id uuid not null,
  door text not null check (door in ('edge', 'tryout')),
  method text not null check (method in ('passkey', 'link', 'canary')),
  auth_time timestamptz not null,
  expires_at timestamptz not null,
  closed_at timestamptz,
  closed_reason text check (closed_reason in ('sign-out', 'everywhere', 'replaced', 'suspended', 'expired')),
  primary key (tenant_id, id),
  foreign key (tenant_id, member_id) references identity.member (tenant_id, id)
);
create index session_member on identity.session (tenant_id, member_id) where closed_at is null;

select platform.protect_tenant_table('identity.member');
select platform.protect_tenant_table('identity.invitation');
select platform.protect_tenant_table('identity.credential');
select platform.protect_tenant_table('identity.session');
select audit.guard_table('identity.member', 'member');
select audit.guard_table('identity.invitation', 'invitation');
select audit.guard_table('identity.credential', 'credential');
select audit.guard_table('identity.session', 'session');

grant select, insert, update (role, state, label) on identity.member to ax_issuer;
grant select (tenant_id, id, role, state) on identity.member to ax_workspace;
grant select, insert, update (accepted_at) on identity.invitation to ax_issuer;
grant select, insert, update (removed_at) on identity.credential to ax_issuer;
grant select, insert, update (closed_at, closed_reason) on identity.session to ax_issuer;

-- Doors into the tables above for a person who is not known yet: by the hash of a cookie, of a passkey's id, of a
-- one-time token. They hold no content, only where to look, and counters that move on every use.
create table identity.session_index (
  token_hash bytea primary key check (octet_length(token_hash) = 32),
  tenant_id uuid not null,
  session_id uuid not null,
  last_seen_at timestamptz not null,
  expires_at timestamptz not null,
  superseded boolean not null default false
);
create index session_index_session on identity.session_index (tenant_id, session_id);
create index session_index_expires on identity.session_index (expires_at);

create table identity.credential_index (
  credential_hash bytea primary key check (octet_length(credential_hash) = 32),
  tenant_id uuid not null,
  credential_id uuid not null,
  member_id uuid not null,
  -- The id that the authenticator gave it; shown to browsers, so no secret.
  external_id bytea not null check (octet_length(external_id) between 1 and 1023),
  public_key bytea not null check (octet_length(public_key) between 16 and 2048),
  counter bigint not null check (counter between 0 and 4294967295),
  transports text[] not null,
  last_used_at timestamptz
);
create index credential_index_member on identity.credential_index (tenant_id, member_id);

create table identity.challenge (
  id uuid primary key,
  purpose text not null check (purpose in ('sign-in', 'enrol', 'add-passkey', 'step-up')),
  door text not null check (door in ('edge', 'tryout')),
  challenge bytea not null check (octet_length(challenge) = 32),
  expires_at timestamptz not null,
  tenant_id uuid,
  member_id uuid,
  session_id uuid,
  link_hash bytea,
  nonce bytea,
  action_hash bytea,
  operation text
);
create index challenge_expires on identity.challenge (expires_at);

create table identity.one_time_link (
  token_hash bytea primary key check (octet_length(token_hash) = 32),
  kind text not null check (kind in ('enrol', 'sign-in')),
  tenant_id uuid not null,
  member_id uuid not null,
  expires_at timestamptz not null,
  used_at timestamptz
);
create index one_time_link_member on identity.one_time_link (tenant_id, member_id);
create index one_time_link_expires on identity.one_time_link (expires_at);

select platform.declare_global_table('identity.session_index', 'finds the session of a cookie before the tenant is known');
select platform.declare_global_table('identity.credential_index', 'finds the owner of a passkey before the tenant is known');
select platform.declare_global_table('identity.challenge', 'ceremonies under way, some of people not known yet');
select platform.declare_global_table('identity.one_time_link', 'finds the person of a one-time token before the tenant is known');

grant select, insert, delete, update (last_seen_at, expires_at, superseded) on identity.session_index to ax_issuer;
grant select, insert, delete, update (counter, last_used_at) on identity.credential_index to ax_issuer;
grant select, insert, delete on identity.challenge to ax_issuer;
grant select, insert, delete, update (used_at) on identity.one_time_link to ax_issuer;
