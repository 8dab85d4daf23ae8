-- What a person does with their own identities at providers: take one away, and vouch by one for a first passkey.

alter table identity.session
  -- When the person signed in at the provider, as it said in answer to a request for a new sign-in. It lets a session
  -- make the first passkey for some minutes; null: nobody asked.
  add column confirmed_at timestamptz;
alter table identity.session add constraint session_confirmed_check check (confirmed_at is null or method = 'sso');
alter table identity.session drop constraint session_closed_reason_check;
alter table identity.session add constraint session_closed_reason_check check (closed_reason in
  ('sign-out', 'everywhere', 'replaced', 'suspended', 'expired', 'tenant-deleted', 'attempts', 'provider', 'connection',
   'lapsed', 'disconnected'));
create index session_account on identity.session (tenant_id, account_id, auth_time) where account_id is not null;
grant update (confirmed_at) on identity.session to ax_issuer;
