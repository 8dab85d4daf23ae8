-- Offices, who and what belongs to them, and the rules that a tenant writes for itself.

create table app.office (
  tenant_id uuid not null references platform.tenant (id),
  id uuid not null,
  label bytea not null,
  created_at timestamptz not null,
  primary key (tenant_id, id)
);

-- The id is the person's.
create table app.office_person (
  tenant_id uuid not null references platform.tenant (id),
  id uuid not null,
  office_id uuid,
  primary key (tenant_id, id),
  foreign key (tenant_id, office_id) references app.office (tenant_id, id)
);

alter table app.engagement
  add column office_id uuid,
  add constraint engagement_office foreign key (tenant_id, office_id) references app.office (tenant_id, id);

-- Append-only: a new version supersedes the one before, and no role may change or delete one. Two people cannot both
-- supersede the same version.
create table app.access_rules (
  tenant_id uuid not null references platform.tenant (id),
  id uuid not null,
  version integer not null check (version between 1 and 100000),
  supersedes integer generated always as (nullif(version - 1, 0)) stored,
  text bytea not null,
  restores integer check (restores < version),
  written_by uuid not null,
  written_at timestamptz not null,
  primary key (tenant_id, id),
  unique (tenant_id, version),
  foreign key (tenant_id, supersedes) references app.access_rules (tenant_id, version)
);

select platform.protect_tenant_table('app.office');
select platform.protect_tenant_table('app.office_person');
select platform.protect_tenant_table('app.access_rules');
select platform.seal_column('app.access_rules', 'text', '{"field": 1201, "purpose": "fields", "service": "workspace"}');
select platform.seal_column('app.office', 'label', '{"field": 1202, "purpose": "fields", "service": "workspace"}');
select audit.guard_table('app.office', 'office');
select audit.guard_table('app.office_person', 'office-person');
select audit.guard_table('app.access_rules', 'access-rules');

grant select on app.office, app.office_person, app.access_rules to ax_workspace;
grant insert (tenant_id, id, label, created_at) on app.office to ax_workspace;
grant insert (tenant_id, id, office_id) on app.office_person to ax_workspace;
grant update (office_id) on app.office_person, app.engagement to ax_workspace;
grant insert (tenant_id, id, version, text, restores, written_by, written_at) on app.access_rules to ax_workspace;
