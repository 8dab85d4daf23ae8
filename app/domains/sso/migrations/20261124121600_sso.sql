-- Sign-ins that are under way at a provider, and what a provider has said once already.

create table identity.sso_request (
  -- SHA-256 of the state or relay state: whoever reads the database can answer no request with it.
  state_hash bytea primary key check (octet_length(state_hash) = 32),
  -- SHA-256 of the secret that the browser holds.
  browser_hash bytea not null check (octet_length(browser_hash) = 32),
  tenant_id uuid not null,
  connection_id uuid not null,
  purpose text not null check (purpose in ('sign-in', 'test', 'connect', 'invitation')),
  -- What the answer is checked against (nonce, verifier, request id), under a key that only the browser's secret gives.
  payload bytea not null check (octet_length(payload) between 29 and 8192),
  return_to smallint not null check (return_to between 0 and 99),
  -- The person and session that began it, where one did; or the session that the new one replaces.
  member_id uuid,
  session_id uuid,
  -- The enrolment link that an invitation brought.
  link_hash bytea check (octet_length(link_hash) = 32),
  expires_at timestamptz not null
);
create index sso_request_expires on identity.sso_request (expires_at);

create table identity.seen_token (
  connection_id uuid not null,
  -- SHA-256 of the kind and id of an assertion or logout token.
  token_hash bytea not null check (octet_length(token_hash) = 32),
  tenant_id uuid not null,
  -- From then on nobody could use it any more.
  forget_at timestamptz not null,
  primary key (connection_id, token_hash)
);
create index seen_token_forget on identity.seen_token (forget_at);

select platform.declare_global_table('identity.sso_request', 'sign-ins under way, of people who are not known yet');
select platform.declare_global_table('identity.seen_token', 'ids of accepted assertions and logout tokens, so that none counts twice');
grant select, insert, delete on identity.sso_request to ax_issuer;
grant select, insert, delete on identity.seen_token to ax_issuer;
