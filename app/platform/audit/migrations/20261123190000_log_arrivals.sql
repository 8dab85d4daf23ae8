-- Nothing asks how long a log was when it arrived: what came along has positions below all of the new cell's own, and so
-- is never read twice.
create or replace function audit.log_arrived(tenant uuid) returns void
  language sql set search_path = pg_catalog, pg_temp as $$
  update audit.log l set moved_to = null where l.tenant_id = tenant
$$;
alter table audit.log drop column arrived_size;
