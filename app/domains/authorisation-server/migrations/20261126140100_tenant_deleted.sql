-- What people had allowed ends with their organisation, and says so.
alter table identity.api_grant drop constraint api_grant_ended_reason_check;
alter table identity.api_grant add constraint api_grant_ended_reason_check
  check (ended_reason in ('person', 'client', 'client-removed', 'reused', 'attempts', 'left', 'unused', 'review',
    'tenant-deleted'));
