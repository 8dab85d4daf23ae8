-- A person who came by a provider signs in there again before their first passkey.
alter table identity.sso_request drop constraint sso_request_purpose_check;
alter table identity.sso_request add constraint sso_request_purpose_check
  check (purpose in ('sign-in', 'test', 'connect', 'invitation', 'confirm'));
