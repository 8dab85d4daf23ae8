-- A person who has lost every passkey comes back through somebody else: opened by another member, effective after a day,
-- ended before by anybody who manages the tenant or by the person signing in. The rules that matter stand here as well.
create table identity.recovery (
  tenant_id uuid not null,
  id uuid not null,
  member_id uuid not null,
  opened_by uuid not null,
  opened_at timestamptz not null,
  due_at timestamptz not null,
  ended_at timestamptz,
  ended_by uuid,
  outcome text check (outcome in ('cancelled', 'signed-in', 'completed')),
  primary key (tenant_id, id),
  foreign key (tenant_id, member_id) references identity.member (tenant_id, id),
  foreign key (tenant_id, opened_by) references identity.member (tenant_id, id),
  check (opened_by <> member_id),
  check (due_at >= opened_at + interval '24 hours'),
  check ((ended_at is null) = (outcome is null)),
  check (outcome is distinct from 'completed' or (ended_at >= due_at and ended_by is not null and ended_by <> member_id))
);
create unique index recovery_open on identity.recovery (tenant_id, member_id) where ended_at is null;
create index recovery_opened on identity.recovery (tenant_id, opened_at desc);

select platform.protect_tenant_table('identity.recovery');
select audit.guard_table('identity.recovery', 'recovery');
grant select, insert, update (ended_at, ended_by, outcome) on identity.recovery to ax_issuer;
