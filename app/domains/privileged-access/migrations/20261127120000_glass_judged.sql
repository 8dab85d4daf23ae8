-- When somebody was told that a broken glass was judged by nobody in time: once, whichever issuer comes first.
alter table identity.production_grant add column unjudged_told_at timestamptz,
  add constraint production_unjudged_told check (unjudged_told_at is null or (kind = 'break-glass' and starts_at is not null));
grant update (unjudged_told_at) on identity.production_grant to ax_issuer;
