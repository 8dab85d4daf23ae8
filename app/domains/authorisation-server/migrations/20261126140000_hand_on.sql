-- A person may let a program hand work on to agents (RFC 8693): which ones is part of what was allowed, for good.

alter table identity.api_grant add column agents uuid[] not null default '{}';
alter table identity.api_grant add constraint api_grant_agents
  check (cardinality(agents) <= 10 and array_position(agents, null) is null and client_id <> all (agents));
grant insert (agents) on identity.api_grant to ax_issuer;

-- When an agent last acted by a permission, to the minute: moves with its calls, and says nothing that is worth an entry each time.
create table identity.api_agent_use (
  tenant_id uuid not null,
  grant_id uuid not null,
  client_id uuid not null,
  last_acted_at timestamptz not null,
  primary key (tenant_id, grant_id, client_id),
  foreign key (tenant_id, grant_id) references identity.api_grant (tenant_id, id),
  foreign key (tenant_id, client_id) references identity.api_client (tenant_id, id)
);
select platform.protect_tenant_table('identity.api_agent_use');
grant select, insert, update (last_acted_at) on identity.api_agent_use to ax_issuer;
