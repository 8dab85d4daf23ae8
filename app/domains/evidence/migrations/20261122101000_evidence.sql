-- Evidence: files that bear a criterion out. The bytes are in the object store, sealed in chunks under the upload's id;
-- here are their facts. Name, media type and digest are one sealed value (a digest names the file to whoever holds one).

create table app.evidence_upload (
  tenant_id uuid not null,
  id uuid not null,
  engagement_id uuid not null,
  criterion_id uuid not null,
  description bytea not null,
  -- The random key of the stored object under the tenant's key: without this row the parts on disk are noise.
  object_key bytea not null,
  size_bytes bigint not null check (size_bytes between 1 and 8589934592),
  speaks_from date not null,
  speaks_to date not null,
  state text not null default 'open' check (state in ('open', 'received', 'aborted', 'expired')),
  started_by uuid not null,
  started_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, engagement_id, criterion_id) references app.criterion (tenant_id, engagement_id, id),
  constraint evidence_upload_period check (speaks_to >= speaks_from)
);
create index evidence_upload_open on app.evidence_upload (tenant_id, expires_at) where state = 'open';
create index evidence_upload_starter on app.evidence_upload (tenant_id, started_by) where state = 'open';

-- Never changed and never deleted: what was received on which day stays answerable. The days that the content speaks
-- about are the sender's statement; received_at is the server's and is kept apart.
create table app.evidence (
  tenant_id uuid not null,
  id uuid not null,
  engagement_id uuid not null,
  criterion_id uuid not null,
  upload_id uuid not null,
  description bytea not null,
  object_key bytea not null,
  -- What the object consists of; pins each part, so that none can be left out, exchanged or put back to an older state.
  manifest bytea not null,
  size_bytes bigint not null check (size_bytes between 1 and 8589934592),
  speaks_from date not null,
  speaks_to date not null,
  card_flag boolean not null,
  received_by uuid not null,
  received_at timestamptz not null,
  primary key (tenant_id, id),
  unique (tenant_id, upload_id),
  foreign key (tenant_id, engagement_id, criterion_id) references app.criterion (tenant_id, engagement_id, id),
  foreign key (tenant_id, upload_id) references app.evidence_upload (tenant_id, id),
  constraint evidence_period check (speaks_to >= speaks_from)
);
create index evidence_by_engagement on app.evidence (tenant_id, engagement_id, id);

select platform.protect_tenant_table('app.evidence_upload');
select platform.protect_tenant_table('app.evidence');
select audit.guard_table('app.evidence_upload', 'upload');
select audit.guard_table('app.evidence', 'evidence');

grant select on app.evidence_upload, app.evidence to ax_workspace;
grant insert (tenant_id, id, engagement_id, criterion_id, description, object_key, size_bytes, speaks_from, speaks_to, started_by, started_at, expires_at)
  on app.evidence_upload to ax_workspace;
grant update (state) on app.evidence_upload to ax_workspace;
grant insert (tenant_id, id, engagement_id, criterion_id, upload_id, description, object_key, manifest, size_bytes, speaks_from, speaks_to, card_flag, received_by, received_at)
  on app.evidence to ax_workspace;
