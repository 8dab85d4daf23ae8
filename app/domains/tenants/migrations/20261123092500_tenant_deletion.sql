-- Deleting a tenant: proposed by one operator, confirmed by another, carried out after a delay by destroying its keys.

-- Set when the destruction begins and never taken back: from then on nobody signs in and no job runs for the tenant.
alter table platform.tenant add column closed_at timestamptz;

alter table identity.session drop constraint session_closed_reason_check;
alter table identity.session add constraint session_closed_reason_check
  check (closed_reason in ('sign-out', 'everywhere', 'replaced', 'suspended', 'expired', 'tenant-deleted'));

-- Rows of the operator's tenant, about another one. The two-person rule is written here as well: whatever a program
-- does, a deletion cannot be confirmed by who proposed it, nor fall due in the same moment.
create table app.tenant_deletion (
  tenant_id uuid not null references platform.tenant (id),
  id uuid not null,
  subject_id uuid not null,
  state text not null check (state in ('proposed', 'confirmed', 'destroying', 'failed', 'destroyed', 'cancelled')),
  inventory jsonb not null,
  proposed_by uuid not null,
  proposed_at timestamptz not null,
  confirmed_by uuid,
  confirmed_at timestamptz,
  due_at timestamptz,
  cancelled_by uuid,
  cancelled_at timestamptz,
  begun_at timestamptz,
  ended_at timestamptz,
  -- One value per purpose under the very keys that are destroyed; null when they could not be used even before.
  canary_fields bytea,
  canary_objects bytea,
  evidence jsonb,
  certificate jsonb,
  primary key (tenant_id, id),
  constraint deletion_two_people check (confirmed_by is null or confirmed_by <> proposed_by),
  constraint deletion_confirmed check (
    (confirmed_by is null) = (confirmed_at is null) and (confirmed_by is null) = (due_at is null)),
  constraint deletion_delayed check (due_at is null or due_at > confirmed_at),
  constraint deletion_needs_two check (state in ('proposed', 'cancelled') or confirmed_by is not null),
  constraint deletion_not_early check (begun_at is null or begun_at >= due_at),
  constraint deletion_certified check ((state = 'destroyed') = (certificate is not null)),
  constraint deletion_cancelled check ((state = 'cancelled') = (cancelled_by is not null))
);
create unique index tenant_deletion_one_open on app.tenant_deletion (tenant_id, subject_id) where state <> 'cancelled';

select platform.protect_tenant_table('app.tenant_deletion');
select audit.guard_table('app.tenant_deletion', 'deletion');
grant select on app.tenant_deletion to ax_issuer;
grant insert (tenant_id, id, subject_id, state, inventory, proposed_by, proposed_at) on app.tenant_deletion to ax_issuer;
grant update (state, confirmed_by, confirmed_at, due_at, cancelled_by, cancelled_at, begun_at, ended_at, canary_fields,
  canary_objects, evidence, certificate) on app.tenant_deletion to ax_issuer;

-- What is shown before: numbers and sizes, no content.
grant select (tenant_id, id) on app.engagement to ax_issuer;
grant select (tenant_id, id, size_bytes) on app.evidence to ax_issuer;
-- What is destroyed: the wrapped bytes are overwritten.
grant update (wrapped) on app.dek to ax_issuer;
