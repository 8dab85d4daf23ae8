-- What an organisation has subscribed to. Only `enterprise` may bring a key source of its own.

alter table platform.tenant
  add column tier text not null default 'standard' check (tier in ('standard', 'enterprise'));

-- Houses from before: the sample's and the probes' organisation that show what it is for.
update platform.tenant set tier = 'enterprise'
where (kind = 'canary' and slug = 'canary-b') or (kind = 'sample' and slug = 'lakeside');
