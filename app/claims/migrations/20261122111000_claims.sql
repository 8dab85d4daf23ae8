-- What the probes saw and which revisions of the public page were made of it. Everything here is public by design: the
-- pages show it whole. The sentinel adds; nobody changes or removes, so that a red run cannot be taken back.

create table claims.observation (
  id uuid primary key,
  probe_id text not null check (probe_id ~ '^[a-z][a-z0-9-]*\.[a-z0-9][a-z0-9-]*$'),
  -- The claims that the run was for, as the register had them then.
  claim_ids text[] not null check (cardinality(claim_ids) between 1 and 81),
  observed_at timestamptz not null,
  duration_ms integer not null check (duration_ms >= 0),
  state text not null check (state in ('green', 'red')),
  detail text not null check (length(detail) between 1 and 2000),
  measured_value double precision,
  measured_limit double precision,
  measured_unit text,
  evidence jsonb check (octet_length(evidence::text) <= 65536),
  rehearsed_against text check (length(rehearsed_against) between 1 and 200),
  -- Its entry in the operator's log; absent when the log was down at the time, and the page says so.
  entry_id uuid,
  check ((measured_value is null) = (measured_limit is null) and (measured_value is null) = (measured_unit is null))
);
create index observation_probe on claims.observation (probe_id, observed_at desc);

create table claims.revision (
  number bigint primary key check (number > 0),
  digest text not null check (digest ~ '^[0-9a-f]{64}$'),
  manifest_sha256 text not null check (manifest_sha256 ~ '^[0-9a-f]{64}$'),
  generated_at timestamptz not null,
  valid_until timestamptz not null check (valid_until > generated_at),
  counts jsonb not null,
  entry_id uuid
);

select platform.declare_global_table('claims.observation', 'runs of probes; public, about the house and no tenant');
select platform.declare_global_table('claims.revision', 'revisions of the public page');
grant select, insert on claims.observation, claims.revision to ax_sentinel;
grant select on claims.observation, claims.revision to ax_workspace;
