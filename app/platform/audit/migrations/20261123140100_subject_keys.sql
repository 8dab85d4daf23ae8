-- Withheld values about a person are encrypted under a key of that person, and that under the tenant's like every withheld
-- value. Destroying the person's key is the erasure: leaves, proofs and checkpoints keep every byte.

create table audit.subject_key (
  tenant_id uuid not null,
  -- The person that the values are about.
  subject uuid not null,
  -- 32 random bytes under the tenant's ring.
  sealed bytea not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, subject)
);
create table audit.erased_subject (
  tenant_id uuid not null,
  subject uuid not null,
  erased_at timestamptz not null default now(),
  primary key (tenant_id, subject)
);
select platform.protect_tenant_table('audit.subject_key');
select platform.protect_tenant_table('audit.erased_subject');
select audit.guard_table('audit.erased_subject', 'member', 'subject');

-- A key is made in the transaction of the entry whose value it encrypts, and that entry may be about anything: making one
-- needs no entry of its own. Taking it away does, and so does changing it (encrypted anew: the batch's).
create trigger audit_guard_delete after delete on audit.subject_key referencing old table as changed
  for each statement execute function audit.note_rows('member', 'subject');
create trigger audit_guard_update after update on audit.subject_key referencing old table as old_rows new table as new_rows
  for each statement execute function audit.note_updates('member', 'subject', 'tenant_id,subject');
create trigger audit_guard_truncate before truncate on audit.subject_key
  for each statement execute function audit.refuse_truncate();

-- AX107: what was erased gets no second key, and no key goes before its erasure is written down.
create function audit.guard_subject_key() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  erased constant boolean := exists (select from audit.erased_subject s
    where s.tenant_id = coalesce(new.tenant_id, old.tenant_id) and s.subject = coalesce(new.subject, old.subject));
begin
  if erased = (tg_op = 'INSERT') then
    raise exception 'a key of a person is made before their erasure and destroyed after it' using errcode = 'AX107';
  end if;
  return coalesce(new, old);
end $$;
create trigger guard_subject_key before insert or delete on audit.subject_key
  for each row execute function audit.guard_subject_key();
revoke all on function audit.guard_subject_key() from public;

alter table audit.disclosure add column subject uuid;
create index disclosure_subject on audit.disclosure (tenant_id, subject, digest) where subject is not null;

-- An erasure waits for the writers that are under way with a value about the person, and those that come after it are
-- refused (AX107): so the entries about it name every digest there is. Whoever erases writes the row first, then looks.
create function audit.hold_subject() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock_shared(7204116, hashtext(new.subject::text));
  if exists (select from audit.erased_subject s where s.tenant_id = new.tenant_id and s.subject = new.subject) then
    raise exception 'this person was erased' using errcode = 'AX107';
  end if;
  return new;
end $$;
create trigger hold_subject before insert on audit.disclosure for each row when (new.subject is not null)
  execute function audit.hold_subject();
create function audit.close_subject() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(7204116, hashtext(new.subject::text));
  return new;
end $$;
create trigger close_subject before insert on audit.erased_subject for each row execute function audit.close_subject();
revoke all on function audit.hold_subject(), audit.close_subject() from public;

grant select, insert (tenant_id, subject, sealed) on audit.subject_key to ax_workspace, ax_issuer;
grant delete on audit.subject_key to ax_issuer;
grant select on audit.erased_subject to ax_workspace, ax_issuer;
grant insert (tenant_id, subject) on audit.erased_subject to ax_issuer;
grant insert (subject) on audit.disclosure to ax_workspace, ax_issuer;
-- Who erases lists the digests; the values themselves stay out of the issuer's reach.
grant select (tenant_id, entry_id, digest, subject) on audit.disclosure to ax_issuer;

select platform.seal_column('audit.subject_key', 'sealed',
  '{"field": 3002, "purpose": "fields", "service": "workspace", "key": "subject", "row": "subject"}');

-- What the person's own rows say of them is replaced when they are erased.
update platform.sealed_column set editable = true where relation = 'identity.invitation';
grant update (label, name) on identity.invitation to ax_issuer;
