-- A session that has used up its attempts on other tenants is closed by the issuer, for a reason of its own.
alter table identity.session drop constraint session_closed_reason_check;
alter table identity.session add constraint session_closed_reason_check
  check (closed_reason in ('sign-out', 'everywhere', 'replaced', 'suspended', 'expired', 'tenant-deleted', 'attempts'));
