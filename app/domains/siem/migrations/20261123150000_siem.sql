-- Where a tenant's log is streamed to. The address and the secret are the tenant's content, sealed, in its own tables;
-- how far a stream is stands with the log, where the process that dials may read it, and says nothing confidential.

create table app.stream (
  tenant_id uuid not null references platform.tenant (id),
  id uuid not null,
  -- Kind, host, port, secret, authority: sealed as one, so that an address cannot be put under another's secret.
  config bytea not null,
  enabled boolean not null default false,
  version integer not null default 1 check (version between 1 and 1000000),
  created_at timestamptz not null,
  primary key (tenant_id, id)
);
select platform.protect_tenant_table('app.stream');
select platform.seal_column('app.stream', 'config', '{"field": 1301, "purpose": "fields", "service": "workspace", "editable": true}');
select audit.guard_table('app.stream', 'stream');
grant select, delete on app.stream to ax_workspace;
grant insert (tenant_id, id, config, created_at) on app.stream to ax_workspace;
grant update (enabled, version) on app.stream to ax_workspace;

create table audit.stream_cursor (
  tenant_id uuid not null,
  id uuid not null,
  enabled boolean not null default false,
  -- Of the settings; a batch of older ones moves nothing.
  version integer not null default 1,
  -- The next entry to go: generation and index of the tenant's own log, which mean the same wherever the log moves to.
  generation integer not null check (generation >= 1),
  next_idx bigint not null check (next_idx >= 0),
  -- The last index of a batch whose fate is not known: it is sent again, and counted as perhaps repeated.
  tried_idx bigint,
  sent bigint not null default 0,
  repeated bigint not null default 0,
  attempts integer not null default 0,
  error text,
  failing_since timestamptz,
  retry_at timestamptz,
  told_at timestamptz,
  last_sent_at timestamptz,
  primary key (tenant_id, id)
);
select platform.protect_tenant_table('audit.stream_cursor');
do $$
declare
  wall record;
begin
  for wall in select policyname from pg_policies
    where schemaname = 'audit' and tablename = 'stream_cursor' and permissive = 'RESTRICTIVE' loop
    execute format('alter policy %I on audit.stream_cursor to ax_workspace, ax_issuer', wall.policyname);
  end loop;
end $$;
create policy log_machinery on audit.stream_cursor to ax_owner, ax_ledger, ax_sentinel using (true) with check (true);
grant select, delete, insert (tenant_id, id, generation, next_idx), update (enabled, version, retry_at)
  on audit.stream_cursor to ax_workspace;
grant select, update (generation, next_idx, tried_idx, sent, repeated, attempts, error, failing_since, retry_at, told_at, last_sent_at)
  on audit.stream_cursor to ax_sentinel;
