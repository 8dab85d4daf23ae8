-- A tenant goes from one identity provider to another: which, since when, and which accounts were made for it.

create table identity.changeover (
  tenant_id uuid not null,
  id uuid not null,
  from_connection uuid not null,
  to_connection uuid not null check (to_connection <> from_connection),
  state text not null default 'open' check (state in ('open', 'finished', 'undone')),
  started_by uuid not null,
  started_at timestamptz not null,
  ended_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, from_connection) references identity.connection (tenant_id, id),
  foreign key (tenant_id, to_connection) references identity.connection (tenant_id, id),
  check ((state = 'open') = (ended_at is null))
);
-- One at a time: of two, nobody could say which of them may end a connection.
create unique index changeover_open on identity.changeover (tenant_id) where state = 'open';
select platform.protect_tenant_table('identity.changeover');
select audit.guard_table('identity.changeover', 'changeover');
grant select, insert, update (state, ended_at) on identity.changeover to ax_issuer;

-- The change that an account was made for, so that undoing it takes away what it has made and nothing else.
alter table identity.account add column changeover_id uuid;
create index account_changeover on identity.account (tenant_id, changeover_id) where changeover_id is not null;
