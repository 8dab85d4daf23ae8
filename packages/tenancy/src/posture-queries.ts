/**
 * Catalogue queries of the posture check. `$1` is the expectations as JSON; each gives rows `{ code, object, detail }`.
 * They run as an ordinary role with `search_path = pg_catalog`.
 */

/** Schemas that are not the server's own. */
const USER_SCHEMA = `n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and n.nspname not like 'pg\\_temp%' and n.nspname not like 'pg\\_toast%'`;

const INPUT = `
  input as (select $1::jsonb as j),
  login as (select e.name from input, jsonb_array_elements_text(j -> 'loginRoles') e(name)),
  special as (select j ->> 'migrateRole' as migrate, j ->> 'ownerRole' as owner from input)`;

export const ROLE_CHECKS = `
with ${INPUT},
  known as (select name from login union select migrate from special union select owner from special)
select 'role_missing' as code, k.name as object, 'the role does not exist' as detail
from known k where not exists (select from pg_roles r where r.rolname = k.name)
union all
select 'role_attribute', r.rolname, concat_ws(' ', case when r.rolsuper then 'superuser' end,
    case when r.rolbypassrls then 'bypassrls' end, case when r.rolcreaterole then 'createrole' end,
    case when r.rolcreatedb then 'createdb' end, case when r.rolreplication then 'replication' end,
    case when r.rolinherit then 'inherit' end,
    case when r.rolcanlogin and r.rolname = (select owner from special) then 'login' end)
from pg_roles r join known k on k.name = r.rolname
where r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolinherit
  or (r.rolcanlogin and r.rolname = (select owner from special))
union all
select 'role_member', member.rolname, 'is a member of ' || granted.rolname
from pg_auth_members m
join pg_roles member on member.oid = m.member
join pg_roles granted on granted.oid = m.roleid
where (member.rolname in (select name from known) or granted.rolname in (select name from known))
  and not member.rolsuper
  and not (member.rolname = (select migrate from special) and granted.rolname = (select owner from special)
           and not m.inherit_option and not m.admin_option)
union all
select 'role_unknown', r.rolname, 'may log in to this database'
from pg_roles r
where r.rolcanlogin and not r.rolsuper and r.rolname not in (select name from known)
  and has_database_privilege(r.oid, current_database(), 'connect')
union all
select 'role_setting', coalesce(r.rolname, 'every role'), split_part(setting, '=', 1)
from pg_db_role_setting s
left join pg_roles r on r.oid = s.setrole
cross join unnest(s.setconfig) setting
where setting <> 'search_path=pg_catalog'
  and (s.setdatabase = 0 or s.setdatabase = (select oid from pg_database where datname = current_database()))
  and (split_part(setting, '=', 1) like '%.%' or split_part(setting, '=', 1) in
    ('search_path', 'role', 'session_authorization', 'row_security', 'session_replication_role',
     'session_preload_libraries', 'local_preload_libraries', 'synchronous_commit'))
union all
select 'role_session', session_user::text, 'acts as ' || current_user
where session_user <> current_user
union all
select 'role_session', current_user::text, 'is not one of the login roles'
where current_user not in (select name from login)`;

const TABLES = `
  globals as (select e.name from input, jsonb_array_elements_text(j -> 'globalTables') e(name)),
  tenant_schema as (select e.name from input, jsonb_array_elements_text(j -> 'tenantSchemas') e(name)),
  log_schema as (select e.name from input, jsonb_array_elements_text(j -> 'logSchemas') e(name)),
  user_class as (
    select c.oid, c.relkind, c.relowner, c.relacl, c.reloptions, c.relrowsecurity, c.relforcerowsecurity,
      c.relpersistence, c.relispartition, n.nspname as schema, n.nspname || '.' || c.relname as name,
      (select a.attnum from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped) as tenant
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where ${USER_SCHEMA}
  ),
  walled as (
    select u.* from user_class u
    where u.relkind in ('r', 'p') and u.name not in (select name from globals)
      and (u.tenant is not null or u.schema in (select name from tenant_schema))
  )`;

