-- A refusal by role or row is worth a look in the inbox and wakes nobody.
alter table oncall.page drop constraint page_severity_check;
alter table oncall.page add constraint page_severity_check check (severity in ('low', 'high', 'critical'));

-- The operator's view of denied attempts: read out of the public-safe leaves by the sentinel, in the transaction that
-- moves the tail, so that it can be made again from the logs and says nothing that they do not.
create table oncall.attempt (
  entry_id uuid primary key,
  -- In the one order over all logs.
  position bigint not null unique,
  about_tenant uuid references platform.tenant (id),
  -- Whose data it was about, where an id said so; for the operator's eyes only.
  target_part bigint,
  canary boolean not null,
  code text not null,
  layer text not null,
  operation text,
  -- `person:…` or `service:…`
  actor text not null,
  session_id uuid,
  request_id text not null,
  -- Where a sum came from: a kind of address, or a process.
  source text,
  times bigint not null check (times >= 1),
  occurred_ms bigint not null,
  seen_at timestamptz not null
);
create index attempt_newest on oncall.attempt (canary, position desc);
select platform.declare_global_table('oncall.attempt', 'denied attempts of every tenant, for the operator; ids and enumerations only');
grant select, insert, delete on oncall.attempt to ax_sentinel;
grant select on oncall.attempt to ax_workspace;
