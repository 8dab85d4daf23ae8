-- How many refused attempts of one session (or of one resource, where no session is behind them) are written one by one.
-- Past its budget an attempt is counted here, durably, and told in sums: a log that can only grow must not be a thing
-- that whoever is refused can fill.

create table audit.attempt_budget (
  tenant_id uuid not null,
  -- The session; without one, the resource of the entry (a passkey, or the tenant itself).
  subject uuid not null,
  kind text not null check (kind in ('walls', 'rules')),
  since timestamptz not null,
  last_at timestamptz not null,
  -- Written one by one since `since`.
  recorded integer not null check (recorded >= 0),
  -- Only counted, ever, and how many of these the log has been told.
  over bigint not null default 0 check (over >= 0),
  told bigint not null default 0 check (told between 0 and over),
  told_at timestamptz,
  -- Whether the attempt that was counted last may have an entry of its own.
  single boolean not null,
  -- Whether the log was running when it was counted; the server fills it in.
  log_running boolean not null default false,
  primary key (tenant_id, subject, kind)
);
select platform.protect_tenant_table('audit.attempt_budget');
grant select, insert (tenant_id, subject, kind, since, last_at, recorded, single),
  update (since, last_at, recorded, over, told, told_at, single) on audit.attempt_budget to ax_workspace, ax_issuer;

-- The writers may not read the sequencer's heartbeat. What they learn by this is whether what they have just written
-- will be sequenced: if not, the evidence stays, and whoever asked is answered 503 and not with a refusal that nobody sees.
create function audit.note_log_running() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  new.log_running := exists (
    select from audit.beat b where b.beat >= clock_timestamp() - audit.beat_age_max());
  return new;
end $$;
revoke all on function audit.note_log_running() from public;
create trigger note_log_running before insert or update on audit.attempt_budget
  for each row execute function audit.note_log_running();
