-- Moving a tenant from one place to another: asked for by an operator, carried out by the set-up process.

-- Rows of the operator's tenant, about another one.
create table app.tenant_move (
  tenant_id uuid not null references platform.tenant (id),
  id uuid not null,
  subject_id uuid not null,
  state text not null check (state in ('requested', 'moving', 'cancelling', 'done', 'failed', 'cancelled')),
  from_kind text not null check (from_kind in ('shared', 'schema', 'database')),
  from_region text not null check (length(from_region) between 1 and 63),
  to_kind text not null check (to_kind in ('shared', 'schema', 'database')),
  to_region text not null check (length(to_region) between 1 and 63),
  requested_by uuid not null,
  requested_at timestamptz not null,
  ended_at timestamptz,
  -- Rows and digest of every table, equal on both sides before the place was switched.
  proof jsonb,
  frozen_ms integer check (frozen_ms >= 0),
  failure text check (length(failure) <= 500),
  primary key (tenant_id, id),
  constraint move_elsewhere check ((from_kind, from_region) <> (to_kind, to_region)),
  constraint move_ended check ((state in ('done', 'failed', 'cancelled')) = (ended_at is not null)),
  constraint move_proven check ((state = 'done') = (proof is not null and frozen_ms is not null))
);
-- Two moves of one tenant at once would each empty what the other has filled.
create unique index tenant_move_one_open on app.tenant_move (tenant_id, subject_id)
  where state in ('requested', 'moving', 'cancelling');

select platform.protect_tenant_table('app.tenant_move');
select audit.guard_table('app.tenant_move', 'move');
grant select on app.tenant_move to ax_issuer;
grant insert (tenant_id, id, subject_id, state, from_kind, from_region, to_kind, to_region, requested_by, requested_at)
  on app.tenant_move to ax_issuer;
grant update (state, ended_at, proof, frozen_ms, failure) on app.tenant_move to ax_issuer;

-- How far a move has come, written by the set-up process as it goes; numbers only. What counts as an event (asked for,
-- ended, proven) is in app.tenant_move and the log.
create table platform.move_progress (
  move_id uuid primary key,
  tenant_id uuid not null,
  stage text not null check (stage in ('copying', 'frozen', 'proving', 'switched', 'cleared')),
  rows_done bigint not null,
  rows_total bigint not null,
  updated_at timestamptz not null default now(),
  proof jsonb
);
select platform.declare_global_table('platform.move_progress', 'counters of moves under way; ids and numbers only');
grant select on platform.move_progress to ax_issuer;
