-- Production access: who was let in, to what, why, on whose word, and until when. The rules are written here as well:
-- whatever a program does, no row outlives its proof, and a broken glass has two people.
create table identity.production_grant (
  tenant_id uuid not null,
  id uuid not null,
  kind text not null check (kind in ('grant', 'break-glass')),
  member_id uuid not null,
  scopes text[] not null,
  minutes integer not null check (minutes between 15 and 240),
  reason bytea not null,
  ticket bytea,
  asked_at timestamptz not null,
  -- Who vouched that the person still works here, and when; null while the request waits.
  vouched text check (vouched in ('provider', 'operator', 'nobody')),
  proved_at timestamptz,
  confirmed_by uuid,
  starts_at timestamptz,
  ends_at timestamptz,
  ended_at timestamptz,
  ended_reason text check (ended_reason in ('person', 'operator', 'revoked', 'replaced', 'over')),
  ended_by uuid,
  reviewed_at timestamptz,
  reviewed_by uuid,
  review text check (review in ('justified', 'not-justified')),
  primary key (tenant_id, id),
  foreign key (tenant_id, member_id) references identity.member (tenant_id, id),
  foreign key (tenant_id, confirmed_by) references identity.member (tenant_id, id),
  foreign key (tenant_id, ended_by) references identity.member (tenant_id, id),
  foreign key (tenant_id, reviewed_by) references identity.member (tenant_id, id),
  constraint production_scopes check (
    cardinality(scopes) between 1 and 4 and scopes <@ array['tenants', 'deletions', 'keys', 'attempts']),
  constraint production_begun check (
    (starts_at is null) = (ends_at is null) and (starts_at is null) = (vouched is null)
    and (starts_at is null) = (proved_at is null)),
  constraint production_two_people check (confirmed_by is null or confirmed_by <> member_id),
  constraint production_confirmed check ((vouched is not distinct from 'operator') = (confirmed_by is not null)),
  constraint production_in_time check (
    starts_at is null or starts_at between asked_at and asked_at + interval '15 minutes'),
  constraint production_ends check (
    ends_at is null or (ends_at > starts_at and ends_at <= starts_at + make_interval(mins => minutes)
      and ends_at <= proved_at + interval '4 hours' and proved_at <= starts_at)),
  constraint production_glass check (
    kind = 'grant' or (minutes <= 60 and cardinality(scopes) = 4 and (starts_at is null or confirmed_by is not null))),
  constraint production_ended check (
    (ended_at is null) = (ended_reason is null)
    and (ended_by is not null) = coalesce(ended_reason in ('person', 'operator'), false)),
  constraint production_reviewed check (
    (reviewed_at is null) = (reviewed_by is null) and (reviewed_at is null) = (review is null)
    and (reviewed_at is null or (kind = 'break-glass' and starts_at is not null and reviewed_by <> member_id
      and reviewed_by <> confirmed_by)))
);
-- Of one person at most one is in force, and one waits.
create unique index production_grant_one_begun on identity.production_grant (tenant_id, member_id)
  where ended_at is null and starts_at is not null;
create unique index production_grant_one_waiting on identity.production_grant (tenant_id, member_id)
  where ended_at is null and starts_at is null;
create index production_grant_asked on identity.production_grant (tenant_id, asked_at desc);

select platform.protect_tenant_table('identity.production_grant');
select platform.seal_column('identity.production_grant', 'reason', '{"field": 2601, "purpose": "fields", "service": "issuer"}');
select platform.seal_column('identity.production_grant', 'ticket', '{"field": 2602, "purpose": "fields", "service": "issuer"}');
select audit.guard_table('identity.production_grant', 'production-grant');
grant select on identity.production_grant to ax_issuer;
grant insert (tenant_id, id, kind, member_id, scopes, minutes, reason, ticket, asked_at) on identity.production_grant to ax_issuer;
-- Whom it was for, what for, how long and why never changes.
grant update (vouched, proved_at, confirmed_by, starts_at, ends_at, ended_at, ended_reason, ended_by, reviewed_at,
  reviewed_by, review) on identity.production_grant to ax_issuer;
