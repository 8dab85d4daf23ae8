-- Engagements, their criteria and the results found. Sealed columns are bytea; plaintext ones are listed with a reason
-- in ../plaintext.ts.

create table app.engagement (
  tenant_id uuid not null references platform.tenant (id),
  id uuid not null,
  title bytea not null,
  client_name bytea not null,
  catalogue bytea not null,
  period_start date not null,
  period_end date not null,
  state text not null default 'draft' check (state in ('draft', 'fieldwork', 'review', 'final')),
  revision integer not null default 1 check (revision >= 1),
  contact_ids uuid[] not null default '{}' check (cardinality(contact_ids) <= 50),
  criteria_count integer not null check (criteria_count between 1 and 1500),
  created_by uuid not null,
  created_at timestamptz not null,
  finalised_at timestamptz,
  -- The transaction that wrote the row. No role may name this column, so it cannot be forged.
  created_xid xid8 not null default pg_current_xact_id(),
  primary key (tenant_id, id),
  unique (tenant_id, id, created_xid),
  constraint engagement_period check (period_end >= period_start),
  constraint engagement_final check ((state = 'final') = (finalised_at is not null))
);

-- A catalogue brings hundreds of criteria with one deed, so they share one audit entry: that of their engagement. Two
-- walls keep it sound. The commit guard wants an entry of the engagement in the same transaction; and the foreign key
-- to created_xid lets a criterion be inserted only by the very transaction that inserted its engagement, so that no
-- later entry of the engagement (a change of state, say) can cover a criterion slipped in. Nobody may change one.
create table app.criterion (
  tenant_id uuid not null,
  id uuid not null,
  engagement_id uuid not null,
  position integer not null check (position >= 0),
  group_index integer not null check (group_index >= 0),
  content bytea not null,
  created_xid xid8 not null default pg_current_xact_id(),
  primary key (tenant_id, id),
  unique (tenant_id, engagement_id, position),
  unique (tenant_id, engagement_id, id),
  foreign key (tenant_id, engagement_id, created_xid) references app.engagement (tenant_id, id, created_xid)
);

-- Append-only: a new result supersedes the one before and no role may change or delete one. Numbers begin at 1 and each
-- needs the one below it, so that there is exactly one chain a criterion, without gaps and without forks: two people
-- cannot both supersede the same result.
create table app.result (
  tenant_id uuid not null,
  id uuid not null,
  engagement_id uuid not null,
  criterion_id uuid not null,
  revision integer not null check (revision >= 1),
  supersedes integer generated always as (nullif(revision - 1, 0)) stored,
  outcome text not null check (outcome in ('satisfied', 'not-satisfied', 'not-applicable')),
  note bytea not null,
  observed_on date not null,
  recorded_by uuid not null,
  recorded_at timestamptz not null,
  primary key (tenant_id, id),
  unique (tenant_id, criterion_id, revision),
  foreign key (tenant_id, engagement_id, criterion_id) references app.criterion (tenant_id, engagement_id, id),
  foreign key (tenant_id, criterion_id, supersedes) references app.result (tenant_id, criterion_id, revision)
);

select platform.protect_tenant_table('app.engagement');
select platform.protect_tenant_table('app.criterion');
select platform.protect_tenant_table('app.result');
select audit.guard_table('app.engagement', 'engagement');
select audit.guard_table('app.criterion', 'engagement', 'engagement_id');
select audit.guard_table('app.result', 'result');

grant select on app.engagement, app.criterion, app.result to ax_workspace;
grant insert (tenant_id, id, title, client_name, catalogue, period_start, period_end, criteria_count, created_by, created_at)
  on app.engagement to ax_workspace;
grant update (state, revision, contact_ids, finalised_at) on app.engagement to ax_workspace;
grant insert (tenant_id, id, engagement_id, position, group_index, content) on app.criterion to ax_workspace;
grant insert (tenant_id, id, engagement_id, criterion_id, revision, outcome, note, observed_on, recorded_by, recorded_at)
  on app.result to ax_workspace;
