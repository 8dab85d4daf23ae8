-- Pages: what detection found, who was told, when a channel accepted it. Written by the sentinel; the operator reads them
-- through the workspace and acknowledges in a table of the operator's own tenant.

create table oncall.page (
  id uuid primary key,
  detection text not null,
  severity text not null check (severity in ('high', 'critical')),
  -- Same key within the collapse window: one page that counts, so that a storm wakes one person once.
  collapse_key text not null,
  about_tenant uuid references platform.tenant (id),
  -- Canary pages go to a counted channel of their own; they are pages all the same.
  canary boolean not null,
  facts jsonb not null,
  opened_at timestamptz not null,
  last_at timestamptz not null,
  count integer not null default 1 check (count >= 1)
);
create index page_opened on oncall.page (opened_at desc);
create index page_collapse on oncall.page (collapse_key, last_at desc);

-- Which log entries a page answers for; an entry raises a detection at most once, however often the tail restarts.
create table oncall.page_entry (
  entry_id uuid not null,
  detection text not null,
  page_id uuid not null references oncall.page (id),
  request_id text not null,
  occurred_ms bigint not null,
  seen_at timestamptz not null,
  primary key (entry_id, detection)
);
create index page_entry_page on oncall.page_entry (page_id);
create index page_entry_request on oncall.page_entry (request_id);

create table oncall.delivery (
  page_id uuid not null references oncall.page (id),
  channel text not null check (channel in ('inbox', 'webhook', 'canary')),
  -- The page's count that this delivery told; a page that grew is told again.
  count integer not null,
  attempts integer not null default 0,
  next_at timestamptz not null,
  accepted_at timestamptz,
  outcome text,
  primary key (page_id, channel, count)
);
create index delivery_due on oncall.delivery (next_at) where accepted_at is null;

-- Where the tail stands in the one order over all logs.
create table oncall.cursor (
  only_row boolean primary key default true check (only_row),
  position bigint not null
);
insert into oncall.cursor (position) values (0);

select platform.declare_global_table('oncall.page', 'pages are the operator''s; they name a tenant by id and hold none of its content');
select platform.declare_global_table('oncall.page_entry', 'ids of log entries only');
select platform.declare_global_table('oncall.delivery', 'receipts of the pager');
select platform.declare_global_table('oncall.cursor', 'position of the detection tail');
grant select, insert, update on oncall.page, oncall.delivery to ax_sentinel;
grant select, insert on oncall.page_entry to ax_sentinel;
grant select, update on oncall.cursor to ax_sentinel;
grant select on oncall.page, oncall.delivery, oncall.page_entry to ax_workspace;

create table oncall.acknowledgement (
  tenant_id uuid not null references platform.tenant (id),
  id uuid not null,
  person_id uuid not null,
  acknowledged_at timestamptz not null,
  primary key (tenant_id, id)
);
select platform.protect_tenant_table('oncall.acknowledgement');
select audit.guard_table('oncall.acknowledgement', 'page');
grant select, insert on oncall.acknowledgement to ax_workspace;
