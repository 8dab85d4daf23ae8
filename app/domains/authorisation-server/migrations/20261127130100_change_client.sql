-- What a lead has said of a program can be changed; which state of it somebody read, and allowed, has a number.
alter table identity.api_client add column revision integer not null default 1 check (revision > 0);
grant update (access, revision) on identity.api_client to ax_issuer;
-- Given anew under the row's own entry, not only encrypted anew.
update platform.sealed_column set editable = true where relation = 'identity.api_client' and column_name = 'content';

-- A permission that went beyond what the program is now registered for.
alter table identity.api_grant drop constraint api_grant_ended_reason_check;
alter table identity.api_grant add constraint api_grant_ended_reason_check
  check (ended_reason in ('person', 'client', 'client-removed', 'client-narrowed', 'reused', 'attempts', 'left', 'unused',
    'review', 'tenant-deleted'));
