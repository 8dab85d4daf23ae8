-- This side's keys of a SAML connection change: the next ones are shown before they are used.
alter table identity.connection
  -- Days before the end of our own certificate that somebody was told of last: 60, 30, 7, 0. Null again with new keys.
  add column own_warned_days smallint check (own_warned_days in (60, 30, 7, 0));
grant update (own_keys, own_warned_days) on identity.connection to ax_issuer;
