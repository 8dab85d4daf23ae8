-- When somebody who may be trusted with it last said that a person still works at the organisation: their provider by a
-- sign-in, their directory, a signal. One row for a person whom a provider knows; it moves on with every proof.
create table identity.employment (
  tenant_id uuid not null,
  member_id uuid not null,
  proved_at timestamptz not null,
  source text not null check (source in ('sign-in', 'scim', 'signal')),
  -- When the proof had become too old and what the person held was looked at; taken away by the next proof.
  lapsed_at timestamptz,
  primary key (tenant_id, member_id)
);
create index employment_proved on identity.employment (proved_at) where lapsed_at is null;
select platform.declare_global_table('identity.employment', 'looked through for all tenants at once, and moves on with every proof; holds ids and instants');
grant select, insert, update (proved_at, source, lapsed_at) on identity.employment to ax_issuer;
