-- Campaigns in which people go through who may do what: what stood there when one was opened, each decision, and what
-- became of it.

-- Whether a tenant wants one each quarter. The operator's is not asked.
create table identity.access_review_setting (
  tenant_id uuid not null,
  id uuid not null,
  each_quarter boolean not null,
  primary key (tenant_id, id),
  -- One for a tenant.
  check (id = tenant_id)
);

create table identity.access_review (
  tenant_id uuid not null,
  id uuid not null,
  state text not null check (state in ('open', 'decided', 'removing', 'overdue', 'closed')),
  opened_at timestamptz not null,
  -- Null: the quarter was over.
  opened_by uuid,
  due_at timestamptz not null,
  -- Everybody's effective access at that moment, as canonical JSON, and its SHA-256, which the log has too.
  snapshot bytea not null,
  snapshot_hash bytea not null check (octet_length(snapshot_hash) = 32),
  -- A drill of the sentinel on people made for it; canary tenants only, by the program.
  is_drill boolean not null default false,
  -- Days before the end of the last reminder.
  reminded_days smallint,
  closed_at timestamptz,
  -- While it is not closed: the tenant, or the drill itself. Of two issuers that open a review at the same time, one does.
  place uuid,
  primary key (tenant_id, id),
  unique (tenant_id, place),
  foreign key (tenant_id, opened_by) references identity.member (tenant_id, id),
  check ((closed_at is null) = (state <> 'closed')),
  check ((place is null) = (state = 'closed')),
  check (place is null or place = case when is_drill then id else tenant_id end),
  check (is_drill or due_at between opened_at + interval '3 days' and opened_at + interval '30 days')
);

create table identity.access_review_item (
  tenant_id uuid not null,
  id uuid not null,
  review_id uuid not null,
  position integer not null check (position >= 1),
  kind text not null check (kind in ('member', 'invitation', 'api-key', 'program', 'directory-token', 'break-glass')),
  -- The member, key, permission, token or use.
  target_id uuid not null,
  -- Whose it is; null where it is nobody's in person.
  holder_id uuid,
  decision text check (decision in ('keep', 'change-role', 'remove', 'gone')),
  -- By a person, because nobody had decided in time, or because it had ended by itself.
  decided_because text check (decided_because in ('person', 'deadline', 'ended')),
  decided_by uuid,
  decided_at timestamptz,
  new_role text check (new_role in ('lead', 'auditor', 'client', 'operator')),
  reason bytea,
  -- SHA-256 of what had come to the access since the snapshot when it was decided.
  grown_hash bytea check (octet_length(grown_hash) = 32),
  carried_out_at timestamptz,
  -- When a later look at the target last saw it, and whether what was to be gone was gone.
  looked_at timestamptz,
  proof text check (proof in ('gone', 'still-there')),
  primary key (tenant_id, id),
  unique (tenant_id, review_id, position),
  foreign key (tenant_id, review_id) references identity.access_review (tenant_id, id),
  -- Nobody decides about themselves, whatever the program says.
  check (decided_by is null or holder_id is null or decided_by <> holder_id),
  check ((decision is null) = (decided_at is null)),
  check ((decision is null) = (decided_because is null)),
  check ((decided_by is not null) = (decided_because is not distinct from 'person')),
  check ((new_role is not null) = (decision is not distinct from 'change-role')),
  check (decided_because is distinct from 'deadline' or decision = 'remove'),
  check ((proof is null) = (looked_at is null))
);
create index access_review_item_review on identity.access_review_item (tenant_id, review_id, position);

select platform.protect_tenant_table('identity.access_review_setting');
select platform.protect_tenant_table('identity.access_review');
select platform.protect_tenant_table('identity.access_review_item');
select platform.seal_column('identity.access_review', 'snapshot', '{"field": 2501, "purpose": "fields", "service": "issuer"}');
select platform.seal_column('identity.access_review_item', 'reason', '{"field": 2502, "purpose": "fields", "service": "issuer", "editable": true}');
select audit.guard_table('identity.access_review_setting', 'access-review-setting');
select audit.guard_table('identity.access_review', 'access-review');
select audit.guard_table('identity.access_review_item', 'access-review', 'review_id');
grant select, insert, update (each_quarter) on identity.access_review_setting to ax_issuer;
grant select, insert, update (state, reminded_days, closed_at, place) on identity.access_review to ax_issuer;
grant select, insert, update (decision, decided_because, decided_by, decided_at, new_role, reason, grown_hash,
  carried_out_at, looked_at, proof) on identity.access_review_item to ax_issuer;

-- What ends because of a review says so.
alter table identity.revocation drop constraint revocation_cause_check;
alter table identity.revocation add constraint revocation_cause_check
  check (cause in ('scim', 'back-channel', 'signal', 'lapsed', 'administrator', 'review'));
alter table identity.api_key drop constraint api_key_ended_reason_check;
alter table identity.api_key add constraint api_key_ended_reason_check
  check (ended_reason in ('owner', 'administrator', 'revoked', 'attempts', 'review'));
alter table identity.api_grant drop constraint api_grant_ended_reason_check;
alter table identity.api_grant add constraint api_grant_ended_reason_check
  check (ended_reason in ('person', 'client', 'client-removed', 'reused', 'attempts', 'left', 'unused', 'review'));