export const TABLE_CHECKS = `
with ${INPUT}, ${TABLES}
select 'table_unwalled' as code, w.name as object, case when w.relrowsecurity then 'row-level security is not forced' else 'no row-level security' end as detail
from walled w where not (w.relrowsecurity and w.relforcerowsecurity)
union all
select 'table_tenant_column', w.name, 'needs tenant_id uuid not null'
from walled w where not exists (
  select from pg_attribute a where a.attrelid = w.oid and a.attname = 'tenant_id' and a.atttypid = 'uuid'::regtype and a.attnotnull)
union all
select 'table_key', w.name, 'has no primary key'
from walled w where not exists (select from pg_index i where i.indrelid = w.oid and i.indisprimary)
union all
select 'table_key', w.name, i.indexrelid::regclass::text || ' does not begin with tenant_id'
from walled w join pg_index i on i.indrelid = w.oid
where i.indisunique and i.indkey[0] is distinct from w.tenant
  and (i.indisprimary or w.schema not in (select name from log_schema))
union all
select 'table_key', w.name, con.conname || ' does not begin with tenant_id on both sides'
from walled w join pg_constraint con on con.conrelid = w.oid and con.contype = 'f'
join pg_attribute f on f.attrelid = con.confrelid and f.attnum = con.confkey[1]
where con.conkey[1] is distinct from w.tenant
  or (f.attname <> 'tenant_id' and exists (select from walled other where other.oid = con.confrelid))
union all
select 'table_owner', u.name, 'belongs to ' || pg_get_userbyid(u.relowner)
from user_class u where u.relkind in ('r', 'p', 'v', 'm') and pg_get_userbyid(u.relowner) <> (select owner from special)
union all
select 'table_grant', u.name, coalesce(nullif(a.grantee, 0)::regrole::text, 'public') || ' has ' || a.privilege_type
from user_class u cross join aclexplode(u.relacl) a
where u.relkind in ('r', 'p', 'v', 'm', 'f') and a.grantee <> u.relowner
  and (a.grantee = 0 or a.is_grantable or a.privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN')
       or pg_get_userbyid(a.grantee) not in (select name from login))
union all
select 'table_grant', u.name, coalesce(nullif(a.grantee, 0)::regrole::text, 'public') || ' has ' || a.privilege_type || ' on ' || att.attname
from user_class u join pg_attribute att on att.attrelid = u.oid and att.attacl is not null
cross join aclexplode(att.attacl) a
where a.grantee <> u.relowner and (a.grantee = 0 or a.is_grantable or a.privilege_type = 'REFERENCES'
       or pg_get_userbyid(a.grantee) not in (select name from login))
union all
select 'table_grant', w.name, l.name || ' may change tenant_id'
from walled w cross join login l join pg_roles r on r.rolname = l.name
where w.tenant is not null and has_column_privilege(r.oid, w.oid, w.tenant, 'update') and w.schema in (select name from tenant_schema)
union all
select 'table_kind', u.name, case u.relkind when 'm' then 'a materialised view has no row-level security' else 'a foreign table has no wall here' end
from user_class u where u.relkind in ('m', 'f')
union all
select 'view_definer', u.name, 'is not security_invoker'
from user_class u where u.relkind = 'v' and not coalesce(u.reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)
union all
select 'table_inheritance', u.name, 'inherits from another table'
from user_class u join pg_inherits h on h.inhrelid = u.oid where not u.relispartition and u.relkind in ('r', 'p')
union all
select 'table_rule', u.name, w.rulename
from user_class u join pg_rewrite w on w.ev_class = u.oid where w.rulename <> '_RETURN'
union all
select 'table_unlogged', u.name, 'is emptied by a crash'
from user_class u where u.relkind = 'r' and u.relpersistence = 'u'
union all
select 'trigger_disabled', u.name, t.tgname
from user_class u join pg_trigger t on t.tgrelid = u.oid where t.tgenabled not in ('O', 'A')`;

