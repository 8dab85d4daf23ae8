-- What was taken from somebody who left, and when; and sessions that ended because nobody vouched for the person any more.
create table identity.revocation (
  tenant_id uuid not null,
  id uuid not null,
  member_id uuid not null,
  cause text not null check (cause in ('scim', 'back-channel', 'signal', 'lapsed', 'administrator')),
  caused_at timestamptz not null,
  by_member uuid,
  -- [{"holder", "ended", "at"}]: of each kind of thing how many ended, and when.
  effects jsonb not null default '[]' check (jsonb_typeof(effects) = 'array'),
  completed_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, member_id) references identity.member (tenant_id, id)
);
create index revocation_caused on identity.revocation (tenant_id, caused_at desc, id);
create index revocation_open on identity.revocation (tenant_id, member_id) where completed_at is null;
select platform.protect_tenant_table('identity.revocation');
select audit.guard_table('identity.revocation', 'member', 'member_id');
grant select, insert, update (effects, completed_at) on identity.revocation to ax_issuer;

alter table identity.session drop constraint session_closed_reason_check;
alter table identity.session add constraint session_closed_reason_check check (closed_reason in
  ('sign-out', 'everywhere', 'replaced', 'suspended', 'expired', 'tenant-deleted', 'attempts', 'provider', 'connection',
   'lapsed'));
