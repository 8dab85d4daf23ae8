-- Keys end with their organisation, and say so.
alter table identity.api_key drop constraint api_key_ended_reason_check;
alter table identity.api_key add constraint api_key_ended_reason_check
  check (ended_reason in ('owner', 'administrator', 'revoked', 'attempts', 'review', 'tenant-deleted'));