/** Rows for each walled table and each role that must meet its wall, with the restrictive policies that apply. */
export const WALL_POLICIES = `
with ${INPUT}, ${TABLES},
  outside as (select e ->> 'schema' as schema, e ->> 'role' as role from input, jsonb_array_elements(j -> 'outsideWall') e),
  everyone as (select name from login union select owner from special)
select w.name as table_name, r.rolname as role_name,
  pg_get_expr(p.polqual, p.polrelid) as using_text, pg_get_expr(p.polwithcheck, p.polrelid) as check_text
from walled w
cross join everyone e
join pg_roles r on r.rolname = e.name
left join pg_policy p on p.polrelid = w.oid and not p.polpermissive and p.polcmd = '*'
  and (0 = any (p.polroles) or r.oid = any (p.polroles))
where not exists (select from outside o where o.schema = w.schema and o.role = e.name)
  and (r.oid = w.relowner or has_table_privilege(r.oid, w.oid, 'select, insert, update, delete')
       or has_any_column_privilege(r.oid, w.oid, 'select, insert, update'))`;

export const FUNCTION_CHECKS = `
with ${INPUT}
select 'function_search_path' as code, (pg_identify_object('pg_proc'::regclass, p.oid, 0)).identity as object,
  'runs with its owner''s rights and whatever search_path the caller has' as detail
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where ${USER_SCHEMA} and p.prosecdef
  and not exists (select from unnest(p.proconfig) c where c like 'search_path=%')
union all
select 'function_set_config', r.rolname, 'may call set_config'
from login l join pg_roles r on r.rolname = l.name
where has_function_privilege(r.oid, 'pg_catalog.set_config(text, text, boolean)', 'execute')
union all
select 'schema_create', n.nspname, r.rolname || ' may create in it'
from pg_namespace n cross join login l join pg_roles r on r.rolname = l.name
where has_schema_privilege(r.oid, n.oid, 'create')
union all
select 'database_create', current_database()::text, r.rolname || ' may create schemas or temporary tables'
from login l join pg_roles r on r.rolname = l.name
where has_database_privilege(r.oid, current_database(), 'create, temporary')`;

export const SERVER_CHECKS = `
with ${INPUT}
select 'extension_unknown' as code, e.extname::text as object, 'is not on the list' as detail
from pg_extension e where e.extname not in (select x from input, jsonb_array_elements_text(j -> 'extensions') x)
union all
select 'foreign_server', s.srvname, 'rows could leave through it' from pg_foreign_server s
union all
select 'publication', p.pubname, 'replication does not know row-level security' from pg_publication p
union all
select 'event_trigger', t.evtname, 'runs inside other people''s commands' from pg_event_trigger t
union all
select 'setting', name, setting from pg_settings
where (name in ('fsync', 'full_page_writes') and setting <> 'on' and (select (j ->> 'durable')::boolean from input))
  or (name = 'synchronous_commit' and setting in ('off', 'local') and (select (j ->> 'durable')::boolean from input))
  or (name = 'session_replication_role' and setting <> 'origin')
  or (name = 'row_security' and setting <> 'on')
  or (name = 'search_path' and setting <> 'pg_catalog')
  or (name = 'log_error_verbosity' and setting <> 'terse')`;

/** Every function and trigger that is not the server's own, with a hash of its full definition. */
export const PINNED_OBJECTS = `
select 'function ' || (pg_identify_object('pg_proc'::regclass, p.oid, 0)).identity as identity,
  encode(sha256(convert_to(pg_get_userbyid(p.proowner) || E'\\n' || pg_get_functiondef(p.oid), 'UTF8')), 'hex') as sha256
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where ${USER_SCHEMA} and p.prokind in ('f', 'p')
  and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
union all
select 'trigger ' || (pg_identify_object('pg_trigger'::regclass, t.oid, 0)).identity,
  encode(sha256(convert_to(pg_get_triggerdef(t.oid) || case t.tgenabled when 'A' then ' always' else '' end, 'UTF8')), 'hex')
from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
where ${USER_SCHEMA} and not t.tgisinternal`;
